-- What PostgreSQL needs where another server takes the place of one. A file is read by nobody but its own server: there is
-- one life.
ALTER TABLE usage_next ADD COLUMN life INTEGER NOT NULL DEFAULT 1;
ALTER TABLE usage_next ADD COLUMN server INTEGER NOT NULL DEFAULT 0;
ALTER TABLE journal ADD COLUMN life INTEGER NOT NULL DEFAULT 1;
ALTER TABLE lease ADD COLUMN lost INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pool ADD COLUMN edited INTEGER NOT NULL DEFAULT 0;
