-- The groups of a key whose group is `auto`, in order; empty is the account's own group.
ALTER TABLE account ADD COLUMN auto_groups TEXT NOT NULL DEFAULT '';
