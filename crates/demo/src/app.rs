//! The demo app: a small site of its own origin with a "Sign in" button, and a page for who is signed in.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use http::header::{ACCEPT, AUTHORIZATION, ORIGIN, SET_COOKIE};
use http::{HeaderMap, Method};
use openidconnect::{AccessToken, AsyncHttpClient as _, IssuerUrl};
use protocol::{ClientId, Clock, Routes, Secret};
use url::Url;

use crate::http_client::{self, HttpClient};
use crate::page::{self, Failure, Page};
use crate::provider::Provider;
use crate::session::{self, Answer, Session};
use crate::sign_in::{self, Pending};
use crate::store::Store;
use crate::{POST_LOGOUT_REDIRECT_PATH, REDIRECT_PATH, cookie};

/// How long a revoked token is tried at the API, and how often.
const PATIENCE: Duration = Duration::from_secs(2);
const BETWEEN_CALLS: Duration = Duration::from_millis(10);

/// What a client has to know; everything else it discovers.
#[derive(Clone, Debug)]
pub struct Config {
    /// Kept as text inside: issuers are compared byte by byte (OpenID Connect Discovery §4.3).
    pub issuer: IssuerUrl,
    pub client_id: ClientId,
    pub client_secret: Secret,
    /// Its origin is the app's own.
    pub redirect_uri: Url,
    /// The demo API: base URL, and as written by `Url` its resource identifier.
    pub api: Url,
}

impl Config {
    /// Where the browser comes back to after a sign-out everywhere: our start page.
    ///
    /// # Errors
    /// When the redirect URI is none that others can be relative to.
    pub fn post_logout_redirect_uri(&self) -> Result<Url, url::ParseError> {
        self.redirect_uri.join(POST_LOGOUT_REDIRECT_PATH)
    }
}

/// The demo app, ready to be served on the origin of its redirect URI.
#[derive(Debug)]
pub struct App(Arc<Shared>);

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Arc<Config>,
    pub(crate) clock: Clock,
    pub(crate) provider: Provider,
    pub(crate) pending: Store<Pending>,
    pub(crate) sessions: Store<Arc<Session>>,
    http: HttpClient,
}

impl App {
    /// # Errors
    /// When there is no HTTP client to be had.
    pub fn new(config: Config, clock: Clock) -> Result<Self, http_client::Error> {
        let config = Arc::new(config);
        let http = HttpClient::new(config.issuer.url())?;
        Ok(Self(Arc::new(Shared {
            provider: Provider::new(Arc::clone(&config), http.clone(), clock.clone()),
            pending: Store::new(sign_in::LIFETIME),
            sessions: Store::new(session::LIFETIME),
            config,
            clock,
            http,
        })))
    }

    pub fn router(self) -> Router {
        self.routes().into_router()
    }

    /// The same with the list of its paths.
    pub fn routes(self) -> Routes {
        let policy = page::policy(Some(&self.0.config.issuer));
        let own_posts = middleware::from_fn_with_state(Arc::clone(&self.0), own_posts_only);
        Routes::new()
            .page("/", get(home))
            .route("/auth/start", get(sign_in::start))
            .page(REDIRECT_PATH, get(sign_in::callback))
            .route("/call-api", post(call_api))
            .route("/revoke-token", post(revoke_token))
            .route("/sign-out", post(sign_out))
            .route("/sign-out-everywhere", post(sign_out_everywhere))
            .route(page::STYLESHEET, get(page::stylesheet))
            .within(|router| {
                router
                    .layer(own_posts)
                    .layer(middleware::map_response_with_state(policy, page::secure))
            })
            .with_state(self.0)
    }
}

async fn home(State(app): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let id = cookie::read(&headers, cookie::SESSION);
    let session = id.and_then(|id| app.sessions.get(id, app.clock.now()));
    let page = match &session {
        Some(session) => Page {
            user: Some(&session.user),
            answer: session.answer().await,
        },
        None => Page {
            user: None,
            answer: None,
        },
    };
    page.into_response()
}

