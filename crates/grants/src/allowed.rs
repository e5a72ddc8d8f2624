//! What a person has allowed apps, for the person to see.

use db::{Conn, run};
use protocol::{ClientId, ConsentId, Scope, Subject, Timestamp, access_token};

/// More than a person looks through.
const MOST: i64 = 500;

/// A live consent, and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Allowed {
    pub id: ConsentId,
    pub client_id: ClientId,
    pub scope: Scope,
    pub resources: Vec<String>,
    /// Claims allowed by name.
    pub claims: Vec<String>,
    /// When the person first allowed it anything, since they last took everything back.
    pub since: Timestamp,
    /// When the app last got an access token, or was allowed something.
    pub last_used_at: Timestamp,
}

macro_rules! live {
    ($rest:literal) => {
        concat!(
            "SELECT k.consent_id, k.client_id, k.scope, k.resources, k.claims, k.granted_at, k.first_granted_at, \
             k.last_used_at, (SELECT MAX(a.access_until) FROM approvals a WHERE a.consent_id = k.consent_id) \
             AS access_until FROM consents k WHERE k.sub = $1 AND k.ended_at IS NULL ",
            $rest
        )
    };
}

const OF_USER: &str = live!("ORDER BY k.granted_at DESC, k.consent_id LIMIT $2");
const ONE: &str = live!("AND k.consent_id = $2");

/// What this person allows, what was used last first; at most five hundred.
///
/// # Errors
/// When the database fails.
pub async fn of_user(sub: &Subject, conn: &mut Conn) -> db::Result<Vec<Allowed>> {
    let rows: Vec<Row> = run!(conn, |c| sqlx::query_as(OF_USER)
        .bind(sub.as_str())
        .bind(MOST)
        .fetch_all(c))?;
    let allowed: db::Result<Vec<Allowed>> = rows.into_iter().map(Allowed::try_from).collect();
    let mut allowed = allowed?;
    allowed.sort_by_key(|allowed| std::cmp::Reverse(allowed.last_used_at));
    Ok(allowed)
}

/// One that this person allows; none for that of another (C086).
///
/// # Errors
/// When the database fails.
pub async fn one(sub: &Subject, id: &ConsentId, conn: &mut Conn) -> db::Result<Option<Allowed>> {
    let row: Option<Row> = run!(conn, |c| sqlx::query_as(ONE)
        .bind(sub.as_str())
        .bind(id.as_str())
        .fetch_optional(c))?;
    row.map(Allowed::try_from).transpose()
}

const WAS_OF: &str = "SELECT COUNT(*) FROM consents WHERE consent_id = $1 AND sub = $2";

/// Whether this person allowed it, and perhaps took it back since.
///
/// # Errors
/// When the database fails.
pub async fn was_of(id: &ConsentId, sub: &Subject, conn: &mut Conn) -> db::Result<bool> {
    let (count,): (i64,) = run!(conn, |c| sqlx::query_as(WAS_OF)
        .bind(id.as_str())
        .bind(sub.as_str())
        .fetch_one(c))?;
    Ok(count > 0)
}

#[derive(sqlx::FromRow)]
struct Row {
    consent_id: String,
    client_id: String,
    scope: String,
    resources: String,
    claims: String,
    granted_at: i64,
    first_granted_at: Option<i64>,
    last_used_at: Option<i64>,
    access_until: Option<i64>,
}

impl TryFrom<Row> for Allowed {
    type Error = db::Error;

    fn try_from(row: Row) -> db::Result<Self> {
        let granted_at = Timestamp::from_secs(row.granted_at);
        // An access token lives for so long: its end says when it was made.
        let minted = row
            .access_until
            .map(|until| Timestamp::from_secs(until) - access_token::LIFE);
        let noted = row.last_used_at.map(Timestamp::from_secs);
        Ok(Self {
            id: row.consent_id.into(),
            client_id: row.client_id.into(),
            scope: crate::scope("consents.scope", &row.scope)?,
            resources: crate::strings("consents.resources", &row.resources)?,
            claims: crate::strings("consents.claims", &row.claims)?,
            since: row.first_granted_at.map_or(granted_at, Timestamp::from_secs),
            last_used_at: [Some(granted_at), minted, noted]
                .into_iter()
                .flatten()
                .max()
                .unwrap_or(granted_at),
        })
    }
}
