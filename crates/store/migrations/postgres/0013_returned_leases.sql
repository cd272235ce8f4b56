-- Leases are returned while the program runs: the closed ones of a pool are found by it.
CREATE INDEX lease_closed ON lease (pool, journal) WHERE state = 'closed';
