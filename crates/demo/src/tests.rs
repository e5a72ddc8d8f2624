//! The demo app as a browser sees it, against an authorization server that does as it is told.

mod api;
mod issuer;
mod refused;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use http::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use http::{HeaderMap, Request, StatusCode};
use protocol::Clock;
use serde_json::json;
use tower::ServiceExt as _;
use url::Url;

use crate::{Api, App, Config, Credentials, IssuerUrl};
use issuer::{ACCESS_TOKEN_SECONDS, CLIENT_ID, CLIENT_SECRET, Issuer};

const ORIGIN_OF_APP: &str = "http://localhost:8081";
const START: i64 = 1_800_000_000;

/// The app, a browser with its cookies, and what they talk to.
struct Demo {
    issuer: Issuer,
    api: Url,
    now: Arc<AtomicI64>,
    app: Router,
    cookies: HashMap<String, String>,
}

struct Seen {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Demo {
    async fn start() -> Self {
        let now = Arc::new(AtomicI64::new(START));
        let clock = Clock::Manual(Arc::clone(&now));
        let issuer = Issuer::serve(clock.now()).await;
        let api = serve_api(&issuer, clock.clone()).await;
        let config = Config {
            issuer: IssuerUrl::new(issuer.url().to_owned()).unwrap(),
            client_id: CLIENT_ID.into(),
            client_secret: CLIENT_SECRET.into(),
            redirect_uri: format!("{ORIGIN_OF_APP}/callback").parse().unwrap(),
            api: api.clone(),
        };
        issuer.script().access_token = issuer.access_token(api.as_str(), crate::API_SCOPE);
        let app = App::new(config, clock).unwrap().router();
        Self {
            issuer,
            api,
            now,
            app,
            cookies: HashMap::new(),
        }
    }

