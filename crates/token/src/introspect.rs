//! The introspection endpoint: RFC 7662. A client asks about its own tokens, a resource server about access tokens
//! meant for it; about any other token both learn nothing.

use std::sync::Arc;

use axum::extract::State;
use clients::{Caller, Client, Credentials};
use grants::Family;
use grants::families::{Holder, Presented};
use http::HeaderMap;
use issuance::{Meant, Proof, Refused};
use protocol::access_token::{Audience, Claims};
use protocol::form::{Form, NoStore};
use protocol::{ClientCertificate, ClientId, Error, Jti, Scope, Subject, Timestamp, path};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::Token;

/// What is known of a live token. Of any other there is nothing to say.
#[derive(Debug)]
enum About {
    Access(Arc<Claims>),
    Refresh(Box<Family>, Seen),
}

/// Whether a refresh token is the newest of its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Newest,
    /// Its successor was sent, and may have been lost.
    Before,
}

#[derive(Debug)]
pub(crate) struct Answer {
    iss: String,
    about: Option<About>,
}

/// RFC 7662 §2.2.
#[derive(Serialize)]
struct Members<'a> {
    active: bool,
    iss: &'a str,
    sub: &'a Subject,
    client_id: &'a ClientId,
    scope: &'a Scope,
    exp: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a Audience>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<&'a Jti>,
    /// Of an access token: how it is used (RFC 6749 §7.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<&'a str>,
    /// RFC 8705 §3.2: whoever asks has to ask for the proof.
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Value>,
}

#[derive(Serialize)]
struct Inactive {
    active: bool,
}

pub(crate) async fn introspect(
    State(token): State<Arc<Token>>,
    certificate: Option<ClientCertificate>,
    headers: HeaderMap,
    Form(params): Form,
) -> Result<NoStore<Answer>, Error> {
    let now = token.clock.now();
    let credentials = Credentials::from_request(&headers, &params, certificate.as_ref())?;
    let caller = token
        .authenticator
        .identify(&credentials, path::INTROSPECTION, now)
        .await?;
    // token_type_hint is not asked: a token shows what it is.
    let presented = params.require("token")?;
    let about = match caller {
        Caller::Client(client) => of_client(presented, &client, &token, now).await?,
        Caller::ResourceServer(api) => {
            let meant = Meant::For(&api.identifier);
            access_token(presented, meant, &token, now)
                .await?
                .map(About::Access)
        }
    };
    Ok(NoStore(Answer {
        iss: token.gate.issuer().to_owned(),
        about,
    }))
}

async fn of_client(
    presented: &str,
    client: &Client,
    token: &Token,
    now: Timestamp,
) -> Result<Option<About>, Error> {
    if client.is_public() {
        // RFC 7662 §2.1: otherwise anybody could try out what they found.
        return Err(Error::invalid_client(
            "introspection is for callers with a secret; a public client has none",
        ));
    }
    if let Some(presented) = Presented::parse(presented) {
        return refresh_token(&presented, client, token, now).await;
    }
    let claims = access_token(presented, Meant::Anyone, token, now).await?;
    let own = claims.filter(|claims| claims.client_id == client.id);
    Ok(own.map(About::Access))
}

async fn access_token(
    presented: &str,
    meant: Meant<'_>,
    token: &Token,
    now: Timestamp,
) -> Result<Option<Arc<Claims>>, Error> {
    match token.bearer.judge(presented, meant, Proof::NotAsked, now).await {
        Ok(claims) => Ok(Some(claims)),
        Err(Refused::Failed(error)) => Err(error.into()),
        Err(Refused::Token(_) | Refused::Unproven | Refused::Revoked | Refused::Ended) => Ok(None),
    }
}

async fn refresh_token(
    presented: &Presented,
    client: &Client,
    token: &Token,
    now: Timestamp,
) -> Result<Option<About>, Error> {
    let family = token.gate.family(presented).await?;
    let Some(family) = family.filter(|family| family.client_id == client.id) else {
        return Ok(None);
    };
    let mut conn = token.db.reader().await?;
    if !token
        .gate
        .would_refresh(&family, presented, Holder::Confidential, &mut conn, now)
        .await?
    {
        return Ok(None);
    }
    let seen = match presented.generation == family.generation {
        true => Seen::Newest,
        false => Seen::Before,
    };
    Ok(Some(About::Refresh(Box::new(family), seen)))
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.about {
            None => Inactive { active: false }.serialize(serializer),
            Some(About::Access(claims)) => of_access_token(claims).serialize(serializer),
            Some(About::Refresh(family, seen)) => {
                let sub = family.approval.subject();
                of_refresh_token(family, *seen, &self.iss, &sub).serialize(serializer)
            }
        }
    }
}

fn of_access_token(claims: &Claims) -> Members<'_> {
    Members {
        active: true,
        iss: &claims.iss,
        sub: &claims.sub,
        client_id: &claims.client_id,
        scope: &claims.scope,
        exp: claims.exp,
        iat: Some(claims.iat),
        aud: Some(&claims.aud),
        jti: Some(&claims.jti),
        token_type: Some("Bearer"),
        auth_time: claims.auth_time,
        acr: claims.acr.as_deref(),
        cnf: claims.cnf.clone(),
    }
}

fn of_refresh_token<'a>(family: &'a Family, seen: Seen, iss: &'a str, sub: &'a Subject) -> Members<'a> {
    let user = family.approval.user();
    Members {
        active: true,
        iss,
        sub,
        client_id: &family.client_id,
        scope: &family.approval.scope,
        exp: family.idle_until.min(family.expires_at),
        iat: (seen == Seen::Newest).then_some(family.reached_at),
        aud: None,
        jti: None,
        token_type: None,
        auth_time: user.map(|user| user.auth_time),
        acr: user.map(|user| user.acr.as_str()),
        cnf: family.confirmation.as_ref().map(|own| serde_json::json!(own)),
    }
}
