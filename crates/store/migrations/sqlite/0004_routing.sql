-- The groups of a key whose group is `auto`, in order; empty is the account's own group.
ALTER TABLE account ADD COLUMN auto_groups TEXT NOT NULL DEFAULT '';

-- Its share among channels of the same priority.
ALTER TABLE channel ADD COLUMN weight BIGINT NOT NULL DEFAULT 1;

-- What a channel sends to its provider: none, one, or several that take turns. The sealed text is bound to the channel.
CREATE TABLE channel_credential (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    channel BIGINT NOT NULL REFERENCES channel (id),
    name TEXT NOT NULL,
    sealed BLOB NOT NULL,
    enabled BIGINT NOT NULL,
    -- When its provider refused it, and with which status; null while it does not.
    refused BIGINT,
    refused_status BIGINT
);
CREATE INDEX channel_credential_channel ON channel_credential (channel, id);

-- 41 bytes are a sealed empty text: no credential.
INSERT INTO channel_credential (channel, name, sealed, enabled)
SELECT id, '', sealed, 1 FROM channel WHERE length(sealed) > 41 ORDER BY id;
ALTER TABLE channel DROP COLUMN sealed;

-- What operators have changed. Nothing secret is in it.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at BIGINT NOT NULL,
    -- Null for the command line and for the gateway itself.
    account BIGINT,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    object_id TEXT NOT NULL,
    state_before TEXT,
    state_after TEXT
);
CREATE INDEX audit_object ON audit (object, object_id, id);
