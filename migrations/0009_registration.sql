-- Clients that register themselves: RFC 7591, RFC 7592.

-- What belongs to a registration over HTTP, beside the client it made.
CREATE TABLE registrations (
    client_id     TEXT PRIMARY KEY REFERENCES clients (client_id) ON DELETE CASCADE,
    -- SHA-256 of the registration access token: 256 random bits need no slow hash.
    token_digest  TEXT NOT NULL,
    -- The initial access token that vouched for it; none when anybody could register.
    initial_token_id  TEXT,
    -- Changes since this instant: a registrant may make so many in an hour.
    counted_from  BIGINT NOT NULL,
    changes       BIGINT NOT NULL,
    -- Until when it has to be used for the first time; none once it was, or when somebody vouched for it.
    unused_until  BIGINT
);
CREATE INDEX registrations_unused ON registrations (unused_until) WHERE unused_until IS NOT NULL;

-- Initial access tokens: RFC 7591 §3.
CREATE TABLE initial_tokens (
    token_id    TEXT PRIMARY KEY,
    -- SHA-256 of the whole token.
    digest      TEXT NOT NULL UNIQUE,
    -- The last characters, so that a person can tell two tokens apart.
    hint        TEXT NOT NULL,
    uses_left   BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL
);

-- Registrations by anybody, counted by the hour: for each network, and for all together.
CREATE TABLE registration_counts (
    began_at       BIGINT NOT NULL,
    -- /24 of IPv4, /48 of IPv6, empty where no address is known; * for all.
    network        TEXT NOT NULL,
    registrations  BIGINT NOT NULL,
    PRIMARY KEY (began_at, network)
);
