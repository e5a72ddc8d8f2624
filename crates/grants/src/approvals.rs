//! Approvals: one authorization of a client by a user, or the standing one of a client that acts for itself;
//! named in every token that comes of it.

use std::time::Duration;

use db::{Conn, execute, run};
use protocol::{
    ApprovalId, ClaimsRequest, ClientId, ConsentId, FlowId, Scope, SessionId, Subject, Timestamp,
};

/// An approval as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Approval {
    pub id: ApprovalId,
    pub client_id: ClientId,
    pub client_generation: i64,
    pub party: Party,
    pub scope: Scope,
    pub resources: Vec<String>,
    /// What is told about the user beyond the scope.
    pub claims: ClaimsRequest,
    pub created_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

/// On whose behalf the client acts.
#[derive(Clone, Debug, PartialEq)]
pub enum Party {
    User(ByUser),
    /// Its own (RFC 6749 §4.4). One approval stands for all its tokens, so minting one writes nothing; what a
    /// token may do is decided each time, and the approval itself names no scope.
    Service,
}

/// How a user came to authorize a client.
#[derive(Clone, Debug, PartialEq)]
pub struct ByUser {
    pub sub: Subject,
    /// What the client calls the user. It stays so for as long as the approval lives, whatever is registered
    /// meanwhile: refreshed ID tokens name who the first one named (OpenID Connect Core §12.2).
    pub known_as: Subject,
    pub flow_id: Option<FlowId>,
    pub session_id: SessionId,
    pub consent_id: ConsentId,
    /// Whether it outlives the session it came of: exactly when it has refresh tokens.
    pub offline: bool,
    pub auth_time: Timestamp,
    pub acr: String,
    pub amr: Vec<String>,
}

impl Approval {
    /// `sub` of its tokens: the user, as the client knows them, or the client itself (RFC 9068 §2.2). No client has the
    /// id of a user.
    pub fn subject(&self) -> Subject {
        match &self.party {
            Party::User(user) => user.known_as.clone(),
            Party::Service => self.client_id.as_str().into(),
        }
    }

    pub fn user(&self) -> Option<&ByUser> {
        match &self.party {
            Party::User(user) => Some(user),
            Party::Service => None,
        }
    }
}

impl ByUser {
    /// What the client calls the user, where that is not what everybody does.
    fn other_name(&self) -> Option<&str> {
        (self.known_as != self.sub).then(|| self.known_as.as_str())
    }
}

/// The columns of an approval, of the table called `a`.
macro_rules! columns {
    () => {
        "a.approval_id, a.flow_id, a.client_id, a.client_generation, a.sub, a.known_as, a.session_id, a.consent_id, \
         a.scope, a.resources, a.claims, a.offline, a.auth_time, a.acr, a.amr, a.created_at, a.ended_at"
    };
}
pub(crate) use columns;

const INSERT: &str = "INSERT INTO approvals (approval_id, flow_id, client_id, client_generation, sub, session_id, \
    consent_id, scope, resources, offline, auth_time, acr, amr, created_at, access_until, live_until, claims, known_as) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)";

/// It has no end of its own, and tells nothing of its access tokens: one may have been minted a moment ago.
const STAND: &str = "INSERT INTO approvals (approval_id, client_id, client_generation, scope, resources, offline, \
    created_at, access_until, live_until) VALUES ($1, $2, $3, '', '[]', TRUE, $4, $5, $5) \
    ON CONFLICT (client_id, client_generation) WHERE sub IS NULL AND ended_at IS NULL DO NOTHING";

const FORGET: &str = "DELETE FROM approvals WHERE approval_id IN \
    (SELECT approval_id FROM approvals WHERE live_until < $1 LIMIT 1000)";

/// For how long after it was made something of a new approval lives.
#[derive(Clone, Copy, Debug)]
pub struct Lives {
    /// Its access tokens: zero when none is out yet.
    pub access: Duration,
    /// Whatever may come of it.
    pub anything: Duration,
}

/// Writes a new approval of a user that nothing hangs from yet.
///
/// # Errors
/// [`db::Error::Conflict`] when its flow already ended in one.
pub async fn insert(approval: &Approval, lives: Lives, conn: &mut Conn) -> db::Result<()> {
    let user = approval.user();
    let claims = (!approval.claims.is_empty()).then(|| serde_json::json!(approval.claims).to_string());
    execute!(
        conn,
        sqlx::query(INSERT)
            .bind(approval.id.as_str())
            .bind(user.and_then(|user| user.flow_id.as_ref()).map(FlowId::as_str))
            .bind(approval.client_id.as_str())
            .bind(approval.client_generation)
            .bind(user.map(|user| user.sub.as_str()))
            .bind(user.map(|user| user.session_id.as_str()))
            .bind(user.map(|user| user.consent_id.as_str()))
            .bind(approval.scope.to_string())
            .bind(crate::json(&approval.resources))
            .bind(user.is_none_or(|user| user.offline))
            .bind(user.map(|user| user.auth_time.as_secs()))
            .bind(user.map(|user| user.acr.as_str()))
            .bind(user.map(|user| crate::json(&user.amr)))
            .bind(approval.created_at.as_secs())
            .bind((approval.created_at + lives.access).as_secs())
            .bind((approval.created_at + lives.anything).as_secs())
            .bind(claims)
            .bind(user.and_then(ByUser::other_name))
    )?;
    Ok(())
}

