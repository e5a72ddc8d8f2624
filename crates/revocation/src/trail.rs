//! What the audit trail says of each act.

use db::{Conn, run};
use events::audit::Changed;
use events::{Context, Event, audit};
use protocol::{ClientId, Subject, Timestamp};

use crate::{Act, Apps, Change, Outcome};

const OF_APPROVAL: &str = "SELECT sub, client_id FROM approvals WHERE approval_id = $1";
const OF_SESSION: &str = "SELECT sub, NULL FROM sessions WHERE session_id = $1";
const OF_CONSENT: &str = "SELECT sub, client_id FROM consents WHERE consent_id = $1";

/// Whom an act concerns, where its name does not say so.
#[derive(Debug, Default)]
pub(crate) struct Whom {
    sub: Option<Subject>,
    client_id: Option<ClientId>,
}

impl Whom {
    /// Read before the act: what it deletes cannot be asked afterwards.
    pub(crate) async fn of(act: &Act, conn: &mut Conn) -> db::Result<Self> {
        let (query, id) = match act {
            // A token itself has the name that the client knows.
            Act::EndApproval(id, _) | Act::RevokeToken { approval: id, .. } => (OF_APPROVAL, id.as_str()),
            Act::EndSession(id) => (OF_SESSION, id.as_str()),
            Act::WithdrawConsent(id) => (OF_CONSENT, id.as_str()),
            Act::RemoveApp(id, _) => (OF_CONSENT, id.as_str()),
            Act::DisableUser(_)
            | Act::RevokeUser(_)
            | Act::PasswordRecovered(_)
            | Act::DeleteClient(_)
            | Act::EndSessionOf(..)
            | Act::EndOtherSessions { .. }
            | Act::CredentialsChanged { .. }
            | Act::DeletionAsked(_) => {
                return Ok(Self::default());
            }
        };
        let row: Option<(Option<String>, Option<String>)> =
            run!(conn, |c| sqlx::query_as(query).bind(id).fetch_optional(c))?;
        let (sub, client_id) = row.unwrap_or_default();
        Ok(Self {
            sub: sub.map(Subject::from),
            client_id: client_id.map(ClientId::from),
        })
    }
}

/// Writes the event of an act that changed something: whoever sends a used code a thousand times ends one approval.
pub(crate) async fn record(
    act: &Act,
    outcome: Outcome,
    whom: &Whom,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<()> {
    let Outcome::Ended(approvals_ended) = outcome else {
        return Ok(());
    };
    let (sub, client_id) = (whom.sub.as_ref(), whom.client_id.as_ref());
    let event = match act {
        Act::EndApproval(..) if approvals_ended == 0 => return Ok(()),
        Act::EndApproval(approval_id, reason) => Event::ApprovalEnded {
            sub,
            client_id,
            approval_id,
            reason: reason.as_str(),
        },
        Act::RevokeToken { jti, client_id, .. } => Event::TokenRevoked { sub, client_id, jti },
        Act::EndSession(session_id) => Event::SessionEnded {
            sub,
            session_id,
            approvals_ended,
        },
        Act::WithdrawConsent(consent_id) => Event::ConsentWithdrawn {
            sub,
            client_id,
            consent_id,
            approvals_ended,
        },
        Act::DisableUser(sub) => Event::UserDisabled { sub, approvals_ended },
        Act::RevokeUser(sub) => Event::UserRevoked { sub, approvals_ended },
        Act::PasswordRecovered(sub) => Event::PasswordRecovered { sub, approvals_ended },
        Act::DeleteClient(client_id) => Event::ClientDeleted {
            client_id,
            approvals_ended,
        },
        Act::EndSessionOf(session_id, sub) => Event::SessionEnded {
            sub: Some(sub),
            session_id,
            approvals_ended,
        },
        Act::EndOtherSessions { sub, kept } => Event::OtherSessionsEnded {
            sub,
            session_id: kept,
            approvals_ended,
        },
        Act::RemoveApp(consent_id, sub) => Event::ConsentWithdrawn {
            sub: Some(sub),
            client_id,
            consent_id,
            approvals_ended,
        },
        Act::CredentialsChanged {
            sub,
            kept: session_id,
            change,
            apps,
        } => Event::CredentialsChanged {
            sub,
            session_id,
            what: match change {
                Change::Password => Changed::Password,
                Change::Email => Changed::Email,
            },
            apps_disconnected: *apps == Apps::Disconnected,
            approvals_ended,
        },
        Act::DeletionAsked(sub) => Event::DeletionAsked { sub, approvals_ended },
    };
    audit::record(&event, by, conn, now).await
}
