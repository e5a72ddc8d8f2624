-- Apps that are still to hear that a session has ended: OpenID Connect Back-Channel Logout 1.0.
CREATE TABLE logout_notices (
    session_id  TEXT NOT NULL,
    -- No reference: whoever ends a session must not wait for whoever deletes a client, who waits for approvals.
    client_id   TEXT NOT NULL,
    sub         TEXT NOT NULL,
    ended_at    BIGINT NOT NULL,
    -- How often it was taken to be sent.
    tries       BIGINT NOT NULL DEFAULT 0,
    -- When it is to be tried next. Whoever tries moves it on first.
    due_at      BIGINT NOT NULL,
    PRIMARY KEY (session_id, client_id)
);
CREATE INDEX logout_notices_by_due ON logout_notices (due_at);
INSERT INTO changes (topic, version) VALUES ('notices', 0);
