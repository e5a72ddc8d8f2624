//! The introspection endpoint: RFC 7662. A client asks about its own tokens, a resource server about access tokens
//! meant for it; about any other token both learn nothing.

use std::sync::Arc;

use axum::extract::State;
use clients::{Caller, Client, Credentials};
use grants::families::{Holder, Presented};
use http::HeaderMap;
use issuance::{Meant, Refused};
use protocol::access_token::{Audience, Claims};
use protocol::form::{Form, NoStore};
use protocol::{ClientId, Error, Jti, Scope, Subject, Timestamp, path};
use serde::Serialize;

use crate::Token;

/// RFC 7662 §2.2.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    active: bool,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    about: Option<About>,
}

#[derive(Debug, Serialize)]
struct About {
    iss: String,
    sub: Subject,
    client_id: ClientId,
    scope: Scope,
    exp: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<Audience>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<Jti>,
    /// Of an access token: how it is used (RFC 6749 §7.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<String>,
}

pub(crate) async fn introspect(
    State(token): State<Arc<Token>>,
    headers: HeaderMap,
    Form(params): Form,
) -> Result<NoStore<Answer>, Error> {
    let now = token.clock.now();
    let credentials = Credentials::from_request(&headers, &params)?;
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
                .map(About::from)
        }
    };
    Ok(NoStore(Answer {
        active: about.is_some(),
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
    Ok(own.map(About::from))
}

async fn access_token(
    presented: &str,
    meant: Meant<'_>,
    token: &Token,
    now: Timestamp,
) -> Result<Option<Claims>, Error> {
    match token.bearer.judge(presented, meant, now).await {
        Ok(claims) => Ok(Some(claims)),
        Err(Refused::Failed(error)) => Err(error.into()),
        Err(Refused::Token(_) | Refused::Revoked | Refused::Ended) => Ok(None),
    }
}

async fn refresh_token(
    presented: &Presented,
    client: &Client,
    token: &Token,
    now: Timestamp,
) -> Result<Option<About>, Error> {
    let mut conn = token.db.reader().await?;
    let family = token.gate.family(presented, &mut conn).await?;
    let Some(family) = family.filter(|family| family.client_id == client.id) else {
        return Ok(None);
    };
    let gate = &token.gate;
    if !gate
        .would_refresh(&family, presented, Holder::Confidential, &mut conn, now)
        .await?
    {
        return Ok(None);
    }
    let approval = &family.approval;
    Ok(Some(About {
        iss: gate.issuer().to_owned(),
        sub: approval.subject(),
        client_id: family.client_id,
        scope: approval.scope.clone(),
        exp: family.idle_until.min(family.expires_at),
        iat: (presented.generation == family.generation).then_some(family.reached_at),
        aud: None,
        jti: None,
        token_type: None,
        auth_time: approval.user().map(|user| user.auth_time),
        acr: approval.user().map(|user| user.acr.clone()),
    }))
}

impl From<Claims> for About {
    fn from(claims: Claims) -> Self {
        Self {
            iss: claims.iss,
            sub: claims.sub,
            client_id: claims.client_id,
            scope: claims.scope,
            exp: claims.exp,
            iat: Some(claims.iat),
            aud: Some(claims.aud),
            jti: Some(claims.jti),
            token_type: Some("Bearer"),
            auth_time: claims.auth_time,
            acr: claims.acr,
        }
    }
}