    async fn send(&mut self, request: http::request::Builder) -> Seen {
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = request
            .header(COOKIE, cookies.join("; "))
            .body(Body::empty())
            .unwrap();
        let response = self.app.clone().oneshot(request).await.unwrap();
        for cookie in response.headers().get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.contains("; HttpOnly; SameSite=Lax"), "{cookie}");
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
            self.cookies.retain(|_, value| !value.is_empty());
        }
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Seen {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    async fn get(&mut self, path: &str) -> Seen {
        self.send(Request::get(path)).await
    }

    async fn post(&mut self, path: &str) -> Seen {
        self.send(Request::post(path).header(ORIGIN, ORIGIN_OF_APP)).await
    }

    /// Clicks the button; the issuer learns the nonce as its authorization endpoint would.
    async fn begin(&mut self) -> HashMap<String, String> {
        let seen = self.get("/auth/start").await;
        assert_eq!(seen.status, StatusCode::SEE_OTHER);
        let url = Url::parse(seen.location()).unwrap();
        let asked: HashMap<String, String> = url.query_pairs().into_owned().collect();
        let nonce = asked["nonce"].clone();
        let mut script = self.issuer.script();
        if script.id_token.is_null() {
            script.id_token = json!({});
        }
        if script.id_token.is_object() && script.id_token.get("nonce").is_none() {
            script.id_token["nonce"] = nonce.into();
        }
        asked
    }

    fn callback(&self, asked: &HashMap<String, String>) -> String {
        callback(&[
            ("code", "code"),
            ("state", &asked["state"]),
            ("iss", self.issuer.url()),
        ])
    }

    async fn sign_in(&mut self) -> Seen {
        let asked = self.begin().await;
        let url = self.callback(&asked);
        self.get(&url).await
    }
}

impl Seen {
    fn location(&self) -> &str {
        self.headers[LOCATION].to_str().unwrap()
    }
}

fn callback(params: &[(&str, &str)]) -> String {
    let mut url = Url::parse(ORIGIN_OF_APP).unwrap();
    url.set_path("/callback");
    url.query_pairs_mut().extend_pairs(params);
    url[url::Position::BeforePath..].to_owned()
}

/// Its issuer has no feed of revocations, which must not stop it.
fn api_of(issuer: &Issuer, base: &Url, clock: Clock) -> Router {
    let credentials = Credentials::basic(base.as_str(), "secret");
    Api::new(issuer.url(), base, credentials, clock)
        .unwrap()
        .router()
        .unwrap()
}

async fn serve_api(issuer: &Issuer, clock: Clock) -> Url {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api: Url = format!("http://{}/", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let router = api_of(issuer, &api, clock);
    tokio::spawn(async move { axum::serve(listener, router).await });
    api
}

#[tokio::test]
async fn the_button_asks_for_everything_that_protects_a_sign_in() {
    let mut demo = Demo::start().await;
    let home = demo.get("/").await;
    assert!(home.body.contains("id=\"sign-in\"") && home.body.contains("href=\"/auth/start\""));
    assert!(home.body.contains("Sign in with Countersign"));

    let (first, second) = (demo.begin().await, demo.begin().await);
    let expected = [
        ("response_type", "code"),
        ("client_id", CLIENT_ID),
        ("redirect_uri", "http://localhost:8081/callback"),
        ("scope", "openid profile email offline_access greetings.read"),
        ("code_challenge_method", "S256"),
        ("resource", demo.api.as_str()),
    ];
    for (name, value) in expected {
        assert_eq!(first[name], value, "{name}");
    }
    for name in ["state", "nonce", "code_challenge"] {
        assert!(first[name].len() >= 22, "{name} is unguessable");
        assert_ne!(first[name], second[name], "{name} is fresh each time");
    }
}

#[tokio::test]
async fn a_visitor_signs_in_calls_the_api_and_signs_out() {
    let mut demo = Demo::start().await;
    let seen = demo.sign_in().await;
    assert_eq!(
        (seen.status, seen.location()),
        (StatusCode::SEE_OTHER, "/"),
        "{}",
        seen.body
    );
    assert!(
        demo.issuer.script().redeemed[0]
            .iter()
            .any(|(name, _)| name == "code_verifier")
    );

    let home = demo.get("/").await;
    assert!(home.body.contains("id=\"signed-in-as\"") && home.body.contains("Ada Lovelace"));
    assert!(home.body.contains("<dt>nonce</dt>"), "the claims of the ID token");
    assert!(home.body.contains("id=\"call-api\"") && home.body.contains("Call the demo API"));

    let seen = demo.post("/call-api").await;
    assert_eq!(
        (seen.status, seen.location()),
        (StatusCode::SEE_OTHER, "/"),
        "{}",
        seen.body
    );
    let home = demo.get("/").await;
    assert!(
        home.body.contains("id=\"api-answer\"") && home.body.contains("Hello, ada"),
        "{}",
        home.body
    );

    let seen = demo.post("/sign-out").await;
    assert_eq!((seen.status, seen.location()), (StatusCode::SEE_OTHER, "/"));
    assert!(demo.get("/").await.body.contains("id=\"sign-in\""));
}

#[tokio::test]
async fn a_sign_out_ends_the_session_and_not_only_the_cookie() {
    let mut demo = Demo::start().await;
    demo.sign_in().await;
    let cookies = demo.cookies.clone();
    demo.post("/sign-out").await;
    demo.cookies = cookies;
    assert!(!demo.get("/").await.body.contains("signed-in-as"));
}

#[tokio::test]
async fn sign_out_everywhere_ends_ours_and_goes_on_to_the_authorization_server() {
    let mut demo = Demo::start().await;
    demo.issuer.script().ends_sessions = true;
    demo.sign_in().await;
    assert!(demo.get("/").await.body.contains("id=\"sign-out-everywhere\""));

    let seen = demo.post("/sign-out-everywhere").await;
    assert_eq!(seen.status, StatusCode::SEE_OTHER, "{}", seen.body);
    let (endpoint, query) = seen.location().split_once('?').unwrap();
    assert_eq!(endpoint, format!("{}/logout", demo.issuer.url()));
    let sent: HashMap<String, String> = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    assert_eq!(sent["post_logout_redirect_uri"], "http://localhost:8081/");
    assert_eq!(
        sent["id_token_hint"].split('.').count(),
        3,
        "the ID token of the sign-in"
    );
    assert_eq!(sent.len(), 2);
    let policy = seen.headers["content-security-policy"].to_str().unwrap();
    let server = format!("form-action 'self' {};", demo.issuer.url());
    assert!(policy.contains(&server), "{policy}");
    assert!(!demo.get("/").await.body.contains("signed-in-as"));

    // Without a session there is nothing to tell anybody.
    assert_eq!(demo.post("/sign-out-everywhere").await.location(), "/");
}

#[tokio::test]
async fn where_the_authorization_server_ends_no_sessions_ours_ends_all_the_same() {
    let mut demo = Demo::start().await;
    demo.sign_in().await;
    assert_eq!(demo.post("/sign-out-everywhere").await.location(), "/");
    assert!(!demo.get("/").await.body.contains("signed-in-as"));
}

#[tokio::test]
async fn an_expired_access_token_is_refreshed_with_the_newest_refresh_token() {
    let mut demo = Demo::start().await;
    demo.sign_in().await;
    for presented in ["refresh-1", "refresh-2"] {
        let now = demo.now.fetch_add(ACCESS_TOKEN_SECONDS, Ordering::SeqCst) + ACCESS_TOKEN_SECONDS;
        demo.issuer.script().now = now;
        let fresh = demo.issuer.access_token(demo.api.as_str(), crate::API_SCOPE);
        demo.issuer.script().access_token = fresh;

        demo.post("/call-api").await;
        let last = demo.issuer.script().redeemed.last().cloned().unwrap();
        assert!(
            last.contains(&("refresh_token".to_owned(), presented.to_owned())),
            "{last:?}"
        );
        assert!(demo.get("/").await.body.contains("Hello, ada"));
    }
    demo.post("/call-api").await;
    assert_eq!(
        demo.issuer.script().redeemed.len(),
        3,
        "a token that is good is not refreshed"
    );
}

#[tokio::test]
async fn a_token_is_revoked_tried_once_more_and_replaced() {
    let mut demo = Demo::start().await;
    demo.sign_in().await;
    let home = demo.get("/").await;
    assert!(home.body.contains("id=\"revoke-token\""));
    let spent = demo.issuer.script().access_token.clone();

    let seen = demo.post("/revoke-token").await;
    assert_eq!((seen.status, seen.location()), (StatusCode::SEE_OTHER, "/"));
    assert_eq!(demo.issuer.script().revoked, [spent]);
    // This issuer has no feed, so the API takes the token on; what it says is shown all the same.
    let home = demo.get("/").await;
    assert!(home.body.contains("id=\"after-revocation\""), "{}", home.body);

    demo.post("/call-api").await;
    let last = demo.issuer.script().redeemed.last().cloned().unwrap();
    assert!(last.contains(&("grant_type".to_owned(), "refresh_token".to_owned())));
    assert!(!demo.get("/").await.body.contains("id=\"after-revocation\""));
}

#[tokio::test]
async fn a_refresh_that_is_refused_signs_the_visitor_out() {
    let mut demo = Demo::start().await;
    demo.sign_in().await;
    demo.now.fetch_add(ACCESS_TOKEN_SECONDS, Ordering::SeqCst);
    demo.issuer.script().refresh_ends = true;
    assert_eq!(demo.post("/call-api").await.status, StatusCode::UNAUTHORIZED);
    assert!(!demo.get("/").await.body.contains("signed-in-as"));
}

#[tokio::test]
async fn a_rotated_key_is_fetched_once_and_then_known() {
    let mut demo = Demo::start().await;
    assert_eq!(demo.sign_in().await.status, StatusCode::SEE_OTHER);
    for (published, status, discoveries) in [
        ("second", StatusCode::SEE_OTHER, 2),
        ("second", StatusCode::SEE_OTHER, 2),
        ("third", StatusCode::BAD_REQUEST, 3),
    ] {
        {
            let mut script = demo.issuer.script();
            script.id_token = json!({});
            script.kid = if published == "third" {
                "never published"
            } else {
                published
            }
            .to_owned();
            script.published_kid = published.to_owned();
        }
        assert_eq!(demo.sign_in().await.status, status, "{published}");
        assert_eq!(demo.issuer.script().discoveries, discoveries, "{published}");
    }
}

#[tokio::test]
async fn an_authorization_server_that_is_away_is_asked_again_next_time() {
    let mut demo = Demo::start().await;
    demo.issuer.script().down = true;
    let seen = demo.get("/auth/start").await;
    assert_eq!(seen.status, StatusCode::BAD_GATEWAY);
    assert!(seen.body.contains("<html"));
    demo.issuer.script().down = false;
    assert_eq!(demo.get("/auth/start").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn c103_an_error_response_becomes_a_page_and_its_text_stays_text() {
    let hostile = "<script>alert(1)</script>\"'&";
    let mut demo = Demo::start().await;
    for error in ["access_denied", "<img src=x onerror=alert(1)>"] {
        let asked = demo.begin().await;
        let params = [
            ("error", error),
            ("error_description", hostile),
            ("state", &asked["state"]),
            ("iss", demo.issuer.url()),
        ];
        let seen = demo.get(&callback(&params)).await;
        assert_eq!(seen.status, StatusCode::FORBIDDEN);
        assert!(
            !seen.body.contains("<script") && !seen.body.contains("<img"),
            "{}",
            seen.body
        );
        assert!(
            seen.body.contains("alert(1)"),
            "the developer reads what was said"
        );
        assert!(!seen.headers.contains_key(SET_COOKIE));
    }
    demo.issuer.script().name = hostile.to_owned();
    demo.issuer.script().id_token = json!({});
    demo.sign_in().await;
    let home = demo.get("/").await;
    assert!(home.body.contains("alert(1)") && !home.body.contains("<script"));
}

#[tokio::test]
async fn c064_posts_of_other_sites_change_nothing() {
    let mut demo = Demo::start().await;
    demo.sign_in().await;
    let foreign: &[&[(&str, &str)]] = &[
        &[],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", "http://localhost:9999")],
        &[("sec-fetch-site", "cross-site"), ("origin", ORIGIN_OF_APP)],
        &[("sec-fetch-site", "same-site"), ("origin", ORIGIN_OF_APP)],
        &[("sec-fetch-site", "none")],
    ];
    for headers in foreign {
        for path in ["/sign-out", "/sign-out-everywhere", "/call-api"] {
            let mut request = Request::post(path);
            for (name, value) in *headers {
                request = request.header(*name, *value);
            }
            assert_eq!(
                demo.send(request).await.status,
                StatusCode::FORBIDDEN,
                "{path} {headers:?}"
            );
        }
    }
    let home = demo.get("/").await;
    assert!(home.body.contains("signed-in-as") && !home.body.contains("Hello, ada"));
    let own = Request::post("/sign-out").header("sec-fetch-site", "same-origin");
    assert_eq!(demo.send(own).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn c094_every_answer_is_strict_about_content_and_only_the_stylesheet_is_cached() {
    let mut demo = Demo::start().await;
    for path in [
        "/",
        "/auth/start",
        "/callback",
        "/nowhere",
        crate::page::STYLESHEET,
    ] {
        let seen = demo.get(path).await;
        let policy = seen.headers["content-security-policy"].to_str().unwrap();
        for directive in [
            "default-src 'none'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(directive), "{path}: {policy}");
        }
        assert_eq!(seen.headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(seen.headers["referrer-policy"], "same-origin", "{path}");
        let is_cached = seen.headers["cache-control"] != "no-store";
        assert_eq!(is_cached, path == crate::page::STYLESHEET, "{path}");
        assert!(
            !seen.body.contains("<script") && !seen.body.contains(" style="),
            "{path}"
        );
    }
}
