-- The feed of revocation records, for resource servers that hold them in memory.

-- Rows are only ever added, and deleted when they are past: whoever reads page after page by their numbers misses
-- none that moved meanwhile.
ALTER TABLE revocations RENAME TO revocations_before;
CREATE TABLE revocations (
    sequence    BIGINT PRIMARY KEY,
    -- approval | client | token | key
    kind        TEXT NOT NULL,
    -- The approval's id, the client's id, the token's jti, or the key's kid.
    subject     TEXT NOT NULL,
    -- Of a client: tokens of smaller generations are void.
    generation  BIGINT,
    -- From then on no token it concerns can be valid.
    until       BIGINT NOT NULL
);
INSERT INTO revocations (sequence, kind, subject, generation, until)
    SELECT sequence, kind, subject, generation, until FROM revocations_before;
DROP TABLE revocations_before;
CREATE INDEX revocations_by_subject ON revocations (kind, subject);
CREATE INDEX revocations_by_end ON revocations (until);

-- One row: which history of the records this is.
CREATE TABLE revocation_feed (
    one         BIGINT PRIMARY KEY CHECK (one = 1),
    -- Another one begins when it shows that the database was restored to an older state. Empty until a server ran.
    generation  TEXT NOT NULL,
    -- When that was noticed last, 0 for never: sessions and codes from before are dead, because what ended them
    -- may have been lost.
    epoch       BIGINT NOT NULL,
    -- The database server and its timeline, where it tells them.
    origin      TEXT
);
INSERT INTO revocation_feed (one, generation, epoch, origin) VALUES (1, '', 0, NULL);

-- The public keys by which a resource server proves who it is, if not by a secret: a JWK set, or a URL that has it.
ALTER TABLE resource_servers ADD COLUMN jwks TEXT;
ALTER TABLE resource_servers ADD COLUMN jwks_uri TEXT;
