//! Another address: C067, C068, C073.
//!
//! Whoever asks gives their password with it: a proof of a moment ago does not do, for the attack is a copied cookie of a
//! person who has just signed in. A link goes to the new address, and nothing changes before
//! it is followed, by the same person, signed in: then the address is theirs and verified, every other session ends,
//! older links are void, and the old address is told, by which the account is had back for a while. Whether somebody else has the new address is told to nobody: then
//! no mail comes.

use std::sync::Arc;

use accounts::email::Email;
use accounts::former_addresses;
use accounts::links::{self, Found, Link, Purpose};
use accounts::sessions::{self, Left};
use accounts::users::{self, Moved, User};
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use events::{Context, Event, audit};
use http::header::{RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use pages::{Proven, see_other};
use protocol::form::Form;
use protocol::{Error, Params, RequestId, Secret, path};
use revocation::{Act, Apps, Change};

use super::devices::left;
use super::news::News;
use super::proof::told_when;
use super::views::{ConfirmEmail, EmailFault, Here, MoveEmail};
use super::{Owner, Stop, page};
use crate::letters::Job;
use crate::notices::What;
use crate::outbox::Counts;
use crate::views::Renewal;
use crate::{Account, Lost, Visit};

const HERE: &str = path::ACCOUNT_EMAIL;
const CONFIRM: &str = path::ACCOUNT_EMAIL_CONFIRM;

pub(crate) async fn show(
    State(account): State<Arc<Account>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let visit = account.visit(id, headers);
    let outcome = async {
        let params = Params::parse(query.as_deref().unwrap_or_default().as_bytes())?;
        let owner = account.owner(HERE, &visit).await?;
        let step = match account.typed_before(params.get("sent"), &visit)? {
            Some(address) => Step::Sent(address),
            None => Step::Ask(None),
        };
        account.move_page(&owner, String::new(), step, &visit)
    };
    account.answered(outcome.await, &visit)
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
        let (owner, params) = account.submitted(HERE, form, &visit).await?;
        let typed = params.get("email").unwrap_or_default().to_owned();
        let again = |fault| account.move_page(&owner, typed.clone(), Step::Ask(Some(fault)), &visit);
        if typed.is_empty() {
            return again(EmailFault::Missing);
        }
        let Ok(email) = Email::parse(&typed) else {
            return again(EmailFault::NotAnAddress);
        };
        if account.outbox.is_none() {
            return again(EmailFault::Unavailable);
        }
        let user = match account.prove(&owner, params.get("current"), &by, &visit).await? {
            Ok(user) => user,
            Err(unproven) => return again(EmailFault::Current(unproven)),
        };
        if user.email.canonical() == email.canonical() {
            return again(EmailFault::Same);
        }
        match account.queue_move(&user, &email, by, &visit).await {
            Ok(()) => {
                let sent = account.typed_now(&email, &visit)?;
                Ok(see_other(&account.at(HERE, &[("sent", sent.as_deref())])))
            }
            Err(Lost::TooMany(too_many)) => {
                let mut page = again(EmailFault::TooMany)?;
                let seconds = HeaderValue::from(too_many.retry_after.as_secs());
                page.headers_mut().insert(RETRY_AFTER, seconds);
                Ok(page)
            }
            Err(Lost::Database(error)) => Err(error.into()),
            Err(Lost::Race) => again(EmailFault::Unavailable),
        }
    };
    account.answered(outcome.await, &visit)
}

/// Looking at the page uses nothing up.
pub(crate) async fn followed(
    State(account): State<Arc<Account>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let visit = account.visit(id, headers);
    let outcome = async {
        let params = Params::parse(query.as_deref().unwrap_or_default().as_bytes())?;
        let given = params.get("link").unwrap_or_default();
        let found = account.found(given, &visit).await?;
        let Found::Live(link) = &found else {
            return Ok(account.dead_move(&found, &visit));
        };
        let Some(new) = link.wanted.clone() else {
            return Ok(account.dead_move(&Found::Foreign, &visit));
        };
        let owner = account.owner(&confirming(given), &visit).await?;
        // Another is signed in on this browser: the one who asked can be as well.
        let Some(owner) = owner.into_user(&link.sub) else {
            return Err(account.sign_in_as_another(&confirming(given), &visit)?);
        };
        let (shell, frame, fresh) = account.frame(Here::Profile, CONFIRM, &owner, &visit)?;
        let view = ConfirmEmail {
            shell,
            frame,
            link: given.to_owned(),
            old: link.email.clone(),
            new,
            is_taken: false,
        };
        Ok(page(view, StatusCode::OK, fresh))
    };
    account.answered(outcome.await, &visit)
}

