-- Usage records that are cheap to write. Rows are appended in the order of their ids and have no secondary index: every
-- id range of 16384, a block, is summed up and indexed once, when it is full or a day old, by the transaction that
-- goes beyond it. What repeats stands in two small tables, what nobody filters on in one JSON text.
-- No row refers to another table by a foreign key: that would cost a look-up for each row written.

-- Records that are not kept any more, added up for each pool, so that the books can still be proved.
CREATE TABLE usage_retired (
    pool INTEGER PRIMARY KEY NOT NULL,
    units BIGINT NOT NULL
);
INSERT INTO usage_retired (pool, units)
    SELECT pool, sum(units) FROM (
        SELECT key_pool AS pool, units FROM usage UNION ALL SELECT account_pool, units FROM usage
    ) AS draws GROUP BY pool;
DROP TABLE usage;

-- Who pays.
CREATE TABLE usage_payer (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account BIGINT NOT NULL,
    api_key BIGINT NOT NULL,
    key_name TEXT NOT NULL,
    key_pool BIGINT NOT NULL,
    account_pool BIGINT NOT NULL,
    UNIQUE (account, api_key, key_name, key_pool, account_pool)
);

-- Which way a request went, at which price.
CREATE TABLE usage_way (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    model TEXT NOT NULL,
    price_group TEXT NOT NULL,
    channel BIGINT NOT NULL,
    upstream_model TEXT NOT NULL,
    door TEXT NOT NULL,
    stream BIGINT NOT NULL,
    price BIGINT NOT NULL,
    ratio BIGINT NOT NULL,
    UNIQUE (model, price_group, channel, upstream_model, door, stream, price, ratio)
);

-- One row for each settled request; written by the journal's applier alone. `journal` and `seq` are the charge's identity,
-- `kind` is 2 for a use and 5 for a failure that cost nothing, `request_key` 24 bits of the request id's checksum,
-- `record` the rest: request id, client, status, …
CREATE TABLE usage (
    id INTEGER PRIMARY KEY NOT NULL,
    journal BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    payer BIGINT NOT NULL,
    way BIGINT NOT NULL,
    kind BIGINT NOT NULL,
    ended BIGINT NOT NULL,
    took BIGINT NOT NULL,
    units BIGINT NOT NULL,
    input BIGINT NOT NULL,
    cached_input BIGINT NOT NULL,
    cache_write BIGINT NOT NULL,
    output BIGINT NOT NULL,
    reasoning BIGINT NOT NULL,
    request_key BIGINT NOT NULL,
    record TEXT NOT NULL
);

-- The id that the next record gets, and when the first record of the open block ended (0: it has none).
CREATE TABLE usage_next (
    one BIGINT PRIMARY KEY NOT NULL CHECK (one = 1),
    id BIGINT NOT NULL,
    opened BIGINT NOT NULL
);
INSERT INTO usage_next (one, id, opened) VALUES (1, 0, 0);

-- The closed blocks, and when the first and the last of their requests ended.
CREATE TABLE usage_block (
    block INTEGER PRIMARY KEY NOT NULL,
    requests BIGINT NOT NULL,
    oldest BIGINT NOT NULL,
    newest BIGINT NOT NULL
);

-- Sums of a closed block by hour, payer, way and kind, with the offsets in the block of the records that they
-- are made of. The same once more for all accounts together, as account 0 and payer 0.
CREATE TABLE usage_part (
    account BIGINT NOT NULL,
    block BIGINT NOT NULL,
    hour BIGINT NOT NULL,
    payer BIGINT NOT NULL,
    way BIGINT NOT NULL,
    kind BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    units BIGINT NOT NULL,
    input BIGINT NOT NULL,
    cached_input BIGINT NOT NULL,
    cache_write BIGINT NOT NULL,
    output BIGINT NOT NULL,
    reasoning BIGINT NOT NULL,
    took BIGINT NOT NULL,
    offsets TEXT NOT NULL,
    PRIMARY KEY (account, block, hour, payer, way, kind)
) WITHOUT ROWID;

-- Where request ids are in a closed block: the upper 8 bits of `request_key`, and a list of `lower 16 bits:offset`.
CREATE TABLE usage_request (
    shard BIGINT NOT NULL,
    block BIGINT NOT NULL,
    offsets TEXT NOT NULL,
    PRIMARY KEY (shard, block)
) WITHOUT ROWID;