/// Calls the demo API for the user. The page that shows the answer is fetched anew, so that a reload does not
/// call again.
async fn call_api(State(app): State<Arc<Shared>>, headers: HeaderMap) -> Result<Redirect, Failure> {
    let id = cookie::read(&headers, cookie::SESSION).ok_or(Failure::Ended)?;
    let session = app.sessions.get(id, app.clock.now()).ok_or(Failure::Ended)?;
    let token = match session.access_token(&app.provider, app.clock.now()).await {
        Err(Failure::Ended) => {
            app.sessions.remove(id);
            return Err(Failure::Ended);
        }
        token => token?,
    };

    session.keep(app.ask_api(&token).await?).await;
    Ok(Redirect::to("/"))
}

/// Revokes the access token that the app holds, and goes on to call the API with it until that refuses. The API is
/// told by the feed, so this takes some milliseconds and no question to anybody.
async fn revoke_token(State(app): State<Arc<Shared>>, headers: HeaderMap) -> Result<Redirect, Failure> {
    let id = cookie::read(&headers, cookie::SESSION).ok_or(Failure::Ended)?;
    let session = app.sessions.get(id, app.clock.now()).ok_or(Failure::Ended)?;
    let token = session.access_token(&app.provider, app.clock.now()).await?;
    app.provider.revoke(&token).await?;
    session.spend(&token, app.clock.now()).await;

    let revoked = Instant::now();
    let mut answer = app.ask_api(&token).await?;
    while answer.status.is_success() && revoked.elapsed() < PATIENCE {
        tokio::time::sleep(BETWEEN_CALLS).await;
        answer = app.ask_api(&token).await?;
    }
    answer.after_revocation = Some(revoked.elapsed());
    session.keep(answer).await;
    Ok(Redirect::to("/"))
}

/// Ends the session here, and not the one at the authorization server.
async fn sign_out(State(app): State<Arc<Shared>>, headers: HeaderMap) -> Result<Response, Failure> {
    app.forget(&headers);
    leave("/")
}

/// Ends the session here, and sends the browser to end the one at the authorization server.
async fn sign_out_everywhere(
    State(app): State<Arc<Shared>>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    // Ours ends first: whatever becomes of the other, nobody is left signed in here.
    let Some(session) = app.forget(&headers) else {
        return leave("/");
    };
    match app.provider.end_session(&session.id_token).await? {
        Some(url) => leave(url.as_str()),
        None => leave("/"),
    }
}

fn leave(to: &str) -> Result<Response, Failure> {
    let cookie = cookie::clear(cookie::SESSION)?;
    Ok((AppendHeaders([(SET_COOKIE, cookie)]), Redirect::to(to)).into_response())
}

impl Shared {
    async fn ask_api(&self, token: &AccessToken) -> Result<Answer, Failure> {
        let url = self.config.api.join("greeting").map_err(Failure::unavailable)?;
        let request = http::Request::get(url.as_str())
            .header(ACCEPT, "application/json")
            .header(AUTHORIZATION, format!("Bearer {}", token.secret()))
            .body(Vec::new())?;
        let response = self.http.call(request).await.map_err(Failure::unavailable)?;
        Ok(Answer {
            status: response.status(),
            body: String::from_utf8_lossy(response.body()).into_owned(),
            after_revocation: None,
        })
    }

    /// Forgets the session of this browser, and says which it was.
    fn forget(&self, headers: &HeaderMap) -> Option<Arc<Session>> {
        let id = cookie::read(headers, cookie::SESSION)?;
        let session = self.sessions.get(id, self.clock.now());
        self.sessions.remove(id);
        session
    }
}

/// Cross-site request forgery: `SameSite` does not stop our neighbours on other ports, so a form has to come
/// from a page of ours.
async fn own_posts_only(State(app): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    if request.method() == Method::POST && !is_same_origin(request.headers(), &app.config.redirect_uri) {
        return Failure::CrossSite.into_response();
    }
    next.run(request).await
}

/// Browsers say with every POST where it comes from; all but old ones by `Sec-Fetch-Site`.
fn is_same_origin(headers: &HeaderMap, own: &Url) -> bool {
    match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => headers
            .get(ORIGIN)
            .is_some_and(|origin| *origin == own.origin().ascii_serialization()),
    }
}
