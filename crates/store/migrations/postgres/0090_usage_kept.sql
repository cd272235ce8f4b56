-- Servers of before may still run. Writers take usage_next first, and readers last: the ones wait from here on, the others are
-- waited for.
LOCK TABLE usage_next IN EXCLUSIVE MODE;
LOCK TABLE usage_part, usage_name, usage, usage_request, usage_next IN ACCESS EXCLUSIVE MODE;

-- The first block of records that is not forgotten. Rows of those before it do not count any more, and may be there
-- until their partition goes.
ALTER TABLE usage_next ADD COLUMN kept BIGINT NOT NULL DEFAULT 0;

-- What grows with records is partitioned by blocks, 256 of 16,384 ids in each, so that old records go by dropping tables.
-- What is there becomes one partition, whatever its size, under the number of the last one that it covers.
DO $$
DECLARE
    number BIGINT := (SELECT id / 4194304 FROM usage_next WHERE one = 1);
    parent TEXT;
    part TEXT;
    col TEXT;
    size BIGINT;
BEGIN
    FOR parent, col, size IN VALUES ('usage', 'id', 4194304), ('usage_part', 'block', 256),
        ('usage_name', 'block', 256), ('usage_request', 'block', 256)
    LOOP
        part := format('%s_p%s', parent, number);
        EXECUTE format('ALTER TABLE %I RENAME TO %I', parent, part);
        EXECUTE format('ALTER INDEX %I RENAME TO %I', parent || '_pkey', part || '_pkey');
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL) PARTITION BY RANGE (%I)', parent, part, col);
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (MINVALUE) TO (%s)',
            parent, part, (number + 1) * size);
        -- One is always there ahead.
        part := format('%s_p%s', parent, number + 1);
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', part, parent);
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
            parent, part, (number + 1) * size, (number + 2) * size);
    END LOOP;
END $$;
