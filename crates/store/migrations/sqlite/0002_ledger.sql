-- What upstreams claimed beyond the holds, added up. It stays 0 with honest upstreams.
CREATE TABLE overrun (
    id BIGINT PRIMARY KEY NOT NULL CHECK (id = 1),
    units BIGINT NOT NULL CHECK (units >= 0)
);
INSERT INTO overrun (id, units) SELECT 1, coalesce(sum(overrun), 0) FROM usage;

-- An account's records are listed newest first.
CREATE INDEX usage_account ON usage (account, ended);
