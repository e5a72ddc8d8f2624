//! `/account`: what a person sees and changes of their own account. C062, C068, C086, C092.
//!
//! Decides whose pages these are. A browser may hold sessions of several people; one of them is looked at, by the
//! person's own choice. A form acts for the account that it was shown for: its token names the session, so choosing
//! another account in another tab changes nothing about it. Whoever is not signed in signs in first and comes back.

mod activity;
mod apps;
mod delete;
mod device_name;
mod devices;
mod email;
mod export;
mod home;
mod news;
mod password;
mod profile;
mod proof;
mod switch;
pub(crate) mod user_agent;
mod views;
mod when;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use accounts::allowances::Rate;
use accounts::sessions::{self, Amr, BrowserSessions, Session};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::get;
use clients::Directory;
use grants::flow::{Binding, OwnWhy};
use grants::{Flow, OwnRequest};
use http::header::SET_COOKIE;
use http::{HeaderName, HeaderValue, StatusCode};
use pages::{Page, Shell, Texts, View, see_other};
use protocol::form::Form;
use protocol::{ClientId, Error, Params, Routes, SessionId, Subject, path};

pub(crate) use crate::own::password::led_to_the_form;
use crate::own::views::{Frame, Here, Person};
use crate::{Account, Visit, with_cookie};

pub(crate) fn router() -> Routes<Arc<Account>> {
    Routes::new()
        .page(path::ACCOUNT, get(home::show))
        .page(path::ACCOUNT_SWITCH, get(switch::show).post(switch::submit))
        .page(path::ACCOUNT_SESSIONS, get(devices::show).post(devices::submit))
        .page(path::ACCOUNT_APPS, get(apps::list))
        .page(path::ACCOUNT_APP, get(apps::show).post(apps::submit))
        .page(path::ACCOUNT_PASSWORD, get(password::show).post(password::submit))
        .page(path::ACCOUNT_PROFILE, get(profile::show).post(profile::submit))
        .page(path::ACCOUNT_EMAIL, get(email::show).post(email::submit))
        .page(
            path::ACCOUNT_EMAIL_CONFIRM,
            get(email::followed).post(email::confirm),
        )
        .page(path::ACCOUNT_ACTIVITY, get(activity::show))
        .page(path::ACCOUNT_EXPORT, get(export::show).post(export::submit))
        .page(path::ACCOUNT_DELETE, get(delete::show).post(delete::submit))
        .page(path::ACCOUNT_DELETED, get(delete::done))
        .within(|pages| pages.layer(map_response(apart)))
        .route(path::CHANGE_PASSWORD, get(password::well_known))
}

/// Whoever opened a page of the account, or was opened by one, has no hold on its window. The attack: a site that opens
/// it as a pop-up and reads from what the window does whether somebody is signed in. On the way to an app that must not
/// be, for apps open that way as a pop-up and wait for it.
async fn apart(mut response: Response) -> Response {
    let name = HeaderName::from_static("cross-origin-opener-policy");
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static("same-origin"));
    response
}

/// For so long a proof is fresh enough to change what keeps others out.
const FRESH: Duration = Duration::from_secs(10 * 60);

/// The person whose account is looked at, by a live session of this browser.
pub(crate) struct Owner {
    pub(crate) session: Session,
    /// Other accounts that are signed in here.
    pub(crate) others: Vec<Session>,
}

/// Why a handler shows no page of its own.
pub(crate) enum Stop {
    /// Elsewhere first: signing in.
    Away(Box<Response>),
    Error(Error),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

impl Owner {
    fn of(sessions: BrowserSessions, is_meant: impl Fn(&Session) -> bool) -> Option<Self> {
        let mut all = vec![sessions.active];
        all.extend(sessions.others);
        let at = all.iter().position(is_meant)?;
        let session = all.remove(at);
        Some(Self { session, others: all })
    }

    /// The same browser, as this person; none where they are not signed in on it.
    pub(crate) fn into_user(self, sub: &Subject) -> Option<Self> {
        let mut all = vec![self.session];
        all.extend(self.others);
        let at = all.iter().position(|session| session.sub == *sub)?;
        let session = all.remove(at);
        Some(Self { session, others: all })
    }

