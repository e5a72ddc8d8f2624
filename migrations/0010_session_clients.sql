-- Who hears that a session has ended.

-- Clients that a person signed in to in a session, noted when the approval that said so is forgotten: an app's own
-- session outlives our tokens. Only clients that want to hear of the end.
CREATE TABLE session_clients (
    session_id  TEXT NOT NULL REFERENCES sessions (session_id) ON DELETE CASCADE,
    client_id   TEXT NOT NULL REFERENCES clients (client_id) ON DELETE CASCADE,
    PRIMARY KEY (session_id, client_id)
);
CREATE INDEX session_clients_by_client ON session_clients (client_id);
