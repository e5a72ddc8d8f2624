//! The main job: "Sign in with Countersign" in a real browser, at an app on a client library that others wrote.

use super::places::{Demo, Dev, three_free_ports};
use crate::harness::browser::{Browser, Look, Scripts};
use crate::harness::process::run;

/// Everything that a person can do with the demo; ends signed in.
async fn walk_through(demo: &Demo, browser: &Browser) {
    demo.sign_in(browser).await;

    browser.click("call-api").await;
    browser.await_text("The demo API answered").await;
    let answer = browser.text_of("#api-answer").await;
    assert!(answer.starts_with("200") && answer.contains("Hello"), "{answer}");

    browser.click("sign-out").await;
    browser.await_text("An app that doesn't know you yet").await;

    // The session and the consent are remembered: the app knows the person again without a page of ours.
    browser.click("sign-in").await;
    demo.is_signed_in(browser).await;
}

on_both_databases! {
    async fn a_browser_signs_in_allows_calls_the_api_and_is_known_again(world: World) {
        let demo = Demo::beside(&world).await;
        let browser = Browser::open().await;
        walk_through(&demo, &browser).await;
        assert_eq!(browser.console_errors().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn serve_dev_in_an_empty_folder_does_the_main_job_with_and_without_javascript() {
    for scripts in [Scripts::On, Scripts::Off] {
        let folder = tempfile::tempdir().unwrap();
        let dev = Dev::serve(folder.path(), three_free_ports()).await;
        let browser = Browser::open_as(Look {
            scripts,
            ..Look::default()
        })
        .await;
        walk_through(&dev.demo, &browser).await;

        let log = dev.process.stderr();
        assert!(log.contains("signed in"), "{log}");
        assert!(!log.contains(&dev.demo.password), "{log}");
    }
}

#[tokio::test]
async fn a_person_who_cancels_or_does_not_allow_comes_back_to_the_app_and_shares_nothing() {
    const SHARED_NOTHING: &str = "You chose not to share anything with this app";
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::serve(folder.path(), three_free_ports()).await;
    let (demo, browser) = (&dev.demo, Browser::open().await);

    demo.click_sign_in(&browser).await;
    browser.click("login-cancel").await;
    browser.await_text(SHARED_NOTHING).await;
    assert!(browser.url().await.as_str().starts_with(&demo.app));

    demo.click_sign_in(&browser).await;
    demo.fill_in(&browser).await;
    browser.click("login-submit").await;
    browser.click("consent-deny").await;
    browser.await_text(SHARED_NOTHING).await;
    assert!(browser.url().await.as_str().starts_with(&demo.app));

    // Signed in at Countersign, and still nothing is allowed: the app has to ask again.
    demo.click_sign_in(&browser).await;
    assert!(
        browser
            .text_of("h1")
            .await
            .starts_with("Countersign demo app wants to use")
    );
}

#[tokio::test]
async fn a_second_start_in_the_same_folder_goes_on_where_the_first_ended() {
    let (folder, port) = (tempfile::tempdir().unwrap(), three_free_ports());
    let browser = Browser::open().await;

    let mut first = Dev::serve(folder.path(), port).await;
    first.demo.sign_in(&browser).await;
    assert_eq!(first.process.terminate().await.code(), Some(0));

    let second = Dev::serve(folder.path(), port).await;
    assert_eq!(second.demo.password, first.demo.password);
    // The app has forgotten everybody, Countersign nobody.
    second.demo.click_sign_in(&browser).await;
    second.demo.is_signed_in(&browser).await;
    browser.click("call-api").await;
    browser.await_text("The demo API answered").await;

    for (command, count) in [("user", 1), ("client", 1), ("resource", 1)] {
        let listed = run(folder.path(), &[command, "list", "--json"], &[], "").await;
        let records: Vec<serde_json::Value> = serde_json::from_str(&listed.stdout).expect("an array");
        assert_eq!(records.len(), count, "{command}: {}", listed.stdout);
    }
}

#[tokio::test]
async fn a_wrong_password_and_a_reload_do_no_harm_on_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::serve(folder.path(), three_free_ports()).await;
    let (demo, browser) = (&dev.demo, Browser::open().await);

    demo.click_sign_in(&browser).await;
    browser.reload().await;
    browser.type_into("username", &demo.email).await;
    browser.type_into("password", "not the password").await;
    browser.click("login-submit").await;
    browser.await_text("That email or password isn't right").await;
    demo.fill_in(&browser).await;
    browser.click("login-submit").await;
    browser.await_text("Don't allow").await;

    browser.reload().await;
    browser.click("consent-allow").await;
    demo.is_signed_in(&browser).await;
}

#[tokio::test]
async fn a_person_may_go_back_from_consent_to_the_sign_in_page_and_on_again() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::serve(folder.path(), three_free_ports()).await;
    let (demo, browser) = (&dev.demo, Browser::open().await);

    demo.click_sign_in(&browser).await;
    demo.fill_in(&browser).await;
    browser.click("login-submit").await;
    browser.await_text("Don't allow").await;
    browser.back().await;
    browser.await_text("Confirm it's you").await;
    browser.type_into("password", &demo.password).await;
    browser.click("login-submit").await;
    browser.click("consent-allow").await;
    demo.is_signed_in(&browser).await;
}
