-- What a price says beyond its columns, as JSON: further kinds of tokens, long inputs, seconds, images. Null: nothing.
ALTER TABLE price ADD COLUMN further TEXT;
-- The most tokens that one image of a request can be. Null: what is assumed of every model.
ALTER TABLE price ADD COLUMN image_tokens BIGINT;
CREATE INDEX price_effective ON price (effective);

-- What is known of a model beside its price. Lists are comma separated.
CREATE TABLE model (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    provider TEXT NOT NULL,
    kind TEXT NOT NULL,
    description TEXT NOT NULL,
    features TEXT NOT NULL,
    input_modalities TEXT NOT NULL,
    output_modalities TEXT NOT NULL,
    endpoints TEXT NOT NULL,
    context_length BIGINT,
    doc_url TEXT NOT NULL,
    -- Where the facts are from, and of which day they are.
    source TEXT NOT NULL,
    as_of TEXT NOT NULL,
    listed BIGINT NOT NULL
);
