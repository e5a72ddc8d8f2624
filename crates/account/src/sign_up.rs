//! "Create an account": asks the address, and says that a mail is on its way. C069, C070.
//!
//! Nobody is looked up here, as for a forgotten password: each request that is let through leaves one row of the queue,
//! for an address that has an account and for one that has none. What the mail says is seen in the mailbox alone, and an
//! account comes of it only behind the link ([`finish`]).

pub(crate) mod finish;
mod views;

use std::sync::Arc;

use accounts::email::Email;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use events::Context;
use grants::flow::{Answer, Binding};
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};
use pages::{Page, see_other};
use protocol::form::Form;
use protocol::{Error, Params, RequestId, SignUp, path, redirect_uri};

use crate::letters::Job;
use crate::outbox::Counts;
use crate::{Account, Lost, Outbox, Pending, Visit, Way, with_cookie};

use views::{Ask, AskFault, Destination, Note, Sent, Waiting, What};

/// What the form is about, for its CSRF token.
const ABOUT: &str = "sign up";

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
        match account.asking() {
            Ok(_) => {
                let hint = pending
                    .as_ref()
                    .and_then(Pending::app)
                    .and_then(|flow| flow.request().login_hint.clone());
                account
                    .ask_whom(pending, hint.unwrap_or_default(), None, &visit)
                    .await
            }
            Err(what) => account.note(what, pending.as_ref(), &visit),
        }
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
        account
            .front
            .check_csrf(&visit.headers, ABOUT, params.get("csrf"))?;
        let pending = account.pending(params.get("flow"), &visit).await?;
        if params.get("decision") == Some("cancel") {
            return account.give_up(pending, &visit);
        }
        let outbox = match account.asking() {
            Ok(outbox) => outbox,
            Err(what) => return account.note(what, pending.as_ref(), &visit),
        };
        let typed = params.get("username").unwrap_or_default().to_owned();
        // Only its form is judged: that tells nothing of accounts.
        let fault = match Email::parse(&typed) {
            _ if typed.is_empty() => AskFault::Missing,
            Err(_) => AskFault::NotAnAddress,
            Ok(email) => match account
                .send_to(outbox, &email, pending.as_ref(), by, &visit)
                .await
            {
                Ok(()) => return account.on_its_way(&email, pending, &visit),
                Err(Lost::TooMany(too_many)) => AskFault::TooMany(too_many.retry_after.as_secs()),
                Err(Lost::Database(error)) => return Err(error.into()),
                Err(Lost::Race) => return Err(Error::server_error("a mail cannot be queued by another")),
            },
        };
        account.ask_whom(pending, typed, Some(fault), &visit).await
    };
    outcome
        .await
        .unwrap_or_else(|error: Error| account.stopped(&error, &visit))
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
    /// Where a request for an account goes, if strangers may make one.
    fn asking(&self) -> Result<&Outbox, What> {
        match (self.sign_up, &self.outbox) {
            (SignUp::Open, Some(outbox)) => Ok(outbox),
            (SignUp::Invitation, _) => Err(What::ByInvitation),
            (SignUp::Open, None) | (SignUp::Closed, _) => Err(What::Closed),
        }
    }

    async fn ask_whom(
        &self,
        pending: Option<Pending>,
        typed: String,
        fault: Option<AskFault>,
        visit: &Visit,
    ) -> Result<Response, Error> {
        let (csrf, fresh) = self.form(ABOUT, visit)?;
        let shell = self.shell(visit, pending.as_ref());
        let view = Ask {
            app: self.waiting(pending.as_ref(), shell.locale().tag()).await?,
            shell,
            csrf,
            flow: pending.map(|pending| pending.sealed),
            typed,
            fault,
        };
        let mut page = with_cookie(Page::new(view).with_status(status(fault)), fresh);
        if let Some(AskFault::TooMany(seconds)) = fault {
            page.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        Ok(page)
    }

    /// The app is told that they did not want to; where none waits in this browser, nothing was begun.
    pub(super) fn give_up(&self, pending: Option<Pending>, visit: &Visit) -> Result<Response, Error> {
        let Some((Way::App(flow), cookie)) = pending
            .map(|pending| pending.way)
            .zip(self.front.cookies.flow(&visit.headers))
        else {
            return Ok(see_other(&self.at(path::SIGN_UP, &[])));
        };
        let flow = flow.answered(Answer::Denied);
        let sealed = self.front.seal(&flow, Binding::Browser(&cookie))?;
        Ok(see_other(&self.front.at(flow.resume(), &sealed)))
    }

    /// The app that waits, by its name, whether that is a claim of its own, and where it leads.
    async fn waiting(&self, pending: Option<&Pending>, language: &str) -> Result<Option<Waiting>, Error> {
        let Some(flow) = pending.and_then(Pending::app) else {
            return Ok(None);
        };
        let mut conn = self.front.db.reader().await?;
        let client = clients::records::by_id(&flow.request().client_id, &mut conn).await?;
        Ok(client.map(|client| Waiting {
            name: client.name_in(language),
            trust: client.trust,
            destination: Destination(redirect_uri::shown_host(&flow.request().redirect_uri)),
        }))
    }

    async fn send_to(
        &self,
        outbox: &Outbox,
        email: &Email,
        pending: Option<&Pending>,
        by: Context,
        visit: &Visit,
    ) -> Result<(), Lost> {
        let job = Job::SignUp {
            address: email.shown().to_owned(),
            locale: self.shell(visit, pending).locale().tag().to_owned(),
            flow: pending.map(|pending| pending.sealed.clone()),
        };
        let (outbox, whose, now) = (outbox.clone(), Counts::mailbox(email), visit.now);
        let queued = self
            .front
            .db
            .transact(move |conn| Box::pin(async move { outbox.ask(&job, &whose, &by, conn, now).await }));
        queued.await
    }

    fn on_its_way(&self, email: &Email, pending: Option<Pending>, visit: &Visit) -> Result<Response, Error> {
        let to = self.typed_now(email, visit)?;
        let flow = pending.map(|pending| pending.sealed);
        let query = [("to", to.as_deref()), ("flow", flow.as_deref())];
        Ok(see_other(&self.at(path::SIGN_UP_SENT, &query)))
    }

    /// A page that says how things are, and where to go from here.
    fn note(&self, what: What, pending: Option<&Pending>, visit: &Visit) -> Result<Response, Error> {
        let flow = pending.map(|pending| pending.sealed.as_str());
        let (sign_in, fresh) = match flow {
            Some(_) => {
                let query = [("flow", flow), ("other", Some("1"))];
                (self.at(path::LOGIN, &query), None)
            }
            None => {
                let (onward, fresh) = self.onward_home(visit)?;
                (onward.path, fresh)
            }
        };
        let view = Note {
            shell: self.shell(visit, pending),
            sign_in,
            recover: self
                .outbox
                .as_ref()
                .map(|_| self.at(path::RECOVER, &[("flow", flow)])),
            again: self
                .asking()
                .ok()
                .map(|_| self.at(path::SIGN_UP, &[("flow", flow)])),
            what,
        };
        Ok(with_cookie(Page::new(view).with_status(what.status()), fresh))
    }
}

fn status(fault: Option<AskFault>) -> StatusCode {
    match fault {
        None => StatusCode::OK,
        Some(AskFault::TooMany(_)) => StatusCode::TOO_MANY_REQUESTS,
        Some(AskFault::Missing | AskFault::NotAnAddress) => StatusCode::BAD_REQUEST,
    }
}
