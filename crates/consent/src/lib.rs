//! What the user sees on the way: sign-in, consent and logout.
//!
//! Pages record outcomes (a proof, a consent) and go back to the endpoint that decides; they decide nothing. For
//! logout that endpoint is here.

mod agree;
mod choose;
mod login;
mod logo;
mod logout;
mod own;
mod proof;
mod tidings;
mod views;

use std::sync::Arc;

use accounts::passwords::Hasher;
use accounts::sessions::Session;
use axum::response::Response;
use axum::routing::get;
use clients::{Directory, Recipients};
use db::Conn;
use grants::flow::Request;
use grants::{AuthorizationRequest, Flow};
use http::HeaderMap;
use pages::{Front, Guesses, Shell, error, front, see_other};
use protocol::{Error, Issuer, Params, Prompt, RequestId, Routes, Secret, SignUp, Timestamp, path};

pub use tidings::{Tiding, Tidings};

use crate::views::{App, Destination, Links, Trust};

/// What these pages lean on.
#[derive(Debug)]
pub struct Consent {
    pub front: Front,
    pub hasher: Hasher,
    pub guesses: Guesses,
    pub clients: Directory,
    /// Whose hints are believed.
    pub recipients: Recipients,
    pub issuer: Issuer,
    pub recovery: Recovery,
    /// Tells people what they are to know of a sign-in.
    pub tidings: Tidings,
    /// Who may make an account for themselves.
    pub sign_up: SignUp,
}

/// Whether whoever forgot their password can set another by a mailed link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    Offered,
    NotOffered,
}

pub fn router(consent: Consent) -> Routes {
    Routes::new()
        .page(path::LOGIN, get(login::show).post(login::submit))
        .page(path::CONSENT, get(agree::show).post(agree::submit))
        .route(path::LOGOS, get(logo::show))
        .page(path::LOGOUT, get(logout::receive).post(logout::receive_post))
        .page(
            path::LOGOUT_CONFIRM,
            get(logout::confirm::show).post(logout::confirm::submit),
        )
        .with_state(Arc::new(consent))
}

/// Whether the request wants a new account (OpenID Connect Prompt Create §4), and nobody has proven for it who they are:
/// then a page that somebody goes to by hand is not the next one, whoever is signed in.
fn awaits_account(flow: &Flow, session: Option<&Session>) -> bool {
    let is_answered = session.is_some_and(|session| session.authenticated_for(&flow.id).is_some());
    flow.request().prompts(Prompt::Create) && !is_answered
}

/// Why a handler shows no page of its own.
enum Stop {
    Page(Error),
    Expired,
    /// What the flow was about can begin anew at this path of ours.
    StartOver(&'static str),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Page(error.into())
    }
}

/// One request to a page of a flow.
#[derive(Clone)]
struct Visit {
    id: RequestId,
    headers: HeaderMap,
    now: Timestamp,
}

/// A flow as it came, opened, with the cookie that it is bound to.
struct Carried<R: Request = AuthorizationRequest> {
    flow: Flow<R>,
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

    async fn carried<R: Request>(&self, params: &Params, visit: &Visit) -> Result<Carried<R>, Stop> {
        let sealed = params.get("flow").ok_or(Stop::Expired)?;
        let flow = self
            .front
            .open(sealed, &visit.headers, visit.now)
            .await?
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

    /// What the page of a flow says of the client that waits.
    async fn app(&self, client: &clients::Client, flow: &Flow, shell: &Shell) -> Result<App, Stop> {
        let logo = match client.metadata.logo_uri {
            Some(_) => clients::logos::of(client, &mut self.front.db.reader().await?).await?,
            None => None,
        };
        Ok(App {
            name: client.name_in(shell.locale().tag()),
            logo: logo.map(|digest| logo::url(&digest, &shell.base)),
            trust: match client.trust {
                clients::Trust::Trusted => Trust::Trusted,
                clients::Trust::Unverified => Trust::Unverified,
            },
            destination: Destination::of(&flow.request().redirect_uri),
            links: Links::of(&client.metadata),
        })
    }

    /// Back to the endpoint that decides what comes next.
    fn resume<R: Request>(&self, flow: &Flow<R>, sealed: &str) -> Response {
        see_other(&self.front.at(flow.resume(), sealed))
    }

    fn stopped(&self, stop: &Stop, visit: &Visit) -> Response {
        let shell = self.front.shell(&visit.headers, None, &visit.id);
        match stop {
            Stop::StartOver(path) => see_other(&format!("{}{path}", self.front.site.base())),
            Stop::Expired => front::expired(&shell, &visit.headers, visit.now),
            Stop::Page(error) => error::page(&shell, &visit.headers, error, visit.now),
        }
    }
}
