//! The logout endpoint: OpenID Connect RP-Initiated Logout §2 and §3.
//!
//! Decides what a request ends. A hint that names a session of this browser ends that session at once; anything
//! else asks first and then ends every session of the browser, because whoever made the link may be anybody. Only
//! a [`RelyingParty`] can lead back to a client, and only when the person vouches for it or a hint of its own does.

pub(crate) mod confirm;
pub(crate) mod frames;
mod request;

use std::sync::Arc;

use accounts::sessions::{self, BrowserSessions, Left, Session};
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use clients::Trust;
use events::Context;
use grants::flow::{Binding, LogoutAnswer};
use grants::{Flow, LogoutRequest};
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};
use pages::{Lifetime, Page, see_other};
use protocol::form::Form;
use protocol::{Error, Params, RequestId, path};
use revocation::Act;

use crate::logout::frames::Frame;
use crate::logout::request::RelyingParty;
use crate::views::{After, SignedOut};
use crate::{Consent, Stop, Visit};

pub(crate) async fn receive(
    State(consent): State<Arc<Consent>>,
    Extension(id): Extension<RequestId>,
    by: Context,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let visit = consent.visit(id, headers);
    let outcome = async {
        let params = Params::parse(query.as_deref().unwrap_or_default().as_bytes())?;
        let flow = consent.logout_flow(&params, &visit).await?;
        consent.log_out(&flow, &by, &visit).await
    };
    outcome
        .await
        .unwrap_or_else(|stop| consent.stopped(&stop, &visit))
}

/// A POST from the client's site carries none of our cookies, and none is set: the GET that follows is
/// same-site and sees them.
pub(crate) async fn receive_post(
    State(consent): State<Arc<Consent>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    form: Result<Form, Error>,
) -> Response {
    let visit = consent.visit(id, headers);
    let outcome = async {
        let Form(params) = form?;
        let request = consent.logout_request(&params, &visit).await?;
        let sealed = consent
            .front
            .seal(&Flow::start(request, visit.now), Binding::Unbound)?;
        Ok(see_other(&consent.front.at(path::LOGOUT, &sealed)))
    };
    outcome
        .await
        .unwrap_or_else(|stop| consent.stopped(&stop, &visit))
}

/// How a logout ended, for the page that says so.
struct Outcome {
    after: After,
    frames: Vec<Frame>,
    /// Where the browser goes on to by itself, once the frames are loaded.
    way: Option<String>,
}

/// The next step of a logout.
enum Step<'s> {
    /// The hint names this session.
    End(&'s Session),
    Ask,
    SignedOut,
    Stayed,
}

impl Consent {
    /// The flow that the request carries on with, or begins. One that does not open is begun anew without
    /// anything that it said: whoever wants to sign out is not sent away.
    async fn logout_flow(&self, params: &Params, visit: &Visit) -> Result<Flow<LogoutRequest>, Stop> {
        let Some(sealed) = params.get("flow") else {
            let request = self.logout_request(params, visit).await?;
            return Ok(Flow::start(request, visit.now));
        };
        let flow = match self.front.open(sealed, &visit.headers, visit.now).await? {
            Some(flow) => Some(flow),
            None => self.front.open_unbound(sealed, visit.now).await?,
        };
        Ok(flow.unwrap_or_else(|| Flow::start(LogoutRequest::default(), visit.now)))
    }

    async fn log_out(
        &self,
        flow: &Flow<LogoutRequest>,
        by: &Context,
        visit: &Visit,
    ) -> Result<Response, Stop> {
        let party = RelyingParty::of(flow.request(), &self.clients).await?;
        let mut conn = self.front.db.reader().await?;
        let sessions = self.front.sessions(&visit.headers, &mut conn, visit.now).await?;
        drop(conn);
        match self.next(flow, sessions.as_ref())? {
            Step::End(session) => {
                let cookie = self.end([session], by, visit).await?;
                let others = sessions.as_ref().is_some_and(|all| !all.others.is_empty());
                let after = if others { After::Others } else { After::Nobody };
                let frames = self.frames(std::slice::from_ref(&session.session_id)).await?;
                let mut response = match party.as_ref().and_then(RelyingParty::way_back) {
                    Some(way) if frames.is_empty() => see_other(&way),
                    way => self.result(flow, party.as_ref(), Outcome { after, frames, way }, visit),
                };
                response
                    .headers_mut()
                    .extend(cookie.map(|cookie| (SET_COOKIE, cookie)));
                Ok(response)
            }
            Step::Ask => self.ask(flow, visit),
            Step::SignedOut => {
                let frames = self.frames(&flow.request().ended).await?;
                let way = party.as_ref().and_then(RelyingParty::way_back);
                let after = After::Nobody;
                Ok(match way.filter(|_| is_vouched_for(flow, party.as_ref())) {
                    Some(way) if frames.is_empty() => see_other(&way),
                    way => self.result(flow, party.as_ref(), Outcome { after, frames, way }, visit),
                })
            }
            Step::Stayed => {
                let stayed = Outcome {
                    after: After::Stayed,
                    frames: Vec::new(),
                    way: None,
                };
                Ok(self.result(flow, party.as_ref(), stayed, visit))
            }
        }
    }

