//! What would have been mailed, as pages: for `serve --dev`, where no mail is sent.

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, X_FRAME_OPTIONS};
use http::{HeaderMap, StatusCode};
use mail::Mailbox;
use pages::{Front, Page, error};
use protocol::{Error, RequestId, Routes, path};

use crate::views;

#[derive(Clone, Debug)]
struct Shown {
    mailbox: Mailbox,
    front: Front,
}

/// Whoever reaches these pages reads everybody's mail: they are for a server that nobody else can reach, and answer to
/// its own name only (the attack: a website whose name is made to mean this machine).
pub fn router(mailbox: Mailbox, front: Front) -> Routes {
    Routes::new()
        .page(path::DEV_MAILBOX, get(list))
        .page(path::DEV_MAIL, get(letter))
        .with_state(Shown { mailbox, front })
}

async fn list(
    State(Shown { mailbox, front }): State<Shown>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
) -> Response {
    if !is_asked_by_name(&headers, &front) {
        return absent(&front, &id, &headers);
    }
    let view = views::Mailbox {
        shell: front.shell(&headers, None, &id),
        letters: mailbox.letters(),
    };
    Page::new(view).into_response()
}

/// The HTML of one, as a mail program would show it: it loads nothing.
async fn letter(
    State(Shown { mailbox, front }): State<Shown>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    Path(mail_id): Path<String>,
) -> Response {
    let mut letters = mailbox.letters().into_iter();
    let found = letters.find(|held| held.mail_id == mail_id && is_asked_by_name(&headers, &front));
    let Some(found) = found else {
        return absent(&front, &id, &headers);
    };
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'",
        ),
        (X_FRAME_OPTIONS, "DENY"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, found.letter.html).into_response()
}

fn is_asked_by_name(headers: &HeaderMap, front: &Front) -> bool {
    let origin = front.site.origin();
    let own = origin
        .split_once("://")
        .map_or(origin, |(_, authority)| authority);
    headers
        .get(HOST)
        .is_some_and(|host| host.as_bytes() == own.as_bytes())
}

fn absent(front: &Front, id: &RequestId, headers: &HeaderMap) -> Response {
    let error = Error::invalid_request("there is no such mail here").with_status(StatusCode::NOT_FOUND);
    let shell = front.shell(headers, None, id);
    error::page(&shell, headers, &error, front.clock.now())
}
