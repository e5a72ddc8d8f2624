//! Signing in: OpenID Connect Core 1.0 §3.1, with RFC 9207 and the advice of RFC 9700 §2.1.
//!
//! `start` sends the browser to the authorization server, `callback` takes it back. Between them stands the
//! list of what has to be true before anybody is signed in; the first thing that is not ends the sign-in.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use http::HeaderMap;
use http::header::SET_COOKIE;
use openidconnect::core::{CoreIdTokenClaims, CoreUserInfoClaims};
use openidconnect::{AuthorizationCode, Nonce, OAuth2TokenResponse as _, PkceCodeVerifier};
use protocol::Secret;
use serde_json::Value;

use crate::app::Shared;
use crate::cookie;
use crate::page::Failure;
use crate::session::{Session, User};

/// How long the user may take at the authorization server.
pub(crate) const LIFETIME: Duration = Duration::from_secs(60 * 60);

/// A longer name of a browser was not given by us, and is not stored.
const MAX_NAME: usize = 64;

/// A sign-in that was begun, kept under its `state` until the answer comes.
#[derive(Debug)]
pub(crate) struct Pending {
    /// The browser that began it. Without it, anyone could have us finish theirs in a victim's browser.
    browser: Secret,
    nonce: Nonce,
    pkce: PkceCodeVerifier,
}

/// The authorization response: RFC 6749 §4.1.2 and §4.1.2.1, with `iss` of RFC 9207. Nothing may come twice.
#[derive(serde::Deserialize)]
pub(crate) struct Answer {
    state: Option<String>,
    iss: Option<String>,
    code: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

/// GET `/auth/start`: what the button links to.
pub(crate) async fn start(State(app): State<Arc<Shared>>, headers: HeaderMap) -> Result<Response, Failure> {
    let request = app.provider.request().await?;

    // One name per browser, not per sign-in: several tabs may be signing in at once.
    let browser = cookie::read(&headers, cookie::BROWSER)
        .filter(|name| name.len() <= MAX_NAME)
        .map_or_else(protocol::random::id, str::to_owned);
    let cookie = cookie::set(cookie::BROWSER, &browser)?;
    let pending = Pending {
        browser: Secret::new(browser),
        nonce: request.nonce,
        pkce: request.pkce,
    };
    app.pending
        .insert(request.state.into_secret(), pending, app.clock.now());

    let headers = AppendHeaders([(SET_COOKIE, cookie)]);
    Ok((headers, Redirect::to(request.url.as_str())).into_response())
}

/// GET `/callback`: the redirect URI.
pub(crate) async fn callback(
    State(app): State<Arc<Shared>>,
    headers: HeaderMap,
    query: Result<Query<Answer>, QueryRejection>,
) -> Result<Response, Failure> {
    let now = app.clock.now();
    let Query(answer) = query.map_err(|_| Failure::Refused("the response cannot be read"))?;

    // Mix-up defence: a response from anyone but our issuer is not even looked at (RFC 9207 §2.4).
    if answer.iss.as_deref() != Some(app.config.issuer.as_str()) {
        return Err(Failure::Refused(
            "it does not come from the authorization server we asked",
        ));
    }
    // A `state` counts once, and only in the browser that got it (RFC 9700 §4.7).
    let browser = cookie::read(&headers, cookie::BROWSER).map(Secret::from);
    let pending = answer
        .state
        .and_then(|state| {
            app.pending
                .take(&state, |begun| Some(&begun.browser) == browser.as_ref(), now)
        })
        .ok_or(Failure::Refused("this browser has no such sign-in under way"))?;
    if let Some(code) = answer.error {
        let description = answer.error_description;
        return Err(Failure::Declined { code, description });
    }
    let code = answer
        .code
        .ok_or(Failure::Refused("it brings neither a code nor an error"))?;

    let (tokens, id_token, claims) = app
        .provider
        .redeem(AuthorizationCode::new(code), pending.pkce, &pending.nonce)
        .await?;
    let userinfo = app.provider.userinfo(tokens.access_token(), &claims).await?;

    // Always a new session: one that was planted in this browser before gains nothing.
    if let Some(old) = cookie::read(&headers, cookie::SESSION) {
        app.sessions.remove(old);
    }
    let session = Session::new(user(&claims, &userinfo)?, id_token, &tokens, now);
    let id = protocol::random::id();
    let cookie = cookie::set(cookie::SESSION, &id)?;
    app.sessions.insert(id, Arc::new(session), now);

    Ok((AppendHeaders([(SET_COOKIE, cookie)]), Redirect::to("/")).into_response())
}

/// A person's name and address are optional everywhere; the subject is always there.
fn user(claims: &CoreIdTokenClaims, userinfo: &CoreUserInfoClaims) -> Result<User, Failure> {
    let email = userinfo.email().map(|email| email.as_str().to_owned());
    let name = userinfo
        .name()
        .and_then(|name| name.get(None))
        .map(|name| name.as_str().to_owned());
    Ok(User {
        name: name
            .or_else(|| email.clone())
            .unwrap_or_else(|| claims.subject().as_str().to_owned()),
        email,
        claims: listed(claims).map_err(Failure::unavailable)?,
    })
}

fn listed(claims: &CoreIdTokenClaims) -> serde_json::Result<Vec<(String, String)>> {
    let members: serde_json::Map<String, Value> = serde_json::from_value(serde_json::to_value(claims)?)?;
    let text = |value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(members
        .into_iter()
        .map(|(name, value)| (name, text(value)))
        .collect())
}
