//! The revocation feed: what resource servers have to stop accepting, for those that hold it in memory
//! (`docs/revocation.md`).
//!
//! Decides who is told and in which of three forms: everything that counts now, closed by a signature over it; what
//! came after a number, at once or when there is something; or a stream that goes on.

mod admission;
mod lines;
mod ndjson;
mod seats;
mod sse;
mod tail;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest as _, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use clients::{Authenticator, Directory};
use db::Database;
use events::revocations;
use http::header::{ACCEPT, CACHE_CONTROL, ETAG};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use issuance::Bearer;
use keyring::Keyring;
use protocol::form::Form;
use protocol::{ClientCertificate, Clock, Error, ErrorCode, Issuer, Params, Routes, path};

use crate::is_held;
use ndjson::Answer;
use seats::Seat;
use sse::Stream;

pub use tail::Tail;

/// What the feed leans on.
#[derive(Debug)]
pub struct Feed {
    pub db: Database,
    pub tail: Tail,
    pub keyring: Keyring,
    pub clients: Directory,
    pub authenticator: Authenticator,
    pub bearer: Bearer,
    pub issuer: Issuer,
    pub clock: Clock,
}

/// What lives under the issuer's path. Scripts in browsers have no business here.
pub fn router(feed: Arc<Feed>) -> Routes {
    Routes::new()
        .route(path::REVOCATIONS, get(tell).post(tell))
        .with_state(feed)
}

/// From where on, and how.
#[derive(Debug)]
struct Asked {
    /// Everything up to this number is held already.
    after: Option<i64>,
    /// Of this history.
    feed: Option<String>,
    wait: Option<Duration>,
}

/// Where the parameters of a request stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    InForm,
    /// Where nothing is that proves anything: it is in logs (RFC 6750 §2.3).
    InQuery,
}

const LONGEST_WAIT: u64 = 60;
static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

async fn tell(State(feed): State<Arc<Feed>>, request: Request) -> Result<Response, Error> {
    let headers = request.headers().clone();
    let certificate = request.extensions().get::<ClientCertificate>().cloned();
    let (params, sent) = match *request.method() == Method::POST {
        true => (Form::from_request(request, &()).await?.0, Sent::InForm),
        false => (
            Params::parse(request.uri().query().unwrap_or_default().as_bytes())?,
            Sent::InQuery,
        ),
    };
    let now = feed.clock.now();
    let reader = feed.admit(&headers, (&params, sent), certificate, now).await?;
    let streams = wants_stream(&headers);
    let asked = match streams {
        true => Asked::to_stream(&headers, &params)?,
        false => Asked::of(&params)?,
    };
    let state = feed.state().await?;
    let is_stale = asked.is_stale(&state);
    if is_stale && !streams {
        return Err(Error::new(
            ErrorCode::StaleFeed,
            "the feed or number given is not of this server's history: take a snapshot, without after and feed",
        ));
    }
    let etag = format!("\"{}.{}\"", state.feed, state.sequence);
    if asked.after.is_none() && !streams && is_current(&headers, &etag) {
        let held = [(ETAG, weak(&etag)), (CACHE_CONTROL, NO_STORE)];
        return Ok((StatusCode::NOT_MODIFIED, held).into_response());
    }
    let seat = feed.tail.seats().take(reader.name())?;
    if streams {
        return Ok(Stream::new(feed, reader, seat, &asked, state, is_stale).into_response());
    }
    Ok(answer(feed, seat, &asked, state, &etag))
}

fn answer(feed: Arc<Feed>, seat: Seat, asked: &Asked, state: revocations::State, etag: &str) -> Response {
    let Some(after) = asked.after else {
        let mut response = Answer::snapshot(feed, seat, state).into_response();
        response.headers_mut().insert(ETAG, weak(etag));
        return response;
    };
    match asked.wait {
        Some(wait) if after == state.sequence => Answer::waiting(feed, seat, state, wait).into_response(),
        Some(_) | None => Answer::since(feed, seat, after, state).into_response(),
    }
}

impl Feed {
    /// Of this very moment. The tail is brought to the same history, so that nobody is told of a change that they
    /// know of.
    async fn state(&self) -> Result<revocations::State, Error> {
        let state = revocations::state(&mut self.db.reader().await?).await?;
        if self.tail.state().feed != state.feed {
            self.tail.catch_up().await?;
        }
        Ok(state)
    }
}

