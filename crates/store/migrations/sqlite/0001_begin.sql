-- Times are milliseconds since the Unix epoch, amounts are quota units, flags are 0 or 1.

-- Keys that seal and look up, each wrapped by the master key.
CREATE TABLE data_key (
    purpose TEXT PRIMARY KEY NOT NULL,
    wrapped BLOB NOT NULL
);

-- Every change that a running server must notice.
CREATE TABLE change (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind BIGINT NOT NULL,
    id BIGINT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX change_at ON change (at);

-- A balance. The equation holds in every transaction.
CREATE TABLE pool (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    granted BIGINT NOT NULL CHECK (granted >= 0),
    used BIGINT NOT NULL CHECK (used >= 0),
    leased BIGINT NOT NULL CHECK (leased >= 0),
    suspense BIGINT NOT NULL CHECK (suspense >= 0),
    available BIGINT NOT NULL CHECK (available >= 0),
    unlimited BIGINT NOT NULL,
    CHECK (granted = used + leased + suspense + available)
);

CREATE TABLE journal (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    epoch BIGINT NOT NULL,
    applied BIGINT NOT NULL
);

CREATE TABLE lease (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    pool BIGINT NOT NULL REFERENCES pool (id),
    journal BIGINT NOT NULL REFERENCES journal (id),
    amount BIGINT NOT NULL,
    spent BIGINT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'suspense', 'closed', 'void'))
);
CREATE UNIQUE INDEX lease_open ON lease (pool, journal) WHERE state = 'open';

CREATE TABLE account (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    username TEXT NOT NULL UNIQUE,
    display_name TEXT NOT NULL,
    email TEXT NOT NULL,
    role BIGINT NOT NULL,
    disabled BIGINT NOT NULL,
    own_group TEXT NOT NULL,
    usable_groups TEXT NOT NULL,
    pool BIGINT NOT NULL REFERENCES pool (id),
    created BIGINT NOT NULL
);

CREATE TABLE api_key (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account BIGINT NOT NULL REFERENCES account (id),
    pool BIGINT NOT NULL REFERENCES pool (id),
    digest BLOB NOT NULL UNIQUE,
    sealed BLOB NOT NULL,
    status BIGINT NOT NULL,
    name TEXT NOT NULL,
    name_folded TEXT NOT NULL,
    expires BIGINT,
    model_limits_enabled BIGINT NOT NULL,
    model_limits TEXT NOT NULL,
    allow_ips TEXT,
    own_group TEXT NOT NULL,
    cross_group_retry BIGINT NOT NULL,
    created BIGINT NOT NULL,
    accessed BIGINT NOT NULL
);
CREATE INDEX api_key_account ON api_key (account, id);

CREATE TABLE personal_access_token (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account BIGINT NOT NULL REFERENCES account (id),
    digest BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    expires BIGINT,
    created BIGINT NOT NULL
);
CREATE INDEX personal_access_token_account ON personal_access_token (account, id);

-- The token of the first start; at most one row, gone once it is used.
CREATE TABLE setup_token (
    digest BLOB PRIMARY KEY NOT NULL,
    account BIGINT NOT NULL REFERENCES account (id)
);

CREATE TABLE price_group (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    ratio BIGINT NOT NULL CHECK (ratio >= 0)
);
INSERT INTO price_group (name, description, ratio) VALUES ('default', 'The group of everybody', 1000000);

CREATE TABLE channel (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    base_url TEXT NOT NULL,
    sealed BLOB NOT NULL,
    models TEXT NOT NULL,
    mapping TEXT NOT NULL,
    groups TEXT NOT NULL,
    priority BIGINT NOT NULL,
    enabled BIGINT NOT NULL
);

CREATE TABLE price (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    model TEXT NOT NULL,
    effective BIGINT NOT NULL,
    input BIGINT NOT NULL CHECK (input >= 0),
    cached_input BIGINT NOT NULL CHECK (cached_input >= 0),
    cache_write BIGINT NOT NULL CHECK (cache_write >= 0),
    output BIGINT NOT NULL CHECK (output >= 0),
    per_call BIGINT NOT NULL CHECK (per_call >= 0),
    max_output BIGINT NOT NULL CHECK (max_output > 0),
    reasoning BIGINT NOT NULL
);
CREATE INDEX price_model ON price (model, effective);

-- One row for each settled request; written by the journal's applier alone.
CREATE TABLE usage (
    journal BIGINT NOT NULL REFERENCES journal (id),
    seq BIGINT NOT NULL,
    account BIGINT NOT NULL,
    api_key BIGINT NOT NULL,
    key_name TEXT NOT NULL,
    key_pool BIGINT NOT NULL,
    account_pool BIGINT NOT NULL,
    request_id TEXT NOT NULL,
    price_group TEXT NOT NULL,
    channel BIGINT NOT NULL,
    model TEXT NOT NULL,
    upstream_model TEXT NOT NULL,
    door TEXT NOT NULL,
    stream BIGINT NOT NULL,
    price BIGINT NOT NULL,
    ratio BIGINT NOT NULL,
    client TEXT NOT NULL,
    started BIGINT NOT NULL,
    ended BIGINT NOT NULL,
    first_byte_ms BIGINT,
    input BIGINT NOT NULL,
    cached_input BIGINT NOT NULL,
    cache_write BIGINT NOT NULL,
    output BIGINT NOT NULL,
    reasoning BIGINT NOT NULL,
    provenance TEXT NOT NULL,
    units BIGINT NOT NULL,
    overrun BIGINT NOT NULL,
    status BIGINT NOT NULL,
    error TEXT,
    PRIMARY KEY (journal, seq)
);
