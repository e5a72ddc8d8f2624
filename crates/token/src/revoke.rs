//! The revocation endpoint: RFC 7009. A client gives back a token of its own, and with a refresh token everything
//! that came of the same authorization.
//!
//! Whatever else is sent is answered alike and changes nothing, so that nobody learns here what is a token.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use clients::{Client, Credentials};
use events::Context;
use grants::families::Presented;
use http::header::{CACHE_CONTROL, PRAGMA};
use http::{HeaderMap, HeaderValue};
use issuance::Meant;
use protocol::form::Form;
use protocol::{ClientCertificate, Error, Timestamp, path};
use revocation::{Act, Reason};

use crate::Token;

/// The token does not work, whether or not it ever did (RFC 7009 §2.2).
#[derive(Debug)]
pub(crate) struct Revoked;

pub(crate) async fn revoke(
    State(token): State<Arc<Token>>,
    certificate: Option<ClientCertificate>,
    headers: HeaderMap,
    by: Context,
    Form(params): Form,
) -> Result<Revoked, Error> {
    let now = token.clock.now();
    let credentials = Credentials::from_request(&headers, &params, certificate.as_ref())?;
    let client = token
        .authenticator
        .authenticate(&credentials, path::REVOCATION, now)
        .await?;
    // token_type_hint is not asked: a token shows what it is.
    let presented = params.require("token")?;
    if let Some(act) = act(presented, &client, &token, now).await? {
        revocation::perform(act, &by, &token.db, now).await?;
    }
    Ok(Revoked)
}

/// What ends with this token; nothing when it is not one of this client.
async fn act(presented: &str, client: &Client, token: &Token, now: Timestamp) -> Result<Option<Act>, Error> {
    if let Some(presented) = Presented::parse(presented) {
        let family = token.gate.family(&presented).await?;
        // Of whatever generation: whoever gives back an old one wants the newer ones to end as well.
        let own = family.filter(|family| family.client_id == client.id);
        return Ok(own.map(|family| Act::EndApproval(family.approval.id, Reason::TokenRevoked)));
    }
    let own = token.bearer.read(presented, Meant::Anyone, now).ok();
    let own = own.filter(|claims| claims.client_id == client.id);
    Ok(own.map(|claims| Act::RevokeToken {
        jti: claims.jti,
        exp: claims.exp,
        client_id: claims.client_id,
        approval: claims.approval,
    }))
}

impl IntoResponse for Revoked {
    fn into_response(self) -> Response {
        let headers = [
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (PRAGMA, HeaderValue::from_static("no-cache")),
        ];
        headers.into_response()
    }
}
