//! What a user allowed a client, remembered: OpenID Connect Core §3.1.2.4.

use db::{Conn, execute, run};
use events::{Context, Event, audit};
use protocol::{ClientId, ConsentId, FlowId, Scope, SessionId, Subject, Timestamp};

/// A live consent.
#[derive(Clone, Debug, PartialEq)]
pub struct Consent {
    pub id: ConsentId,
    pub sub: Subject,
    pub client_id: ClientId,
    pub scope: Scope,
    pub resources: Vec<String>,
    /// Claims allowed by name.
    pub claims: Vec<String>,
    /// The version of the client that the person saw.
    pub client_version: i64,
    /// The flow that last confirmed it: `prompt=consent` is met by its own flow only.
    pub flow_id: FlowId,
    pub granted_at: Timestamp,
}

/// What a person confirmed on the consent page.
#[derive(Clone, Debug)]
pub struct Confirmed {
    pub sub: Subject,
    pub client_id: ClientId,
    pub client_version: i64,
    pub scope: Scope,
    pub resources: Vec<String>,
    /// Claims asked for by name that the scope does not release.
    pub claims: Vec<String>,
    pub session_id: SessionId,
    pub flow_id: FlowId,
}

/// What was new about a confirmation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// Nothing: the same answer came once more.
    Before,
    /// It counts, beside what this version of the client was allowed before, if anything.
    Anew(Option<Scope>),
}

const BY_PAIR: &str = "SELECT consent_id, sub, client_id, scope, resources, claims, client_version, flow_id, granted_at \
    FROM consents WHERE sub = $1 AND client_id = $2 AND ended_at IS NULL";
const BY_PAIR_FOR_UPDATE: &str = "SELECT consent_id, sub, client_id, scope, resources, claims, client_version, flow_id, \
    granted_at FROM consents WHERE sub = $1 AND client_id = $2 AND ended_at IS NULL FOR UPDATE";
const RECORD: &str = "INSERT INTO consents \
    (consent_id, sub, client_id, scope, resources, client_version, session_id, flow_id, granted_at, claims, \
    first_granted_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $9) \
    ON CONFLICT (sub, client_id) DO UPDATE SET \
    consent_id = CASE WHEN consents.ended_at IS NULL THEN consents.consent_id ELSE excluded.consent_id END, \
    scope = excluded.scope, resources = excluded.resources, claims = excluded.claims, \
    client_version = excluded.client_version, \
    first_granted_at = CASE WHEN consents.ended_at IS NULL \
    THEN COALESCE(consents.first_granted_at, consents.granted_at) \
    ELSE excluded.first_granted_at END, \
    last_used_at = CASE WHEN consents.ended_at IS NULL THEN consents.last_used_at END, \
    session_id = excluded.session_id, flow_id = excluded.flow_id, granted_at = excluded.granted_at, \
    ended_at = NULL";
const LOCK: &str = "SELECT scope, resources, claims FROM consents WHERE consent_id = $1 AND ended_at IS NULL";
const LOCK_SHARED: &str =
    "SELECT scope, resources, claims FROM consents WHERE consent_id = $1 AND ended_at IS NULL FOR SHARE";

impl Consent {
    /// Whether it allows this much without asking again.
    pub fn covers(
        &self,
        scope: &Scope,
        resources: &[String],
        claims: &[String],
        client_version: i64,
    ) -> bool {
        self.client_version == client_version
            && scope.is_subset(&self.scope)
            && resources.iter().all(|resource| self.resources.contains(resource))
            && claims.iter().all(|claim| self.claims.contains(claim))
    }
}

/// # Errors
/// When the database fails.
pub async fn of(sub: &Subject, client_id: &ClientId, conn: &mut Conn) -> db::Result<Option<Consent>> {
    let row: Option<Row> = run!(conn, |c| sqlx::query_as(BY_PAIR)
        .bind(sub.as_str())
        .bind(client_id.as_str())
        .fetch_optional(c))?;
    row.map(Consent::try_from).transpose()
}