    /// Whether they proved who they are by this, in this session, a short while ago (C068).
    pub(crate) fn has_proven(&self, method: Amr, visit: &Visit) -> bool {
        let mut proofs = std::iter::once(&self.session.proof).chain(&self.session.earlier);
        proofs.any(|proof| {
            // A proof from the future was given before the clock was set back.
            let is_fresh = proof.auth_time <= visit.now && visit.now.since(proof.auth_time) < FRESH;
            proof.amr.contains(&method) && is_fresh
        })
    }
}

impl Account {
    pub(crate) fn answered(&self, outcome: Result<Response, Stop>, visit: &Visit) -> Response {
        match outcome {
            Ok(response) => response,
            Err(Stop::Away(response)) => *response,
            Err(Stop::Error(error)) => self.stopped(&error, visit),
        }
    }

    /// Whose page this is. Whoever is not signed in is led to do that, and then to this path.
    pub(crate) async fn owner(&self, path: &str, visit: &Visit) -> Result<Owner, Stop> {
        let sessions = self.signed_in_here(visit).await?;
        let Some(sessions) = sessions else {
            return Err(self.sign_in_first(path, None, visit)?);
        };
        let cookies = &self.front.cookies;
        let preferred = sessions
            .iter()
            .find(|session| cookies.prefers(&session.session_id, &visit.headers))
            .unwrap_or(&sessions.active)
            .session_id
            .clone();
        let owner = Owner::of(sessions, |session| session.session_id == preferred);
        let owner = owner.ok_or_else(|| Error::server_error("a session of the browser is not there"))?;
        self.touch(&owner.session, visit).await;
        Ok(owner)
    }

    /// The same for a page that needs a fresh proof: whoever gave theirs longer ago gives it once more, and comes back.
    pub(crate) async fn fresh_owner(&self, path: &str, visit: &Visit) -> Result<Owner, Stop> {
        let owner = self.owner(path, visit).await?;
        self.demand_proof(&owner, path, visit)?;
        Ok(owner)
    }

    pub(crate) fn demand_proof(&self, owner: &Owner, path: &str, visit: &Visit) -> Result<(), Stop> {
        match owner.has_proven(Amr::Pwd, visit) {
            true => Ok(()),
            false => Err(self.sign_in_first(path, Some(&owner.session.session_id), visit)?),
        }
    }

    /// Who sent a form of the page at this path, with what stands in it: a form of ours, from the account that it was
    /// shown for.
    pub(crate) async fn submitted(
        &self,
        path: &str,
        form: Result<Form, Error>,
        visit: &Visit,
    ) -> Result<(Owner, Params), Stop> {
        self.front.check_origin(&visit.headers)?;
        let Form(params) = form?;
        let Some(sessions) = self.signed_in_here(visit).await? else {
            return Err(self.sign_in_first(path, None, visit)?);
        };
        let is_of = |session: &Session| {
            let about = about(path, &session.session_id);
            self.front.check_csrf(&visit.headers, &about, params.get("csrf"))
        };
        // Says why, when it is of nobody here.
        let refused = is_of(&sessions.active);
        match Owner::of(sessions, |session| is_of(session).is_ok()) {
            Some(owner) => Ok((owner, params)),
            None => Err(refused
                .err()
                .unwrap_or_else(|| Error::access_denied("the form was made for another account"))
                .into()),
        }
    }

    pub(crate) async fn signed_in_here(&self, visit: &Visit) -> Result<Option<BrowserSessions>, Error> {
        let mut conn = self.front.db.reader().await?;
        self.front.sessions(&visit.headers, &mut conn, visit.now).await
    }

    /// To the sign-in page, and from there to this path. With a session, its user gives a proof once more.
    pub(crate) fn sign_in_first(
        &self,
        path: &str,
        session: Option<&SessionId>,
        visit: &Visit,
    ) -> Result<Stop, Error> {
        let (sealed, fresh) = self.own_way(path, session, visit)?;
        Ok(self.away(&sealed, fresh))
    }

    fn away(&self, sealed: &str, fresh: Option<HeaderValue>) -> Stop {
        let mut response = see_other(&self.front.at(path::LOGIN, sealed));
        if let Some(fresh) = fresh {
            response.headers_mut().append(SET_COOKIE, fresh);
        }
        Stop::Away(Box::new(response))
    }

