-- The first block of records that is not forgotten.
ALTER TABLE usage_next ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;
