//! Sign-in on the way to a page of ours: no app waits, nobody is asked for consent, and the way leads back to the path
//! that the flow names. C077, C062.
//!
//! Where a page wants a fresh proof of whoever is signed in already, the flow names their session: the form is made out
//! to them, and "keep me signed in" stays what it was.

use std::sync::Arc;

use accounts::sessions::Session;
use axum::response::Response;
use events::Context;
use grants::OwnRequest;
use grants::flow::OwnWhy;
use http::header::SET_COOKIE;
use pages::{ReturnPath, see_other};
use protocol::{Params, SignUp, path};

use crate::login::{Try, about, sent};
use crate::proof::{Entered, To};
use crate::views::{Login, Person, Who};
use crate::{Carried, Consent, Recovery, Stop, Visit};

impl Consent {
    /// The flow of the request, if that is where it leads.
    pub(crate) async fn to_a_page_of_ours(
        &self,
        params: &Params,
        visit: &Visit,
    ) -> Result<Option<Carried<OwnRequest>>, Stop> {
        match self.carried(params, visit).await {
            Ok(carried) => Ok(Some(carried)),
            Err(Stop::Expired) => Ok(None),
            Err(stop) => Err(stop),
        }
    }

    pub(crate) async fn show_own(
        &self,
        carried: Carried<OwnRequest>,
        params: &Params,
        visit: &Visit,
    ) -> Result<Response, Stop> {
        let is_anyone = params.get("switch").is_some() || params.get("other").is_some();
        let known = match is_anyone {
            true => None,
            false => self.known(&carried, visit).await?,
        };
        let who = match known {
            Some(session) => Who::Known(person(&session)),
            None => Who::Anyone { typed: String::new() },
        };
        self.own_page(carried, who, Try::default(), visit)
    }

    pub(crate) async fn submit_own(
        self: &Arc<Self>,
        carried: Carried<OwnRequest>,
        params: Params,
        by: &Context,
        visit: &Visit,
    ) -> Result<Response, Stop> {
        self.front
            .check_csrf(&visit.headers, &about(&carried.flow), params.get("csrf"))?;
        let typed = params.get("username").unwrap_or_default().to_owned();
        let known = self.known(&carried, visit).await?;
        let known = known.filter(|session| session.email == typed);
        let params = match &known {
            Some(session) if session.persistent => params.with("remember", "yes"),
            _ => params,
        };
        let to = To {
            flow: carried.flow.id.clone(),
            app: None,
        };
        match self.sign_in(&params, to, by, visit).await? {
            Ok(entered) => self.arrived(&entered, &carried, visit),
            Err(fault) => {
                let who = match &known {
                    Some(session) => Who::Known(person(session)),
                    None => Who::Anyone { typed },
                };
                let before = Try {
                    remember: params.get("remember").is_some(),
                    faults: vec![fault],
                };
                self.own_page(carried, who, before, visit)
            }
        }
    }

    /// The session that is to prove once more whose it is, as long as it lives.
    async fn known(&self, carried: &Carried<OwnRequest>, visit: &Visit) -> Result<Option<Session>, Stop> {
        let Some(wanted) = &carried.flow.request().session else {
            return Ok(None);
        };
        let mut conn = self.front.db.reader().await?;
        let sessions = self.front.sessions(&visit.headers, &mut conn, visit.now).await?;
        Ok(sessions.and_then(|sessions| sessions.by_id(wanted).cloned()))
    }

    fn own_page(
        &self,
        carried: Carried<OwnRequest>,
        who: Who,
        before: Try,
        visit: &Visit,
    ) -> Result<Response, Stop> {
        let status = before.status();
        let forgot = match self.recovery {
            Recovery::Offered => Some(self.front.at(path::RECOVER, &carried.sealed)),
            Recovery::NotOffered => None,
        };
        let request = carried.flow.request();
        // Where a certain account is asked for, nobody new will do.
        let for_anybody = request.session.is_none() && request.why != Some(OwnWhy::AnotherAccount);
        let create = match (self.sign_up, &who) {
            (SignUp::Open, Who::Anyone { .. }) if for_anybody => {
                Some(self.front.at(path::SIGN_UP, &carried.sealed))
            }
            (SignUp::Open | SignUp::Closed | SignUp::Invitation, _) => None,
        };
        let view = Login {
            shell: self.front.shell(&visit.headers, None, &visit.id),
            csrf: self.front.csrf_token(&carried.cookie, &about(&carried.flow))?,
            flow: carried.sealed,
            app: None,
            lead: lead(carried.flow.request()),
            who,
            remember: before.remember,
            faults: before.faults,
            forgot,
            create,
        };
        Ok(sent(view, status))
    }

    /// Back to the page, which shows the account that signed in.
    fn arrived(
        &self,
        entered: &Entered,
        carried: &Carried<OwnRequest>,
        visit: &Visit,
    ) -> Result<Response, Stop> {
        let base = self.front.site.base();
        let back = ReturnPath::parse(base, &format!("{base}{}", carried.flow.resume()));
        let mut response = see_other(back.as_str());
        self.keep(entered, &mut response, visit)?;
        let preferred = self
            .front
            .cookies
            .set_preferred(&entered.signed_in.session.session_id);
        response.headers_mut().append(SET_COOKIE, preferred);
        Ok(response)
    }
}

/// What the sign-in is for, where that is not plain.
fn lead(request: &OwnRequest) -> Option<&'static str> {
    if request.why == Some(OwnWhy::AnotherAccount) {
        return Some("login-another-account");
    }
    request.session.as_ref()?;
    Some(match request.path.as_str() {
        path::ACCOUNT_EXPORT => "login-confirm-export",
        _ => "login-confirm-alone",
    })
}

fn person(session: &Session) -> Person {
    Person {
        name: session.name.clone(),
        email: session.email.clone(),
    }
}