    fn next<'s>(
        &self,
        flow: &Flow<LogoutRequest>,
        sessions: Option<&'s BrowserSessions>,
    ) -> Result<Step<'s>, Error> {
        Ok(match (flow.answer(), sessions) {
            (Some(LogoutAnswer::Confirmed), _) | (_, None) => Step::SignedOut,
            (Some(LogoutAnswer::Declined), Some(_)) => Step::Stayed,
            (None, Some(sessions)) => match self.hinted(flow.request(), sessions)? {
                Some(session) => Step::End(session),
                None if protocol::defect("logout-asks-nobody") => Step::SignedOut,
                None => Step::Ask,
            },
        })
    }

    /// The session that the hint names, by the name that its client has for it. The user is not asked for: an ID token
    /// of an earlier session proves nothing about this one.
    fn hinted<'s>(
        &self,
        request: &LogoutRequest,
        sessions: &'s BrowserSessions,
    ) -> Result<Option<&'s Session>, Error> {
        let (Some(client_id), Some(hint)) = (&request.client_id, &request.hint) else {
            return Ok(None);
        };
        for session in sessions.iter() {
            let sid = issuance::sid(&session.session_id, client_id, &self.front.keyring)?;
            if hint.sid.as_deref() == Some(sid.as_str()) {
                return Ok(Some(session));
            }
        }
        Ok(None)
    }

    /// To the page that asks, with the flow bound to this browser.
    fn ask(&self, flow: &Flow<LogoutRequest>, visit: &Visit) -> Result<Response, Stop> {
        let cookie = self.front.flow_cookie(&visit.headers);
        let sealed = self.front.seal(flow, Binding::Browser(&cookie.value))?;
        let mut response = see_other(&self.front.at(path::LOGOUT_CONFIRM, &sealed));
        response
            .headers_mut()
            .extend(cookie.fresh.map(|set| (SET_COOKIE, set)));
        Ok(response)
    }

    /// Ends sessions of this browser; what its cookie becomes.
    async fn end(
        &self,
        sessions: impl IntoIterator<Item = &Session>,
        by: &Context,
        visit: &Visit,
    ) -> Result<Option<HeaderValue>, Stop> {
        let (front, now) = (&self.front, visit.now);
        for session in sessions
            .into_iter()
            .filter(|_| !protocol::defect("logout-ends-nothing"))
        {
            let act = Act::EndSession(session.session_id.clone());
            revocation::perform(act, by, &front.db, now).await?;
            tracing::info!(sub = %session.sub, "signed out");
        }
        let Some(presented) = front.cookies.browser(&visit.headers) else {
            return Ok(None);
        };
        let left = front
            .db
            .transact(move |conn| Box::pin(async move { sessions::leave(&presented, conn, now).await }));
        Ok(match left.await? {
            Left::Renewed { cookie, max_age } => {
                let lifetime = max_age.map_or(Lifetime::UntilBrowserCloses, Lifetime::For);
                Some(front.cookies.set_browser(&cookie, lifetime))
            }
            Left::Empty => Some(front.cookies.clear_browser()),
            Left::Unknown => None,
        })
    }

    /// Our own page. It offers the way back that nobody vouches for, and the person takes it or not.
    fn result(
        &self,
        flow: &Flow<LogoutRequest>,
        party: Option<&RelyingParty>,
        outcome: Outcome,
        visit: &Visit,
    ) -> Response {
        let ui_locales = flow.request().ui_locales.as_deref();
        Page::new(SignedOut {
            shell: self.front.shell(&visit.headers, ui_locales, &visit.id),
            after: outcome.after,
            back: party.and_then(RelyingParty::link),
            frames: outcome.frames,
            onward: outcome.way,
        })
        .into_response()
    }
}

/// Whether a browser in which nobody is signed in goes on to the client without a click. A client that was merely
/// named may be anybody's choice, and one that registered itself can make hints for accounts of its own: both
/// would make of us a link to anywhere that looks like one to us.
fn is_vouched_for(flow: &Flow<LogoutRequest>, party: Option<&RelyingParty>) -> bool {
    let trusted = party.is_some_and(|party| party.client.trust == Trust::Trusted);
    flow.answer() == Some(LogoutAnswer::Confirmed) || flow.request().hint.is_some() && trusted
}
