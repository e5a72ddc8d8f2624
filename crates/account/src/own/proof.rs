//! The password given once more, on a page that changes something: C068, C070.

use accounts::passwords::{Outcome, Password};
use accounts::users::{self, User};
use axum::response::Response;
use events::Context;
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use pages::{Markup, Texts};
use protocol::{Error, Secret};

use super::Owner;
use crate::{Account, Visit};

/// Why nothing was proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unproven {
    Missing,
    Wrong,
    /// Send the page with 503.
    Busy,
    /// Send the page with 429.
    TooMany,
}

impl Unproven {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Missing | Self::Wrong => StatusCode::BAD_REQUEST,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// Whether it is about what stands in the field.
    pub(crate) fn is_at_field(self) -> bool {
        match self {
            Self::Missing | Self::Wrong => true,
            Self::Busy | Self::TooMany => false,
        }
    }

    pub(crate) fn words(self, texts: &Texts) -> Markup {
        match self {
            Self::Missing => texts.text("change-current-missing"),
            Self::Wrong => texts.text("login-wrong-password"),
            Self::Busy => texts.text("password-busy"),
            Self::TooMany => texts.text("change-too-many"),
        }
    }
}

/// The page says how long: RFC 6585 §4.
pub(crate) fn wait_a_minute(mut response: Response) -> Response {
    if response.status() == StatusCode::TOO_MANY_REQUESTS {
        let a_minute = HeaderValue::from_static("60");
        response.headers_mut().insert(RETRY_AFTER, a_minute);
    }
    response
}

impl Account {
    /// The person as they were when this password was found to be theirs. A wrong one counts like one at sign-in: the
    /// attack is a session that somebody left open, and guesses at what would make it theirs.
    pub(crate) async fn prove(
        &self,
        owner: &Owner,
        given: Option<&str>,
        by: &Context,
        visit: &Visit,
    ) -> Result<Result<User, Unproven>, Error> {
        let Some(given) = given.filter(|given| !given.is_empty()) else {
            return Ok(Err(Unproven::Missing));
        };
        let Ok(password) = Password::presented(&Secret::from(given)) else {
            return Ok(Err(Unproven::Wrong));
        };
        let Ok(attempt) = self.attempts.begin(by.network(), visit.now) else {
            tracing::info!("a password was not looked at: too many from its network, or of all, have failed");
            return Ok(Err(Unproven::TooMany));
        };
        let sub = owner.session.sub.clone();
        let user = users::by_sub(&sub, &mut self.front.db.reader().await?).await?;
        let stored = user.as_ref().and_then(|user| user.password_hash.as_ref());
        let outcome = match self.hasher.verify(stored, password).await {
            Ok(outcome) => outcome,
            Err(overloaded) => {
                tracing::warn!(%overloaded, "a password was not looked at");
                attempt.give_back();
                return Ok(Err(Unproven::Busy));
            }
        };
        match user.filter(|user| outcome != Outcome::Wrong && user.disabled_at.is_none()) {
            Some(user) => {
                attempt.give_back();
                Ok(Ok(user))
            }
            None => {
                tracing::info!("a password that was asked for once more was wrong");
                let (by, now) = (by.clone(), visit.now);
                let work = self.front.db.transact(move |conn| {
                    Box::pin(async move { events::sign_ins::failed(Some(&sub), &by, conn, now).await })
                });
                work.await?;
                Ok(Err(Unproven::Wrong))
            }
        }
    }
}
