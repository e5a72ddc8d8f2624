//! Signing out in a real browser: from the demo app through Countersign and back, and the pages on the way.

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use serde_json::json;

use super::places::{Demo, Dev, three_free_ports};
use crate::harness::browser::{Browser, Look, Scripts};
use crate::harness::world::PASSWORD;
use crate::harness::{World, site};

/// Signs out of both, and shows that both have forgotten.
async fn sign_out_everywhere(demo: &Demo, browser: &Browser) {
    demo.sign_in(browser).await;
    browser.click("sign-out-everywhere").await;
    browser.await_text("An app that doesn't know you yet").await;
    assert_eq!(browser.url().await.as_str(), demo.app);

    browser.click("sign-in").await;
    browser.await_text("Keep me signed in on this device").await;
}

on_both_databases! {
    async fn c065_sign_out_everywhere_ends_the_session_at_the_app_and_at_countersign(world: World) {
        let demo = Demo::beside(&world).await;
        let browser = Browser::open().await;
        sign_out_everywhere(&demo, &browser).await;
        // form-action applies to every redirect after the form: none was in the way.
        assert_eq!(browser.console_errors().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn serve_dev_signs_out_everywhere_with_and_without_javascript() {
    for scripts in [Scripts::On, Scripts::Off] {
        let folder = tempfile::tempdir().unwrap();
        let dev = Dev::serve(folder.path(), three_free_ports()).await;
        let browser = Browser::open_as(Look {
            scripts,
            ..Look::default()
        })
        .await;
        sign_out_everywhere(&dev.demo, &browser).await;
    }
}

tour! {
    SIGN_OUT judges [
        "choose",
        "sign-out",
        "sign-out-app",
        "still-signed-in",
        "sign-out-several",
        "signed-out",
        "signed-out-app",
        "signed-out-frames",
    ];
    async fn the_pages_of_logout_fit_every_look(tour: &Tour) {
        let world = World::sqlite().await;
        let bye = "https://app.example.com/bye";
        let app = world
            .app_with(json!({ "post_logout_redirect_uris": [bye] }))
            .await;
        let reader = tour.reader(&world.issuer).await;
        let named = format!("/logout?client_id={}&post_logout_redirect_uri={bye}", app.id);
        let question = "Sign out of Countersign?";
        // Beside those who are signed in already.
        let sign_in = async || {
            reader.open(&app.url(&[("prompt", "select_account")])).await;
            if reader.heading().await == "Choose an account" {
                reader.judge("choose", "Choose an account").await;
                reader.click("login-other").await;
                reader.await_text("Keep me signed in").await;
            }
            reader.sign_in(world.user().await.email.shown(), PASSWORD).await;
            reader.await_text("Don't allow").await;
        };

        sign_in().await;
        reader.open("/logout").await;
        reader.judge("sign-out", question).await;
        reader.open(&named).await;
        reader.judge("sign-out-app", question).await;
        reader.click("logout-stay").await;
        reader.await_text("You're still signed in").await;
        reader.judge("still-signed-in", "Still signed in").await;

        sign_in().await;
        reader.open(&named).await;
        reader.await_text("These accounts will all be signed out").await;
        reader.judge("sign-out-several", question).await;
        reader.open("/logout").await;
        reader.click("logout-confirm").await;
        reader.await_text("You're signed out").await;
        reader.judge("signed-out", "Signed out").await;
        reader.open(&named).await;
        reader.await_text("Go to app.example.com").await;
        reader.judge("signed-out-app", "Signed out").await;

        // An app that is told through the browser, by a frame of its own.
        let told = site::serve(Router::new().route("/out", get(Html("<p>out</p>")))).await;
        let listening = world
            .app_with(json!({
                "redirect_uris": [format!("{told}/out")],
                "frontchannel_logout_uri": format!("{told}/out"),
            }))
            .await;
        reader.open(&listening.url(&[])).await;
        reader.sign_in(world.user().await.email.shown(), PASSWORD).await;
        reader.await_text("Don't allow").await;
        reader.click("consent-allow").await;
        reader.open("/logout").await;
        reader.click("logout-confirm").await;
        reader.await_text("You're signed out").await;
        reader.forget_the_way().await;
        reader.judge("signed-out-frames", "Signed out").await;
    }
}
