//! What the user comes back for: a new password, a confirmed address; how they come by an account; and the mails about it.
//!
//! Nobody is signed in here who was not, but to an account that was just made. Who asks for a mail is told the same whoever
//! has an account, after the same work: the handler looks nobody up, it queues one row, and what becomes of that is decided when its turn to be sent has come.

mod letters;
pub mod mailbox;
mod notices;
mod outbox;
mod own;
mod password;
mod recover;
mod sign_up;
mod take_back;
mod verify;
mod views;

use std::sync::Arc;

use accounts::attempts::TooMany;
use accounts::links::Found;
use accounts::passwords::Hasher;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use clients::Directory;
use grants::{Flow, OwnRequest};
use http::header::{SET_COOKIE, USER_AGENT};
use http::{HeaderMap, HeaderValue, StatusCode};
use pages::{Front, Guesses, Page, Problem, Shell, error, see_other};
use protocol::{Error, FlowId, RequestId, Routes, SignUp, Timestamp, path};

pub use letters::Letters;
pub use notices::{Deed, NewBrowser};
pub use outbox::{Mails, Outbox};

use crate::views::{Dead, DeadLink, Renewal};

/// What these pages lean on.
#[derive(Debug)]
pub struct Account {
    pub front: Front,
    pub hasher: Hasher,
    /// Passwords that are given once more count like those at sign-in.
    pub guesses: Guesses,
    pub clients: Directory,
    /// None where no mail is sent: then nothing that needs it is offered.
    pub outbox: Option<Outbox>,
    /// Who may make an account.
    pub sign_up: SignUp,
}

pub fn router(account: Account) -> Routes {
    Routes::new()
        .page(path::RECOVER, get(recover::show).post(recover::submit))
        .page(path::RECOVER_SENT, get(recover::sent))
        .page(path::RECOVER_PASSWORD, get(password::show).post(password::submit))
        .page(
            path::RECOVER_ACCOUNT,
            get(take_back::show).post(take_back::submit),
        )
        .page(path::RECOVER_DONE, get(password::done))
        .page(path::SIGN_UP, get(sign_up::show).post(sign_up::submit))
        .page(path::SIGN_UP_SENT, get(sign_up::sent))
        .page(
            path::SIGN_UP_ACCOUNT,
            get(sign_up::finish::show).post(sign_up::finish::submit),
        )
        .page(path::SIGN_UP_DONE, get(sign_up::finish::done))
        .page(path::VERIFY, get(verify::show).post(verify::submit))
        .page(path::VERIFY_SENT, get(verify::sent))
        .page(path::VERIFY_DONE, get(verify::done))
        .merge(own::router())
        .with_state(Arc::new(account))
}

/// What stands at the root of the host where the issuer has a path: password managers look nowhere else.
pub fn at_the_root(front: &Front) -> Routes {
    let base = front.site.base().to_owned();
    let lead = move || {
        let response = own::led_to_the_form(&base);
        async move { response }
    };
    Routes::new().route(path::CHANGE_PASSWORD, get(lead))
}

/// Whoever types the address of the host alone comes to their account.
pub fn at_home(front: &Front) -> Routes {
    let account = format!("{}{}", front.site.base(), path::ACCOUNT);
    let lead = move || {
        let response = see_other(&account);
        async move { response }
    };
    Routes::new().route("/", get(lead))
}

/// One request.
#[derive(Clone)]
struct Visit {
    id: RequestId,
    headers: HeaderMap,
    now: Timestamp,
}

impl Visit {
    /// What the browser says of itself, as far as a mail needs it.
    fn user_agent(&self) -> String {
        let value = self.headers.get(USER_AGENT);
        let text = value.map(|value| String::from_utf8_lossy(value.as_bytes()));
        text.unwrap_or_default()
            .chars()
            .filter(|c| !c.is_control())
            .take(MAX_USER_AGENT)
            .collect()
    }
}

/// Longest `User-Agent` we keep.
const MAX_USER_AGENT: usize = 256;

/// What a browser was about to do when it lost its way, in this browser still.
struct Pending {
    way: Way,
    sealed: String,
}

