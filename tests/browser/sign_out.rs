//! Signing out in a real browser: from the demo app through Countersign and back, and the pages on the way.

use serde_json::json;

use super::looks::Reader;
use super::places::{Demo, Dev, three_free_ports};
use crate::harness::World;
use crate::harness::browser::{Browser, Look, Scripts};
use crate::harness::world::PASSWORD;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_of_logout_fit_every_look() {
    let world = World::sqlite().await;
    let bye = "https://app.example.com/bye";
    let app = world
        .app_with(json!({ "post_logout_redirect_uris": [bye] }))
        .await;
    let reader = Reader::of(&world.issuer).await;
    let browser = &reader.browser;
    let named = format!("/logout?client_id={}&post_logout_redirect_uri={bye}", app.id);
    let question = "Sign out of Countersign?";
    // Beside those who are signed in already.
    let sign_in = async || {
        reader.open(&app.url(&[("prompt", "select_account")])).await;
        if browser.text_of("h1").await == "Choose an account" {
            reader.judge("choose", "Choose an account").await;
            browser.click("login-other").await;
            browser.await_text("Keep me signed in").await;
        }
        reader.sign_in(world.user().await.email.shown(), PASSWORD).await;
        browser.await_text("Don't allow").await;
    };

    sign_in().await;
    reader.open("/logout").await;
    reader.judge("sign-out", question).await;
    reader.open(&named).await;
    reader.judge("sign-out-app", question).await;
    browser.click("logout-stay").await;
    browser.await_text("You're still signed in").await;
    reader.judge("still-signed-in", "Still signed in").await;

    sign_in().await;
    reader.open(&named).await;
    browser.await_text("These accounts will all be signed out").await;
    reader.judge("sign-out-several", question).await;
    reader.open("/logout").await;
    browser.click("logout-confirm").await;
    browser.await_text("You're signed out").await;
    reader.judge("signed-out", "Signed out").await;
    reader.open(&named).await;
    browser.await_text("Go to app.example.com").await;
    reader.judge("signed-out-app", "Signed out").await;
}
