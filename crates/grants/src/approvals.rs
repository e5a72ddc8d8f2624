//! Approvals: one authorization of a client by a user, named in every token that comes of it.

use std::time::Duration;

use db::{Conn, execute, run};
use protocol::{ApprovalId, ClientId, ConsentId, FlowId, Scope, SessionId, Subject, Timestamp};

/// An approval as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Approval {
    pub id: ApprovalId,
    pub flow_id: Option<FlowId>,
    pub client_id: ClientId,
    pub client_generation: i64,
    pub sub: Subject,
    pub session_id: SessionId,
    pub consent_id: ConsentId,
    pub scope: Scope,
    pub resources: Vec<String>,
    /// Whether it outlives the session it came of: exactly when it has refresh tokens.
    pub offline: bool,
    pub auth_time: Timestamp,
    pub acr: String,
    pub amr: Vec<String>,
    pub created_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

/// The columns of an approval, of the table called `a`.
macro_rules! columns {
    () => {
        "a.approval_id, a.flow_id, a.client_id, a.client_generation, a.sub, a.session_id, a.consent_id, a.scope, \
         a.resources, a.offline, a.auth_time, a.acr, a.amr, a.created_at, a.ended_at"
    };
}
pub(crate) use columns;

const INSERT: &str = "INSERT INTO approvals (approval_id, flow_id, client_id, client_generation, sub, session_id, \
    consent_id, scope, resources, offline, auth_time, acr, amr, created_at, access_until, live_until) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";

const BY_FLOW: &str = "SELECT approval_id FROM approvals WHERE flow_id = $1";
const FORGET: &str = "DELETE FROM approvals WHERE approval_id IN \
    (SELECT approval_id FROM approvals WHERE live_until < $1 LIMIT 1000)";

/// Writes a new approval that nothing hangs from yet.
///
/// # Errors
/// [`db::Error::Conflict`] when its flow already ended in one.
pub async fn insert(approval: &Approval, live_for: Duration, conn: &mut Conn) -> db::Result<()> {
    execute!(
        conn,
        sqlx::query(INSERT)
            .bind(approval.id.as_str())
            .bind(approval.flow_id.as_ref().map(FlowId::as_str))
            .bind(approval.client_id.as_str())
            .bind(approval.client_generation)
            .bind(approval.sub.as_str())
            .bind(approval.session_id.as_str())
            .bind(approval.consent_id.as_str())
            .bind(approval.scope.to_string())
            .bind(crate::json(&approval.resources))
            .bind(approval.offline)
            .bind(approval.auth_time.as_secs())
            .bind(&approval.acr)
            .bind(crate::json(&approval.amr))
            .bind(approval.created_at.as_secs())
            .bind(approval.created_at.as_secs())
            .bind((approval.created_at + live_for).as_secs())
    )?;
    Ok(())
}

/// The approval that a flow ended in.
///
/// # Errors
/// When the database fails.
pub async fn of_flow(flow: &FlowId, conn: &mut Conn) -> db::Result<Option<ApprovalId>> {
    let row: Option<(String,)> = run!(conn, |c| sqlx::query_as(BY_FLOW)
        .bind(flow.as_str())
        .fetch_optional(c))?;
    Ok(row.map(|(id,)| id.into()))
}

/// Deletes a bounded batch of approvals of which nothing can be valid any more, with all that hangs from them.
///
/// # Errors
/// When the database fails.
pub async fn forget(conn: &mut Conn, now: Timestamp) -> db::Result<u64> {
    Ok(execute!(conn, sqlx::query(FORGET).bind(now.as_secs()))?)
}

#[derive(sqlx::FromRow)]
pub(crate) struct Row {
    approval_id: String,
    flow_id: Option<String>,
    client_id: String,
    client_generation: i64,
    sub: Option<String>,
    session_id: Option<String>,
    consent_id: Option<String>,
    scope: String,
    resources: String,
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
        let missing = || db::Error::corrupt(format_args!("approval {} lacks its user", row.approval_id));
        Ok(Self {
            client_id: row.client_id.into(),
            client_generation: row.client_generation,
            flow_id: row.flow_id.map(FlowId::from),
            sub: row.sub.ok_or_else(missing)?.into(),
            session_id: row.session_id.ok_or_else(missing)?.into(),
            consent_id: row.consent_id.ok_or_else(missing)?.into(),
            scope: crate::scope("approvals.scope", &row.scope)?,
            resources: crate::strings("approvals.resources", &row.resources)?,
            offline: row.offline,
            auth_time: Timestamp::from_secs(row.auth_time.ok_or_else(missing)?),
            acr: row.acr.ok_or_else(missing)?,
            amr: crate::strings("approvals.amr", &row.amr.ok_or_else(missing)?)?,
            created_at: Timestamp::from_secs(row.created_at),
            ended_at: row.ended_at.map(Timestamp::from_secs),
            id: row.approval_id.into(),
        })
    }
}
