-- Several nodes share pools. A node is its journal: `seen` is when it was heard of last, by the database's clock (0: never,
-- or it has ended), `suspended` since when its leases stand in suspense (0: they do not). Of a lease `amount` is what the
-- node still has of it, spent parts included, and `returned` all that went back while it was open, so that both sides can
-- repeat themselves; `answered` is the newest wish that its holder has answered. A wish is what a node waits for.
ALTER TABLE journal ADD COLUMN seen INTEGER NOT NULL DEFAULT 0;
ALTER TABLE journal ADD COLUMN suspended INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lease ADD COLUMN returned INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lease ADD COLUMN answered INTEGER NOT NULL DEFAULT 0;

CREATE TABLE wish (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    pool INTEGER NOT NULL,
    journal INTEGER NOT NULL,
    units INTEGER NOT NULL,
    until INTEGER NOT NULL,
    UNIQUE (pool, journal)
);

-- The one clock of all nodes: milliseconds since 1970.
CREATE VIEW clock AS SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS millis;
