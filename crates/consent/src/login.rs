//! Sign-in with a password: OpenID Connect Core §3.1.2.3.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use events::Context;
use grants::Flow;
use grants::flow::{Answer, Binding, Request};
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};
use pages::Page;
use pages::front::session_for;
use protocol::form::Form;
use protocol::{Error, Params, Prompt, RequestId, SignUp, path};

use crate::choose::Wish;
use crate::proof::{Entered, To};
use crate::views::{Login, LoginFault, Person, Who};
use crate::{Carried, Consent, Recovery, Stop, Visit, awaits_account};

pub(crate) async fn show(
    State(consent): State<Arc<Consent>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let visit = consent.visit(id, headers);
    let outcome = async {
        let params = Params::parse(query.as_deref().unwrap_or_default().as_bytes())?;
        if let Some(own) = consent.to_a_page_of_ours(&params, &visit).await? {
            return consent.show_own(own, &params, &visit).await;
        }
        let carried = consent.carried(&params, &visit).await?;
        let flow = &carried.flow;
        let (switch, other) = (params.get("switch").is_some(), params.get("other").is_some());
        let wish = if switch { Wish::Switch } else { Wish::OfRequest };
        if !other {
            // Whoever has an account says so on the page that makes one, and comes back as another.
            if consent.is_to_sign_up(flow, &visit).await? {
                return Ok(consent.resume(flow, &carried.sealed));
            }
            let choice = consent.choice(flow, wish, &visit).await?;
            if !choice.is_empty() {
                let csrf = consent.front.csrf_token(&carried.cookie, &about(flow))?;
                return consent.chooser(carried, &choice, csrf, &visit).await;
            }
        }
        let who = consent.whom(flow, switch || other, &visit).await?;
        consent.page(carried, who, Try::default(), &visit).await
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
        if let Some(own) = consent.to_a_page_of_ours(&params, &visit).await? {
            return consent.submit_own(own, params, &by, &visit).await;
        }
        let carried = consent.carried(&params, &visit).await?;
        consent
            .front
            .check_csrf(&visit.headers, &about(&carried.flow), params.get("csrf"))?;
        if params.get("decision") == Some("cancel") {
            return consent.cancel(carried);
        }
        if let Some(account) = params.get("remove") {
            return consent.remove(carried, account, &by, &visit).await;
        }
        if let Some(account) = params.get("account") {
            return consent.choose(carried, account, &visit).await;
        }
        let to = To {
            flow: carried.flow.id.clone(),
            app: Some(carried.flow.request().client_id.clone()),
        };
        match consent.sign_in(&params, to, &by, &visit).await? {
            Ok(entered) => consent.signed_in(&entered, carried, &visit),
            Err(fault) => consent.again(carried, &params, fault, &visit).await,
        }
    };
    outcome
        .await
        .unwrap_or_else(|stop| consent.stopped(&stop, &visit))
}

/// What the form is about, for its CSRF token.
pub(crate) fn about<R: Request>(flow: &Flow<R>) -> String {
    format!("login {}", flow.id)
}

/// What the try before left in the form.
#[derive(Default)]
pub(crate) struct Try {
    pub(crate) remember: bool,
    pub(crate) faults: Vec<LoginFault>,
}

