-- The second factor of an account: a secret that an authenticator app has too.
CREATE TABLE account_totp (
    account BIGINT PRIMARY KEY NOT NULL REFERENCES account (id),
    sealed BLOB NOT NULL,
    created BIGINT NOT NULL,
    -- When a first code showed that the app has it; null until then, and nothing asks for codes.
    confirmed BIGINT,
    -- The newest time step whose code was taken: a code is good once.
    last_step BIGINT NOT NULL
);

-- What opens the account when the app is lost. Each is good once; only digests are kept.
CREATE TABLE recovery_code (
    digest BLOB PRIMARY KEY NOT NULL,
    account BIGINT NOT NULL REFERENCES account (id)
);
CREATE INDEX recovery_code_account ON recovery_code (account);

-- Who has given the right password and not yet a code.
CREATE TABLE pending_sign_in (
    digest BLOB PRIMARY KEY NOT NULL,
    account BIGINT NOT NULL REFERENCES account (id),
    created BIGINT NOT NULL
);
CREATE INDEX pending_sign_in_account ON pending_sign_in (account);
CREATE INDEX pending_sign_in_created ON pending_sign_in (created);
