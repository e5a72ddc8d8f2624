-- Authorization requests that clients pushed.

CREATE TABLE pushed_requests (
    -- SHA-256 of the reference.
    digest      TEXT PRIMARY KEY,
    client_id   TEXT NOT NULL REFERENCES clients (client_id) ON DELETE CASCADE,
    -- The flow that will come of it, as JSON.
    flow        TEXT NOT NULL,
    -- Until when the reference begins an authorization.
    expires_at  BIGINT NOT NULL,
    -- Until when an authorization that it began may go on.
    ends_at     BIGINT NOT NULL
);
CREATE INDEX pushed_requests_by_client ON pushed_requests (client_id, expires_at);
CREATE INDEX pushed_requests_by_end ON pushed_requests (ends_at);
