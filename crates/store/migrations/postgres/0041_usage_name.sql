-- The sums by the name of the key tell hour, way and kind apart as those by account do, and know the places of their
-- records, so that every question that names no account is answered from them.
DROP TABLE usage_name;
CREATE TABLE usage_name (
    key_name TEXT COLLATE "C" NOT NULL,
    block BIGINT NOT NULL,
    hour BIGINT NOT NULL,
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
    offsets TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (key_name, block, hour, way, kind)
);
INSERT INTO usage_name (key_name, block, hour, way, kind, requests, units, input, cached_input, cache_write, output, reasoning,
        took, offsets)
    SELECT key_name, block, hour, way, kind, CAST(sum(requests) AS BIGINT), CAST(sum(units) AS BIGINT), CAST(sum(input) AS BIGINT), CAST(sum(cached_input) AS BIGINT), CAST(sum(cache_write) AS BIGINT), CAST(sum(output) AS BIGINT), CAST(sum(reasoning) AS BIGINT), CAST(sum(took) AS BIGINT), string_agg(offsets, ',')
    FROM usage_part JOIN usage_payer ON usage_payer.id = payer WHERE usage_part.account <> 0
    GROUP BY key_name, block, hour, way, kind;
