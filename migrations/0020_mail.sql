-- Mail that is still to be sent.
CREATE TABLE mails (
    mail_id     TEXT PRIMARY KEY,
    -- Which purpose secret sealed it.
    sealed_by   TEXT NOT NULL,
    -- What is to be written, and to whom.
    sealed      TEXT NOT NULL,
    queued_at   BIGINT NOT NULL,
    -- Of no use to anybody from then on.
    expires_at  BIGINT NOT NULL,
    -- How often it was taken to be sent.
    tries       BIGINT NOT NULL DEFAULT 0,
    -- When it is to be tried next. Whoever tries moves it on first.
    due_at      BIGINT NOT NULL
);
CREATE INDEX mails_by_due ON mails (due_at);
