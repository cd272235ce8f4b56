-- Which node does what in the background, and until when no other does: milliseconds of the database's own clock.
CREATE TABLE claim (
    work TEXT COLLATE "C" PRIMARY KEY,
    holder TEXT COLLATE "C" NOT NULL,
    until BIGINT NOT NULL
);
