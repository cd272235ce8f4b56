-- How often somebody has failed to prove who they are, since when: on all nodes together. What was counted (an address, an
-- account, both) is a digest, because people type passwords where names belong.
CREATE TABLE failed_attempt (
    digest BLOB PRIMARY KEY NOT NULL,
    began BIGINT NOT NULL,
    attempts BIGINT NOT NULL
);
CREATE INDEX failed_attempt_began ON failed_attempt (began);
