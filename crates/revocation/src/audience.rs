//! Whom the end of a session concerns: the clients that the person signed in to in it, as far as they want to hear of
//! it (OpenID Connect Front-Channel Logout 1.0, Back-Channel Logout 1.0).
//!
//! An approval says so, and is forgotten when none of its tokens can be valid any more. The app's own session lives
//! longer: before the approval goes, what it said of the session is noted. The hot path writes nothing for this.

use std::collections::HashMap;

use db::{Conn, execute, run};
use events::changes::{self, Topic};
use protocol::{ClientId, SessionId, Subject, Timestamp, access_token};

/// As the metadata of a client is stored. The text cannot stand inside a value: there, its quotes are escaped.
const REMEMBER: &str = "INSERT INTO session_clients (session_id, client_id) \
    SELECT DISTINCT a.session_id, a.client_id FROM approvals a \
    JOIN sessions s ON s.session_id = a.session_id JOIN clients c ON c.client_id = a.client_id \
    WHERE a.live_until < $1 AND s.ended_at IS NULL AND c.metadata LIKE '%channel_logout_uri\":%' \
    ON CONFLICT DO NOTHING";

/// Notes what approvals that are about to be forgotten say of sessions. Expects the transaction that forgets them.
///
/// # Errors
/// When the database fails.
pub async fn remember_clients(conn: &mut Conn, now: Timestamp) -> db::Result<u64> {
    Ok(execute!(conn, sqlx::query(REMEMBER).bind(now.as_secs()))?)
}

const NOTIFY: &str = "INSERT INTO logout_notices (session_id, client_id, sub, ended_at, due_at) \
    SELECT s.session_id, c.client_id, s.sub, CAST($2 AS BIGINT), CAST($2 AS BIGINT) FROM sessions s \
    JOIN (SELECT client_id FROM approvals WHERE session_id = $1 AND sub IS NOT NULL \
    UNION SELECT client_id FROM session_clients WHERE session_id = $1) signed_in ON s.session_id = $1 \
    JOIN clients c ON c.client_id = signed_in.client_id \
    WHERE c.metadata LIKE '%\"backchannel_logout_uri\":%' ON CONFLICT DO NOTHING";

/// Writes, in the transaction that ends a session, what its clients are to be told.
pub(crate) async fn notify(session: &str, conn: &mut Conn, now: Timestamp) -> db::Result<()> {
    let written = execute!(conn, sqlx::query(NOTIFY).bind(session).bind(now.as_secs()))?;
    match written {
        0 => Ok(()),
        _ => changes::bump(Topic::Notices, conn).await,
    }
}

const NOTIFY_APP: &str = "INSERT INTO logout_notices (session_id, client_id, sub, ended_at, due_at) \
    SELECT s.session_id, c.client_id, s.sub, CAST($2 AS BIGINT), CAST($2 AS BIGINT) FROM consents k \
    JOIN clients c ON c.client_id = k.client_id \
    JOIN sessions s ON s.sub = k.sub AND s.ended_at IS NULL AND (EXISTS (SELECT 1 FROM approvals a \
    WHERE a.session_id = s.session_id AND a.client_id = k.client_id) OR EXISTS (SELECT 1 FROM session_clients n \
    WHERE n.session_id = s.session_id AND n.client_id = k.client_id)) \
    WHERE k.consent_id = $1 AND c.metadata LIKE '%\"backchannel_logout_uri\":%' ON CONFLICT DO NOTHING";

/// Writes, in the transaction that takes a consent back, that its client is to sign the person out wherever it signed
/// them in by a session that lives.
pub(crate) async fn notify_app(consent: &str, conn: &mut Conn, now: Timestamp) -> db::Result<()> {
    let written = execute!(conn, sqlx::query(NOTIFY_APP).bind(consent).bind(now.as_secs()))?;
    match written {
        0 => Ok(()),
        _ => changes::bump(Topic::Notices, conn).await,
    }
}

const REMEMBER_USE: &str = "UPDATE consents SET last_used_at = (SELECT MAX(a.access_until) - $2 FROM approvals a \
    WHERE a.consent_id = consents.consent_id AND a.live_until < $1) \
    WHERE consent_id IN (SELECT a.consent_id FROM approvals a WHERE a.live_until < $1 AND a.consent_id IS NOT NULL) \
    AND COALESCE(last_used_at, 0) < (SELECT MAX(a.access_until) - $2 FROM approvals a \
    WHERE a.consent_id = consents.consent_id AND a.live_until < $1)";

/// Notes what approvals that are about to be forgotten say of when apps were used. Expects the transaction that forgets
/// them. The hot path writes nothing for this.
///
/// # Errors
/// When the database fails.
pub async fn remember_use(conn: &mut Conn, now: Timestamp) -> db::Result<u64> {
    let life = i64::try_from(access_token::LIFE.as_secs()).map_err(db::Error::corrupt)?;
    Ok(execute!(
        conn,
        sqlx::query(REMEMBER_USE).bind(now.as_secs()).bind(life)
    )?)
}

const CLIENTS_BY_SESSION: &str = "SELECT a.session_id, a.client_id FROM approvals a \
    JOIN sessions s ON s.session_id = a.session_id WHERE s.sub = $1 AND s.ended_at IS NULL AND a.sub IS NOT NULL \
    UNION SELECT n.session_id, n.client_id FROM session_clients n \
    JOIN sessions s ON s.session_id = n.session_id WHERE s.sub = $1 AND s.ended_at IS NULL ORDER BY client_id";

/// The clients that this person signed in to, for each of their sessions that has not ended.
///
/// # Errors
/// When the database fails.
pub async fn clients_by_session(
    sub: &Subject,
    conn: &mut Conn,
) -> db::Result<HashMap<SessionId, Vec<ClientId>>> {
    let rows: Vec<(String, String)> = run!(conn, |c| sqlx::query_as(CLIENTS_BY_SESSION)
        .bind(sub.as_str())
        .fetch_all(c))?;
    let mut clients: HashMap<SessionId, Vec<ClientId>> = HashMap::new();
    for (session, client) in rows {
        clients.entry(session.into()).or_default().push(client.into());
    }
    Ok(clients)
}

const CLIENTS_OF: &str = "SELECT client_id FROM approvals WHERE session_id = $1 AND sub IS NOT NULL \
    UNION SELECT client_id FROM session_clients WHERE session_id = $1 ORDER BY client_id";

/// The clients that the person signed in to in this session, whether it has ended or not.
///
/// # Errors
/// When the database fails.
pub async fn clients_of(session: &SessionId, conn: &mut Conn) -> db::Result<Vec<ClientId>> {
    let rows: Vec<(String,)> = run!(conn, |c| sqlx::query_as(CLIENTS_OF)
        .bind(session.as_str())
        .fetch_all(c))?;
    Ok(rows.into_iter().map(|(id,)| id.into()).collect())
}
