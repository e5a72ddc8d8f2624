-- Clients and resource servers.

CREATE TABLE clients (
    client_id   TEXT PRIMARY KEY,
    -- Rises when what a user sees changes; asks for consent again.
    version     BIGINT NOT NULL,
    -- Rises only on revocation; tokens carry it.
    generation  BIGINT NOT NULL,
    -- unverified | trusted
    trust       TEXT NOT NULL,
    -- The effective RFC 7591 metadata, as JSON.
    metadata    TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);

-- Origins of redirect URIs: pages there may call the token endpoint from scripts.
CREATE TABLE client_origins (
    origin     TEXT NOT NULL,
    client_id  TEXT NOT NULL REFERENCES clients (client_id) ON DELETE CASCADE,
    PRIMARY KEY (origin, client_id)
);
CREATE INDEX client_origins_by_client ON client_origins (client_id);

CREATE TABLE client_secrets (
    secret_id   TEXT PRIMARY KEY,
    client_id   TEXT NOT NULL REFERENCES clients (client_id) ON DELETE CASCADE,
    -- SHA-256 of the whole secret: ours have 256 random bits and need no slow hash.
    digest      TEXT NOT NULL,
    -- The last characters, so that a person can tell two secrets apart.
    hint        TEXT NOT NULL,
    created_at  BIGINT NOT NULL
);
CREATE INDEX client_secrets_by_client ON client_secrets (client_id);

CREATE TABLE resource_servers (
    -- The audience: RFC 8707 §2.
    identifier  TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    -- Algorithm of the access tokens meant for it.
    alg         TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);

-- What can be asked for at a resource server. A scope belongs to one of them: the key says so.
CREATE TABLE resource_scopes (
    scope        TEXT PRIMARY KEY,
    identifier   TEXT NOT NULL REFERENCES resource_servers (identifier) ON DELETE CASCADE,
    -- What it allows, in words for people.
    description  TEXT NOT NULL
);
CREATE INDEX resource_scopes_by_server ON resource_scopes (identifier);
