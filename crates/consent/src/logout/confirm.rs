//! The page that asks before a logout: OpenID Connect RP-Initiated Logout §2, for requests without a hint of a
//! session of this browser.

use std::sync::Arc;

use accounts::sessions::BrowserSessions;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use events::Context;
use grants::flow::{Binding, LogoutAnswer};
use grants::{Flow, LogoutRequest};
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};
use pages::Page;
use protocol::form::Form;
use protocol::{Error, Params, RequestId, path};

use super::request::RelyingParty;
use crate::views::{Person, SignOut};
use crate::{Carried, Consent, Stop, Visit};

pub(crate) async fn show(
    State(consent): State<Arc<Consent>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let visit = consent.visit(id, headers);
    let outcome = async {
        let params = Params::parse(query.as_deref().unwrap_or_default().as_bytes())?;
        let carried = consent.carried_logout(&params, &visit).await?;
        match consent.signed_in_here(&visit).await? {
            Some(sessions) => consent.question(carried, &sessions, &visit).await,
            None => Ok(consent.resume(&carried.flow, &carried.sealed)),
        }
    };
    outcome
        .await
        .unwrap_or_else(|stop| consent.stopped(&stop, &visit))
}

pub(crate) async fn submit(
    State(consent): State<Arc<Consent>>,
    Extension(id): Extension<RequestId>,
    by: Context,
    headers: HeaderMap,
    form: Result<Form, Error>,
) -> Response {
    let visit = consent.visit(id, headers);
    let outcome = async {
        consent.front.check_origin(&visit.headers)?;
        let Form(params) = form?;
        let carried = consent.carried_logout(&params, &visit).await?;
        // Nobody is signed in any more: a second click finds done what the first one did.
        let Some(sessions) = consent.signed_in_here(&visit).await? else {
            return Ok(consent.resume(&carried.flow, &carried.sealed));
        };
        let about = about(&carried.flow, &sessions);
        consent
            .front
            .check_csrf(&visit.headers, &about, params.get("csrf"))?;
        match params.get("decision") {
            Some("sign-out") => consent.confirmed(carried, &sessions, &by, &visit).await,
            Some("stay") => consent.answered(&carried, carried.flow.clone(), LogoutAnswer::Declined, None),
            _ => Err(Error::invalid_request("decision is sign-out or stay").into()),
        }
    };
    outcome
        .await
        .unwrap_or_else(|stop| consent.stopped(&stop, &visit))
}

/// What the person saw: an answer to a page with other accounts on it does not count.
fn about(flow: &Flow<LogoutRequest>, sessions: &BrowserSessions) -> String {
    let mut ids: Vec<&str> = sessions
        .iter()
        .map(|session| session.session_id.as_str())
        .collect();
    ids.sort_unstable();
    format!("logout {} {}", flow.id, ids.join(" "))
}

impl Consent {
    /// A flow that is too old, in a browser that has a cookie, starts over: it is never too late to sign out.
    async fn carried_logout(&self, params: &Params, visit: &Visit) -> Result<Carried<LogoutRequest>, Stop> {
        match self.carried(params, visit).await {
            Err(Stop::Expired) if self.front.cookies.flow(&visit.headers).is_some() => {
                Err(Stop::StartOver(path::LOGOUT))
            }
            Err(Stop::Expired) => Err(Error::access_denied(
                "the browser did not send the cookie that this page was made for",
            )
            .into()),
            carried => carried,
        }
    }

    async fn signed_in_here(&self, visit: &Visit) -> Result<Option<BrowserSessions>, Stop> {
        let mut conn = self.front.db.reader().await?;
        Ok(self.front.sessions(&visit.headers, &mut conn, visit.now).await?)
    }

    async fn question(
        &self,
        carried: Carried<LogoutRequest>,
        sessions: &BrowserSessions,
        visit: &Visit,
    ) -> Result<Response, Stop> {
        let request = carried.flow.request();
        let party = RelyingParty::of(request, &self.clients).await?;
        let people = sessions.iter().map(|session| Person {
            name: session.name.clone(),
            email: session.email.clone(),
        });
        let shell = self
            .front
            .shell(&visit.headers, request.ui_locales.as_deref(), &visit.id);
        let language = shell.locale().tag();
        let view = SignOut {
            csrf: self
                .front
                .csrf_token(&carried.cookie, &about(&carried.flow, sessions))?,
            app: party.as_ref().map(|party| party.client.name_in(language)),
            destination: party.as_ref().and_then(RelyingParty::destination),
            people: people.collect(),
            flow: carried.sealed,
            shell,
        };
        Ok(Page::new(view).into_response())
    }

    async fn confirmed(
        &self,
        carried: Carried<LogoutRequest>,
        sessions: &BrowserSessions,
        by: &Context,
        visit: &Visit,
    ) -> Result<Response, Stop> {
        let cookie = self.end(sessions.iter(), by, visit).await?;
        let request = LogoutRequest {
            ended: sessions
                .iter()
                .map(|session| session.session_id.clone())
                .collect(),
            ..carried.flow.request().clone()
        };
        let telling = carried.flow.clone().about(request);
        // A request that leaves no room for them is answered all the same: the sessions have ended.
        let flow = match self.front.seal(&telling, Binding::Browser(&carried.cookie)) {
            Ok(_) => telling,
            Err(_) => carried.flow.clone(),
        };
        self.answered(&carried, flow, LogoutAnswer::Confirmed, cookie)
    }

    /// Back to the endpoint that decides, with the answer.
    fn answered(
        &self,
        carried: &Carried<LogoutRequest>,
        flow: Flow<LogoutRequest>,
        answer: LogoutAnswer,
        cookie: Option<HeaderValue>,
    ) -> Result<Response, Stop> {
        let flow = flow.answered(answer);
        let sealed = self.front.seal(&flow, Binding::Browser(&carried.cookie))?;
        let mut response = self.resume(&flow, &sealed);
        response
            .headers_mut()
            .extend(cookie.map(|cookie| (SET_COOKIE, cookie)));
        Ok(response)
    }
}
