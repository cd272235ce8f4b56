-- What accounts are found by: username, display name and address, folded as names of keys are. No database folds alike, so
-- the program writes them at its next start for accounts that are there; an account without them has them written then.
ALTER TABLE account ADD COLUMN names TEXT;
CREATE INDEX account_names ON account (id, names);
CREATE INDEX account_unnamed ON account (id) WHERE names IS NULL;
