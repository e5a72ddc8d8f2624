-- What is read again: secrets with which clients sign or are signed for, and what clients encrypt to this server.

-- The secret itself, sealed, where a digest is not enough: client_secret_jwt and HS256 (RFC 7518 section 3.2).
ALTER TABLE client_secrets ADD COLUMN sealed TEXT;
-- The purpose secret that sealed it.
ALTER TABLE client_secrets ADD COLUMN sealed_by TEXT;

-- Keys that decrypt, sealed under the master key. A table of its own: none of them ever signs.
CREATE TABLE decryption_keys (
    kid             TEXT PRIMARY KEY,
    -- RSA-OAEP-256 | ECDH-ES
    alg             TEXT NOT NULL,
    sealed_private  TEXT NOT NULL,
    master_key_id   TEXT NOT NULL,
    published_at    BIGINT NOT NULL,
    -- From then on it is the one in the JWK set.
    used_from       BIGINT NOT NULL
);
CREATE INDEX decryption_keys_by_ring ON decryption_keys (alg, used_from);
