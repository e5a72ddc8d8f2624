-- Pictures of apps: fetched once, made anew by us, shown from here. No person's browser asks an app's server.
CREATE TABLE client_logos (
    client_id  TEXT PRIMARY KEY REFERENCES clients (client_id) ON DELETE CASCADE,
    -- Of the registration that is in force.
    logo_uri   TEXT NOT NULL,
    -- Names the picture; none until it is fetched.
    digest     TEXT,
    -- PNG, in base64.
    picture    TEXT,
    -- How often it was taken to be fetched.
    tries      BIGINT NOT NULL DEFAULT 0,
    -- When it is to be fetched; none: not any more, or not until somebody vouches for the app.
    due_at     BIGINT
);
CREATE INDEX client_logos_by_due ON client_logos (due_at);
CREATE INDEX client_logos_by_digest ON client_logos (digest);
