//! Sign-in with a password: OpenID Connect Core §3.1.2.3.

use std::sync::Arc;

use accounts::email::Email;
use accounts::passwords::{Outcome, Password, StoredHash};
use accounts::sessions::{self, Acr, Amr, SignIn, SignedIn};
use accounts::users::{self, User};
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use clients::Trust;
use db::Conn;
use events::Context;
use grants::Flow;
use grants::flow::{Answer, Binding, Request};
use http::header::{RETRY_AFTER, SET_COOKIE, USER_AGENT};
use http::{HeaderMap, HeaderValue, StatusCode};
use pages::front::session_for;
use pages::{Held, Lifetime, Page, Proven, Spent};
use protocol::form::Form;
use protocol::{ClientId, Error, FlowId, Params, Prompt, RequestId, Secret, SignUp, Subject, path};
use tracing::Instrument as _;

use crate::choose::Wish;
use crate::tidings::Tiding;
use crate::views::{Login, LoginFault, Person, Who};
use crate::{Carried, Consent, Recovery, Stop, Visit, awaits_account};

/// Longest `User-Agent` we keep.
const MAX_USER_AGENT: usize = 256;

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

/// What somebody signs in to.
#[derive(Clone)]
pub(crate) struct To {
    pub(crate) flow: FlowId,
    /// The client that waits; none on the way to a page of ours.
    pub(crate) app: Option<ClientId>,
}

/// What was typed.
struct Typed {
    /// None when it is no address. Then no account can have it, so there is nobody whose existence the missing look-up
    /// could tell.
    email: Option<Email>,
    password: Password,
    /// "Keep me signed in".
    persistent: bool,
}

