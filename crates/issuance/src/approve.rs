//! From an authorization request that the user has answered to an approval with its code.

use std::time::Duration;

use db::Conn;
use grants::{Approval, ByUser, Code, Party, codes, consents, families};
use keyring::Purpose;
use protocol::pkce::CodeChallenge;
use protocol::{
    ApprovalId, ClientId, ConsentId, Error, FlowId, Scope, Secret, SessionId, Subject, Timestamp,
};

use crate::{ACCESS_TOKEN_LIFE, Gate};

/// What an approval is made of. Everything here was read a moment ago and is checked again under lock.
#[derive(Clone, Debug)]
pub struct Approving {
    pub flow_id: FlowId,
    pub client_id: ClientId,
    pub client_version: i64,
    pub client_generation: i64,
    pub sub: Subject,
    pub session_id: SessionId,
    pub consent_id: ConsentId,
    pub scope: Scope,
    pub resources: Vec<String>,
    /// Whether refresh tokens come of it, which outlive the session.
    pub offline: bool,
    pub auth_time: Timestamp,
    pub acr: String,
    pub amr: Vec<String>,
    pub redirect_uri: String,
    pub redirect_uri_implied: bool,
    pub code_challenge: Option<CodeChallenge>,
    pub nonce: Option<String>,
}

/// What became of it.
#[derive(Debug)]
pub enum Approved {
    /// The code to send to the client: a new one, or the very one this flow already ended in.
    Code(Secret),
    /// The flow ended in an approval whose code is no longer valid.
    AlreadyCompleted,
    /// Session, consent or client changed since they were read: decide again.
    Changed,
}

impl Gate {
    /// Writes an approval with its code, once per flow: a second submit of the same answer gets the same code.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn approve(&self, approving: Approving, now: Timestamp) -> Result<Approved, Error> {
        match self.try_approve(approving.clone(), now).await {
            // A parallel submit of the same flow was first; now its approval can be seen.
            Err(error) if error.is_conflict() => Ok(self.try_approve(approving, now).await?),
            outcome => Ok(outcome?),
        }
    }

    async fn try_approve(&self, approving: Approving, now: Timestamp) -> Result<Approved, db::Error> {
        let secret = self
            .keyring
            .secret(Purpose::Code)
            .map_err(|error| db::Error::Setup(error.to_string()))?;
        let gate = self.clone();
        let work = self.db.transact(move |conn| {
            Box::pin(async move {
                if let Some(earlier) = grants::approvals::of_flow(&approving.flow_id, conn).await? {
                    return gate.repeat(&earlier, &approving, conn, now).await;
                }
                if !is_live(&approving, conn, now).await? {
                    return Ok(Approved::Changed);
                }
                let lifetime = live_for(approving.offline);
                let code = approving.into_code(secret.id, now);
                grants::approvals::insert(&code.approval, lifetime, conn).await?;
                codes::insert(&code, conn).await?;
                say(&code, &secret.key)
            })
        });
        work.await
    }

    /// The same browser sends the same answer again: within the code's life it gets the same redirect.
    async fn repeat(
        &self,
        earlier: &ApprovalId,
        approving: &Approving,
        conn: &mut Conn,
        now: Timestamp,
    ) -> Result<Approved, db::Error> {
        let Some(code) = codes::by_approval(earlier, conn).await? else {
            return Ok(Approved::AlreadyCompleted);
        };
        let live = now < code.expires_at && code.approval.ended_at.is_none();
        let same = |user: &ByUser| user.session_id == approving.session_id && user.sub == approving.sub;
        if !live || !code.approval.user().is_some_and(same) {
            return Ok(Approved::AlreadyCompleted);
        }
        match self.keyring.secret_by_id(Purpose::Code, &code.secret_id) {
            Some(secret) => say(&code, &secret.key),
            None => Ok(Approved::AlreadyCompleted),
        }
    }
}

impl Approving {
    fn into_code(self, secret_id: String, now: Timestamp) -> Code {
        Code {
            approval: Approval {
                id: ApprovalId::random(),
                client_id: self.client_id,
                client_generation: self.client_generation,
                party: Party::User(ByUser {
                    sub: self.sub,
                    flow_id: Some(self.flow_id),
                    session_id: self.session_id,
                    consent_id: self.consent_id,
                    offline: self.offline,
                    auth_time: self.auth_time,
                    acr: self.acr,
                    amr: self.amr,
                }),
                scope: self.scope,
                resources: self.resources,
                created_at: now,
                ended_at: None,
            },
            secret_id,
            redirect_uri: self.redirect_uri,
            redirect_uri_implied: self.redirect_uri_implied,
            code_challenge: self.code_challenge,
            nonce: self.nonce,
            expires_at: now + codes::LIFETIME,
            claimed_at: None,
        }
    }
}

/// Client, user, session and consent, in this order, held until the approval is written: an ending comes wholly
/// before it or finds it.
async fn is_live(approving: &Approving, conn: &mut Conn, now: Timestamp) -> db::Result<bool> {
    let client = clients::records::lock_live(&approving.client_id, conn).await?;
    let unchanged = |live: clients::Live| {
        live.version == approving.client_version && live.generation == approving.client_generation
    };
    Ok(client.is_some_and(unchanged)
        && accounts::sessions::lock_live(&approving.session_id, conn, now).await?
        && consents::lock_covering(
            &approving.consent_id,
            &approving.scope,
            &approving.resources,
            conn,
        )
        .await?)
}

fn live_for(offline: bool) -> Duration {
    let refreshing = if offline {
        families::ABSOLUTE
    } else {
        Duration::ZERO
    };
    codes::LIFETIME + refreshing + ACCESS_TOKEN_LIFE
}

fn say(code: &Code, key: &seal::Key) -> Result<Approved, db::Error> {
    code.text(key)
        .map(Approved::Code)
        .ok_or_else(|| db::Error::corrupt("an approval without flow has no code"))
}
