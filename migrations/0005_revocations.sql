-- What resource servers must stop accepting before it expires.

-- One row: the sequence of the newest record, updated last in the transaction of the act, so that a reader
-- who has seen a number has seen every smaller one.
CREATE TABLE revocation_counter (
    one       BIGINT PRIMARY KEY CHECK (one = 1),
    sequence  BIGINT NOT NULL
);
INSERT INTO revocation_counter (one, sequence) VALUES (1, 0);

CREATE TABLE revocations (
    sequence    BIGINT NOT NULL,
    -- approval | client | token
    kind        TEXT NOT NULL,
    -- The approval's id, the client's id, or the token's jti.
    subject     TEXT NOT NULL,
    -- Of a client: tokens of smaller generations are void.
    generation  BIGINT,
    -- From then on no token it concerns can be valid.
    until       BIGINT NOT NULL,
    PRIMARY KEY (kind, subject)
);
CREATE INDEX revocations_by_sequence ON revocations (sequence);
CREATE INDEX revocations_by_end ON revocations (until);
