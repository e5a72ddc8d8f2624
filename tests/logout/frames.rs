//! Apps told through the browser: OpenID Connect Front-Channel Logout 1.0, and the modules of its test plan.

use std::time::Duration;

use axum::Router;
use axum::extract::RawQuery;
use axum::response::Html;
use axum::routing::get;
use tokio::sync::mpsc;

use super::*;
use crate::harness::browser::Browser;
use crate::harness::site;
use crate::harness::visitor::client;

const OUT: &str = "https://app.example.com/out?x=1";

async fn listening(world: &World) -> App {
    world
        .app_with(json!({
            "post_logout_redirect_uris": [BYE], "frontchannel_logout_uri": OUT,
            "frontchannel_logout_session_required": true,
        }))
        .await
}

/// The frame of the page that tells this app, with the session as it knows it.
fn frame(world: &World, tokens: &Tokens) -> String {
    let query = Serializer::new(String::new())
        .append_pair("iss", &world.issuer)
        .append_pair("sid", tokens.id()["sid"].as_str().expect("a sid"))
        .finish();
    format!("<iframe src=\"{}&#38;{}\"", OUT, query.replace('&', "&#38;"))
}

fn admits(page: &Answer, origin: &str) -> bool {
    let policy = page.header("content-security-policy").expect("a policy");
    policy
        .split("; ")
        .any(|part| part == format!("frame-src {origin}"))
}

everywhere! {
    async fn oidcc_frontchannel_logout_discovery_endpoint_verification(world: World) {
        let metadata = crate::harness::app::answer(
            client().get(world.at("/.well-known/openid-configuration")),
        ).await.json();
        assert_eq!(metadata["frontchannel_logout_supported"], true);
        assert_eq!(metadata["frontchannel_logout_session_supported"], true);
    }

    async fn c065_oidcc_frontchannel_rp_initiated_logout(world: World) {
        let (app, user) = (listening(&world).await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        let state = [("id_token_hint", tokens.text("id_token")), ("post_logout_redirect_uri", BYE), ("state", "a\"b")];
        let page = visitor.open(&logout(&state)).await;
        assert_eq!(page.status, 200, "{:?}", page.location());
        assert!(page.has("<h1>Signed out</h1>"), "{}", page.body);
        assert!(page.has(&frame(&world, &tokens)), "{}", page.body);
        assert!(page.has("sandbox=\"allow-scripts allow-same-origin\""));
        assert!(page.has(&format!("<meta http-equiv=\"refresh\" content=\"0;url={BYE}?state=a%22b\">")), "{}", page.body);
        assert!(admits(&page, "https://app.example.com"), "{:?}", page.headers);
        assert!(!visitor.is_signed_in(&app).await);
    }

    async fn whoever_was_asked_first_is_signed_out_of_every_app(world: World) {
        let (app, quiet, user) = (listening(&world).await, self::app(&world).await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        let page = visitor.open(&quiet.url(&[])).await;
        visitor.decide(&page, "allow").await.code();
        let page = visitor.open("/logout").await;
        page.assert_asks();
        assert!(!page.has("<iframe"), "nothing has ended yet");
        let page = visitor.decide(&page, "sign-out").await;
        assert!(page.has("<h1>Signed out</h1>") && page.has(&frame(&world, &tokens)), "{}", page.body);
        assert_eq!(page.body.matches("<iframe").count(), 1);
        assert!(!page.has("http-equiv"), "it leads nowhere: {}", page.body);
        // Who stays tells nobody.
        let (mut visitor, _) = app.sign_in(&world, &user, &[]).await;
        let page = visitor.open("/logout").await;
        assert!(!visitor.decide(&page, "stay").await.has("<iframe"));
    }
}

on_both_databases! {
    async fn an_app_is_told_although_its_approval_was_forgotten(world: World) {
        let (app, user) = (listening(&world).await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        world.pass(Duration::from_secs(12 * 60 * 60));
        let now = world.now();
        let forgotten = world.db.transact(move |conn| Box::pin(async move {
            revocation::remember_clients(conn, now).await?;
            grants::approvals::forget(conn, now).await
        }));
        assert_eq!(forgotten.await.expect("the database"), 1);
        let page = visitor.open(&logout_of(&tokens)).await;
        assert!(page.has(&frame(&world, &tokens)), "{}", page.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_loads_the_frame_and_then_goes_on_to_the_app() {
    let world = World::sqlite().await;
    let (told, mut heard) = mpsc::unbounded_channel();
    let out = move |RawQuery(query): RawQuery| {
        told.send(query.unwrap_or_default()).expect("the test listens");
        async { Html("<p>out</p>") }
    };
    let pages = Router::new()
        .route("/cb", get(Html("<h1>Back at the app</h1>")))
        .route("/bye", get(Html("<h1>Goodbye from the app</h1>")))
        .route("/out", get(out));
    let origin = site::serve(pages).await.replace("127.0.0.1", "localhost");
    let app = world
        .app_with(json!({
            "redirect_uris": [format!("{origin}/cb")],
            "post_logout_redirect_uris": [format!("{origin}/bye")],
            "frontchannel_logout_uri": format!("{origin}/out"),
        }))
        .await;
    let user = world.user().await;
    let browser = Browser::open().await;
    browser.goto(&world.at(&app.url(&[]))).await;
    browser.type_into("username", user.email.shown()).await;
    browser
        .type_into("password", crate::harness::world::PASSWORD)
        .await;
    browser.click("login-submit").await;
    browser.await_text("Don't allow").await;
    browser.click("consent-allow").await;
    browser.await_text("Back at the app").await;
    let code = browser.url().await;
    let code = code
        .query_pairs()
        .find(|(name, _)| name == "code")
        .expect("a code")
        .1;
    let tokens = app.redeem(&world, &code).await.json();
    let hint = tokens["id_token"].as_str().expect("an ID token");

    let bye = format!("{origin}/bye");
    let request = [("id_token_hint", hint), ("post_logout_redirect_uri", &bye)];
    browser.goto(&world.at(&logout(&request))).await;
    browser.await_text("Goodbye from the app").await;
    let query = heard.recv().await.expect("the app was told");
    let sid = crate::harness::app::payload(hint)["sid"]
        .as_str()
        .expect("a sid")
        .to_owned();
    assert!(
        query.contains(&format!("sid={sid}")) && query.contains("iss=http"),
        "{query}"
    );
}
