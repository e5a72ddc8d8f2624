//! "Not you?": which of the accounts that are signed in on this browser is looked at, or yet another one.

use std::sync::Arc;

use accounts::sessions::Session;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use events::Context;
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use pages::see_other;
use protocol::form::Form;
use protocol::{Error, Params, RequestId, path};

use super::views::{Choice, Here, Person, Switch};
use super::{Stop, page};
use crate::Account;

const HERE: &str = path::ACCOUNT_SWITCH;

pub(crate) async fn show(
    State(account): State<Arc<Account>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let visit = account.visit(id, headers);
    let outcome = async {
        let params = Params::parse(query.as_deref().unwrap_or_default().as_bytes())?;
        if params.get("other").is_some() {
            return Err(account.sign_in_first(path::ACCOUNT, None, &visit)?);
        }
        let owner = account.owner(HERE, &visit).await?;
        let (shell, frame, fresh) = account.frame(Here::Switch, HERE, &owner, &visit)?;
        let others = owner.others.iter().map(|session| Choice {
            value: value(session),
            person: Person::of(session),
        });
        let others = others.collect();
        Ok(page(Switch { shell, frame, others }, StatusCode::OK, fresh))
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
        // Whose session has ended meanwhile is not found, and the page shows who is left.
        let named = |name: &str| {
            let wanted = params.get(name)?;
            owner.others.iter().find(|session| value(session) == wanted)
        };
        if let Some(removed) = named("remove") {
            let ended = (removed.session_id.clone(), removed.sub.clone());
            let (presented, now) = (account.presented(&visit), visit.now);
            let work = account.front.db.transact(move |conn| {
                Box::pin(async move { revocation::end_here(ended, presented.as_ref(), &by, conn, now).await })
            });
            let (_, renewed) = work.await?;
            tracing::info!(sub = %removed.sub, "removed from the browser");
            return Ok(account.renewed(see_other(&account.at(HERE, &[])), renewed));
        }
        let Some(chosen) = named("account") else {
            return Ok(see_other(&account.at(HERE, &[])));
        };
        let mut response = see_other(&account.at(path::ACCOUNT, &[]));
        let preferred = account.front.cookies.set_preferred(&chosen.session_id);
        response.headers_mut().append(SET_COOKIE, preferred);
        Ok::<_, Stop>(response)
    };
    account.answered(outcome.await, &visit)
}

/// Names a session without telling it.
fn value(session: &Session) -> String {
    seal::digest(session.session_id.as_str())
}