    /// The sealed flow that leads over the sign-in page to this path, and the cookie to set with it.
    pub(crate) fn own_way(
        &self,
        path: &str,
        session: Option<&SessionId>,
        visit: &Visit,
    ) -> Result<(String, Option<HeaderValue>), Error> {
        let request = OwnRequest {
            path: path.to_owned(),
            session: session.cloned(),
            why: None,
        };
        self.sealed_own(request, visit)
    }

    /// The same for somebody who is signed in as another than the one that this path is for.
    pub(crate) fn sign_in_as_another(&self, path: &str, visit: &Visit) -> Result<Stop, Error> {
        let request = OwnRequest {
            path: path.to_owned(),
            session: None,
            why: Some(OwnWhy::AnotherAccount),
        };
        let (sealed, fresh) = self.sealed_own(request, visit)?;
        Ok(self.away(&sealed, fresh))
    }

    fn sealed_own(&self, request: OwnRequest, visit: &Visit) -> Result<(String, Option<HeaderValue>), Error> {
        let cookie = self.front.flow_cookie(&visit.headers);
        let flow = Flow::start(request, visit.now);
        let sealed = self.front.seal(&flow, Binding::Browser(&cookie.value))?;
        Ok((sealed, cookie.fresh))
    }

    /// What every page of the account is framed with, and the cookie to set with it.
    pub(crate) fn frame(
        &self,
        here: Here,
        path: &str,
        owner: &Owner,
        visit: &Visit,
    ) -> Result<(Shell, Frame, Option<HeaderValue>), Error> {
        let (csrf, fresh) = self.form(&about(path, &owner.session.session_id), visit)?;
        let frame = Frame {
            here,
            depth: here.depth_of(path),
            csrf,
            person: Person::of(&owner.session),
            news: None,
        };
        Ok((self.shell(visit, None), frame, fresh))
    }

    /// Notes that the session is in use. Losing this note costs nothing but a little of its idle time.
    async fn touch(&self, session: &Session, visit: &Visit) {
        if !session.is_to_be_touched(visit.now) {
            return;
        }
        let (id, now) = (session.session_id.clone(), visit.now);
        let touch = self
            .front
            .db
            .transact(move |conn| Box::pin(async move { sessions::touch(&id, conn, now).await }));
        if let Err(error) = touch.await {
            tracing::warn!(%error, "a session could not be touched");
        }
    }
}

/// A change that is mailed and stands in the trail, by whoever knows the password: nobody fills a mailbox by going to and
/// fro, nor makes the links void with which the owner would take the account back (C067) for longer than a few tries. Who is
/// kept from it by somebody else sets a new password by a link.
pub(crate) const CHANGES: Rate = Rate {
    at_once: 3,
    every: Duration::from_secs(10 * 60),
};

/// What the forms of a page are about, for their CSRF token.
fn about(path: &str, session: &SessionId) -> String {
    format!("own {path} {session}")
}

/// The names of apps, each looked up once.
#[derive(Default)]
pub(crate) struct Names(HashMap<ClientId, Option<String>>);

impl Names {
    /// None for an app that is no more. Asks the database only for one that this process does not hold, on a connection of
    /// its own: the caller has given back theirs.
    pub(crate) async fn of(
        &mut self,
        id: &ClientId,
        texts: Texts,
        clients: &Directory,
    ) -> Result<Option<String>, Error> {
        if let Some(name) = self.0.get(id) {
            return Ok(name.clone());
        }
        let client = clients.client(id).await?;
        let name = client.map(|client| client.name_in(texts.locale().tag()));
        self.0.insert(id.clone(), name.clone());
        Ok(name)
    }
}

pub(crate) fn page<V: View>(view: V, status: StatusCode, fresh: Option<HeaderValue>) -> Response {
    with_cookie(Page::new(view).with_status(status), fresh)
}

/// There is no such thing, or it is somebody else's: nobody can tell which (C086).
pub(crate) fn absent() -> Stop {
    Error::invalid_request("there is nothing at this address")
        .with_status(StatusCode::NOT_FOUND)
        .into()
}