/// Who signed in.
pub(crate) struct Entered {
    pub(crate) signed_in: SignedIn,
    /// Of their password, as it is stored now.
    hash: Option<StoredHash>,
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

/// The name of an app as a mail may have it: what a stranger called theirs stands in none.
pub(crate) async fn vouched_for(
    app: Option<&ClientId>,
    language: &str,
    conn: &mut Conn,
) -> db::Result<Option<String>> {
    let Some(app) = app else { return Ok(None) };
    let client = clients::records::by_id(app, conn).await?;
    let trusted = client.filter(|client| client.trust == Trust::Trusted);
    Ok(trusted.map(|client| client.name_in(language)))
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

    /// Checks the password and records the proof, in a task of its own: once a guess is counted, a browser that hangs up
    /// (somebody clicks twice) does not keep what was right from being given back.
    pub(crate) async fn sign_in(
        self: &Arc<Self>,
        params: &Params,
        to: To,
        by: &Context,
        visit: &Visit,
    ) -> Result<Result<Entered, LoginFault>, Stop> {
        let Some(username) = params.get("username") else {
            return Ok(Err(LoginFault::UsernameMissing));
        };
        let Some(password) = params.get("password") else {
            return Ok(Err(LoginFault::PasswordMissing));
        };
        let Ok(password) = Password::presented(&Secret::from(password)) else {
            return Ok(Err(LoginFault::Wrong));
        };

        let typed = Typed {
            email: Email::parse(username).ok(),
            password,
            persistent: params.get("remember").is_some(),
        };
        let (consent, by, visit) = (self.clone(), by.clone(), visit.clone());
        let work = async move { consent.judged(typed, to, &by, &visit).await };
        let task = tokio::spawn(work.in_current_span());
        task.await.unwrap_or_else(|panic| {
            let cause = format!("a sign-in did not run to its end: {panic}");
            Err(Error::server_error(cause).into())
        })
    }

    /// An unknown name, a wrong password and a disabled account get the same answer after the same work: one look-up, one
    /// guess taken and one hash.
    async fn judged(
        &self,
        typed: Typed,
        to: To,
        by: &Context,
        visit: &Visit,
    ) -> Result<Result<Entered, LoginFault>, Stop> {
        let Typed {
            email,
            password,
            persistent,
        } = typed;
        let user = match &email {
            Some(email) => users::by_email(email, &mut self.front.db.reader().await?).await?,
            None => None,
        };
        let whose = email.as_ref().map(|email| (email, user.as_ref()));
        let guess = match self.guesses.take(whose, by, &visit.headers, visit.now).await? {
            Ok(guess) => guess,
            Err(held) => return Ok(Err(too_many(held, user.as_ref()))),
        };
        let stored = user.as_ref().and_then(|user| user.password_hash.as_ref());
        let outcome = match self.hasher.verify(stored, password.clone()).await {
            Ok(outcome) => outcome,
            Err(overloaded) => {
                tracing::warn!(%overloaded, "sign-in refused");
                self.guesses.give_back(guess).await?;
                return Ok(Err(LoginFault::Busy));
            }
        };
        let passed =
            outcome != Outcome::Wrong && user.as_ref().is_some_and(|user| user.disabled_at.is_none());
        let Some(user) = user.as_ref().filter(|_| passed) else {
            tracing::info!("a sign-in failed");
            self.count_failure(user.map(|user| user.sub), by, visit).await?;
            return Ok(Err(LoginFault::Wrong));
        };
        let spent = Arc::new(guess.was_right());
        let proof = self.proof(user, persistent, &to, visit)?;
        let signed_in = match self.record(proof, spent.clone(), to, by, visit).await {
            Ok(Some(signed_in)) => signed_in,
            // Disabled, or given another password, since it was read.
            Ok(None) => return Ok(Err(LoginFault::Wrong)),
            Err(stop) => {
                // No fault of theirs. Where this fails as well, one stays counted.
                if let Err(error) = self.guesses.give_back_alone(spent).await {
                    tracing::warn!(%error, "a right password stays counted");
                }
                return Err(stop);
            }
        };
        // After what the person wanted, and before the browser is told of the hash that there is then.
        let renewed = match outcome {
            Outcome::RightButOutdated => self.rehash(user, password).await,
            Outcome::Right | Outcome::Wrong => None,
        };
        let hash = renewed.or_else(|| user.password_hash.clone());
        Ok(Ok(Entered { signed_in, hash }))
    }

    /// One statement, whether anybody has that name or not.
    async fn count_failure(&self, sub: Option<Subject>, by: &Context, visit: &Visit) -> Result<(), Stop> {
        let (by, now) = (by.clone(), visit.now);
        let work = self.front.db.transact(move |conn| {
            Box::pin(async move { events::sign_ins::failed(sub.as_ref(), &by, conn, now).await })
        });
        Ok(work.await?)
    }

    /// That the person proved who they are.
    fn proof(&self, user: &User, persistent: bool, to: &To, visit: &Visit) -> Result<SignIn, Error> {
        let user_agent = visit
            .headers
            .get(USER_AGENT)
            .map(|value| String::from_utf8_lossy(value.as_bytes()));
        Ok(SignIn {
            presented: self.front.cookies.browser(&visit.headers),
            device: self.front.acquaintance(&user.sub, &visit.headers)?,
            sub: user.sub.clone(),
            epoch: user.epoch,
            persistent,
            user_agent: user_agent
                .unwrap_or_default()
                .chars()
                .filter(|c| !c.is_control())
                .take(MAX_USER_AGENT)
                .collect(),
            flow_id: Some(to.flow.clone()),
            flow_cookie: self.front.cookies.flow(&visit.headers),
            acr: Acr::Pwd,
            amr: vec![Amr::Pwd],
        })
    }

    async fn record(
        &self,
        proof: SignIn,
        spent: Arc<Spent>,
        to: To,
        by: &Context,
        visit: &Visit,
    ) -> Result<Option<SignedIn>, Stop> {
        let language = self.front.shell(&visit.headers, None, &visit.id).locale().tag();
        let (by, now, tidings) = (by.clone(), visit.now, self.tidings.clone());
        let (user_agent, app) = (proof.user_agent.clone(), to.app);
        let work = self.front.db.transact(move |conn| {
            Box::pin(async move {
                let signed_in = sessions::sign_in(proof, &by, conn, now).await?;
                spent.give_back(conn).await?;
                let Some(signed_in) = signed_in else {
                    return Ok(None);
                };
                let session = &signed_in.session;
                if signed_in.came_back {
                    tidings
                        .tell(session, Tiding::CameBack, language, conn, now)
                        .await?;
                }
                if signed_in.is_new_browser {
                    let app = vouched_for(app.as_ref(), language, conn).await?;
                    let tiding = Tiding::NewBrowser { user_agent, app };
                    tidings.tell(session, tiding, language, conn, now).await?;
                }
                Ok::<_, db::Error>(Some(signed_in))
            })
        });
        Ok(work.await?)
    }

    fn signed_in(&self, entered: &Entered, carried: Carried, visit: &Visit) -> Result<Response, Stop> {
        // Whoever signs in goes on with that, not with what was chosen before.
        let flow = carried.flow.choosing(None);
        let sealed = self.front.seal(&flow, Binding::Browser(&carried.cookie))?;
        let mut response = self.resume(&flow, &sealed);
        self.keep(entered, &mut response, visit)?;
        Ok(response)
    }

    /// Gives the browser its new cookie, and the mark that its person knew the password there.
    pub(crate) fn keep(&self, entered: &Entered, response: &mut Response, visit: &Visit) -> Result<(), Stop> {
        let signed_in = &entered.signed_in;
        let lifetime = signed_in
            .max_age
            .map_or(Lifetime::UntilBrowserCloses, Lifetime::For);
        let sub = &signed_in.session.sub;
        let proven = Proven {
            sub,
            epoch: signed_in.epoch,
            hash: entered.hash.as_ref(),
        };
        for cookie in [
            self.front.cookies.set_browser(&signed_in.cookie, lifetime),
            self.front.acquaint(&signed_in.device, proven, &visit.headers)?,
        ] {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        tracing::info!(%sub, "signed in");
        Ok(())
    }

    /// Parameters have risen since the hash was made. If this fails, the old hash stays as good as it was.
    async fn rehash(&self, user: &User, password: Password) -> Option<StoredHash> {
        let old = user.password_hash.clone()?;
        let new = self.hasher.hash(password).await.ok()?;
        let (sub, stored) = (user.sub.clone(), new.clone());
        let work = self
            .front
            .db
            .transact(move |conn| Box::pin(async move { users::rehash(&sub, &old, &stored, conn).await }));
        match work.await {
            Ok(is_stored) => is_stored.then_some(new),
            Err(error) => {
                tracing::warn!(%error, "a password could not be hashed anew");
                None
            }
        }
    }
}

/// Says in the log whose budget is spent: nobody else is told whether there is such an account.
fn too_many(held: Held, user: Option<&User>) -> LoginFault {
    match (held, user) {
        (Held::Network(_), _) => {
            tracing::info!("a sign-in was not looked at: too many from its network, or of all, have failed");
        }
        (Held::Account(_), Some(user)) => {
            tracing::info!(sub = %user.sub, "a sign-in was not looked at: too many at its account have failed");
        }
        (Held::Account(_), None) => {
            tracing::info!("a sign-in was not looked at: too many at a name that nobody has have failed")
        }
    }
    LoginFault::TooMany(held)
}
