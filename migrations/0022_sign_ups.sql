-- Links by which an account can be made. What is mailed or handed over is not here, only its digest.
CREATE TABLE sign_ups (
    digest      TEXT PRIMARY KEY,
    -- asked | invited | handed
    way         TEXT NOT NULL,
    -- The address that the account will have, sealed under the link: nobody else learns whom strangers asked about.
    sealed      TEXT NOT NULL,
    -- The sealed flow of whoever asked, for that browser to go on with.
    flow        TEXT,
    expires_at  BIGINT NOT NULL,
    used_at     BIGINT
);
CREATE INDEX sign_ups_by_end ON sign_ups (expires_at);
