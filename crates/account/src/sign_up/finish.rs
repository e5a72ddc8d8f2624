//! Behind the link: name and password, and then there is an account. C073, C074, C076.
//!
//! Looking at the page uses nothing up. The password is judged and hashed first; then one transaction uses up the link and
//! inserts the user, guarded by the row of the link and by the unique index of addresses: of any number who come at once,
//! by one link or by several of one address, one makes the account. If the browser is the one that asked, they are signed
//! in by it and go on to the app that waits: they have just shown that they read the mail of the address, and chosen the
//! password. Any other browser gets no session (the attack: a stranger's link, followed by a victim).

use std::sync::Arc;

use accounts::claims::{Claim, Claims, typed_name};
use accounts::passwords::StoredHash;
use accounts::sessions::{self, Acquaintance, Acr, Amr, SignIn, SignedIn};
use accounts::sign_ups::{self, Found, Ticket};
use accounts::users::{self, Draft};
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use events::{Context, Event, audit};
use grants::flow::Binding;
use http::header::{SET_COOKIE, USER_AGENT};
use http::{HeaderMap, StatusCode};
use pages::{Lifetime, Page, Proven, see_other};
use protocol::form::Form;
use protocol::{Error, Params, RequestId, Secret, SignUp, path};

use super::views::{Finish, NameFault, What};
use crate::views::PasswordFault;
use crate::{Account, Lost, Pending, Visit, Way, with_cookie};

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
        match account.admitted(given, &visit).await? {
            Ok(ticket) => account.ask_rest(given, &ticket, Typed::default(), &visit).await,
            Err(refused) => Ok(refused),
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
        let given = params.get("link").unwrap_or_default();
        account
            .front
            .check_csrf(&visit.headers, &about(given), params.get("csrf"))?;
        let ticket = match account.admitted(given, &visit).await? {
            Ok(ticket) => ticket,
            Err(refused) => return Ok(too_late(refused)),
        };
        let pending = account.pending(ticket.flow.as_deref(), &visit).await?;
        if params.get("decision") == Some("cancel") {
            return account.give_up(pending, &visit);
        }
        let (mut typed, draft) = Typed::read(&params, &ticket);
        // What costs nothing to judge comes before what costs a hash.
        if typed.name_fault.is_some() {
            return account.ask_rest(given, &ticket, typed, &visit).await;
        }
        let email = ticket.email.shown();
        let hash = match account.chosen(params.get("password"), email, typed.name()).await {
            Ok(hash) => hash,
            Err(fault) => {
                typed.password_fault = Some(fault);
                return account.ask_rest(given, &ticket, typed, &visit).await;
            }
        };
        match account
            .make(&ticket, draft, hash.clone(), pending.as_ref(), by, &visit)
            .await
        {
            Ok(signed_in) => account.made(signed_in, &hash, pending, &visit),
            Err(Lost::Database(error)) => Err(error.into()),
            // Whoever was faster has made the account: the link says so from now on.
            Err(Lost::Race | Lost::TooMany(_)) => match account.admitted(given, &visit).await? {
                Ok(_) => Err(Error::temporarily_unavailable("an account could not be made")),
                Err(refused) => Ok(too_late(refused)),
            },
        }
    };
    outcome
        .await
        .unwrap_or_else(|error: Error| account.stopped(&error, &visit))
}

pub(crate) async fn done(
    State(account): State<Arc<Account>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
) -> Response {
    let visit = account.visit(id, headers);
    account
        .note(What::Done, None, &visit)
        .unwrap_or_else(|error| account.stopped(&error, &visit))
}

/// What the form is about, for its CSRF token.
fn about(link: &str) -> String {
    format!("make account {}", seal::digest(link))
}

/// A page that is an answer to who looks, and a refusal to who wants an account.
fn too_late(mut refused: Response) -> Response {
    if refused.status().is_success() {
        *refused.status_mut() = StatusCode::CONFLICT;
    }
    refused
}

/// What was typed, and what is wrong with it.
#[derive(Default)]
struct Typed {
    name: String,
    name_fault: Option<NameFault>,
    password_fault: Option<PasswordFault>,
}

impl Typed {
    /// The form, and the account that would come of it. Nothing else of the form counts: neither address nor `sub`.
    fn read(params: &Params, ticket: &Ticket) -> (Self, Draft) {
        let name = typed_name(params.get("name").unwrap_or_default());
        let mut claims = Claims::default();
        let set = match name.is_empty() {
            true => Ok(()),
            false => claims.set(Claim::Name, name.as_str().into()),
        };
        let draft = Draft {
            email_verified: Some(ticket.way.proves_address()),
            claims,
            ..Draft::new(ticket.email.clone())
        };
        let typed = Self {
            name,
            name_fault: set.err().map(|_| NameFault::Odd),
            password_fault: None,
        };
        (typed, draft)
    }

    fn name(&self) -> Option<&str> {
        Some(self.name.as_str()).filter(|name| !name.is_empty())
    }

