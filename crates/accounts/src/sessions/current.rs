//! The one loader of sessions: whoever asks who is signed in asks here.

use std::time::Duration;

use db::{Conn, run};
use protocol::opaque::{self, Kind};
use protocol::{BrowserId, Secret, SessionId, Timestamp};

use super::{Authentication, Session};
use crate::claims::{Claim, Claims};

/// The live sessions of one browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrowserSessions {
    pub browser_id: BrowserId,
    /// The one whose user proved something last.
    pub active: Session,
    /// Those of other users, in that order.
    pub others: Vec<Session>,
}

impl BrowserSessions {
    /// All, the active one first.
    pub fn iter(&self) -> impl Iterator<Item = &Session> {
        std::iter::once(&self.active).chain(&self.others)
    }

    pub fn by_id(&self, session_id: &SessionId) -> Option<&Session> {
        self.iter().find(|session| session.session_id == *session_id)
    }
}

/// An authorization request lives for an hour: of earlier proofs, only younger ones can be one that it asked
/// for.
const FLOW_LIFE: Duration = Duration::from_secs(60 * 60);

// Every end that a session can have stands here: its own, its browser's, its user's, and that the database was
// restored to a state in which an end may be missing. `ordinal` orders the proofs of one browser; two may fall into
// one second.
const CURRENT: &str = "\
    SELECT s.session_id, s.browser_id, s.sub, s.persistent, s.created_at, s.last_seen_at, \
        u.email, u.claims, a.auth_time, a.acr, a.amr, a.flow_id \
    FROM browsers b \
        JOIN sessions s ON s.browser_id = b.browser_id \
        JOIN users u ON u.sub = s.sub \
        JOIN authentications a ON a.session_id = s.session_id \
    WHERE b.token_digest = $1 AND b.expires_at > $2 \
        AND s.ended_at IS NULL AND s.idle_until > $2 AND s.expires_at > $2 \
        AND s.created_at > (SELECT f.epoch FROM revocation_feed f WHERE f.one = 1) \
        AND u.disabled_at IS NULL AND u.epoch = s.epoch \
        AND (a.auth_time > $3 OR a.ordinal = \
            (SELECT MAX(n.ordinal) FROM authentications n WHERE n.session_id = s.session_id)) \
    ORDER BY a.ordinal DESC";

/// Who is signed in with this cookie; `None` for nobody.
pub async fn current(
    cookie: &Secret,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Option<BrowserSessions>> {
    let Some(digest) = digest(cookie) else {
        return Ok(None);
    };
    let rows: Vec<Row> = run!(conn, |c| sqlx::query_as(CURRENT)
        .bind(&digest)
        .bind(now.as_secs())
        .bind((now - FLOW_LIFE).as_secs())
        .fetch_all(c))?;
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let browser_id = BrowserId::from(first.browser_id.as_str());
    let mut sessions = group(rows)?.into_iter();
    Ok(sessions.next().map(|active| BrowserSessions {
        browser_id,
        active,
        others: sessions.collect(),
    }))
}

/// The form in which the cookie is stored; `None` for a value that cannot be one of ours.
pub(super) fn digest(cookie: &Secret) -> Option<String> {
    opaque::decode(Kind::Browser, cookie.expose())?;
    Some(seal::digest(cookie.expose()))
}

/// The newest proof of a session comes first and begins it; the others are added to it.
fn group(rows: Vec<Row>) -> db::Result<Vec<Session>> {
    let mut sessions: Vec<Session> = Vec::new();
    for row in rows {
        match sessions
            .iter_mut()
            .find(|session| session.session_id.as_str() == row.session_id)
        {
            Some(session) => session.earlier.push(row.proof()?),
            None => sessions.push(row.try_into()?),
        }
    }
    Ok(sessions)
}

#[derive(sqlx::FromRow)]
struct Row {
    session_id: String,
    browser_id: String,
    sub: String,
    persistent: bool,
    created_at: i64,
    last_seen_at: i64,
    email: String,
    claims: String,
    auth_time: i64,
    acr: String,
    amr: String,
    flow_id: Option<String>,
}

impl Row {
    fn proof(&self) -> db::Result<Authentication> {
        Ok(Authentication {
            auth_time: Timestamp::from_secs(self.auth_time),
            acr: self
                .acr
                .parse()
                .map_err(|_| db::Error::corrupt("an unknown acr"))?,
            amr: serde_json::from_str(&self.amr).map_err(db::Error::corrupt)?,
            flow_id: self.flow_id.as_deref().map(Into::into),
        })
    }
}

impl TryFrom<Row> for Session {
    type Error = db::Error;

    fn try_from(row: Row) -> db::Result<Self> {
        let claims: Claims = serde_json::from_str(&row.claims).map_err(db::Error::corrupt)?;
        Ok(Self {
            proof: row.proof()?,
            earlier: Vec::new(),
            session_id: row.session_id.into(),
            sub: row.sub.into(),
            email: row.email,
            name: claims.text(Claim::Name).map(str::to_owned),
            persistent: row.persistent,
            created_at: Timestamp::from_secs(row.created_at),
            last_seen_at: Timestamp::from_secs(row.last_seen_at),
        })
    }
}
