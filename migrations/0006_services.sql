-- Clients that act for themselves, and resource servers that ask about tokens.

-- All access tokens of a client acting for itself name one approval.
CREATE UNIQUE INDEX approvals_standing ON approvals (client_id, client_generation)
    WHERE sub IS NULL AND ended_at IS NULL;

CREATE TABLE resource_secrets (
    secret_id   TEXT PRIMARY KEY,
    identifier  TEXT NOT NULL REFERENCES resource_servers (identifier) ON DELETE CASCADE,
    -- SHA-256 of the whole secret: 256 random bits need no slow hash.
    digest      TEXT NOT NULL,
    -- The last characters, so that a person can tell two secrets apart.
    hint        TEXT NOT NULL,
    created_at  BIGINT NOT NULL
);
CREATE INDEX resource_secrets_by_server ON resource_secrets (identifier);
