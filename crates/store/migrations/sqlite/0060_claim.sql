-- Which node does what in the background, and until when no other does: milliseconds of the database's own clock.
CREATE TABLE claim (
    work TEXT PRIMARY KEY NOT NULL,
    holder TEXT NOT NULL,
    until BIGINT NOT NULL
);
