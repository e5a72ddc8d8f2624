-- What users allowed, and every credential that hangs from it.

-- What a user allowed a client, remembered.
CREATE TABLE consents (
    consent_id      TEXT PRIMARY KEY,
    sub             TEXT NOT NULL REFERENCES users (sub) ON DELETE CASCADE,
    client_id       TEXT NOT NULL REFERENCES clients (client_id) ON DELETE CASCADE,
    scope           TEXT NOT NULL,
    -- JSON array of resource identifiers.
    resources       TEXT NOT NULL,
    client_version  BIGINT NOT NULL,
    -- Where it was last confirmed: prompt=consent is met by its own flow only.
    session_id      TEXT NOT NULL,
    flow_id         TEXT NOT NULL,
    granted_at      BIGINT NOT NULL,
    ended_at        BIGINT,
    UNIQUE (sub, client_id)
);
CREATE INDEX consents_by_client ON consents (client_id);

-- One authorization of a client by a user, named in its tokens.
CREATE TABLE approvals (
    approval_id   TEXT PRIMARY KEY,
    -- One flow ends in one approval, however often its answer is sent.
    flow_id       TEXT UNIQUE,
    client_id     TEXT NOT NULL,
    client_generation BIGINT NOT NULL,
    -- None for a client acting for itself.
    sub           TEXT,
    session_id    TEXT,
    consent_id    TEXT,
    scope         TEXT NOT NULL,
    -- JSON array of resource identifiers.
    resources     TEXT NOT NULL,
    -- Whether it outlives the session it came of.
    offline       BOOLEAN NOT NULL,
    auth_time     BIGINT,
    acr           TEXT,
    -- JSON array.
    amr           TEXT,
    -- Proof-of-possession binding, as JSON: RFC 7800.
    cnf           TEXT,
    created_at    BIGINT NOT NULL,
    -- Latest `exp` of its access tokens: until then an ending has to be told.
    access_until  BIGINT NOT NULL,
    -- When nothing of it can be valid any more.
    live_until    BIGINT NOT NULL,
    ended_at      BIGINT,
    ended_reason  TEXT
);
CREATE INDEX approvals_by_consent ON approvals (consent_id);
CREATE INDEX approvals_by_session ON approvals (session_id);
CREATE INDEX approvals_by_user ON approvals (sub);
CREATE INDEX approvals_by_client ON approvals (client_id);
CREATE INDEX approvals_by_end ON approvals (live_until);

-- The authorization code of an approval. The code itself is a MAC and is stored nowhere.
CREATE TABLE codes (
    approval_id     TEXT PRIMARY KEY REFERENCES approvals (approval_id) ON DELETE CASCADE,
    -- The purpose secret that made it.
    secret_id       TEXT NOT NULL,
    redirect_uri    TEXT NOT NULL,
    -- Not named by the request: then the token request need not name it either (RFC 6749 §4.1.3).
    redirect_uri_implied BOOLEAN NOT NULL,
    code_challenge  TEXT,
    nonce           TEXT,
    expires_at      BIGINT NOT NULL,
    claimed_at      BIGINT
);

-- The refresh tokens of an approval: the current generation, and when it was reached.
CREATE TABLE families (
    family_id    TEXT PRIMARY KEY,
    approval_id  TEXT NOT NULL UNIQUE REFERENCES approvals (approval_id) ON DELETE CASCADE,
    client_id    TEXT NOT NULL,
    -- The purpose secret that makes its tokens, and the salt that goes into them.
    secret_id    TEXT NOT NULL,
    salt         TEXT NOT NULL,
    generation   BIGINT NOT NULL,
    reached_at   BIGINT NOT NULL,
    idle_until   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);
CREATE INDEX families_by_end ON families (expires_at);