impl Asked {
    fn of(params: &Params) -> Result<Self, Error> {
        let number = |name: &str| match params.get(name) {
            None => Ok(None),
            Some(text) => match whole(text) {
                Some(number) => Ok(Some(number)),
                None => Err(Error::invalid_request(format!("{name}: expected a whole number"))),
            },
        };
        let (after, wait) = (number("after")?, number("wait")?);
        if wait.is_some() && after.is_none() {
            return Err(Error::invalid_request(
                "wait goes with after: a snapshot is there at once",
            ));
        }
        let wait = match wait.map(u64::try_from) {
            None => None,
            Some(Ok(seconds @ 1..)) => Some(Duration::from_secs(seconds.min(LONGEST_WAIT))),
            Some(_) => return Err(Error::invalid_request("wait: expected seconds from 1 to 60")),
        };
        Ok(Self {
            after,
            feed: params.get("feed").map(str::to_owned),
            wait,
        })
    }

    /// HTML Living Standard §9.2.4: whoever lost a stream goes on behind the last event that it had.
    fn to_stream(headers: &HeaderMap, params: &Params) -> Result<Self, Error> {
        let Some(id) = headers.get(&LAST_EVENT_ID).filter(|id| !id.is_empty()) else {
            return Self::of(params);
        };
        let parts = id.to_str().ok().and_then(|text| text.rsplit_once('.'));
        let cursor = parts.and_then(|(feed, after)| Some((feed.to_owned(), whole(after)?)));
        let (feed, after) = cursor.ok_or_else(|| {
            Error::invalid_request("Last-Event-ID is not one of this server's: leave it out to begin anew")
        })?;
        Ok(Self {
            after: Some(after),
            feed: Some(feed),
            wait: None,
        })
    }

    fn is_stale(&self, state: &revocations::State) -> bool {
        self.after.is_some_and(|after| after > state.sequence)
            || self.feed.as_ref().is_some_and(|feed| *feed != state.feed)
    }
}

/// Digits and nothing else.
fn whole(text: &str) -> Option<i64> {
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())?
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let mut accepted = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    accepted.any(|value| value.contains("text/event-stream"))
}

fn is_current(headers: &HeaderMap, etag: &str) -> bool {
    HeaderValue::from_str(etag).is_ok_and(|etag| is_held(headers, &etag))
}

/// RFC 9110 §8.8.1: the same numbers, but the closing line says when it was signed.
fn weak(etag: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("W/{etag}")).unwrap_or(HeaderValue::from_static("W/\"\""))
}

/// Why an answer broke off: its reader finds no closing line, and asks again.
type Broken = Error;

/// Parts of a body, made one after the other as they are taken.
fn body<S, F>(state: S, next: impl Fn(S) -> F + Send + 'static) -> axum::body::Body
where
    S: Send + 'static,
    F: Future<Output = Option<(Result<bytes::Bytes, Broken>, S)>> + Send + 'static,
{
    axum::body::Body::from_stream(futures_util::stream::unfold(state, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Result<Asked, Error> {
        Asked::of(&Params::parse(query.as_bytes()).unwrap())
    }

    #[test]
    fn numbers_are_whole_and_a_wait_is_at_most_a_minute() {
        let good = asked("after=17&feed=G&wait=600").unwrap();
        assert_eq!((good.after, good.feed.as_deref()), (Some(17), Some("G")));
        assert_eq!(good.wait, Some(Duration::from_secs(60)));
        assert!(asked("").unwrap().after.is_none());
        for bad in [
            "after=-1",
            "after=%2B1",
            "after=x",
            "after=1.5",
            "after=99999999999999999999",
            "after=1&wait=0",
            "after=1&wait=x",
            "after=1&wait=-3",
            "wait=30",
        ] {
            assert!(asked(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_lost_stream_goes_on_behind_its_last_event() {
        let with = |id: &'static str| {
            let headers = [(LAST_EVENT_ID.clone(), HeaderValue::from_static(id))]
                .into_iter()
                .collect();
            Asked::to_stream(&headers, &Params::parse(b"after=3").unwrap())
        };
        let resumed = with("a.b.17").unwrap();
        assert_eq!((resumed.after, resumed.feed.as_deref()), (Some(17), Some("a.b")));
        assert_eq!(with("").unwrap().after, Some(3));
        for bad in ["17", "G.", "G.x", "G.-1"] {
            assert!(with(bad).is_err(), "{bad}");
        }
    }
}
