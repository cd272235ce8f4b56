-- Passkeys: keys that authenticators keep, with which people sign in. Only the public halves are here.
CREATE TABLE passkey (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account BIGINT NOT NULL REFERENCES account (id),
    -- The authenticator's name for it.
    credential BLOB NOT NULL UNIQUE,
    -- As the authenticator wrote it (COSE).
    public_key BLOB NOT NULL,
    name TEXT NOT NULL,
    -- Its signatures, where the authenticator counts them; else 0.
    counter BIGINT NOT NULL,
    -- Whether its authenticator keeps it in more than one place.
    backed_up BIGINT NOT NULL,
    created BIGINT NOT NULL,
    used BIGINT
);
CREATE INDEX passkey_account ON passkey (account, id);

-- Challenges that were answered: none is answered twice.
CREATE TABLE spent_challenge (
    nonce BLOB PRIMARY KEY NOT NULL,
    spent BIGINT NOT NULL
);
CREATE INDEX spent_challenge_spent ON spent_challenge (spent);

-- When whoever is signed in last proved again who they are; 0 when never.
ALTER TABLE console_session ADD COLUMN proved BIGINT NOT NULL DEFAULT 0;
