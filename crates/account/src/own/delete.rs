//! The end of an account, with time to think better of it: C067, C068, C093.
//!
//! Whoever asks has proven a short while ago who they are, and types their address. Then everything ends at once: every
//! session, every app's access. The record itself stays for [`accounts::deletion::GRACE`]; signing in within that time
//! undoes it. After that the background deletes it, and its `sub` is never anybody's again.

use std::sync::Arc;

use accounts::deletion;
use accounts::email::Email;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use events::Context;
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use pages::{Page, see_other};
use protocol::form::Form;
use protocol::{Error, RequestId, path};
use revocation::Act;

use super::views::{Delete, Deleted, Here};
use super::when::day;
use super::{Owner, Stop, page};
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
        let owner = account.fresh_owner(HERE, &visit).await?;
        account.delete_page(&owner, None, &visit)
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
        account.demand_proof(&owner, HERE, &visit)?;
        let typed = params.get("email").unwrap_or_default();
        if !is_same(typed, &owner.session.email) {
            return account.delete_page(&owner, Some(typed.to_owned()), &visit);
        }
        match account.ask_deletion(&owner, by, &visit).await {
            Ok(()) => {}
            Err(Lost::Database(error)) => return Err(error.into()),
            // It was asked for before, and ended this session.
            Err(Lost::Race | Lost::TooMany(_)) => return Err(account.sign_in_first(HERE, None, &visit)?),
        }
        tracing::info!(sub = %owner.session.sub, "a person wants their account deleted");
        let mut response = see_other(&account.at(path::ACCOUNT_DELETED, &[]));
        if let Some(cookie) = account.leave(&visit).await? {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        Ok(response)
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
    with_cookie(Page::new(Deleted { shell }), None)
}

fn is_same(typed: &str, own: &str) -> bool {
    match (Email::parse(typed), Email::parse(own)) {
        (Ok(typed), Ok(own)) => typed.canonical() == own.canonical(),
        _ => typed == own,
    }
}

impl Account {
    fn delete_page(&self, owner: &Owner, wrong: Option<String>, visit: &Visit) -> Result<Response, Stop> {
        let status = match wrong {
            Some(_) => StatusCode::BAD_REQUEST,
            None => StatusCode::OK,
        };
        let (shell, frame, fresh) = self.frame(Here::Data, HERE, owner, visit)?;
        let view = Delete {
            shell,
            frame,
            day: day(visit.now + deletion::GRACE),
            is_wrong: wrong.is_some(),
            typed: wrong.unwrap_or_default(),
        };
        Ok(page(view, status, fresh))
    }

    async fn ask_deletion(&self, owner: &Owner, by: Context, visit: &Visit) -> Result<(), Lost> {
        let sub = owner.session.sub.clone();
        let at = visit.now + deletion::GRACE;
        let told = self.told(owner, What::DeletionAsked(day(at)), visit);
        let (outbox, now) = (self.outbox.clone(), visit.now);
        let work = self.front.db.transact(move |conn| {
            Box::pin(async move {
                if !deletion::ask(&sub, at, conn).await? {
                    return Err(Lost::Race);
                }
                revocation::perform_in(&Act::DeletionAsked(sub), &by, conn, now).await?;
                if let Some(outbox) = outbox {
                    outbox.put(&told, conn, now).await?;
                }
                Ok(())
            })
        });
        work.await
    }
}