pub(crate) async fn confirm(
    State(account): State<Arc<Account>>,
    Extension(id): Extension<RequestId>,
    by: Context,
    headers: HeaderMap,
    form: Result<Form, Error>,
) -> Response {
    let visit = account.visit(id, headers);
    let outcome = async {
        let (owner, params) = account.submitted(CONFIRM, form, &visit).await?;
        let given = params.get("link").unwrap_or_default();
        let found = account.found(given, &visit).await?;
        let (link, new) = match &found {
            Found::Live(link) if link.sub == owner.session.sub => (link, link.wanted.clone()),
            Found::Live(_) => return Ok(account.dead_move(&Found::Foreign, &visit)),
            dead => return Ok(account.dead_move(dead, &visit)),
        };
        let Some((new, email)) = new.and_then(|new| Some((new.clone(), Email::parse(&new).ok()?))) else {
            return Ok(account.dead_move(&Found::Foreign, &visit));
        };
        match account.move_to(&owner, link, &email, by, &visit).await {
            Ok(Move::Done(done)) => {
                tracing::info!(sub = %owner.session.sub, "an address was changed");
                let profile = account.telling(path::ACCOUNT_PROFILE, News::EmailChanged, &owner, &visit)?;
                let known = account
                    .front
                    .acquaint(&done.browser, Proven::of(&done.user), &visit.headers)?;
                let mut response = account.renewed(see_other(&profile), done.left);
                // Of several accounts in the browser, the one that this was about.
                let preferred = account.front.cookies.set_preferred(&owner.session.session_id);
                for cookie in [known, preferred] {
                    response.headers_mut().append(SET_COOKIE, cookie);
                }
                Ok(response)
            }
            Ok(Move::Taken) => {
                let (shell, frame, fresh) = account.frame(Here::Profile, CONFIRM, &owner, &visit)?;
                let view = ConfirmEmail {
                    shell,
                    frame,
                    link: given.to_owned(),
                    old: link.email.clone(),
                    new,
                    is_taken: true,
                };
                Ok(page(view, StatusCode::CONFLICT, fresh))
            }
            Err(Lost::Database(error)) => Err(error.into()),
            Ok(Move::Changed) | Err(Lost::Race | Lost::TooMany(_)) => {
                let found = account.found(given, &visit).await?;
                Ok(account.dead_move(&found, &visit))
            }
        }
    };
    account.answered(outcome.await, &visit)
}

/// Where the person is on the way to another address.
enum Step {
    Ask(Option<EmailFault>),
    /// A mail is on its way to this address.
    Sent(String),
}

/// What became of it.
enum Move {
    Done(Box<Done>),
    /// Another account has that address.
    Taken,
    /// Another change came first.
    Changed,
}

/// The person with the other address, and their browser.
struct Done {
    user: User,
    left: Left,
    /// What it is called from now on.
    browser: Secret,
}

/// The path of the page behind a link.
fn confirming(given: &str) -> String {
    format!("{CONFIRM}?link={given}")
}

impl Account {
    async fn found(&self, given: &str, visit: &Visit) -> Result<Found, Error> {
        let mut conn = self.front.db.reader().await?;
        Ok(links::find(Purpose::Address, given, &mut conn, visit.now).await?)
    }

    /// Another link is had where the first was asked for.
    fn dead_move(&self, found: &Found, visit: &Visit) -> Response {
        let renewal = Renewal::At(self.at(HERE, &[]));
        self.dead(found, renewal, None, visit)
    }

