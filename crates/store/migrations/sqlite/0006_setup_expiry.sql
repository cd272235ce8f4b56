-- When the set-up token ends. One from before has ended; the next start offers another.
ALTER TABLE setup_token ADD COLUMN expires BIGINT NOT NULL DEFAULT 0;
