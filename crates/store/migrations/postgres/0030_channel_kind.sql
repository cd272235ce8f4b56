-- What an upstream speaks: a word that `gateway::provider` knows.

ALTER TABLE channel ADD COLUMN kind TEXT COLLATE "C" NOT NULL DEFAULT 'openai';