    fn move_page(&self, owner: &Owner, typed: String, step: Step, visit: &Visit) -> Result<Response, Stop> {
        let (sent_to, fault) = match step {
            Step::Sent(address) => (Some(address), None),
            Step::Ask(_) if self.outbox.is_none() => (None, Some(EmailFault::Unavailable)),
            Step::Ask(fault) => (None, fault),
        };
        let status = match fault {
            None | Some(EmailFault::Unavailable) => StatusCode::OK,
            Some(EmailFault::TooMany) => StatusCode::TOO_MANY_REQUESTS,
            Some(EmailFault::Missing | EmailFault::NotAnAddress | EmailFault::Same) => {
                StatusCode::BAD_REQUEST
            }
            Some(EmailFault::Current(unproven)) => unproven.status(),
        };
        let unproven = match fault {
            Some(EmailFault::Current(unproven)) => Some(unproven),
            _ => None,
        };
        let (shell, frame, fresh) = self.frame(Here::Profile, HERE, owner, visit)?;
        let view = MoveEmail {
            shell,
            frame,
            typed,
            sent_to,
            fault,
        };
        Ok(told_when(page(view, status, fresh), unproven))
    }

    /// The same for every address, with the same event.
    async fn queue_move(&self, user: &User, email: &Email, by: Context, visit: &Visit) -> Result<(), Lost> {
        let outbox = self.outbox.clone().ok_or(Lost::Race)?;
        let job = Job::Address {
            sub: user.sub.clone(),
            epoch: user.epoch,
            address: email.shown().to_owned(),
            locale: self.shell(visit, None).locale().tag().to_owned(),
        };
        let (sub, whose, now) = (user.sub.clone(), Counts::mailbox(email), visit.now);
        let work = self.front.db.transact(move |conn| {
            Box::pin(async move {
                outbox.ask(&job, &whose, &by, conn, now).await?;
                let asked = Event::LinkMailed {
                    sub: &sub,
                    purpose: Purpose::Address.as_str(),
                };
                Ok(audit::record(&asked, &by, conn, now).await?)
            })
        });
        work.await
    }

    async fn move_to(
        &self,
        owner: &Owner,
        link: &Link,
        email: &Email,
        by: Context,
        visit: &Visit,
    ) -> Result<Move, Lost> {
        let device = self.front.device(&visit.headers);
        let (link, email, now) = (link.clone(), email.clone(), visit.now);
        let kept = owner.session.session_id.clone();
        let told = |what| self.told(owner, what, visit);
        // To the address that is left.
        let (until, for_good) = (
            told(What::EmailLeft(visit.now + former_addresses::KEPT)),
            told(What::EmailChanged),
        );
        let (outbox, presented) = (self.outbox.clone(), self.presented(visit));
        let browser = presented.clone();
        let work = self.front.db.transact(move |conn| {
            Box::pin(async move {
                let Some(before) = users::by_sub(&link.sub, conn).await? else {
                    return Err(Lost::Race);
                };
                // As they were: the change is of this epoch, in which nobody moves.
                match users::change_email(&link.sub, link.epoch, &email, conn, now).await? {
                    Moved::Done => {}
                    // Nothing was written.
                    Moved::Taken => return Ok(Move::Taken),
                    Moved::Changed => return Ok(Move::Changed),
                }
                sessions::hold(browser.as_ref(), conn).await?;
                let epochs = (link.epoch, link.epoch + 1);
                if !sessions::take_over(&kept, epochs, conn).await? || !links::claim(&link, conn, now).await?
                {
                    return Err(Lost::Race);
                }
                let told = match former_addresses::leave(&before, &email, conn, now).await? {
                    former_addresses::Left::Until(_) => until,
                    former_addresses::Left::ForGood => for_good,
                };
                let act = Act::CredentialsChanged {
                    sub: link.sub.clone(),
                    kept,
                    change: Change::Email,
                    apps: Apps::Kept,
                };
                revocation::perform_in(&act, &by, conn, now).await?;
                if let Some(outbox) = outbox {
                    outbox.forget_asked(&before.email, conn).await?;
                    outbox.put(&told, conn, now).await?;
                }
                let user = users::by_sub(&link.sub, conn).await?.ok_or(Lost::Race)?;
                let browser = sessions::meet(&link.sub, device.as_ref(), conn, now).await?;
                let left = left(presented, conn, now).await?;
                Ok(Move::Done(Box::new(Done { user, left, browser })))
            })
        });
        match work.await {
            // PostgreSQL tells of another who was given it at the same moment by an error.
            Err(Lost::Database(error)) if error.is_conflict() => Ok(Move::Taken),
            other => other,
        }
    }
}
