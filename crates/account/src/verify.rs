//! Whether an address is theirs, by a mailed link: OpenID Connect Core §5.1, `email_verified`. C073.
//!
//! Looking at the page uses nothing up. Nothing but `email_verified` changes, and nobody is signed in or out.

use std::sync::Arc;

use accounts::links::{self, Found, Link, Purpose};
use accounts::users;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use events::Context;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};
use pages::{Page, see_other};
use protocol::form::Form;
use protocol::{Error, Params, RequestId, path};

use crate::letters::Job;
use crate::outbox::Counts;
use crate::views::{Done, Renewal, Verify, What};
use crate::{Account, Lost, Visit, with_cookie};

pub(crate) async fn show(
    State(account): State<Arc<Account>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let visit = account.visit(id, headers);
    let outcome = async {
        let params = Params::parse(query.as_deref().unwrap_or_default().as_bytes())?;
        let given = params.get("link").unwrap_or_default();
        let found = account.shown_address(given, &visit).await?;
        let Found::Live(link) = found else {
            return account.dead_address(given, &found, Asked::Once, &visit);
        };
        let (csrf, fresh) = account.form(&about(given), &visit)?;
        let view = Verify {
            shell: account.shell(&visit, None),
            csrf,
            link: given.to_owned(),
            email: link.email,
        };
        Ok(with_cookie(Page::new(view), fresh))
    };
    outcome
        .await
        .unwrap_or_else(|error: Error| account.stopped(&error, &visit))
}

pub(crate) async fn submit(
    State(account): State<Arc<Account>>,
    Extension(id): Extension<RequestId>,
    by: Context,
    headers: HeaderMap,
    form: Result<Form, Error>,
) -> Response {
    let visit = account.visit(id, headers);
    let outcome = async {
        account.front.check_origin(&visit.headers)?;
        let Form(params) = form?;
        let given = params.get("link").unwrap_or_default();
        account
            .front
            .check_csrf(&visit.headers, &about(given), params.get("csrf"))?;
        let found = account.shown_address(given, &visit).await?;
        let (done, next) = match &found {
            Found::Live(link) => (account.verify(link, by, &visit).await, path::VERIFY_DONE),
            Found::Expired(link) => (account.send_again(link, by, &visit).await, path::VERIFY_SENT),
            dead => return account.dead_address(given, dead, Asked::Once, &visit),
        };
        match done {
            Ok(()) => Ok(see_other(&account.at(next, &[]))),
            Err(Lost::Database(error)) => Err(error.into()),
            Err(Lost::Race) => {
                let found = account.shown_address(given, &visit).await?;
                account.dead_address(given, &found, Asked::Once, &visit)
            }
            Err(Lost::TooMany(too_many)) => {
                let mut page = account.dead_address(given, &found, Asked::TooOften, &visit)?;
                *page.status_mut() = StatusCode::TOO_MANY_REQUESTS;
                let seconds = HeaderValue::from(too_many.retry_after.as_secs());
                page.headers_mut().insert(RETRY_AFTER, seconds);
                Ok(page)
            }
        }
    };
    outcome
        .await
        .unwrap_or_else(|error: Error| account.stopped(&error, &visit))
}

pub(crate) async fn sent(
    State(account): State<Arc<Account>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
) -> Response {
    account.say(What::VerifySent, id, headers)
}

pub(crate) async fn done(
    State(account): State<Arc<Account>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
) -> Response {
    account.say(What::Verified, id, headers)
}

/// What the form is about, for its CSRF token.
fn about(link: &str) -> String {
    format!("verify {}", seal::digest(link))
}

/// Whether a further link was asked for more often than may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Once,
    TooOften,
}

impl Account {
    fn say(&self, what: What, id: RequestId, headers: HeaderMap) -> Response {
        let visit = self.visit(id, headers);
        let shell = self.shell(&visit, None);
        Page::new(Done { shell, what }).into_response()
    }

    async fn shown_address(&self, given: &str, visit: &Visit) -> Result<Found, Error> {
        let mut conn = self.front.db.reader().await?;
        Ok(links::find(Purpose::Email, given, &mut conn, visit.now).await?)
    }

    /// Whoever holds an expired link may have another sent to the same mailbox.
    fn dead_address(
        &self,
        given: &str,
        found: &Found,
        asked: Asked,
        visit: &Visit,
    ) -> Result<Response, Error> {
        let (csrf, fresh) = self.form(&about(given), visit)?;
        let renewal = match (&self.outbox, found) {
            (Some(_), Found::Expired(_)) => Renewal::By {
                path: self.at(path::VERIFY, &[]),
                csrf,
                link: given.to_owned(),
                too_many: asked == Asked::TooOften,
            },
            _ => Renewal::None,
        };
        Ok(self.dead(found, renewal, fresh, visit))
    }

    async fn verify(&self, link: &Link, by: Context, visit: &Visit) -> Result<(), Lost> {
        let (link, now) = (link.clone(), visit.now);
        let work = self.front.db.transact(move |conn| {
            Box::pin(async move {
                let verified = users::verify_email(&link.sub, link.epoch, &by, conn, now).await?;
                match verified && links::claim(&link, conn, now).await? {
                    true => Ok(()),
                    false => Err(Lost::Race),
                }
            })
        });
        work.await
    }

    async fn send_again(&self, link: &Link, by: Context, visit: &Visit) -> Result<(), Lost> {
        let Some(outbox) = self.outbox.clone() else {
            return Err(Lost::Race);
        };
        let (sub, now) = (link.sub.clone(), visit.now);
        let job = Job::Verify {
            sub: sub.clone(),
            locale: self.shell(visit, None).locale().tag().to_owned(),
        };
        let work = self.front.db.transact(move |conn| {
            Box::pin(async move { outbox.ask(&job, &Counts::of(sub.as_str()), &by, conn, now).await })
        });
        work.await
    }
}
