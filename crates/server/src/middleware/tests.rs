use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::routing::{get, post};
use http_body_util::BodyExt as _;
use protocol::ClientAddress;
use protocol::form::Form;
use tower::ServiceExt as _;

use super::*;
use crate::listener::tests::short_limits;

fn app(issuer: &str) -> Router {
    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        .route(
            "/id",
            get(|Extension(id): Extension<RequestId>| async move { id.to_string() }),
        )
        .route(
            "/address",
            get(|Extension(address): Extension<ClientAddress>| async move { address.0.to_string() }),
        )
        .route("/page", get(|| async { [(REFERRER_POLICY, "no-referrer")] }))
        .route("/panic", get(async || -> &'static str { panic!("canary") }))
        .route(
            "/hang",
            get(async || std::future::pending::<&'static str>().await),
        )
        .route("/form", post(|_: Form| async { "read" }))
        .route(
            "/read-and-hang",
            post(async |_: Form| std::future::pending::<&'static str>().await),
        )
        .route("/client/{id}", get(|| async { "shown" }));
    let proxies = TrustedProxies::parse("10.0.0.0/8").unwrap();
    Shell::new(&Issuer::parse(issuer).unwrap(), proxies, short_limits()).around(app)
}

const SECURE: &str = "https://sso.example.com";

async fn ask(request: http::request::Builder) -> Response {
    app(SECURE)
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap()
}

fn to(path: &str) -> http::request::Builder {
    http::Request::builder().uri(path)
}

async fn text(response: Response) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn c094_every_answer_carries_the_security_headers() {
    for (request, status) in [
        (to("/"), 200),
        (to("/nowhere"), 404),
        (to("/form"), 405),
        (to("/panic"), 500),
        (to("/hang"), 503),
        (to("/").header("content-length", "70000"), 413),
        (to("/page"), 200),
    ] {
        let page = request.uri_ref().unwrap() == "/page";
        let response = ask(request).await;
        assert_eq!(response.status(), status);
        let headers = response.headers();
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(
            headers["strict-transport-security"],
            "max-age=31536000; includeSubDomains"
        );
        assert_eq!(
            headers["referrer-policy"],
            if page { "no-referrer" } else { "same-origin" }
        );
        assert_eq!(headers["x-request-id"].len(), 22);
    }
    let plain = app("http://localhost:8080");
    let response = plain.oneshot(to("/").body(Body::empty()).unwrap()).await.unwrap();
    assert!(!response.headers().contains_key("strict-transport-security"));
}

#[tokio::test]
async fn a_request_is_named_by_us_alone() {
    let mut seen = std::collections::HashSet::new();
    for _ in 0..3 {
        let response = ask(to("/id").header("x-request-id", "theirs")).await;
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert_eq!(text(response).await, id);
        assert!(id != "theirs" && seen.insert(id));
    }
}

#[tokio::test]
async fn c102_a_panic_is_an_answer_that_says_nothing() {
    for (accept, content_type) in [
        ("*/*", "application/json"),
        ("text/html,*/*", "text/html; charset=utf-8"),
    ] {
        let response = ask(to("/panic").header("accept", accept)).await;
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()["content-type"], content_type);
        assert_eq!(response.headers()["cache-control"], "no-store");
        let text = text(response).await;
        assert!(
            (text.contains("unexpected condition") || text.contains("Something went wrong on our side"))
                && !text.contains("canary"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn c099_a_request_that_takes_too_long_is_answered() {
    let response = ask(to("/hang")).await;
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));

    let form = |path| {
        to(path)
            .method("POST")
            .header("content-type", "application/x-www-form-urlencoded")
    };
    let request = form("/read-and-hang").body(Body::from("a=b")).unwrap();
    assert_eq!(app(SECURE).oneshot(request).await.unwrap().status(), 503);

    let endless = Body::new(http_body_util::StreamBody::new(futures_util::stream::unfold(
        (),
        |()| async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let frame = hyper::body::Frame::data(bytes::Bytes::from_static(b"a"));
            Some((Ok::<_, std::convert::Infallible>(frame), ()))
        },
    )));
    let response = app(SECURE)
        .oneshot(form("/form").body(endless).unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), 408);
    assert_eq!(response.headers()["connection"], "close");
}

#[tokio::test]
async fn c098_a_handler_learns_the_address_that_a_trusted_proxy_vouches_for() {
    for (peer, forwarded, status, client) in [
        ("192.0.2.1:1", "198.51.100.9", 200, "192.0.2.1"),
        ("10.0.0.1:1", "198.51.100.9", 200, "198.51.100.9"),
        ("10.0.0.1:1", "nonsense", 400, ""),
    ] {
        let peer = PeerAddress(peer.parse().unwrap());
        let response = ask(to("/address")
            .header("x-forwarded-for", forwarded)
            .extension(peer))
        .await;
        assert_eq!(response.status(), status);
        let text = text(response).await;
        assert!(
            text == client || status == 400 && !text.contains("nonsense"),
            "{text}"
        );
    }
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn c100_the_log_has_the_route_and_nothing_the_client_wrote() {
    let captured = Captured::default();
    let sink = captured.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || sink.clone())
        .finish();
    // While there is only one subscriber in the process, whoever passes a place in the code first is asked whether it
    // is of interest there; a test on another thread, which has none, would say no for all. Of two, both are asked.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let guard = tracing::subscriber::set_default(subscriber);
    for path in [
        "/?code=canary",
        "/client/canary?state=canary",
        "/canary",
        "/panic?canary",
    ] {
        let request = to(path)
            .header("authorization", "Bearer canary")
            .header("cookie", "s=canary")
            .header("x-request-id", "canary")
            .header("x-forwarded-for", "canary")
            .header("referer", "https://canary.test/")
            .extension(PeerAddress("10.0.0.1:1".parse().unwrap()));
        ask(request).await;
        let request = to(path).header("user-agent", "canary");
        ask(request).await;
    }
    drop(guard);
    let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(!text.contains("canary"), "{text}");
    for part in [
        "route=\"/client/{id}\"",
        "method=GET",
        "status=200",
        "status=404",
        "status=500",
        "id=",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}
