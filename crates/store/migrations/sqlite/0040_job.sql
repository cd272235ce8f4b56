-- Work that an upstream does after the request that began it has ended, such as a video. What it may cost at most is
-- held in leases of its own, in suspense, so that it outlives the process that took it; `key_lease` and `account_lease`
-- are 0 where the pool has no limit. `charge` is the identity of the hold that it was taken over from, `seconds` what
-- is held, `made` what came of it. `ended` and `units` are set once, in the transaction that settles it.
INSERT INTO journal (name, epoch, applied) VALUES ('jobs', 1, 0);

CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    charge TEXT NOT NULL UNIQUE,
    account BIGINT NOT NULL,
    channel BIGINT NOT NULL,
    credential BIGINT NOT NULL,
    upstream TEXT NOT NULL,
    key_pool BIGINT NOT NULL,
    key_lease BIGINT NOT NULL,
    account_pool BIGINT NOT NULL,
    account_lease BIGINT NOT NULL,
    held BIGINT NOT NULL CHECK (held >= 0),
    seconds BIGINT NOT NULL,
    context TEXT NOT NULL,
    price TEXT NOT NULL,
    model TEXT NOT NULL,
    action TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'in_progress', 'completed', 'failed')),
    progress BIGINT NOT NULL,
    answer TEXT NOT NULL,
    made BIGINT,
    units BIGINT,
    created BIGINT NOT NULL,
    ended BIGINT,
    next_poll BIGINT NOT NULL,
    polls BIGINT NOT NULL,
    misses BIGINT NOT NULL,
    deleted BIGINT NOT NULL
);
-- An account's jobs are listed newest first; those that are due are asked about.
CREATE INDEX job_account ON job (account, id);
CREATE INDEX job_due ON job (next_poll) WHERE ended IS NULL;
