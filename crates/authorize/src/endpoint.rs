//! The walk of an authorization request.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use clients::Client;
use grants::Flow;
use grants::flow::Binding;
use http::HeaderMap;
use http::header::SET_COOKIE;
use pages::{Problem, Shell, Why, error, front, see_other};
use protocol::form::Form;
use protocol::{Error, Params, PushedRequests, RequestId, Timestamp, path};

use crate::Authorize;
use crate::bound::Bound;
use crate::checks::{self, Context};
use crate::{pushed, respond};

/// One request.
pub(crate) struct Visit {
    pub(crate) id: RequestId,
    pub(crate) headers: HeaderMap,
    pub(crate) now: Timestamp,
}

/// What a handler answers with when it does not go on.
pub(crate) enum Stop {
    /// Nothing is proven, or we failed: a page of ours.
    Page(Error),
    /// The client is to know.
    Client(Box<Bound>, Error),
    /// The flow in the request is none of this browser's.
    Expired,
    /// The flow was answered before, and its code is no longer valid.
    Completed,
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Page(error.into())
    }
}

pub(crate) async fn receive(
    State(authorize): State<Arc<Authorize>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let now = authorize.front.clock.now();
    let visit = Visit { id, headers, now };
    let outcome = get(&authorize, query.as_deref().unwrap_or_default(), &visit).await;
    outcome.unwrap_or_else(|stop| authorize.answer(stop, &visit))
}

/// A POST from the client's site carries none of our cookies, and none is set: the GET that follows is
/// same-site, sees them, and binds the flow.
pub(crate) async fn receive_post(
    State(authorize): State<Arc<Authorize>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    form: Result<Form, Error>,
) -> Response {
    let now = authorize.front.clock.now();
    let visit = Visit { id, headers, now };
    let outcome = async {
        let Form(params) = form?;
        let flow = authorize.begin(&params, now).await?;
        let sealed = authorize.front.seal(&flow, Binding::Unbound)?;
        Ok(see_other(&authorize.front.at(path::AUTHORIZE, &sealed)))
    };
    outcome
        .await
        .unwrap_or_else(|stop| authorize.answer(stop, &visit))
}

async fn get(authorize: &Authorize, query: &str, visit: &Visit) -> Result<Response, Stop> {
    let (front, headers, now) = (&authorize.front, &visit.headers, visit.now);
    let params = Params::parse(query.as_bytes())?;
    let flow = match params.get("flow") {
        None => authorize.begin(&params, now).await?,
        Some(sealed) => match front.open(sealed, headers, now).await? {
            Some(flow) => flow,
            None => front.open_unbound(sealed, now).await?.ok_or(Stop::Expired)?,
        },
    };
    respond::advance(authorize, &flow, visit).await
}

impl Authorize {
    /// From parameters to a flow: from here on nothing of the request is read again.
    async fn begin(&self, params: &Params, now: Timestamp) -> Result<Flow, Stop> {
        let reference = params
            .get("request_uri")
            .and_then(|uri| uri.strip_prefix(pushed::PREFIX));
        if let Some(reference) = reference {
            return self.pushed(reference, params, now).await;
        }
        let merged = self.merged(params, now).await?;
        let params = merged.as_ref().unwrap_or(params);
        let bound = Bound::prove(params, &self.clients).await?;
        let flow = checks::parse(params, &bound, &self.context(now))
            .await
            .map(|request| Flow::start(request, now));
        let fitting = flow.and_then(|flow| self.fits(&flow).map(|()| flow));
        fitting.map_err(|error| Stop::Client(Box::new(bound), error))
    }

    pub(crate) fn context(&self, now: Timestamp) -> Context<'_> {
        Context {
            issuer: &self.issuer,
            keyring: &self.front.keyring,
            recipients: &self.recipients,
            clients: &self.clients,
            response_types: self.response_types,
            sign_up: self.sign_up,
            now,
        }
    }

    /// One that cannot travel is refused while the app can still be told.
    fn fits(&self, flow: &Flow) -> Result<(), Error> {
        self.front.seal(flow, Binding::Unbound).map(drop)
    }

    /// The parameters that count, when some of them were signed.
    async fn merged(&self, params: &Params, now: Timestamp) -> Result<Option<Params>, Stop> {
        let client = self.clients.client(&params.require("client_id")?.into()).await?;
        let Some(client) = client else {
            return Ok(None);
        };
        let merged = match self.has_to_push(&client) {
            Some(reason) => Err(Error::invalid_request(reason)),
            None => self.objects.merged(params, &client, now).await,
        };
        match merged {
            Ok(merged) => Ok(merged),
            Err(error) => Err(self.told(params, error).await),
        }
    }

    /// RFC 9126 §5 and §6: why a request that was not pushed does not count.
    fn has_to_push(&self, client: &Client) -> Option<&'static str> {
        match (
            self.pushed_requests,
            client.metadata.require_pushed_authorization_requests,
        ) {
            (PushedRequests::Required, _) => {
                Some("this server takes pushed requests only (PAR, RFC 9126): see its metadata")
            }
            (PushedRequests::Optional, true) => {
                Some("this client has registered that it pushes its requests (PAR, RFC 9126)")
            }
            (PushedRequests::Optional, false) => None,
        }
    }

    /// What is wrong with a request that does not stand in the address goes to where the address says, if that is
    /// registered.
    pub(crate) async fn told(&self, params: &Params, error: Error) -> Stop {
        match Bound::prove(params, &self.clients).await {
            Ok(bound) => Stop::Client(Box::new(bound), error),
            Err(_) => Stop::Page(error),
        }
    }

    /// To the next page, with the flow bound to this browser.
    pub(crate) fn send_to(&self, page: &str, flow: &Flow, headers: &HeaderMap) -> Result<Response, Stop> {
        let cookie = self.front.flow_cookie(headers);
        let sealed = self.front.seal(flow, Binding::Browser(&cookie.value))?;
        let mut response = see_other(&self.front.at(page, &sealed));
        if let Some(set) = cookie.fresh {
            response.headers_mut().append(SET_COOKIE, set);
        }
        Ok(response)
    }

    /// The frame of a page of ours.
    pub(crate) fn shell(&self, visit: &Visit) -> Shell {
        self.front.shell(&visit.headers, None, &visit.id)
    }

    fn answer(&self, stop: Stop, visit: &Visit) -> Response {
        let (headers, now) = (&visit.headers, visit.now);
        let shell = self.shell(visit);
        match stop {
            Stop::Expired => front::expired(&shell, headers, now),
            Stop::Completed => {
                let error = Error::invalid_request("this flow was answered before, and its code has expired");
                error::page(&shell, headers, Problem::new(&error, Why::Completed), now)
            }
            Stop::Page(error) => error::page(&shell, headers, &error, now),
            // A fault of ours stays with us: a client could do nothing with it, and the person would lose the way back.
            Stop::Client(_, error) if error.status().is_server_error() => {
                error::page(&shell, headers, &error, now)
            }
            Stop::Client(bound, error) => {
                error.log();
                bound.refuse(&error, &self.issuer, shell)
            }
        }
    }
}
