-- What operators have put on accounts. The balance itself stands in the account's pool.
CREATE TABLE top_up (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account BIGINT NOT NULL,
    at BIGINT NOT NULL,
    units BIGINT NOT NULL CHECK (units > 0),
    actor TEXT NOT NULL
);
CREATE INDEX top_up_account ON top_up (account, at);
