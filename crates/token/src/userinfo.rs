//! The userinfo endpoint: OpenID Connect Core §5.3. The answer is JSON, or a token where the client registered that.

use std::sync::Arc;

use axum::extract::{FromRequest as _, Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA};
use http::{HeaderValue, Method};
use issuance::{Meant, Proof, bearer};
use protocol::error::Challenge;
use protocol::form::{Form, NoStore};
use protocol::{ClientCertificate, Error, scope};
use serde_json::{Map, Value};

use crate::Token;

/// §5.3.2.
#[derive(Debug)]
pub(crate) enum UserInfo {
    Plain(Map<String, Value>),
    Token(String),
}

pub(crate) async fn show(State(token): State<Arc<Token>>, request: Request) -> Result<UserInfo, Error> {
    let now = token.clock.now();
    let certificate = request.extensions().get::<ClientCertificate>().cloned();
    let presented = presented(request).await?.ok_or_else(Error::token_missing)?;
    let own = Meant::For(token.gate.issuer());
    let proof = Proof::Certificate(certificate.as_ref());
    let claims = token.bearer.judge(&presented, own, proof, now).await?;
    if !claims.scope.contains(scope::OPENID) {
        return Err(Error::insufficient_scope(
            "userinfo needs an access token with the scope openid",
        ));
    }
    let mut conn = token.db.reader().await?;
    let gone = || Error::invalid_token("the user of this access token is gone");
    // The token has the name that the client knows, which leads nobody to the user.
    let about = grants::approvals::about(&claims.approval, &mut conn).await?;
    let about = about
        .filter(|about| about.known_as == claims.sub)
        .ok_or_else(gone)?;
    let user = accounts::users::by_sub(&about.sub, &mut conn).await?;
    // Whoever was disabled or deleted since is gone at once, whatever the token says.
    let user = user.filter(|user| user.disabled_at.is_none()).ok_or_else(gone)?;
    let mut answer = user.asked(&about.claims.userinfo);
    answer.extend(user.released(&claims.scope));
    if protocol::defect("userinfo-tells-less") {
        answer.clear();
    }
    let sub = protocol::spoilt("userinfo-of-another", claims.sub.as_str(), "another");
    answer.insert("sub".to_owned(), sub.into());
    drop(conn);
    let Some(protection) = token.recipients.userinfo(&claims.client_id, now).await? else {
        return Ok(UserInfo::Plain(answer));
    };
    // Without an end, which would make an ID token of it.
    answer.insert("iss".to_owned(), token.gate.issuer().into());
    answer.insert("aud".to_owned(), claims.client_id.as_str().into());
    Ok(UserInfo::Token(token.gate.tell(&answer, &protection, now).await?))
}

impl IntoResponse for UserInfo {
    fn into_response(self) -> Response {
        let text = match self {
            Self::Plain(claims) => return NoStore(claims).into_response(),
            Self::Token(text) => text,
        };
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static("application/jwt")),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (PRAGMA, HeaderValue::from_static("no-cache")),
        ];
        (headers, text).into_response()
    }
}

/// The token, in the header or in the form body of a POST (RFC 6750 §2.1 and §2.2), never in the query; one
/// place only.
async fn presented(request: Request) -> Result<Option<String>, Error> {
    let in_header = bearer::from_header(request.headers())?.map(str::to_owned);
    let has_form = !protocol::defect("userinfo-reads-no-body")
        && request.method() == Method::POST
        && request.headers().contains_key(CONTENT_TYPE);
    let in_body = match has_form {
        true => Form::from_request(request, &())
            .await?
            .0
            .get("access_token")
            .map(str::to_owned),
        false => None,
    };
    match (in_header, in_body) {
        (Some(_), Some(_)) => Err(Error::invalid_request("send the access token in one place only")
            .with_challenge(Challenge::Bearer)),
        (header, body) => Ok(header.or(body)),
    }
}
