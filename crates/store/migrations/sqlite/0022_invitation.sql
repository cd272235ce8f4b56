-- Links that let their receiver choose the password of an account, once. Only the digest of a link's token is kept.
CREATE TABLE invitation (
    account BIGINT PRIMARY KEY NOT NULL REFERENCES account (id),
    digest BLOB NOT NULL UNIQUE,
    expires BIGINT NOT NULL
);
