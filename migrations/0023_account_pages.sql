-- What happened with an account is shown to its person. First: it takes its time where there is much, and holds up no more
-- than what writes to the trail.
CREATE INDEX audit_events_by_user ON audit_events (sub, event_id) WHERE sub IS NOT NULL;

-- Tables are changed in the order in which requests lock them: users, sessions, consents.
-- Accounts that their people want deleted, and from when on.
ALTER TABLE users ADD COLUMN delete_at BIGINT;
CREATE INDEX users_by_deletion ON users (delete_at) WHERE delete_at IS NOT NULL;

-- What people see of the apps that they allowed.
-- When it began: a consent that is widened or confirmed anew is granted once more. NULL is as granted_at.
ALTER TABLE consents ADD COLUMN first_granted_at BIGINT;
-- As far as approvals that are forgotten said so.
ALTER TABLE consents ADD COLUMN last_used_at BIGINT;

-- The address that a person wants instead of theirs: the link that was mailed to it shows that they read its mail.
ALTER TABLE mailed_links ADD COLUMN email TEXT;

-- Names that nobody may have again: tokens and records elsewhere still mean whoever had them.
CREATE TABLE former_users (
    sub         TEXT PRIMARY KEY,
    deleted_at  BIGINT NOT NULL
);
