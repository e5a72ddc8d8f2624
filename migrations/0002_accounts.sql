-- Users, browsers and sessions.

CREATE TABLE users (
    sub              TEXT PRIMARY KEY,
    -- As the person wrote it, the domain in A-labels.
    email            TEXT NOT NULL,
    -- NFKC, case folded, domain in A-labels: what a look-up compares.
    email_canonical  TEXT NOT NULL UNIQUE,
    email_verified   BOOLEAN NOT NULL,
    -- The other standard claims, as JSON without nulls.
    claims           TEXT NOT NULL,
    -- PHC string (argon2id) or bcrypt; none until the person sets one.
    password_hash    TEXT,
    -- Rises with each change of a credential; sessions and links older than that are void.
    epoch            BIGINT NOT NULL,
    disabled_at      BIGINT,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL
);

CREATE TABLE browsers (
    browser_id    TEXT PRIMARY KEY,
    -- SHA-256 of the cookie, which changes at every sign-in.
    token_digest  TEXT NOT NULL UNIQUE,
    -- Rises with each of them.
    sign_ins      BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL
);
CREATE INDEX browsers_by_end ON browsers (expires_at);

CREATE TABLE sessions (
    session_id    TEXT PRIMARY KEY,
    browser_id    TEXT NOT NULL REFERENCES browsers (browser_id) ON DELETE CASCADE,
    sub           TEXT NOT NULL REFERENCES users (sub) ON DELETE CASCADE,
    -- The epoch of the user when the session began.
    epoch         BIGINT NOT NULL,
    -- "Keep me signed in": without it the session ends with the browser.
    persistent    BOOLEAN NOT NULL,
    user_agent    TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    last_seen_at  BIGINT NOT NULL,
    idle_until    BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    ended_at      BIGINT
);
CREATE INDEX sessions_by_browser ON sessions (browser_id);
CREATE INDEX sessions_by_user ON sessions (sub);

-- One proof inside a session.
CREATE TABLE authentications (
    authentication_id  TEXT PRIMARY KEY,
    session_id         TEXT NOT NULL REFERENCES sessions (session_id) ON DELETE CASCADE,
    -- The sign-in of the browser that it is: the session of the highest is the active one.
    ordinal            BIGINT NOT NULL,
    -- The flow that asked for it: prompt=login is met by no other.
    flow_id            TEXT,
    -- JSON array: RFC 8176.
    amr                TEXT NOT NULL,
    acr                TEXT NOT NULL,
    auth_time          BIGINT NOT NULL
);
CREATE INDEX authentications_by_session ON authentications (session_id, ordinal);
