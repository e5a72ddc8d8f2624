//! From an entitlement to signed tokens. No lock is held and nothing is written any more.

use grants::{Approval, ByUser};
use jose::Protection;
use keyring::Seat;
use protocol::access_token::{self, Claims};
use protocol::{
    ClientId, Confirmation, Error, Jti, ResponseType, Scope, Secret, Subject, Timestamp, defect, scope,
    spoilt,
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{ACCESS_TOKEN_LIFE, Gate, ID_TOKEN_LIFE, Target};

/// What the gate has granted and recorded.
#[derive(Debug)]
pub struct Entitlement {
    pub(crate) approval: Approval,
    pub(crate) scope: Scope,
    pub(crate) target: Target,
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) nonce: Option<String>,
    /// What the ID token says about the user.
    pub(crate) released: Map<String, Value>,
    pub(crate) issued_at: Timestamp,
    pub(crate) means: Means,
    /// To what the access token is bound.
    pub(crate) confirmation: Option<Confirmation>,
}

impl Entitlement {
    /// The same, to a token that is bound so.
    #[must_use]
    pub fn bound(self, confirmation: Option<Confirmation>) -> Self {
        Self { confirmation, ..self }
    }
}

/// What tokens are made with: room for their signatures, and how the ID token is protected. Had before the write: a
/// code that was claimed for tokens which then cannot be made would be lost.
#[derive(Debug)]
pub struct Means {
    seat: Seat,
    id_token: Option<Protection>,
}

/// `typ` of what a client is told.
const TYP: &str = "JWT";

/// RFC 6750 §4.
pub(crate) const TOKEN_TYPE: &str = "Bearer";

/// RFC 6749 §5.1 and OpenID Connect Core §3.1.3.3.
#[derive(Serialize)]
pub struct TokenResponse {
    pub access_token: String,
    pub token_type: &'static str,
    /// Seconds.
    pub expires_in: u64,
    pub scope: Scope,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token: Option<String>,
}

/// OpenID Connect Core §2. Claims about the user go to the userinfo endpoint, unless the request leaves no other way;
/// this stays small.
#[derive(Serialize)]
struct IdToken<'a> {
    iss: &'a str,
    sub: &'a Subject,
    aud: &'a ClientId,
    exp: Timestamp,
    iat: Timestamp,
    auth_time: Timestamp,
    acr: &'a str,
    amr: &'a [String],
    sid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    c_hash: Option<String>,
    #[serde(flatten)]
    released: &'a Map<String, Value>,
}

/// What travels with an ID token, so that it vouches for it: OpenID Connect Core §3.3.2.11.
#[derive(Clone, Copy)]
pub(crate) struct Alongside<'a> {
    pub(crate) code: Option<&'a str>,
    pub(crate) access_token: Option<&'a str>,
}

impl Gate {
    /// What the ID token says about the user besides who it is: what the request asked for by name, as it is now.
    pub(crate) async fn released(&self, approval: &Approval) -> Result<Map<String, Value>, Error> {
        let asked = &approval.claims.id_token;
        let wanted = !asked.is_empty() || defect("claims-in-the-id-token");
        let Some(user) = approval.user().filter(|_| wanted) else {
            return Ok(Map::new());
        };
        let user = accounts::users::by_sub(&user.sub, &mut self.db.reader().await?).await?;
        if defect("claims-in-the-id-token") {
            return Ok(user
                .map(|user| user.released(&approval.scope))
                .unwrap_or_default());
        }
        Ok(user.map(|user| user.asked(asked)).unwrap_or_default())
    }

    /// Signs what was granted.
    ///
    /// # Errors
    /// When a ring has no key.
    pub async fn sign(&self, entitlement: Entitlement) -> Result<TokenResponse, Error> {
        let access_token = self.access_token(&entitlement).await?;
        let alongside = Alongside {
            code: None,
            access_token: Some(&access_token),
        };
        let id_token = match identified(&entitlement.approval, &entitlement.scope) {
            Some(user) => Some(self.id_token(&entitlement, user, alongside).await?),
            None => None,
        };
        Ok(TokenResponse {
            access_token,
            token_type: TOKEN_TYPE,
            expires_in: ACCESS_TOKEN_LIFE.as_secs(),
            scope: entitlement.scope,
            refresh_token: entitlement.refresh_token.map(|token| token.expose().to_owned()),
            id_token,
        })
    }

