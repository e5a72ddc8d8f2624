//! Pushed authorization requests: RFC 9126. A client hands us its request itself, authenticated, and the browser
//! brings a reference that says nothing and works for this client only.
//!
//! A reference stands for one flow, and a flow ends in one approval: so a request is used up when an authorization
//! completes, and not before. Opening it twice, or going back, works.

use std::sync::Arc;
use std::time::Duration;

use accounts::allowances::{self, Rate};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use clients::{Client, Credentials, Trust};
use events::Context;
use grants::pushed::{self, Kept, Pusher};
use grants::{Flow, approvals};
use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderValue, StatusCode};
use protocol::form::Form;
use protocol::{ClientCertificate, Error, Params, Timestamp, path};
use serde_json::json;

use crate::Authorize;
use crate::bound::Bound;
use crate::checks;
use crate::endpoint::Stop;

/// RFC 9126 §2.2.
pub(crate) const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";

/// By which one network pushes in the name of one client that cannot prove who it is: what many people behind one address
/// need, and a tenth of what all may, so that nobody keeps the others out from one network.
const OF_ONE_NETWORK: Rate = Rate {
    at_once: 200,
    every: Duration::from_secs(1),
};

/// What the client sends to `/authorize` in place of its request.
#[derive(Debug)]
pub(crate) struct Pushed(String);

pub(crate) async fn push(
    State(authorize): State<Arc<Authorize>>,
    certificate: Option<ClientCertificate>,
    headers: HeaderMap,
    by: Context,
    Form(params): Form,
) -> Result<Pushed, Error> {
    let now = authorize.front.clock.now();
    let credentials = Credentials::from_request(&headers, &params, certificate.as_ref())?;
    let client = authorize
        .authenticator
        .authenticate(&credentials, path::PAR, now)
        .await?;
    if params.get("request_uri").is_some() {
        return Err(Error::invalid_request(
            "a pushed request must not hold request_uri",
        ));
    }
    let named = params
        .get("client_id")
        .filter(|named| *named != client.id.as_str());
    if named.is_some() {
        return Err(Error::invalid_request(
            "client_id is not the client that authenticated",
        ));
    }
    let merged = authorize.objects.pushed(&params, &client, now).await?;
    let params = merged.unwrap_or_else(|| params.with("client_id", client.id.as_str()));
    let bound = Bound::prove(&params, &authorize.clients).await?;
    let request = checks::parse(&params, &bound, &authorize.context(now)).await?;
    let (flow, pusher) = (Flow::start(request, now), pusher(&client));
    let bucket = format!("par {} {}", client.id, by.network());
    let work = authorize.front.db.transact(move |conn| {
        Box::pin(async move {
            if pusher == Pusher::Anybody
                && let Err(full) = allowances::take(&bucket, OF_ONE_NETWORK, conn, now).await?
            {
                return Ok(Err(full));
            }
            Ok::<_, db::Error>(Ok(pushed::keep(&flow, pusher, conn, now).await?))
        })
    });
    let kept = work.await?.map_err(|full| {
        let what = "too many requests were pushed in the name of this client from one network";
        Error::too_many(what, full.retry_after)
    })?;
    match kept {
        Kept::As(reference) => Ok(Pushed(format!("{PREFIX}{reference}"))),
        Kept::TooLarge => Err(Error::invalid_request(
            "the request is too large: at most 16 KiB of a client that the operator trusts and that authenticates, 3 KiB \
             of any other",
        )),
        Kept::TooMany => Err(Error::too_many(
            "too many requests were pushed in the name of this client",
            pushed::LIFETIME,
        )),
    }
}

fn pusher(client: &Client) -> Pusher {
    match client.trust {
        _ if client.is_public() => Pusher::Anybody,
        Trust::Trusted => Pusher::Proven,
        Trust::Unverified => Pusher::Unverified,
    }
}

impl Authorize {
    /// The flow that a reference stands for. What stands beside it in the address counts for nothing but the way back
    /// when there is no such flow.
    pub(crate) async fn pushed(
        &self,
        reference: &str,
        params: &Params,
        now: Timestamp,
    ) -> Result<Flow, Stop> {
        let client_id = params.require("client_id")?;
        let mut conn = self.front.db.reader().await?;
        let fault = match pushed::begin(reference, &client_id.into(), &mut conn, now).await? {
            Some(flow) => match approvals::of_flow(&flow.id, &mut conn).await? {
                None => return Ok(flow),
                Some(_) => "the request behind request_uri was used before",
            },
            None => "request_uri stands for no request that this client pushed within the last 60 seconds",
        };
        drop(conn);
        Err(self.told(params, Error::invalid_request_uri(fault)).await)
    }
}

impl IntoResponse for Pushed {
    fn into_response(self) -> Response {
        let body = json!({ "request_uri": self.0, "expires_in": pushed::LIFETIME.as_secs() });
        let no_store = [(CACHE_CONTROL, HeaderValue::from_static("no-store"))];
        (StatusCode::CREATED, no_store, Json(body)).into_response()
    }
}
