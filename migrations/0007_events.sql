-- What happened, and what other processes have to hear of.

-- The audit trail. Rows are only ever added, and deleted when they are old.
CREATE TABLE audit_events (
    -- Begins with the time, so that events are read in order and old ones lie together.
    event_id    TEXT PRIMARY KEY,
    at          BIGINT NOT NULL,
    kind        TEXT NOT NULL,
    -- request | command_line | server
    origin      TEXT NOT NULL,
    sub         TEXT,
    client_id   TEXT,
    session_id  TEXT,
    request_id  TEXT,
    address     TEXT,
    -- JSON object. Never a secret, nor anything made from one.
    details     TEXT NOT NULL
);

-- Sign-ins that failed, counted: strangers cannot make the trail grow by guessing. Each becomes one event when
-- its window has passed.
CREATE TABLE sign_in_failures (
    began_at  BIGINT NOT NULL,
    -- Where they came from: /24 of IPv4, /48 of IPv6, or empty.
    network   TEXT NOT NULL,
    -- Whose account was tried; empty for all names that nobody has.
    sub       TEXT NOT NULL,
    failures  BIGINT NOT NULL,
    last_at   BIGINT NOT NULL,
    PRIMARY KEY (began_at, network, sub)
);

-- Rises with every change of what processes keep in memory, in its transaction.
CREATE TABLE changes (
    -- keys | clients | resources
    topic    TEXT PRIMARY KEY,
    version  BIGINT NOT NULL
);
INSERT INTO changes (topic, version) SELECT 'keys', version FROM keyring_version;
INSERT INTO changes (topic, version) VALUES ('clients', 0), ('resources', 0);
DROP TABLE keyring_version;