impl Try {
    pub(crate) fn status(&self) -> StatusCode {
        match self.faults.as_slice() {
            [] => StatusCode::OK,
            [LoginFault::Busy, ..] => StatusCode::SERVICE_UNAVAILABLE,
            [LoginFault::TooMany(_), ..] => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// The page as it is sent.
pub(crate) fn sent(view: Login, status: StatusCode) -> Response {
    let held = view.faults.iter().find_map(|fault| match fault {
        LoginFault::TooMany(held) => Some(*held),
        LoginFault::UsernameMissing | LoginFault::PasswordMissing | LoginFault::Wrong | LoginFault::Busy => {
            None
        }
    });
    let mut response = Page::new(view).with_status(status).into_response();
    if let Some(held) = held {
        // RFC 6585 §4.
        let seconds = HeaderValue::from(held.retry_after());
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

impl Consent {
    /// Whoever is signed in is led on to where an account is made, for one of their own does not do.
    async fn is_to_sign_up(&self, flow: &Flow, visit: &Visit) -> Result<bool, Stop> {
        let mut conn = self.front.db.reader().await?;
        let sessions = self.front.sessions(&visit.headers, &mut conn, visit.now).await?;
        let Some(sessions) = sessions else {
            return Ok(false);
        };
        Ok(sessions.iter().all(|session| awaits_account(flow, Some(session))))
    }

    /// Whom the page asks: the user of the session once more where the request wants a fresh proof, else anyone.
    async fn whom(&self, flow: &Flow, switch: bool, visit: &Visit) -> Result<Who, Stop> {
        let request = flow.request();
        let anyone = Who::Anyone {
            typed: request.login_hint.clone().unwrap_or_default(),
        };
        if switch {
            return Ok(Who::Anyone { typed: String::new() });
        }
        let mut conn = self.front.db.reader().await?;
        let sessions = self.front.sessions(&visit.headers, &mut conn, visit.now).await?;
        let Some(sessions) = sessions else {
            return Ok(anyone);
        };
        let names = self.front.names(&self.client(flow, &mut conn).await?)?;
        let session = session_for(flow, &names, &sessions);
        // One who was to be chosen, and was not, may be anyone.
        let chosen = !request.prompts(Prompt::SelectAccount) || flow.chosen().is_some();
        let is_meant = request.is_for(&names.name(&session.sub));
        match chosen && flow.has_chosen(&session.session_id) && is_meant {
            true => Ok(Who::Known(Person {
                name: session.name.clone(),
                email: session.email.clone(),
            })),
            false => Ok(anyone),
        }
    }

    async fn page(&self, carried: Carried, who: Who, before: Try, visit: &Visit) -> Result<Response, Stop> {
        let status = before.status();
        let client = self
            .client(&carried.flow, &mut self.front.db.reader().await?)
            .await?;
        let ui_locales = carried.flow.request().ui_locales.as_deref();
        let shell = self.front.shell(&visit.headers, ui_locales, &visit.id);
        let forgot = match self.recovery {
            Recovery::Offered => Some(self.front.at(path::RECOVER, &carried.sealed)),
            Recovery::NotOffered => None,
        };
        // Where a certain user is asked for, nobody new will do.
        let for_anybody = carried.flow.request().subs.is_empty();
        let create = match (self.sign_up, &who) {
            (SignUp::Open, Who::Anyone { .. }) if for_anybody => {
                Some(self.front.at(path::SIGN_UP, &carried.sealed))
            }
            (SignUp::Open | SignUp::Closed | SignUp::Invitation, _) => None,
        };
        let view = Login {
            forgot,
            create,
            app: Some(self.app(&client, &carried.flow, &shell).await?),
            lead: None,
            shell,
            csrf: self.front.csrf_token(&carried.cookie, &about(&carried.flow))?,
            flow: carried.sealed,
            who,
            remember: before.remember,
            faults: before.faults,
        };
        Ok(sent(view, status))
    }

    /// The form once more, still filled, saying what was wrong.
    async fn again(
        &self,
        carried: Carried,
        params: &Params,
        fault: LoginFault,
        visit: &Visit,
    ) -> Result<Response, Stop> {
        let typed = params.get("username").unwrap_or_default();
        let who = match self.whom(&carried.flow, false, visit).await? {
            Who::Known(person) if person.email == typed => Who::Known(person),
            _ => Who::Anyone {
                typed: typed.to_owned(),
            },
        };
        let before = Try {
            remember: params.get("remember").is_some(),
            faults: vec![fault],
        };
        self.page(carried, who, before, visit).await
    }

    fn cancel(&self, carried: Carried) -> Result<Response, Stop> {
        let flow = carried.flow.answered(Answer::Denied);
        let sealed = self.front.seal(&flow, Binding::Browser(&carried.cookie))?;
        Ok(self.resume(&flow, &sealed))
    }

    fn signed_in(&self, entered: &Entered, carried: Carried, visit: &Visit) -> Result<Response, Stop> {
        // Whoever signs in goes on with that, not with what was chosen before.
        let flow = carried.flow.choosing(None);
        let sealed = self.front.seal(&flow, Binding::Browser(&carried.cookie))?;
        let mut response = self.resume(&flow, &sealed);
        self.keep(entered, &mut response, visit)?;
        Ok(response)
    }
}
