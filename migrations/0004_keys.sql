-- Signing keys and purpose secrets, sealed under the master key.

-- Shows whether a master key is the one this database was made with. A second row exists while resealing.
CREATE TABLE master_keys (
    master_key_id  TEXT PRIMARY KEY,
    -- A known text, sealed.
    check_value    TEXT NOT NULL,
    created_at     BIGINT NOT NULL
);

CREATE TABLE signing_keys (
    kid             TEXT PRIMARY KEY,
    alg             TEXT NOT NULL,
    public_jwk      TEXT NOT NULL,
    sealed_private  TEXT NOT NULL,
    master_key_id   TEXT NOT NULL,
    published_at    BIGINT NOT NULL,
    signs_at        BIGINT NOT NULL
);
CREATE INDEX signing_keys_by_ring ON signing_keys (alg, signs_at);

CREATE TABLE purpose_secrets (
    secret_id      TEXT PRIMARY KEY,
    purpose        TEXT NOT NULL,
    sealed         TEXT NOT NULL,
    master_key_id  TEXT NOT NULL,
    created_at     BIGINT NOT NULL
);

-- One row: rises with every change of a key, so that other processes notice.
CREATE TABLE keyring_version (
    one      BIGINT PRIMARY KEY CHECK (one = 1),
    version  BIGINT NOT NULL
);
INSERT INTO keyring_version (one, version) VALUES (1, 0);
