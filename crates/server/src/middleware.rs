//! What every request passes on its way in and every answer on its way out, whatever the route.
//!
//! Decides, outermost first: the request's name and its line in the log, the headers that every answer carries,
//! that a panic is an answer, that what is too large or too slow never reaches a handler, and whose address and
//! certificate count. It is one layer and not ten: each would cost a boxed future per request.

mod address;
mod body;
mod caps;
mod certificate;
mod cors;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use account::Mails;
use accounts::attempts::Attempts;
use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use http::header::{ACCEPT, CONNECTION, HOST, REFERRER_POLICY};
use http::header::{STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use pages::{Failure, Operator, Site};
use protocol::{ClientAddress, Clock, Error, Issuer, RequestId};
use tokio::time::Instant;
use tracing::Instrument as _;

pub use certificate::Certificates;
pub use cors::{Cors, cors};

use crate::listener::{Limits, PeerAddress};
use crate::settings::{RateLimits, TrustedProxies};
use body::Arrival;

/// What the outer layer has to know.
#[derive(Clone, Debug)]
pub struct Shell {
    secure: bool,
    site: Site,
    proxies: TrustedProxies,
    certificates: Certificates,
    limits: Limits,
}

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const ONE_YEAR_OF_HTTPS: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains");
/// With `no-referrer` browsers send `Origin: null` on our own forms.
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");

impl Shell {
    pub fn new(issuer: &Issuer, proxies: TrustedProxies, limits: Limits) -> Self {
        Self {
            secure: issuer.is_secure(),
            site: Site::new(issuer.as_str()),
            proxies,
            certificates: Certificates::Ours,
            limits,
        }
    }

    /// The same where these tell of clients' certificates.
    #[must_use]
    pub fn told_of_certificates_by(self, certificates: Certificates) -> Self {
        Self { certificates, ..self }
    }

    /// The same on a site that is run by whoever says so.
    #[must_use]
    pub fn run_by(self, operator: Arc<Operator>) -> Self {
        let site = self.site.run_by(operator);
        Self { site, ..self }
    }

    /// The bound on sign-ins that fail.
    pub(crate) fn attempts(&self) -> Attempts {
        match self.limits.sign_ins {
            RateLimits::On => Attempts::limited(),
            RateLimits::Off => Attempts::unlimited(),
        }
    }

    /// The bound on mails that strangers ask for.
    pub(crate) fn mails(&self) -> Mails {
        match self.limits.sign_ins {
            RateLimits::On => Mails::Counted,
            RateLimits::Off => Mails::Free,
        }
    }

    /// Puts the whole router inside, its fallback included.
    pub fn around(self, app: Router) -> Router {
        app.layer(DefaultBodyLimit::max(protocol::form::MAX_BODY))
            .layer(from_fn_with_state(self, pass))
    }
}

async fn pass(State(shell): State<Shell>, mut request: Request, next: Next) -> Response {
    let id = RequestId::random();
    request.extensions_mut().insert(id.clone());
    // Never the path itself: it is the client's text, and some paths hold what only their receiver may know.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("none", MatchedPath::as_str);
    let span = tracing::info_span!("request", %id, method = %request.method(), route);

    async {
        let began = Instant::now();
        let mut response = shell.answer(&id, request, next).await;
        shell.complete(response.headers_mut(), &id);
        let status = response.status().as_u16();
        let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(status, milliseconds, "answered");
        response
    }
    .instrument(span)
    .await
}

impl Shell {
    async fn answer(&self, id: &RequestId, mut request: Request, next: Next) -> Response {
        let reader = self.reader(request.headers(), id);
        if let Err(refusal) = self.admit(&mut request) {
            return reader.shown(refusal);
        }
        let (request, arrival) = body::watched(request, self.limits.body);
        let handled = AssertUnwindSafe(next.run(request)).catch_unwind();
        match tokio::time::timeout(self.limits.total, handled).await {
            Ok(Ok(response)) => response,
            // Where it happened is in the log already; what it said is nobody's business.
            Ok(Err(_)) => reader.shown(Error::server_error("a handler panicked")),
            Err(_) => out_of_time(reader, &arrival),
        }
    }

    /// Everything that is refused before a handler sees the request.
    fn admit(&self, request: &mut Request) -> Result<(), Error> {
        caps::check(request)?;
        // RFC 9112 §3.2: a server before us may have heeded the other one.
        if request.headers().get_all(HOST).iter().count() > 1 {
            return Err(Error::invalid_request("the request has more than one Host"));
        }
        if let Some(&PeerAddress(peer)) = request.extensions().get() {
            let address = address::of_client(peer.ip(), request.headers(), &self.proxies)?;
            request.extensions_mut().insert(ClientAddress(address));
            let (headers, own) = (request.headers_mut(), self.certificates);
            if let Some(certificate) = certificate::take(headers, peer.ip(), own, &self.proxies)? {
                request.extensions_mut().insert(certificate);
            }
        }
        Ok(())
    }

    fn reader<'r>(&'r self, headers: &HeaderMap, id: &'r RequestId) -> Reader<'r> {
        let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
        match accept.is_some_and(|accept| accept.contains("text/html")) {
            true => Reader::Person { site: &self.site, id },
            false => Reader::Program,
        }
    }

    fn complete(&self, headers: &mut HeaderMap, id: &RequestId) {
        headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        headers.entry(REFERRER_POLICY).or_insert(SAME_ORIGIN);
        if self.secure {
            headers.insert(STRICT_TRANSPORT_SECURITY, ONE_YEAR_OF_HTTPS);
        }
        if let Ok(id) = HeaderValue::from_str(id.as_str()) {
            headers.insert(&REQUEST_ID, id);
        }
    }
}

/// A body that did not come is the client's fault, anything else ours.
fn out_of_time(reader: Reader<'_>, arrival: &Arrival) -> Response {
    if arrival.is_complete() {
        return reader.shown(Error::temporarily_unavailable("the handler took too long"));
    }
    let refusal = Error::invalid_request("the body did not arrive in time");
    let mut response = reader.shown(refusal.with_status(StatusCode::REQUEST_TIMEOUT));
    // RFC 9110 §15.5.9.
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Who will read an answer of this layer. Its page needs neither template nor texts nor database.
enum Reader<'r> {
    Person { site: &'r Site, id: &'r RequestId },
    Program,
}

impl Reader<'_> {
    fn shown(self, error: Error) -> Response {
        match self {
            Self::Program => error.into_response(),
            Self::Person { site, id } => {
                error.log();
                let failure = Failure::outside_of_pages(error.status());
                // The clock that a test may move is behind this layer.
                failure.page(site.base(), site.operator(), id.as_str(), Clock::System.now())
            }
        }
    }
}

#[cfg(test)]
mod tests;
