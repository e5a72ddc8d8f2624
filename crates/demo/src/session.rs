//! One signed-in visitor: who it is, and the tokens that let the app act for them. All of it stays on the
//! server; the browser holds a random name for it.

use std::time::Duration;

use http::StatusCode;
use openidconnect::core::{CoreIdToken, CoreTokenResponse};
use openidconnect::{AccessToken, OAuth2TokenResponse as _, RefreshToken};
use protocol::Timestamp;
use tokio::sync::Mutex;

use crate::page::Failure;
use crate::provider::Provider;

/// How long a visitor stays signed in to this app.
pub(crate) const LIFETIME: Duration = Duration::from_secs(8 * 60 * 60);
/// An access token is renewed this long before its end, so that it does not die on its way.
const MARGIN: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) user: User,
    /// What the sign-in ended with. It says who signs out, when that time comes.
    pub(crate) id_token: CoreIdToken,
    /// Held while a refresh is under way: of two tabs only one asks.
    tokens: Mutex<Tokens>,
    /// What the demo API said last.
    answer: Mutex<Option<Answer>>,
}

/// What the app knows of the user, from the ID token and userinfo. An app with accounts of its own finds them
/// by issuer and `sub`: an e-mail address changes hands, a subject never does.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) email: Option<String>,
    /// Names and values of the ID token, for show.
    pub(crate) claims: Vec<(String, String)>,
}

/// A response of the demo API, as the page shows it.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: String,
    /// How long before the token had been revoked.
    pub(crate) after_revocation: Option<Duration>,
}

#[derive(Debug)]
struct Tokens {
    access: AccessToken,
    /// `None` when the authorization server did not say (RFC 6749 §5.1).
    until: Option<Timestamp>,
    refresh: Option<RefreshToken>,
}

impl Session {
    pub(crate) fn new(user: User, id_token: CoreIdToken, tokens: &CoreTokenResponse, now: Timestamp) -> Self {
        Self {
            user,
            id_token,
            tokens: Mutex::new(Tokens::new(tokens, None, now)),
            answer: Mutex::default(),
        }
    }

    /// An access token that is still good, refreshed if need be (RFC 6749 §6).
    pub(crate) async fn access_token(
        &self,
        provider: &Provider,
        now: Timestamp,
    ) -> Result<AccessToken, Failure> {
        let mut tokens = self.tokens.lock().await;
        if tokens.until.is_some_and(|until| until <= now + MARGIN) {
            // Ours is kept until its successor is here: the visitor may hang up on the way.
            let refresh = tokens.refresh.clone().ok_or(Failure::Ended)?;
            let renewed = provider.refresh(&refresh).await?;
            *tokens = Tokens::new(&renewed, Some(refresh), now);
        }
        Ok(tokens.access.clone())
    }

    /// This token is worth nothing any more: the next one is asked for with the refresh token.
    pub(crate) async fn spend(&self, token: &AccessToken, now: Timestamp) {
        let mut tokens = self.tokens.lock().await;
        if tokens.access.secret() == token.secret() {
            tokens.until = Some(now);
        }
    }

    pub(crate) async fn keep(&self, answer: Answer) {
        *self.answer.lock().await = Some(answer);
    }

    pub(crate) async fn answer(&self) -> Option<Answer> {
        self.answer.lock().await.clone()
    }
}

impl Tokens {
    /// A new refresh token replaces the one we had; without one, ours stays good (RFC 6749 §6).
    fn new(response: &CoreTokenResponse, had: Option<RefreshToken>, now: Timestamp) -> Self {
        Self {
            access: response.access_token().clone(),
            until: response.expires_in().map(|lifetime| now + lifetime),
            refresh: response.refresh_token().cloned().or(had),
        }
    }
}
