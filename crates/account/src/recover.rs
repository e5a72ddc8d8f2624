//! "Forgot your password?": asks the address, and says that a mail is on its way. C069, C070.
//!
//! Nobody is looked up here. Each request that is let through leaves one row, as long as the typed address makes it, for
//! an account and for none; what becomes of the row is seen in the mailbox alone.

use std::sync::Arc;

use accounts::email::Email;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use events::Context;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};
use keyring::Purpose;
use pages::{Page, see_other};
use protocol::form::Form;
use protocol::{Error, Params, RequestId, path};

use crate::letters::Job;
use crate::outbox::Counts;
use crate::views::{Recover, RecoverFault, Sent, Unavailable};
use crate::{Account, Lost, Outbox, Pending, Visit, with_cookie};

/// What the form is about, for its CSRF token.
const ABOUT: &str = "recover";
/// What an address is sealed for, on its way to the next page.
const TO: &str = "mail sent";

pub(crate) async fn show(
    State(account): State<Arc<Account>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let visit = account.visit(id, headers);
    let outcome = async {
        let params = Params::parse(query.as_deref().unwrap_or_default().as_bytes())?;
        let pending = account.pending(params.get("flow"), &visit).await?;
        match account.outbox {
            Some(_) => account.ask(pending, String::new(), None, &visit),
            None => Ok(account.unavailable(pending, &visit)),
        }
    };
    outcome
        .await
        .unwrap_or_else(|error| account.stopped(&error, &visit))
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
        account
            .front
            .check_csrf(&visit.headers, ABOUT, params.get("csrf"))?;
        let pending = account.pending(params.get("flow"), &visit).await?;
        let Some(outbox) = &account.outbox else {
            return Ok(account.unavailable(pending, &visit));
        };
        let typed = params.get("username").unwrap_or_default().to_owned();
        if typed.is_empty() {
            return account.ask(pending, typed, Some(RecoverFault::Missing), &visit);
        }
        // Only its form is judged: that tells nothing of accounts.
        let Ok(email) = Email::parse(&typed) else {
            return account.ask(pending, typed, Some(RecoverFault::NotAnAddress), &visit);
        };
        match account.queue(outbox, &email, pending.as_ref(), by, &visit).await {
            Ok(()) => account.queued(&email, pending, &visit),
            Err(Lost::TooMany(too_many)) => {
                let mut page = account.ask(pending, typed, Some(RecoverFault::TooMany), &visit)?;
                let seconds = HeaderValue::from(too_many.retry_after.as_secs());
                page.headers_mut().insert(RETRY_AFTER, seconds);
                Ok(page)
            }
            Err(Lost::Database(error)) => Err(error.into()),
            Err(Lost::Race) => Err(Error::server_error("a mail cannot be queued by another")),
        }
    };
    outcome
        .await
        .unwrap_or_else(|error| account.stopped(&error, &visit))
}

pub(crate) async fn sent(
    State(account): State<Arc<Account>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let visit = account.visit(id, headers);
    let outcome = async {
        let params = Params::parse(query.as_deref().unwrap_or_default().as_bytes())?;
        let pending = account.pending(params.get("flow"), &visit).await?;
        let (csrf, fresh) = account.form(ABOUT, &visit)?;
        let view = Sent {
            shell: account.shell(&visit, pending.as_ref()),
            csrf,
            flow: pending.map(|pending| pending.sealed),
            address: account.typed_before(params.get("to"), &visit)?,
        };
        Ok(with_cookie(Page::new(view), fresh))
    };
    outcome
        .await
        .unwrap_or_else(|error: Error| account.stopped(&error, &visit))
}

impl Account {
    fn ask(
        &self,
        pending: Option<Pending>,
        typed: String,
        fault: Option<RecoverFault>,
        visit: &Visit,
    ) -> Result<Response, Error> {
        let status = match fault {
            None => StatusCode::OK,
            Some(RecoverFault::TooMany) => StatusCode::TOO_MANY_REQUESTS,
            Some(RecoverFault::Missing | RecoverFault::NotAnAddress) => StatusCode::BAD_REQUEST,
        };
        let (csrf, fresh) = self.form(ABOUT, visit)?;
        let view = Recover {
            shell: self.shell(visit, pending.as_ref()),
            csrf,
            flow: pending.map(|pending| pending.sealed),
            typed,
            fault,
        };
        Ok(with_cookie(Page::new(view).with_status(status), fresh))
    }

    fn unavailable(&self, pending: Option<Pending>, visit: &Visit) -> Response {
        let shell = self.shell(visit, pending.as_ref());
        let flow = pending.map(|pending| pending.sealed);
        Page::new(Unavailable { shell, flow }).into_response()
    }

    async fn queue(
        &self,
        outbox: &Outbox,
        email: &Email,
        pending: Option<&Pending>,
        by: Context,
        visit: &Visit,
    ) -> Result<(), Lost> {
        let job = Job::Recover {
            address: email.shown().to_owned(),
            locale: self.shell(visit, pending).locale().tag().to_owned(),
            flow: pending.map(|pending| pending.sealed.clone()),
        };
        let (outbox, whose, now) = (outbox.clone(), Counts::of(email.canonical()), visit.now);
        let queued = self
            .front
            .db
            .transact(move |conn| Box::pin(async move { outbox.ask(&job, &whose, &by, conn, now).await }));
        queued.await
    }

    fn queued(&self, email: &Email, pending: Option<Pending>, visit: &Visit) -> Result<Response, Error> {
        let to = self.typed_now(email, visit)?;
        let flow = pending.map(|pending| pending.sealed);
        let query = [("to", to.as_deref()), ("flow", flow.as_deref())];
        Ok(see_other(&self.at(path::RECOVER_SENT, &query)))
    }

    /// The address that this browser sends, sealed for its next page.
    pub(crate) fn typed_now(&self, email: &Email, visit: &Visit) -> Result<Option<String>, Error> {
        let Some(cookie) = self.front.cookies.flow(&visit.headers) else {
            return Ok(None);
        };
        let key = self.front.keyring.secret(Purpose::Flow)?.key;
        let row = seal::digest(cookie.expose());
        Ok(Some(seal::seal(&key, TO, &row, email.shown().as_bytes())))
    }

    /// The address that this browser sent a moment ago.
    pub(crate) fn typed_before(&self, sealed: Option<&str>, visit: &Visit) -> Result<Option<String>, Error> {
        let (Some(sealed), Some(cookie)) = (sealed, self.front.cookies.flow(&visit.headers)) else {
            return Ok(None);
        };
        let key = self.front.keyring.secret(Purpose::Flow)?.key;
        let opened = seal::open(&key, TO, &seal::digest(cookie.expose()), sealed);
        Ok(opened
            .ok()
            .and_then(|bytes| String::from_utf8(bytes.to_vec()).ok()))
    }
}
