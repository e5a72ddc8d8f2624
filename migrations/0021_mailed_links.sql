-- Links that mails carry. What is mailed is not here, only its digest.
CREATE TABLE mailed_links (
    digest      TEXT PRIMARY KEY,
    -- recovery | email
    purpose     TEXT NOT NULL,
    sub         TEXT NOT NULL REFERENCES users (sub) ON DELETE CASCADE,
    -- The epoch of the user when it was mailed: a link older than the password or the address is void.
    epoch       BIGINT NOT NULL,
    -- The sealed flow of whoever asked, for that browser to go on with.
    flow        TEXT,
    expires_at  BIGINT NOT NULL,
    used_at     BIGINT
);
CREATE INDEX mailed_links_by_user ON mailed_links (sub);
CREATE INDEX mailed_links_by_end ON mailed_links (expires_at);

-- What strangers may ask for, counted: a name for who asks or is asked about, and until when it is spent.
CREATE TABLE allowances (
    name         TEXT PRIMARY KEY,
    spent_until  BIGINT NOT NULL
);
CREATE INDEX allowances_by_end ON allowances (spent_until);
