//! What the harness itself must do, or no test of a page could be trusted.

use axum::{
    Router,
    http::header::CONTENT_SECURITY_POLICY,
    response::Html,
    routing::{get, post},
};

use super::*;
use crate::harness::site::serve;

#[tokio::test]
async fn a_browser_reads_types_clicks_and_follows() {
    let site = serve(site()).await;
    let browser = Browser::open().await;

    browser.goto(&site).await;
    assert_eq!(browser.title().await, "First");
    browser.type_into("username", "overwritten").await;
    browser.type_into("username", "alice").await;
    browser.click("send").await;

    browser.await_text("alice").await;
    assert_eq!(browser.url().await.path(), "/second");
    assert_eq!(browser.text_of("h1").await, "username=alice");
    assert!(browser.source().await.contains("<title>Second"));

    let image = tempfile::NamedTempFile::new().unwrap();
    browser.screenshot(image.path()).await;
    assert!(std::fs::read(image.path()).unwrap().starts_with(b"\x89PNG"));
}

#[tokio::test]
async fn a_browser_tells_origins_and_what_the_policy_stopped() {
    let (site, other) = (serve(site()).await, serve(site()).await);
    let browser = Browser::open().await;

    browser.goto(&site).await;
    assert_eq!(browser.request_origins().await, BTreeSet::from([site.clone()]));
    assert_eq!(browser.console_errors().await, Vec::<String>::new());

    browser.goto(&format!("{site}/strict")).await;
    let errors = browser.console_errors().await;
    assert!(
        errors.iter().any(|error| error.starts_with("security:")),
        "{errors:?}"
    );
    assert_eq!(browser.execute("return document.title", vec![]).await, "Strict");

    browser.request_origins().await;
    browser.goto(&format!("{site}/foreign?{other}")).await;
    assert_eq!(browser.request_origins().await, BTreeSet::from([site, other]));
}

#[tokio::test]
async fn a_browser_wears_a_look_on_every_page() {
    let (site, other) = (serve(site()).await, serve(site()).await);
    let look = Look {
        width: 320,
        height: 640,
        scheme: Scheme::Dark,
        scripts: Scripts::Off,
    };
    let browser = Browser::open_as(look).await;

    for address in [&site, &other] {
        browser.goto(address).await;
        assert_eq!(browser.text_of("#scheme").await, "dark");
        assert_eq!(browser.text_of("#scripts").await, "off");
        assert_eq!(browser.scroll_width().await, 320);
    }
    browser.goto(&format!("{site}/wide")).await;
    assert_eq!(browser.scroll_width().await, 500);

    browser.goto(&site).await;
    browser.prefer(Scheme::Light).await;
    browser.resize(1000, 700).await;
    assert_eq!(browser.text_of("#scheme").await, "light");
    assert_eq!(browser.scroll_width().await, 1000);
}

#[tokio::test]
async fn a_browser_keeps_its_cookies_to_itself() {
    let site = serve(site()).await;
    let (first, second) = Browser::open_two().await;

    first.goto(&site).await;
    first.execute("document.cookie = 'name=value'", vec![]).await;
    second.goto(&site).await;

    assert_eq!(
        first.execute("return document.cookie", vec![]).await,
        "name=value"
    );
    assert_eq!(second.execute("return document.cookie", vec![]).await, "");
}

#[tokio::test]
#[should_panic(expected = "this test holds a browser already")]
async fn who_holds_a_browser_waits_for_no_other() {
    let _first = Browser::open().await;
    Browser::open().await;
}

#[tokio::test]
#[should_panic(expected = "shows: Stay")]
async fn a_step_that_fails_says_what_the_page_shows() {
    let site = serve(Router::new().route("/", get(Html("<p>Stay</p>")))).await;
    let browser = Browser::open().await;

    browser.goto(&site).await;
    browser
        .step("look for nothing", browser.client.find(Locator::Id("nothing")))
        .await;
}

fn site() -> Router {
    const FIRST: &str = "<!doctype html><title>First</title><link rel=icon href=data:,>
        <meta name=viewport content=width=device-width>
        <style>@media (prefers-color-scheme: dark) { .light { display: none } }
            @media (prefers-color-scheme: light) { .dark { display: none } }</style>
        <p id=scheme><b class=light>light</b><b class=dark>dark</b></p>
        <p id=scripts>off</p><script>document.getElementById('scripts').textContent = 'on'</script>
        <form method=post action=/second><input name=username><button id=send>Send</button></form>";
    const STRICT: &str = "<title>Strict</title><link rel=icon href=data:,>
        <script>document.title = 'Loose'</script>";
    const WIDE: &str = "<meta name=viewport content='width=device-width, minimum-scale=1'>
        <link rel=icon href=data:,><div style='width: 500px; margin-left: -8px'>Wide</div>";

    let second = |form: String| async move {
        Html(format!(
            "<title>Second</title><link rel=icon href=data:,><h1>{form}</h1>"
        ))
    };
    let foreign = |uri: http::Uri| async move {
        let other = uri.query().unwrap_or_default().to_owned();
        Html(format!(
            "<link rel=icon href=data:,><img src='{other}/image' alt=''>"
        ))
    };
    let policy = [(CONTENT_SECURITY_POLICY, "default-src 'none'; img-src data:")];
    Router::new()
        .route("/", get(Html(FIRST)))
        .route("/second", post(second))
        .route("/strict", get((policy, Html(STRICT))))
        .route("/wide", get(Html(WIDE)))
        .route("/foreign", get(foreign))
}
