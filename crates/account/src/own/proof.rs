//! The password given once more, on a page that changes something: C068, C070.

use std::sync::Arc;

use accounts::attempts::TooMany;
use accounts::passwords::{Outcome, Password};
use accounts::sessions::Session;
use accounts::users::{self, User};
use axum::response::Response;
use events::Context;
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use pages::{Held, Markup, Texts};
use protocol::{Error, Secret};
use tracing::Instrument as _;

use super::Owner;
use crate::{Account, Visit};

/// Why nothing was proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unproven {
    Missing,
    Wrong,
    /// Send the page with 503.
    Busy,
    /// Send the page with 429, by [`told_when`].
    TooMany(Held),
}

impl Unproven {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Missing | Self::Wrong => StatusCode::BAD_REQUEST,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// Whether it is about what stands in the field.
    pub(crate) fn is_at_field(self) -> bool {
        match self {
            Self::Missing | Self::Wrong => true,
            Self::Busy | Self::TooMany(_) => false,
        }
    }

    pub(crate) fn words(self, texts: &Texts) -> Markup {
        match self {
            Self::Missing => texts.text("change-current-missing"),
            Self::Wrong => texts.text("login-wrong-password"),
            Self::Busy => texts.text("password-busy"),
            Self::TooMany(held) => match held.minutes() {
                ..=1 => texts.text("change-too-many-minute"),
                n @ 2.. => texts.with("change-too-many-minutes", &[("n", Markup::plain(&n.to_string()))]),
            },
        }
    }
}

/// The answer says when to come back, as its page does: RFC 6585 §4.
pub(crate) fn told_when(mut response: Response, unproven: Option<Unproven>) -> Response {
    if let Some(Unproven::TooMany(held)) = unproven {
        let seconds = HeaderValue::from(held.retry_after());
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

/// The same where nothing was wrong but how often it was done.
pub(crate) fn too_often_when(mut response: Response, too_many: Option<TooMany>) -> Response {
    if let Some(too_many) = too_many {
        let seconds = HeaderValue::from(too_many.retry_after.as_secs());
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

impl Account {
    /// The person as they were when this password was found to be theirs. A wrong one counts like one at sign-in in
    /// this browser: the attack is a session that somebody left open, and guesses at what would make it theirs.
    ///
    /// It is judged in a task of its own: once a guess is counted, a browser that hangs up does not keep what was right
    /// from being given back.
    pub(crate) async fn prove(
        self: &Arc<Self>,
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
        let (account, session) = (self.clone(), owner.session.clone());
        let (by, visit) = (by.clone(), visit.clone());
        let work = async move { account.judged(&session, password, &by, &visit).await };
        let task = tokio::spawn(work.in_current_span());
        task.await.unwrap_or_else(|panic| {
            let cause = format!("a password was not judged: {panic}");
            Err(Error::server_error(cause))
        })
    }

    async fn judged(
        &self,
        session: &Session,
        password: Password,
        by: &Context,
        visit: &Visit,
    ) -> Result<Result<User, Unproven>, Error> {
        let sub = session.sub.clone();
        let user = users::by_sub(&sub, &mut self.front.db.reader().await?).await?;
        // Deleted this moment.
        let Some(user) = user else {
            return Ok(Err(Unproven::Wrong));
        };
        let (id, headers) = (&session.session_id, &visit.headers);
        let guess = match self
            .guesses
            .take_in_session(id, &user, headers, visit.now)
            .await?
        {
            Ok(guess) => guess,
            Err(held) => {
                tracing::info!(%sub, ?held, "a password was not looked at: too many have failed");
                return Ok(Err(Unproven::TooMany(held)));
            }
        };
        let outcome = match self.hasher.verify(user.password_hash.as_ref(), password).await {
            Ok(outcome) => outcome,
            Err(overloaded) => {
                tracing::warn!(%overloaded, "a password was not looked at");
                self.guesses.give_back(guess).await?;
                return Ok(Err(Unproven::Busy));
            }
        };
        match outcome != Outcome::Wrong && user.disabled_at.is_none() {
            true => {
                self.guesses.give_back(guess).await?;
                Ok(Ok(user))
            }
            false => {
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
