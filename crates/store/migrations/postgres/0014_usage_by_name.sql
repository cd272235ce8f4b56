-- How many bytes the records of a closed block take, so that they can be kept by size. Of the blocks that are there
-- already, what records take on average.
ALTER TABLE usage_block ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0;
UPDATE usage_block SET bytes = requests * 275;

-- Sums of a closed block by the name of the key: a name may be common to a thousand accounts, and the sums by account
-- would all have to be read for it.
CREATE TABLE usage_name (
    key_name TEXT COLLATE "C" NOT NULL,
    block BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    errors BIGINT NOT NULL,
    units BIGINT NOT NULL,
    input BIGINT NOT NULL,
    cached_input BIGINT NOT NULL,
    cache_write BIGINT NOT NULL,
    output BIGINT NOT NULL,
    reasoning BIGINT NOT NULL,
    took BIGINT NOT NULL,
    PRIMARY KEY (key_name, block)
);
INSERT INTO usage_name (key_name, block, requests, errors, units, input, cached_input, cache_write, output, reasoning, took)
    SELECT key_name, block, CAST(sum(requests) AS BIGINT), CAST(sum(CASE WHEN kind = 5 THEN requests ELSE 0 END) AS BIGINT), CAST(sum(units) AS BIGINT), CAST(sum(input) AS BIGINT),
        CAST(sum(cached_input) AS BIGINT), CAST(sum(cache_write) AS BIGINT), CAST(sum(output) AS BIGINT), CAST(sum(reasoning) AS BIGINT), CAST(sum(took) AS BIGINT)
    FROM usage_part JOIN usage_payer ON usage_payer.id = payer WHERE usage_part.account <> 0 GROUP BY key_name, block;