/// Writes the standing approval of a client, unless it has one.
///
/// # Errors
/// When the database fails.
pub async fn stand(
    client_id: &ClientId,
    client_generation: i64,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<()> {
    execute!(
        conn,
        sqlx::query(STAND)
            .bind(ApprovalId::random().as_str())
            .bind(client_id.as_str())
            .bind(client_generation)
            .bind(now.as_secs())
            .bind(i64::MAX)
    )?;
    Ok(())
}

/// The approval that a flow ended in.
///
/// # Errors
/// When the database fails.
pub async fn of_flow(flow: &FlowId, conn: &mut Conn) -> db::Result<Option<Approval>> {
    const BY_FLOW: &str = concat!("SELECT ", columns!(), " FROM approvals a WHERE a.flow_id = $1");
    let row: Option<Row> = run!(conn, |c| sqlx::query_as(BY_FLOW)
        .bind(flow.as_str())
        .fetch_optional(c))?;
    row.map(Approval::try_from).transpose()
}

/// Deletes a bounded batch of approvals of which nothing can be valid any more, with all that hangs from them.
///
/// # Errors
/// When the database fails.
pub async fn forget(conn: &mut Conn, now: Timestamp) -> db::Result<u64> {
    Ok(execute!(conn, sqlx::query(FORGET).bind(now.as_secs()))?)
}

fn claims(column: Option<String>) -> db::Result<ClaimsRequest> {
    let read = column.map(|json| serde_json::from_str(&json)).transpose();
    let read = read.map_err(|error| db::Error::corrupt(format_args!("approvals.claims: {error}")))?;
    Ok(read.unwrap_or_default())
}

const ABOUT: &str = "SELECT sub, known_as, claims FROM approvals WHERE approval_id = $1 AND sub IS NOT NULL";

/// Whom an approval is about.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    pub sub: Subject,
    /// What its tokens call them.
    pub known_as: Subject,
    /// What it lets be told about them beyond the scope of a token.
    pub claims: ClaimsRequest,
}

/// The user of an approval; `None` for that of a client that acts for itself.
///
/// # Errors
/// When the database fails.
pub async fn about(id: &ApprovalId, conn: &mut Conn) -> db::Result<Option<About>> {
    let row: Option<(String, Option<String>, Option<String>)> = run!(conn, |c| sqlx::query_as(ABOUT)
        .bind(id.as_str())
        .fetch_optional(c))?;
    let about = row.map(|(sub, known_as, column)| {
        Ok(About {
            known_as: known_as.as_deref().unwrap_or(&sub).into(),
            sub: sub.into(),
            claims: claims(column)?,
        })
    });
    about.transpose()
}

#[derive(sqlx::FromRow)]
pub(crate) struct Row {
    approval_id: String,
    flow_id: Option<String>,
    client_id: String,
    client_generation: i64,
    sub: Option<String>,
    known_as: Option<String>,
    session_id: Option<String>,
    consent_id: Option<String>,
    scope: String,
    resources: String,
    claims: Option<String>,
    offline: bool,
    auth_time: Option<i64>,
    acr: Option<String>,
    amr: Option<String>,
    created_at: i64,
    ended_at: Option<i64>,
}

impl TryFrom<Row> for Approval {
    type Error = db::Error;

    fn try_from(row: Row) -> db::Result<Self> {
        let by_user = (
            row.sub,
            row.session_id,
            row.consent_id,
            row.auth_time,
            row.acr,
            row.amr,
        );
        let party = match by_user {
            (Some(sub), Some(session_id), Some(consent_id), Some(auth_time), Some(acr), Some(amr)) => {
                Party::User(ByUser {
                    known_as: row.known_as.as_deref().unwrap_or(&sub).into(),
                    sub: sub.into(),
                    flow_id: row.flow_id.map(FlowId::from),
                    session_id: session_id.into(),
                    consent_id: consent_id.into(),
                    offline: row.offline,
                    auth_time: Timestamp::from_secs(auth_time),
                    acr,
                    amr: crate::strings("approvals.amr", &amr)?,
                })
            }
            (None, None, None, None, None, None) => Party::Service,
            _ => {
                let id = row.approval_id;
                return Err(db::Error::corrupt(format_args!("approval {id} has half a user")));
            }
        };
        Ok(Self {
            id: row.approval_id.into(),
            client_id: row.client_id.into(),
            client_generation: row.client_generation,
            party,
            scope: crate::scope("approvals.scope", &row.scope)?,
            resources: crate::strings("approvals.resources", &row.resources)?,
            claims: claims(row.claims)?,
            created_at: Timestamp::from_secs(row.created_at),
            ended_at: row.ended_at.map(Timestamp::from_secs),
        })
    }
}
