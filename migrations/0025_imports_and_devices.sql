-- The hash that an import brought last, as a digest: the same one again says nothing new about a password.
ALTER TABLE users ADD COLUMN imported_digest TEXT;

-- Invitations that wait: nobody has made an account by them, and nobody has withdrawn them.
CREATE TABLE invitations (
    invitation_id    TEXT PRIMARY KEY,
    -- As the operator wrote it, and as it is compared.
    email            TEXT NOT NULL,
    email_canonical  TEXT NOT NULL,
    -- invited | handed
    way              TEXT NOT NULL,
    invited_at       BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL
);
CREATE INDEX invitations_by_end ON invitations (expires_at);

-- The invitation that a link is of; it works as long as that waits.
ALTER TABLE sign_ups ADD COLUMN invitation_id TEXT;

-- Browsers in which a person was signed in before, whether they are signed in there now or not.
CREATE TABLE devices (
    device_id      TEXT PRIMARY KEY,
    sub            TEXT NOT NULL REFERENCES users (sub) ON DELETE CASCADE,
    -- SHA-256 of the cookie by which the browser is known again. All who use one browser have the same.
    digest         TEXT NOT NULL,
    -- What its person calls it.
    name           TEXT,
    first_used_at  BIGINT NOT NULL,
    last_used_at   BIGINT NOT NULL,
    UNIQUE (sub, digest)
);
CREATE INDEX devices_by_digest ON devices (digest);
CREATE INDEX devices_by_use ON devices (last_used_at);
ALTER TABLE sessions ADD COLUMN device_id TEXT;
