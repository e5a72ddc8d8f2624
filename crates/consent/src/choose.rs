//! Which of the accounts that are signed in on this browser: `prompt=select_account` of OpenID Connect Core §3.1.2.1, and
//! "Use another account".
//!
//! The choice travels in the flow. It proves nothing: whoever may use the browser may use each of its sessions.

use accounts::sessions::{Left, Session};
use axum::response::{IntoResponse as _, Response};
use events::Context;
use grants::Flow;
use grants::flow::Binding;
use http::header::SET_COOKIE;
use pages::front::session_for;
use pages::{Lifetime, Page};
use protocol::Prompt;

use crate::views::{Account, Choose, Person};
use crate::{Carried, Consent, Stop, Visit};

/// Why somebody may want to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// The request says whether.
    OfRequest,
    /// The person asks for another account than the one they are shown.
    Switch,
}

/// What the button of an account is about, for its CSRF token, which is its value: it names a session without telling it.
fn about(flow: &Flow, session: &Session) -> String {
    format!("choose {} {}", flow.id, session.session_id)
}

impl Consent {
    /// The accounts to choose from: none where nobody wants that, where it is done, or where there is no choice.
    pub(crate) async fn choice(&self, flow: &Flow, wish: Wish, visit: &Visit) -> Result<Vec<Session>, Stop> {
        let request = flow.request();
        let mut conn = self.front.db.reader().await?;
        let sessions = self.front.sessions(&visit.headers, &mut conn, visit.now).await?;
        let Some(sessions) = sessions else {
            return Ok(Vec::new());
        };
        let chosen = flow.chosen().and_then(|chosen| sessions.by_id(chosen));
        let names = self.front.names(&self.client(flow, &mut conn).await?)?;
        let is_for = |session: &Session| request.is_for(&names.name(&session.sub));
        let shown = session_for(flow, &names, &sessions);
        let is_wanted = match wish {
            Wish::OfRequest => request.prompts(Prompt::SelectAccount) && chosen.is_none(),
            Wish::Switch => sessions
                .iter()
                .any(|other| other.session_id != shown.session_id && is_for(other)),
        };
        let fitting = sessions.iter().filter(|session| is_for(session));
        Ok(fitting.filter(|_| is_wanted).cloned().collect())
    }

    pub(crate) async fn chooser(
        &self,
        carried: Carried,
        sessions: &[Session],
        csrf: String,
        visit: &Visit,
    ) -> Result<Response, Stop> {
        let flow = &carried.flow;
        let client = self.client(flow, &mut self.front.db.reader().await?).await?;
        let ui_locales = flow.request().ui_locales.as_deref();
        let shell = self.front.shell(&visit.headers, ui_locales, &visit.id);
        let mut accounts = Vec::new();
        for session in sessions {
            accounts.push(Account {
                value: self.front.csrf_token(&carried.cookie, &about(flow, session))?,
                person: Person {
                    name: session.name.clone(),
                    email: session.email.clone(),
                },
            });
        }
        let view = Choose {
            app: self.app(&client, flow, &shell).await?,
            shell,
            csrf,
            accounts,
            flow: carried.sealed,
        };
        Ok(Page::new(view).into_response())
    }

    /// Goes on with the account that was chosen. Whose session has ended meanwhile is not found, and asked again.
    pub(crate) async fn choose(
        &self,
        carried: Carried,
        value: &str,
        visit: &Visit,
    ) -> Result<Response, Stop> {
        let Some(session) = self.meant(&carried.flow, value, visit).await? else {
            return Ok(self.resume(&carried.flow, &carried.sealed));
        };
        tracing::info!(sub = %session.sub, "an account was chosen");
        let flow = carried.flow.choosing(Some(session.session_id.clone()));
        let sealed = self.front.seal(&flow, Binding::Browser(&carried.cookie))?;
        Ok(self.resume(&flow, &sealed))
    }

    /// Signs one of the accounts out of this browser, and goes on with those that are left.
    pub(crate) async fn remove(
        &self,
        carried: Carried,
        value: &str,
        by: &Context,
        visit: &Visit,
    ) -> Result<Response, Stop> {
        let mut response = self.resume(&carried.flow, &carried.sealed);
        let Some(session) = self.meant(&carried.flow, value, visit).await? else {
            return Ok(response);
        };
        let ended = (session.session_id, session.sub.clone());
        let (presented, by, now) = (self.front.cookies.browser(&visit.headers), by.clone(), visit.now);
        let work = self.front.db.transact(move |conn| {
            Box::pin(async move { revocation::end_here(ended, presented.as_ref(), &by, conn, now).await })
        });
        let (_, left) = work.await?;
        let cookie = match left {
            Left::Renewed { cookie, max_age } => {
                let lifetime = max_age.map_or(Lifetime::UntilBrowserCloses, Lifetime::For);
                self.front.cookies.set_browser(&cookie, lifetime)
            }
            Left::Empty => self.front.cookies.clear_browser(),
            Left::Unknown => return Ok(response),
        };
        response.headers_mut().append(SET_COOKIE, cookie);
        tracing::info!(sub = %session.sub, "removed from the browser");
        Ok(response)
    }

    /// The session that a button of the chooser names, if it is still there.
    async fn meant(&self, flow: &Flow, value: &str, visit: &Visit) -> Result<Option<Session>, Stop> {
        let mut conn = self.front.db.reader().await?;
        let sessions = self.front.sessions(&visit.headers, &mut conn, visit.now).await?;
        let is_meant = |session: &&Session| {
            let about = about(flow, session);
            self.front.check_csrf(&visit.headers, &about, Some(value)).is_ok()
        };
        let meant = sessions
            .as_ref()
            .and_then(|sessions| sessions.iter().find(is_meant));
        Ok(meant.cloned())
    }
}
