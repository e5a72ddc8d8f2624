//! What the user sees on the way: sign-in and consent.
//!
//! Pages record outcomes (a proof, a consent) and go back to the endpoint that decides; they decide nothing.

mod agree;
mod login;
mod views;

use std::sync::Arc;

use accounts::passwords::Hasher;
use axum::Router;
use axum::response::Response;
use axum::routing::get;
use clients::Directory;
use db::Conn;
use grants::Flow;
use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use pages::{Front, error, front};
use protocol::{Error, Params, RequestId, Secret, Timestamp, path};

/// What these pages lean on.
#[derive(Debug)]
pub struct Consent {
    pub front: Front,
    pub hasher: Hasher,
    pub clients: Directory,
}

pub fn router(consent: Consent) -> Router {
    Router::new()
        .route(path::LOGIN, get(login::show).post(login::submit))
        .route(path::CONSENT, get(agree::show).post(agree::submit))
        .with_state(Arc::new(consent))
}

/// Why a handler shows no page of its own.
enum Stop {
    Page(Error),
    Expired,
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Page(error.into())
    }
}

/// One request to a page of a flow.
struct Visit {
    id: RequestId,
    headers: HeaderMap,
    now: Timestamp,
}

/// A flow as it came, opened, with the cookie that it is bound to.
struct Carried {
    flow: Flow,
    sealed: String,
    cookie: Secret,
}

impl Consent {
    fn visit(&self, id: RequestId, headers: HeaderMap) -> Visit {
        Visit {
            id,
            headers,
            now: self.front.clock.now(),
        }
    }

    fn carried(&self, params: &Params, visit: &Visit) -> Result<Carried, Stop> {
        let sealed = params.get("flow").ok_or(Stop::Expired)?;
        let flow = self
            .front
            .open(sealed, &visit.headers, visit.now)?
            .ok_or(Stop::Expired)?;
        let cookie = self.front.cookies.flow(&visit.headers).ok_or(Stop::Expired)?;
        Ok(Carried {
            flow,
            sealed: sealed.to_owned(),
            cookie,
        })
    }

    async fn client(&self, flow: &Flow, conn: &mut Conn) -> Result<clients::Client, Stop> {
        let client = clients::records::by_id(&flow.request().client_id, conn).await?;
        client.ok_or_else(|| Error::invalid_request("the client of this flow is no longer registered").into())
    }

    /// Back to the endpoint that decides what comes next.
    fn resume(&self, flow: &Flow, sealed: &str) -> Response {
        let mut response = Response::new(axum::body::Body::empty());
        *response.status_mut() = StatusCode::SEE_OTHER;
        // Paths of ours and base64url: always a valid header.
        if let Ok(location) = HeaderValue::from_str(&self.front.at(flow.resume(), sealed)) {
            response.headers_mut().insert(LOCATION, location);
        }
        response
            .headers_mut()
            .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    fn stopped(&self, stop: &Stop, visit: &Visit) -> Response {
        let shell = self.front.shell(&visit.headers, None, &visit.id);
        match stop {
            Stop::Expired => front::expired(&shell, &visit.headers, visit.now),
            Stop::Page(error) => error::page(&shell, &visit.headers, error, visit.now),
        }
    }
}
