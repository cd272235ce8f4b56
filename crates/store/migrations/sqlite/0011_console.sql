-- How people open the console. A password is kept as its argon2id hash alone; an account without a row has none.
CREATE TABLE account_password (
    account INTEGER PRIMARY KEY NOT NULL REFERENCES account (id),
    hash TEXT NOT NULL,
    changed BIGINT NOT NULL
);

-- Who is signed in. A session is known by the digest of its token.
CREATE TABLE console_session (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account BIGINT NOT NULL REFERENCES account (id),
    digest BLOB NOT NULL UNIQUE,
    created BIGINT NOT NULL,
    -- Last use, to the minute.
    used BIGINT NOT NULL,
    client TEXT NOT NULL,
    agent TEXT NOT NULL
);
CREATE INDEX console_session_account ON console_session (account, id);
CREATE INDEX console_session_used ON console_session (used);
