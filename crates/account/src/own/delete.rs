//! The end of an account, with time to think better of it: C067, C068, C093.
//!
//! Whoever asks types their address and gives their password with it. Then everything ends at once: every
//! session, every app's access. The record itself stays for [`accounts::deletion::GRACE`]; signing in within that time
//! undoes it. After that the background deletes it, and its `sub` is never anybody's again.

use std::sync::Arc;

use accounts::allowances;
use accounts::deletion;
use accounts::email::Email;
use accounts::sessions::{self, Left};
use accounts::users::User;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use events::Context;
use http::{HeaderMap, StatusCode};
use pages::{Page, see_other};
use protocol::form::Form;
use protocol::{Error, Params, RequestId, SessionId, path};
use revocation::Act;

use super::devices::left;
use super::proof::{told_when, too_often_when};
use super::views::{Delete, DeleteFault, Deleted, Here};
use super::when::day;
use super::{CHANGES, Owner, Stop, about, page};
use crate::notices::What;
use crate::{Account, Lost, Visit, with_cookie};

const HERE: &str = path::ACCOUNT_DELETE;

pub(crate) async fn show(
    State(account): State<Arc<Account>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
) -> Response {
    let visit = account.visit(id, headers);
    let outcome = async {
        let owner = account.owner(HERE, &visit).await?;
        account.delete_page(&owner, String::new(), None, &visit)
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
        let done = see_other(&account.at(path::ACCOUNT_DELETED, &[]));
        if let Ok(Form(params)) = &form
            && account.has_asked(params, &visit).await?
        {
            return Ok(done);
        }
        let (owner, params) = account.submitted(HERE, form, &visit).await?;
        let typed = params.get("email").unwrap_or_default();
        let again = |fault| account.delete_page(&owner, typed.to_owned(), Some(fault), &visit);
        if !is_same(typed, &owner.session.email) {
            return again(DeleteFault::Email);
        }
        let user = match account.prove(&owner, params.get("current"), &by, &visit).await? {
            Ok(user) => user,
            Err(unproven) => return again(DeleteFault::Current(unproven)),
        };
        let left = match account.ask_deletion(&owner, &user, by, &visit).await {
            Ok(left) => left,
            Err(Lost::Database(error)) => return Err(error.into()),
            Err(Lost::TooMany(too_many)) => return again(DeleteFault::TooOften(too_many)),
            // It was asked for at the same moment, which ended this session, or the account was disabled, or has another
            // password since this one was proven.
            Err(Lost::Race) => return Err(account.sign_in_first(HERE, None, &visit)?),
        };
        tracing::info!(sub = %owner.session.sub, "a person wants their account deleted");
        Ok(account.renewed(done, left))
    };
    account.answered(outcome.await, &visit)
}

/// For whoever comes here: nobody is signed in.
pub(crate) async fn done(
    State(account): State<Arc<Account>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
) -> Response {
    let visit = account.visit(id, headers);
    let shell = account.shell(&visit, None);
    let is_told = account.outbox.is_some();
    with_cookie(Page::new(Deleted { shell, is_told }), None)
}

fn is_same(typed: &str, own: &str) -> bool {
    match (Email::parse(typed), Email::parse(own)) {
        (Ok(typed), Ok(own)) => typed.canonical() == own.canonical(),
        _ => typed == own,
    }
}

impl Account {
    /// Whether this form was sent before, and did what it is for. Without this, a second click would show the page for
    /// signing in, and whoever does that has their account back.
    async fn has_asked(&self, params: &Params, visit: &Visit) -> Result<bool, Stop> {
        self.front.check_origin(&visit.headers)?;
        let session = SessionId::from(params.get("session").unwrap_or_default());
        let about = about(HERE, &session);
        if self
            .front
            .check_csrf(&visit.headers, &about, params.get("csrf"))
            .is_err()
        {
            return Ok(false);
        }
        let mut conn = self.front.db.reader().await?;
        Ok(deletion::was_asked_in(&session, &mut conn).await?)
    }

    fn delete_page(
        &self,
        owner: &Owner,
        typed: String,
        fault: Option<DeleteFault>,
        visit: &Visit,
    ) -> Result<Response, Stop> {
        let status = match fault {
            Some(DeleteFault::Email) => StatusCode::BAD_REQUEST,
            Some(DeleteFault::Current(unproven)) => unproven.status(),
            Some(DeleteFault::TooOften(_)) => StatusCode::TOO_MANY_REQUESTS,
            None => StatusCode::OK,
        };
        let (unproven, too_often) = match fault {
            Some(DeleteFault::Current(unproven)) => (Some(unproven), None),
            Some(DeleteFault::TooOften(too_many)) => (None, Some(too_many)),
            Some(DeleteFault::Email) | None => (None, None),
        };
        let (shell, frame, fresh) = self.frame(Here::Data, HERE, owner, visit)?;
        let view = Delete {
            shell,
            frame,
            ends_at: visit.now + deletion::GRACE,
            session: owner.session.session_id.to_string(),
            typed,
            fault,
        };
        let response = told_when(page(view, status, fresh), unproven);
        Ok(too_often_when(response, too_often))
    }

    async fn ask_deletion(
        &self,
        owner: &Owner,
        user: &User,
        by: Context,
        visit: &Visit,
    ) -> Result<Left, Lost> {
        let (sub, epoch) = (user.sub.clone(), user.epoch);
        let at = visit.now + deletion::GRACE;
        let told = self.told(owner, What::DeletionAsked(day(at)), visit);
        let (outbox, now) = (self.outbox.clone(), visit.now);
        let presented = self.presented(visit);
        let work = self.front.db.transact(move |conn| {
            Box::pin(async move {
                let taken = allowances::take(&format!("deletion of {sub}"), CHANGES, conn, now).await?;
                taken.map_err(Lost::TooMany)?;
                if !deletion::ask(&sub, epoch, at, conn).await? {
                    return Err(Lost::Race);
                }
                sessions::hold(presented.as_ref(), conn).await?;
                revocation::perform_in(&Act::DeletionAsked(sub), &by, conn, now).await?;
                if let Some(outbox) = outbox {
                    outbox.put(&told, conn, now).await?;
                }
                Ok(left(presented, conn, now).await?)
            })
        });
        work.await
    }
}
