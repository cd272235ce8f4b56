-- Whether a key was made elsewhere: such keys have no check characters and are known by their digest alone.
ALTER TABLE api_key ADD COLUMN imported BIGINT NOT NULL DEFAULT 0;
CREATE INDEX api_key_imported ON api_key (id) WHERE imported = 1;