    pub(crate) async fn access_token(&self, granted: &Entitlement) -> Result<String, Error> {
        let approval = &granted.approval;
        let claims = Claims {
            iss: self.issuer.as_str().to_owned(),
            sub: approval.subject(),
            aud: granted.target.audience(self.issuer.as_str(), &granted.scope),
            exp: granted.issued_at + ACCESS_TOKEN_LIFE,
            iat: granted.issued_at,
            jti: Jti::random(),
            client_id: approval.client_id.clone(),
            scope: granted.scope.clone(),
            approval: approval.id.clone(),
            client_generation: approval.client_generation,
            auth_time: approval.user().map(|user| user.auth_time),
            acr: approval.user().map(|user| user.acr.clone()),
            roles: Vec::new(),
            cnf: granted.confirmation.as_ref().map(|own| serde_json::json!(own)),
        };
        let token = (access_token::TYP, &claims);
        let signed = self.keyring.sign(
            granted.target.alg(),
            token,
            &granted.means.seat,
            granted.issued_at,
        );
        Ok(signed.await?)
    }

    pub(crate) async fn id_token(
        &self,
        granted: &Entitlement,
        user: &ByUser,
        alongside: Alongside<'_>,
    ) -> Result<String, Error> {
        let means = &granted.means;
        let protection = means.id_token.as_ref();
        let protection =
            protection.ok_or_else(|| Error::server_error("nobody looked how this ID token is protected"))?;
        let half_hash = |text: &str| protection.half_hash(spoilt("hashes-of-something-else", text, ""));
        let claims = IdToken {
            iss: self.issuer.as_str(),
            sub: &user.known_as,
            aud: &granted.approval.client_id,
            exp: spoilt(
                "id-token-expired",
                granted.issued_at + ID_TOKEN_LIFE,
                granted.issued_at,
            ),
            iat: granted.issued_at,
            auth_time: spoilt("auth-time-is-now", user.auth_time, granted.issued_at),
            acr: spoilt("acr-unknown", user.acr.as_str(), "0"),
            amr: &user.amr,
            sid: crate::sid(&user.session_id, &granted.approval.client_id, &self.keyring)?,
            nonce: spoilt("no-nonce", granted.nonce.as_deref(), None),
            at_hash: spoilt("no-at-hash", alongside.access_token, None).map(half_hash),
            c_hash: spoilt("no-c-hash", alongside.code, None).map(half_hash),
            released: &granted.released,
        };
        let told = self
            .keyring
            .tell((TYP, &claims), protection, &means.seat, granted.issued_at);
        Ok(told.await?)
    }

    /// These claims, protected as their reader registered.
    ///
    /// # Errors
    /// When too many are waiting for signatures.
    pub async fn tell(
        &self,
        claims: &impl Serialize,
        protection: &Protection,
        now: Timestamp,
    ) -> Result<String, Error> {
        let algs: Vec<_> = protection.alg().into_iter().collect();
        let seat = self.keyring.seat(&algs)?;
        let told = self.keyring.tell((TYP, claims), protection, &seat, now);
        Ok(told.await?)
    }

    /// What the token endpoint needs for this approval.
    pub(crate) async fn means(
        &self,
        approval: &Approval,
        scope: &Scope,
        target: &Target,
        now: Timestamp,
    ) -> Result<Means, Error> {
        let id_token = match identified(approval, scope) {
            Some(_) => Some(self.recipients.id_token(&approval.client_id, now).await?),
            None => None,
        };
        let mut algs = vec![target.alg()];
        algs.extend(id_token.as_ref().and_then(Protection::alg));
        let seat = self.keyring.seat(&algs)?;
        Ok(Means { seat, id_token })
    }

    /// What an answer of the authorization endpoint needs.
    ///
    /// # Errors
    /// As [`clients::Recipients::id_token`]; when too many are waiting for signatures.
    pub async fn means_at_once(
        &self,
        client: &ClientId,
        response_type: ResponseType,
        target: &Target,
        now: Timestamp,
    ) -> Result<Means, Error> {
        let id_token = match response_type.has_id_token() {
            true => Some(self.recipients.id_token(client, now).await?),
            false => None,
        };
        let mut algs = Vec::new();
        algs.extend(response_type.has_token().then(|| target.alg()));
        algs.extend(id_token.as_ref().and_then(Protection::alg));
        let seat = self.keyring.seat(&algs)?;
        Ok(Means { seat, id_token })
    }
}

/// Whom an ID token would be about.
fn identified<'a>(approval: &'a Approval, scope: &Scope) -> Option<&'a ByUser> {
    approval.user().filter(|_| scope.contains(scope::OPENID))
}

impl std::fmt::Debug for TokenResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenResponse")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
