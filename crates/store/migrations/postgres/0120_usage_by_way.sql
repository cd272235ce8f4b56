-- The sums of all accounts together, by what was used: a model that few ask for is found without reading the sums of all others,
-- and who adds up everything reads no lists of records. There are some four hundred of them in a block of 16,384 records.
CREATE INDEX usage_part_way ON usage_part
    (way, block, hour, kind, requests, units, input, cached_input, cache_write, output, reasoning, took)
    WHERE account = 0;