/// Records what a person confirmed. What the same version of the client was allowed before stays allowed; a
/// version that looks different starts from what the person has now seen.
///
/// # Errors
/// When the database fails.
pub async fn record(
    confirmed: &Confirmed,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Given> {
    let statement = conn.either(BY_PAIR, BY_PAIR_FOR_UPDATE);
    let row: Option<Row> = run!(conn, |c| sqlx::query_as(statement)
        .bind(confirmed.sub.as_str())
        .bind(confirmed.client_id.as_str())
        .fetch_optional(c))?;
    let before = row.map(Consent::try_from).transpose()?;
    // The same answer once more, by a double click or by going back.
    if before.as_ref().is_some_and(|before| {
        before.flow_id == confirmed.flow_id
            && before.covers(
                &confirmed.scope,
                &confirmed.resources,
                &confirmed.claims,
                confirmed.client_version,
            )
    }) {
        return Ok(Given::Before);
    }
    let (mut scope, mut resources) = (confirmed.scope.clone(), confirmed.resources.clone());
    let mut claims = confirmed.claims.clone();
    let before = before.filter(|before| before.client_version == confirmed.client_version);
    let given = Given::Anew(before.as_ref().map(|before| before.scope.clone()));
    if let Some(before) = before {
        scope = scope.union(&before.scope);
        resources.extend(before.resources);
        resources.sort_unstable();
        resources.dedup();
        claims.extend(before.claims);
        claims.sort_unstable();
        claims.dedup();
    }
    execute!(
        conn,
        sqlx::query(RECORD)
            .bind(ConsentId::random().as_str())
            .bind(confirmed.sub.as_str())
            .bind(confirmed.client_id.as_str())
            .bind(scope.to_string())
            .bind(crate::json(&resources))
            .bind(confirmed.client_version)
            .bind(confirmed.session_id.as_str())
            .bind(confirmed.flow_id.as_str())
            .bind(now.as_secs())
            .bind(crate::json(&claims))
    )?;
    let event = Event::ConsentGiven {
        sub: &confirmed.sub,
        client_id: &confirmed.client_id,
        session_id: &confirmed.session_id,
        scope: &confirmed.scope,
        resources: &confirmed.resources,
        claims: &confirmed.claims,
    };
    audit::record(&event, by, conn, now).await?;
    Ok(given)
}

/// Whether this consent still allows this much; held so until the transaction ends.
///
/// # Errors
/// When the database fails.
pub async fn lock_covering(
    id: &ConsentId,
    scope: &Scope,
    resources: &[String],
    claims: &[String],
    conn: &mut Conn,
) -> db::Result<bool> {
    let statement = conn.either(LOCK, LOCK_SHARED);
    let row: Option<(String, String, String)> = run!(conn, |c| sqlx::query_as(statement)
        .bind(id.as_str())
        .fetch_optional(c))?;
    let Some((allowed, allowed_resources, allowed_claims)) = row else {
        return Ok(false);
    };
    let allowed_resources = crate::strings("consents.resources", &allowed_resources)?;
    let allowed_claims = crate::strings("consents.claims", &allowed_claims)?;
    Ok(scope.is_subset(&crate::scope("consents.scope", &allowed)?)
        && resources
            .iter()
            .all(|resource| allowed_resources.contains(resource))
        && claims.iter().all(|claim| allowed_claims.contains(claim)))
}

#[derive(sqlx::FromRow)]
struct Row {
    consent_id: String,
    sub: String,
    client_id: String,
    scope: String,
    resources: String,
    claims: String,
    client_version: i64,
    flow_id: String,
    granted_at: i64,
}

impl TryFrom<Row> for Consent {
    type Error = db::Error;

    fn try_from(row: Row) -> db::Result<Self> {
        Ok(Self {
            id: row.consent_id.into(),
            sub: row.sub.into(),
            client_id: row.client_id.into(),
            scope: crate::scope("consents.scope", &row.scope)?,
            resources: crate::strings("consents.resources", &row.resources)?,
            claims: crate::strings("consents.claims", &row.claims)?,
            client_version: row.client_version,
            flow_id: row.flow_id.into(),
            granted_at: Timestamp::from_secs(row.granted_at),
        })
    }
}
