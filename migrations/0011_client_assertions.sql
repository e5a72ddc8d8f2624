-- Assertions by which clients authenticated: each works once.

CREATE TABLE client_assertions (
    -- SHA-256 of client_id and jti.
    digest      TEXT PRIMARY KEY,
    expires_at  BIGINT NOT NULL
);
CREATE INDEX client_assertions_by_end ON client_assertions (expires_at);