/// Where the browser was going.
enum Way {
    /// To an app that waits.
    App(Box<Flow>),
    /// To a page of ours.
    Own(Flow<OwnRequest>),
}

impl Pending {
    /// The flow of the app that waits, if one does.
    fn app(&self) -> Option<&Flow> {
        match &self.way {
            Way::App(flow) => Some(flow),
            Way::Own(_) => None,
        }
    }

    fn flow_id(&self) -> &FlowId {
        match &self.way {
            Way::App(flow) => &flow.id,
            Way::Own(flow) => &flow.id,
        }
    }

    fn ui_locales(&self) -> Option<&str> {
        self.app().and_then(|flow| flow.request().ui_locales.as_deref())
    }
}

/// What another did first.
enum Lost {
    /// The link was used, the account changed, or it was disabled.
    Race,
    TooMany(TooMany),
    Database(db::Error),
}

impl From<db::Error> for Lost {
    fn from(error: db::Error) -> Self {
        Self::Database(error)
    }
}

impl Account {
    fn visit(&self, id: RequestId, headers: HeaderMap) -> Visit {
        Visit {
            id,
            headers,
            now: self.front.clock.now(),
        }
    }

    fn shell(&self, visit: &Visit, pending: Option<&Pending>) -> Shell {
        let ui_locales = pending.and_then(Pending::ui_locales);
        self.front.shell(&visit.headers, ui_locales, &visit.id)
    }

    fn stopped(&self, error: &Error, visit: &Visit) -> Response {
        let problem = Problem::of_ours(error);
        error::page(&self.shell(visit, None), &visit.headers, problem, visit.now)
    }

    /// The flow that is carried along, if it is one of this browser. Any other is let go.
    async fn pending(&self, sealed: Option<&str>, visit: &Visit) -> Result<Option<Pending>, Error> {
        let Some(sealed) = sealed else {
            return Ok(None);
        };
        let app = self.front.open(sealed, &visit.headers, visit.now).await?;
        let way = match app {
            Some(flow) => Some(Way::App(Box::new(flow))),
            None => self
                .front
                .open(sealed, &visit.headers, visit.now)
                .await?
                .map(Way::Own),
        };
        Ok(way.map(|way| Pending {
            way,
            sealed: sealed.to_owned(),
        }))
    }

    /// A page with a form: its token, and the cookie that the token is bound to where the browser has none.
    fn form(&self, about: &str, visit: &Visit) -> Result<(String, Option<HeaderValue>), Error> {
        let cookie = self.front.flow_cookie(&visit.headers);
        Ok((self.front.csrf_token(&cookie.value, about)?, cookie.fresh))
    }

    /// A path of ours with these in its query: values that we sealed, or made.
    fn at(&self, path: &str, query: &[(&str, Option<&str>)]) -> String {
        let mut address = format!("{}{path}", self.front.site.base());
        let mut sign = '?';
        for (name, value) in query {
            if let Some(value) = value {
                address.push(sign);
                address.push_str(name);
                address.push('=');
                address.push_str(value);
                sign = '&';
            }
        }
        address
    }

    /// The page of a link that does not work.
    fn dead(&self, found: &Found, renewal: Renewal, fresh: Option<HeaderValue>, visit: &Visit) -> Response {
        let (dead, status) = match found {
            Found::Expired(_) => (Dead::Expired(renewal), StatusCode::GONE),
            Found::Used(_) | Found::Live(_) => (Dead::Used(renewal), StatusCode::GONE),
            Found::Disabled => (Dead::Disabled, StatusCode::FORBIDDEN),
            Found::Foreign => (Dead::Foreign, StatusCode::NOT_FOUND),
        };
        let shell = self.shell(visit, None);
        with_cookie(Page::new(DeadLink { shell, dead }).with_status(status), fresh)
    }
}

fn with_cookie<V: pages::View>(page: Page<V>, fresh: Option<HeaderValue>) -> Response {
    let mut response = page.into_response();
    if let Some(cookie) = fresh {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}
