-- Lists of keys that stay fast with a million keys: each order and each filter walks an index and stops when a page is full.
DROP INDEX api_key_account;
-- With the name, so that looking for a part of it reads nothing but the index.
CREATE INDEX api_key_account ON api_key (account, id, name_folded);
CREATE INDEX api_key_name ON api_key (account, name_folded, id);
-- A key that never ends comes after all others.
CREATE INDEX api_key_expires ON api_key (account, (coalesce(expires, 9007199254740991)), id, name_folded);
CREATE INDEX api_key_set_aside ON api_key (account, status, id) WHERE status <> 1;
CREATE INDEX api_key_pool ON api_key (pool);
CREATE INDEX pool_exhausted ON pool (id) WHERE unlimited = 0 AND granted <= used;
