-- A server of the database that takes the place of another may miss what that had committed last. `server` is the one that
-- the book was used on last, `life` counts them. `life` of a journal is the one in which its node has said what it has, -1 when
-- it has ended;
-- 1 in `lost` of a closed lease says that its node has not, so that nobody knows what is left of it; `edited` is the
-- newest lease of all when a pool's quota was set last.
ALTER TABLE usage_next ADD COLUMN life BIGINT NOT NULL DEFAULT 1;
ALTER TABLE usage_next ADD COLUMN server BIGINT NOT NULL DEFAULT 0;
ALTER TABLE journal ADD COLUMN life BIGINT NOT NULL DEFAULT 1;
ALTER TABLE lease ADD COLUMN lost BIGINT NOT NULL DEFAULT 0;
ALTER TABLE pool ADD COLUMN edited BIGINT NOT NULL DEFAULT 0;

-- The server that runs now: when it began, in microseconds since 1970. No two that follow each other began at the same moment.
CREATE VIEW server AS SELECT CAST(extract(epoch FROM pg_postmaster_start_time()) * 1000000 AS BIGINT) AS number;
UPDATE usage_next SET server = (SELECT number FROM server);
