//! `/account`: who is signed in, and the way to everything else.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use protocol::{RequestId, path};

use super::page;
use super::views::{Here, Home};
use crate::Account;

pub(crate) async fn show(
    State(account): State<Arc<Account>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
) -> Response {
    let visit = account.visit(id, headers);
    let outcome = async {
        let owner = account.owner(path::ACCOUNT, &visit).await?;
        let (shell, frame, fresh) = account.frame(Here::Home, path::ACCOUNT, &owner, &visit)?;
        Ok(page(Home { shell, frame }, StatusCode::OK, fresh))
    };
    account.answered(outcome.await, &visit)
}
