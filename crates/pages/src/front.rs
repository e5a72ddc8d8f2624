//! What a handler of pages asks of a browser's request: which flow it carries, who is signed in, and whether
//! a form is ours. There is one place that opens flows and one that loads sessions.

use std::sync::Arc;

use accounts::sessions::{self, BrowserSessions, Session};
use clients::{Client, Names};
use db::{Conn, Database};
use grants::flow::{Binding, ByReference, Request};
use grants::{Flow, pushed};
use http::{HeaderMap, HeaderValue, StatusCode};
use keyring::{Keyring, Purpose};
use protocol::{Clock, Error, Issuer, RequestId, Secret, Subject, Timestamp};

use crate::{Cookies, Operator, Problem, Shell, Site, Why, cookies, csrf, error};

/// What every crate with pages leans on.
#[derive(Clone, Debug)]
pub struct Front {
    pub db: Database,
    pub keyring: Keyring,
    pub clock: Clock,
    pub site: Site,
    pub cookies: Cookies,
}

/// The cookie that flows of this browser are bound to.
#[derive(Debug)]
pub struct FlowCookie {
    pub value: Secret,
    /// To be set with the answer, when the browser had none.
    pub fresh: Option<HeaderValue>,
}

impl Front {
    pub fn new(db: Database, keyring: Keyring, clock: Clock, issuer: &Issuer) -> Self {
        let (site, cookies) = (Site::new(issuer.as_str()), Cookies::new(issuer.as_str()));
        Self {
            db,
            keyring,
            clock,
            site,
            cookies,
        }
    }

    /// The same, on a site that is run by whoever says so.
    #[must_use]
    pub fn run_by(self, operator: Arc<Operator>) -> Self {
        Self {
            site: self.site.run_by(operator),
            ..self
        }
    }

    /// `ui_locales` is what the client's request asks for.
    pub fn shell(&self, headers: &HeaderMap, ui_locales: Option<&str>, id: &RequestId) -> Shell {
        self.site.shell(headers, ui_locales, id.as_str())
    }

    /// An address of ours with a flow in it.
    pub fn at(&self, path: &str, sealed: &str) -> String {
        format!("{}{path}?flow={sealed}", self.site.base())
    }

    /// The flow cookie of this browser, or a new one to set.
    pub fn flow_cookie(&self, headers: &HeaderMap) -> FlowCookie {
        if let Some(value) = self.cookies.flow(headers) {
            return FlowCookie { value, fresh: None };
        }
        let value = cookies::flow_binding();
        FlowCookie {
            fresh: Some(self.cookies.set_flow(&value)),
            value,
        }
    }

    /// # Errors
    /// `invalid_request` when the flow is too large to travel.
    pub fn seal<R: Request>(&self, flow: &Flow<R>, binding: Binding<'_>) -> Result<String, Error> {
        flow.seal(&self.keyring.secret(Purpose::Flow)?.key, binding)
    }

    /// The flow of this browser.
    ///
    /// # Errors
    /// When there is no key to open it with, or the database fails that keeps its request.
    pub async fn open<R: Request>(
        &self,
        sealed: &str,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Option<Flow<R>>, Error> {
        match self.cookies.flow(headers) {
            Some(cookie) => self.open_as(sealed, Binding::Browser(&cookie), now).await,
            None => Ok(None),
        }
    }

    /// A flow that no browser owns yet.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_unbound<R: Request>(
        &self,
        sealed: &str,
        now: Timestamp,
    ) -> Result<Option<Flow<R>>, Error> {
        self.open_as(sealed, Binding::Unbound, now).await
    }

    async fn open_as<R: Request>(
        &self,
        sealed: &str,
        binding: Binding<'_>,
        now: Timestamp,
    ) -> Result<Option<Flow<R>>, Error> {
        let key = self.keyring.secret(Purpose::Flow)?.key;
        if let Some(flow) = Flow::open(sealed, &key, binding, now) {
            return Ok(Some(flow));
        }
        match ByReference::open(sealed, &key, binding) {
            Some(carried) => Ok(pushed::flow(carried, &mut self.db.reader().await?, now).await?),
            None => Ok(None),
        }
    }

    /// Who is signed in on this browser.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sessions(
        &self,
        headers: &HeaderMap,
        conn: &mut Conn,
        now: Timestamp,
    ) -> Result<Option<BrowserSessions>, Error> {
        match self.cookies.browser(headers) {
            Some(cookie) => Ok(sessions::current(&cookie, conn, now).await?),
            None => Ok(None),
        }
    }

    /// By which names a client knows people.
    ///
    /// # Errors
    /// When there is no key to make them with.
    pub fn names(&self, client: &Client) -> Result<Names, Error> {
        Ok(Names::of(client, &self.keyring.secret(Purpose::Pairwise)?.key))
    }

    /// The token of a form of ours; `about` is what the person saw when it was made.
    ///
    /// # Errors
    /// When there is no key to make it with.
    pub fn csrf_token(&self, cookie: &Secret, about: &str) -> Result<String, Error> {
        let key = self.keyring.secret(Purpose::Csrf)?.key;
        Ok(csrf::token(&key, &format!("{} {about}", cookie.expose())))
    }

    /// # Errors
    /// `access_denied` unless the form stood on a page of ours.
    pub fn check_origin(&self, headers: &HeaderMap) -> Result<(), Error> {
        csrf::check_origin(headers, self.site.origin())
    }

    /// # Errors
    /// `access_denied` unless the form is ours, of this browser, and about the same thing.
    pub fn check_csrf(&self, headers: &HeaderMap, about: &str, given: Option<&str>) -> Result<(), Error> {
        let key = self.keyring.secret(Purpose::Csrf)?.key;
        let cookie = self.cookies.flow(headers).ok_or_else(no_cookie)?;
        csrf::check(
            headers,
            self.site.origin(),
            &key,
            &format!("{} {about}", cookie.expose()),
            given,
        )
    }
}

fn no_cookie() -> Error {
    Error::access_denied("the browser did not send the cookie that this page was made for")
}

/// The session that goes on with a flow: the one that the person chose, else the one that signed in for it, else that
/// of the user it names, else the newest.
pub fn session_for<'s>(flow: &Flow, names: &Names, sessions: &'s BrowserSessions) -> &'s Session {
    let chosen = flow.chosen().and_then(|chosen| sessions.by_id(chosen));
    let own = || {
        let mut all = sessions.iter();
        all.find(|session| session.authenticated_for(&flow.id).is_some())
    };
    let wanted = || {
        let known_as = |sub: &Subject| sessions.iter().find(|session| names.name(&session.sub) == *sub);
        flow.request().subs.iter().find_map(known_as)
    };
    chosen.or_else(own).or_else(wanted).unwrap_or(&sessions.active)
}

/// The page for a flow that is too old, of another browser, or none at all.
pub fn expired(shell: &Shell, headers: &HeaderMap, now: Timestamp) -> axum::response::Response {
    let error = Error::invalid_request(
        "the flow is missing, older than 60 minutes, altered, or was begun in another browser",
    )
    .with_status(StatusCode::BAD_REQUEST);
    error::page(shell, headers, Problem::new(&error, Why::Expired), now)
}
