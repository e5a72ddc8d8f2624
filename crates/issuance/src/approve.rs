//! From an authorization request that the user has answered to an approval, with its code and whatever else the
//! request wants to have at once.

use std::time::Duration;

use accounts::users::{self, User};
use db::Conn;
use grants::approvals::{self, Lives};
use grants::{Approval, ByUser, Code, Party, codes, consents, families};
use keyring::Purpose;
use protocol::pkce::CodeChallenge;
use protocol::{
    ApprovalId, ClaimsRequest, ClientId, ConsentId, Error, FlowId, ResponseType, Scope, Secret, SessionId,
    Subject, Timestamp,
};

use crate::{ACCESS_TOKEN_LIFE, Gate, Granted, live};

/// What an approval is made of. Everything here was read a moment ago and is checked again under lock.
#[derive(Clone, Debug)]
pub struct Approving {
    pub flow_id: FlowId,
    pub client_id: ClientId,
    pub client_version: i64,
    pub client_generation: i64,
    pub sub: Subject,
    /// What the client calls the user.
    pub known_as: Subject,
    pub session_id: SessionId,
    pub consent_id: ConsentId,
    pub response_type: ResponseType,
    pub scope: Scope,
    pub resources: Vec<String>,
    /// What is asked about the user by name, and which of it needs to be allowed by name.
    pub claims: ClaimsRequest,
    pub beyond: Vec<String>,
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
    /// What the client may have: new, or the very code that this flow already ended in.
    Granted(Box<Granted>),
    /// The flow ended in an approval of which nothing can be said again.
    AlreadyCompleted,
    /// Session, consent or client changed since they were read: decide again.
    Changed,
}

impl Gate {
    /// Writes an approval, with its code, once per flow: a second submit of the same answer gets the same code.
    /// Tokens that leave with the answer are accounted for in the same write; [`Gate::say`] signs them.
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
                if let Some(earlier) = approvals::of_flow(&approving.flow_id, conn).await? {
                    return gate.repeat(earlier, approving, conn, now).await;
                }
                if !is_live(&approving, conn, now).await? {
                    return Ok(Approved::Changed);
                }
                let Some(user) = asked_about(&approving, conn).await? else {
                    return Ok(Approved::Changed);
                };
                let approval = approving.approval(now);
                approvals::insert(&approval, approving.lives(), conn).await?;
                let code = match approving.response_type.has_code() {
                    true => {
                        let code = approving.code(approval.clone(), secret.id);
                        codes::insert(&code, conn).await?;
                        Some(say(&code, &secret.key)?)
                    }
                    false => None,
                };
                Ok(granted(approval, code, approving, user))
            })
        });
        work.await
    }

    /// The same browser sends the same answer again: within the code's life it gets the same redirect. Tokens are
    /// signed anew, with the times they had, so they end with what was accounted for.
    async fn repeat(
        &self,
        approval: Approval,
        approving: Approving,
        conn: &mut Conn,
        now: Timestamp,
    ) -> Result<Approved, db::Error> {
        let alike = |user: &ByUser| user.session_id == approving.session_id && user.sub == approving.sub;
        let in_time = now < approval.created_at + codes::LIFETIME && approval.ended_at.is_none();
        if !in_time || !approval.user().is_some_and(alike) {
            return Ok(Approved::AlreadyCompleted);
        }
        let code = match approving.response_type.has_code() {
            true => match self.code_again(&approval.id, conn).await? {
                Some(code) => Some(code),
                None => return Ok(Approved::AlreadyCompleted),
            },
            false => None,
        };
        // Whoever redeems the code is asked again; what is signed here is not.
        let at_once = approving.response_type != ResponseType::Code;
        if at_once && !live::is_live(&approval.id, conn, now).await? {
            return Ok(Approved::AlreadyCompleted);
        }
        match asked_about(&approving, conn).await? {
            Some(user) => Ok(granted(approval, code, approving, user)),
            None => Ok(Approved::AlreadyCompleted),
        }
    }

    async fn code_again(&self, approval: &ApprovalId, conn: &mut Conn) -> db::Result<Option<Secret>> {
        let Some(code) = codes::by_approval(approval, conn).await? else {
            return Ok(None);
        };
        let secret = self.keyring.secret_by_id(Purpose::Code, &code.secret_id);
        secret.map(|secret| say(&code, &secret.key)).transpose()
    }
}

/// Whose claims the answer itself holds.
enum About {
    Nobody,
    User(Box<User>),
}

/// `None` when the user is gone.
async fn asked_about(approving: &Approving, conn: &mut Conn) -> db::Result<Option<About>> {
    let response_type = approving.response_type;
    let by_name = response_type.has_id_token() && !approving.claims.id_token.is_empty();
    if response_type != ResponseType::IdToken && !by_name {
        return Ok(Some(About::Nobody));
    }
    let user = users::by_sub(&approving.sub, conn).await?;
    Ok(user.map(|user| About::User(Box::new(user))))
}

/// Without an access token there is no way to userinfo, so the ID token says it all (OpenID Connect Core §5.4);
/// otherwise what is asked for there by name (§5.5).
fn granted(approval: Approval, code: Option<Secret>, approving: Approving, about: About) -> Approved {
    let released = match about {
        About::Nobody => Default::default(),
        About::User(user) => {
            let mut released = user.asked(&approval.claims.id_token);
            if approving.response_type == ResponseType::IdToken {
                released.extend(user.asked(&approval.claims.userinfo));
                released.extend(user.released(&approval.scope));
            }
            released
        }
    };
    Approved::Granted(Box::new(Granted {
        approval,
        response_type: approving.response_type,
        code,
        nonce: approving.nonce,
        released,
    }))
}

impl Approving {
    fn approval(&self, now: Timestamp) -> Approval {
        let own = self.clone();
        Approval {
            id: ApprovalId::random(),
            client_id: own.client_id,
            client_generation: own.client_generation,
            party: Party::User(ByUser {
                sub: own.sub,
                known_as: own.known_as,
                flow_id: Some(own.flow_id),
                session_id: own.session_id,
                consent_id: own.consent_id,
                offline: own.offline,
                auth_time: own.auth_time,
                acr: own.acr,
                amr: own.amr,
            }),
            scope: own.scope,
            resources: own.resources,
            claims: own.claims,
            created_at: now,
            ended_at: None,
        }
    }

    fn code(&self, approval: Approval, secret_id: String) -> Code {
        Code {
            secret_id,
            redirect_uri: self.redirect_uri.clone(),
            redirect_uri_implied: self.redirect_uri_implied,
            code_challenge: self.code_challenge.clone(),
            nonce: self.nonce.clone(),
            expires_at: approval.created_at + codes::LIFETIME,
            claimed_at: None,
            approval,
        }
    }

    fn lives(&self) -> Lives {
        let refreshing = if self.offline {
            families::ABSOLUTE
        } else {
            Duration::ZERO
        };
        Lives {
            access: match self.response_type.has_token() {
                true => ACCESS_TOKEN_LIFE,
                false => Duration::ZERO,
            },
            anything: codes::LIFETIME + refreshing + ACCESS_TOKEN_LIFE,
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
            &approving.beyond,
            conn,
        )
        .await?)
}

fn say(code: &Code, key: &seal::Key) -> db::Result<Secret> {
    code.text(key)
        .ok_or_else(|| db::Error::corrupt("an approval without flow has no code"))
}