    fn status(&self) -> StatusCode {
        match (self.name_fault, self.password_fault) {
            (None, None) => StatusCode::OK,
            (None, Some(PasswordFault::Busy | PasswordFault::Unjudged)) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl Account {
    /// What a link admits to, or the page that says why it does not.
    async fn admitted(&self, given: &str, visit: &Visit) -> Result<Result<Ticket, Response>, Error> {
        let found = sign_ups::find(given, &mut self.front.db.reader().await?, visit.now).await?;
        let (what, ticket) = match found {
            Found::Live(ticket) => match (self.sign_up, ticket.way.is_invitation()) {
                (SignUp::Open, _) | (SignUp::Invitation, true) => return Ok(Ok(ticket)),
                (SignUp::Invitation, false) => (What::ByInvitation, Some(ticket)),
                (SignUp::Closed, _) => (What::Closed, Some(ticket)),
            },
            Found::Known(ticket) => (What::Known, Some(ticket)),
            Found::Expired(ticket) if ticket.way.is_invitation() => (What::InvitationExpired, Some(ticket)),
            Found::Expired(ticket) => (What::Expired, Some(ticket)),
            // Perhaps by a first click, a moment ago: the way on to the app is the same.
            Found::Used(ticket) => (What::Used, Some(ticket)),
            Found::Withdrawn(ticket) => (What::Withdrawn, Some(ticket)),
            Found::Foreign => (What::Foreign, None),
        };
        let flow = ticket.as_ref().and_then(|ticket| ticket.flow.as_deref());
        let pending = self.pending(flow, visit).await?;
        Ok(Err(self.note(what, pending.as_ref(), visit)?))
    }

    async fn ask_rest(
        &self,
        given: &str,
        ticket: &Ticket,
        typed: Typed,
        visit: &Visit,
    ) -> Result<Response, Error> {
        let pending = self.pending(ticket.flow.as_deref(), visit).await?;
        let (csrf, fresh) = self.form(&about(given), visit)?;
        let shell = self.shell(visit, pending.as_ref());
        let status = typed.status();
        let view = Finish {
            app: self.waiting(pending.as_ref(), shell.locale().tag()).await?,
            shell,
            csrf,
            link: given.to_owned(),
            email: ticket.email.shown().to_owned(),
            name: typed.name,
            name_fault: typed.name_fault,
            password_fault: typed.password_fault,
        };
        Ok(with_cookie(Page::new(view).with_status(status), fresh))
    }

    /// The account, and a session where somebody waits for one in this browser.
    async fn make(
        &self,
        ticket: &Ticket,
        draft: Draft,
        hash: StoredHash,
        pending: Option<&Pending>,
        by: Context,
        visit: &Visit,
    ) -> Result<Option<SignedIn>, Lost> {
        let (ticket, now) = (ticket.clone(), visit.now);
        let draft = Draft {
            password_hash: Some(hash),
            ..draft
        };
        let flow_id = pending.map(|pending| pending.flow_id().clone());
        let presented = self.front.cookies.browser(&visit.headers);
        // It has met nobody who is only now there.
        let device = self.front.device(&visit.headers).map(|browser| Acquaintance {
            browser,
            has_met: false,
        });
        let flow_cookie = self.front.cookies.flow(&visit.headers);
        let agent = visit.headers.get(USER_AGENT);
        let user_agent = agent.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let work = self.front.db.transact(move |conn| {
            Box::pin(async move {
                if !sign_ups::claim(&ticket, conn, now).await? {
                    return Err(Lost::Race);
                }
                let user = users::insert(draft, &by, conn, now).await?;
                if let Some(invitation_id) = &ticket.invitation {
                    let sub = &user.sub;
                    let accepted = Event::InvitationAccepted { sub, invitation_id };
                    audit::record(&accepted, &by, conn, now).await?;
                }
                let Some(flow_id) = flow_id else {
                    return Ok(None);
                };
                let proof = SignIn {
                    presented,
                    device,
                    sub: user.sub,
                    epoch: user.epoch,
                    persistent: false,
                    user_agent: user_agent.unwrap_or_default(),
                    flow_id: Some(flow_id),
                    flow_cookie,
                    acr: Acr::Pwd,
                    amr: vec![Amr::Pwd],
                };
                Ok(sessions::sign_in(proof, &by, conn, now).await?)
            })
        });
        work.await
    }

    /// On to the app that waits, or to a page that says what to do.
    fn made(
        &self,
        signed_in: Option<SignedIn>,
        hash: &StoredHash,
        pending: Option<Pending>,
        visit: &Visit,
    ) -> Result<Response, Error> {
        let cookie: Option<Secret> = self.front.cookies.flow(&visit.headers);
        let (Some(signed_in), Some(pending), Some(cookie)) = (signed_in, pending, cookie) else {
            tracing::info!("an account was made");
            return Ok(see_other(&self.at(path::SIGN_UP_DONE, &[])));
        };
        tracing::info!(sub = %signed_in.session.sub, "an account was made, and signed in");
        // Whoever signs up goes on with that, not with what was chosen before.
        let onward = match pending.way {
            Way::App(flow) => {
                let flow = flow.choosing(None);
                let sealed = self.front.seal(&flow, Binding::Browser(&cookie))?;
                self.front.at(flow.resume(), &sealed)
            }
            Way::Own(flow) => self.at(flow.resume(), &[]),
        };
        let preferred = &signed_in.session.session_id;
        let lifetime = signed_in
            .max_age
            .map_or(Lifetime::UntilBrowserCloses, Lifetime::For);
        let mut response = see_other(&onward);
        let proven = Proven {
            sub: &signed_in.session.sub,
            epoch: signed_in.epoch,
            hash: Some(hash),
        };
        for cookie in [
            self.front.cookies.set_browser(&signed_in.cookie, lifetime),
            self.front.acquaint(&signed_in.device, proven, &visit.headers)?,
            // Of several accounts in the browser, their pages show this one from now on.
            self.front.cookies.set_preferred(preferred),
        ] {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        Ok(response)
    }
}

impl From<users::Error> for Lost {
    fn from(error: users::Error) -> Self {
        match error {
            users::Error::EmailTaken(_) | users::Error::SubTaken(_) => Self::Race,
            users::Error::Database(error) => Self::Database(error),
        }
    }
}
