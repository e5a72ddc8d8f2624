//! The pages in the hands of somebody without a mouse.

use std::collections::BTreeSet;
use std::time::Duration;

use fantoccini::key::Key;
use serde_json::Value;
use tokio::time::sleep;

use super::places::Demo;
use crate::harness::World;
use crate::harness::browser::Browser;
use crate::harness::world::PASSWORD;
use crate::matrix::world_with_every_page;

/// What can be operated, each by a name of its own; not what stands there for password managers.
const CONTROLS: &str = "
    const name = it => it.id || it.name || it.getAttribute('href') || it.textContent.trim();
    return [...document.querySelectorAll('a[href], button, input, select, textarea, summary')]
        .filter(it => it.type !== 'hidden' && it.ariaHidden !== 'true' && it.checkVisibility()).map(name)";

/// What has the focus; null for the page itself, and for the browser around it, where the focus is while it wraps around.
const FOCUSED: &str = "
    const it = document.activeElement, style = getComputedStyle(it), box = it.getBoundingClientRect();
    if (!document.hasFocus() || it === document.body || it.tabIndex < 0) return null;
    return {
        name: it.id || it.name || it.getAttribute('href') || it.textContent.trim(),
        ring: style.outlineStyle === 'solid' && parseFloat(style.outlineWidth) >= 2,
        shown: box.top >= 0 && box.bottom <= innerHeight && box.left >= 0 && box.right <= innerWidth,
    }";

/// Tab reaches everything, and one sees where it is.
async fn tab_through(browser: &Browser, page: &str) {
    browser.resize(320, 600).await;
    let controls = browser.execute(CONTROLS, vec![]).await;
    let controls: BTreeSet<String> = serde_json::from_value(controls).expect("names");
    assert!(controls.len() > 1, "{page}: {controls:?}");

    let mut reached = BTreeSet::new();
    for _ in 0..2 * controls.len() + 2 {
        let focused = browser.execute(FOCUSED, vec![]).await;
        if let Some(name) = focused["name"].as_str() {
            assert_eq!(focused["ring"], true, "{page}: {name} shows no focus");
            assert_eq!(focused["shown"], true, "{page}: {name} is out of sight");
            reached.insert(name.to_owned());
        }
        browser.press(Key::Tab).await;
    }
    assert_eq!(reached, controls, "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tab_reaches_every_control_of_every_page_and_one_sees_where_it_is() {
    let world = World::sqlite().await;
    let (app, user) = (world.app().await, world.user().await);
    let browser = Browser::open().await;
    let ours = |path: &str| format!("{}{path}", world.issuer);

    browser.goto(&ours(&app.url(&[]))).await;
    tab_through(&browser, "sign-in").await;
    browser.type_into("username", user.email.shown()).await;
    browser.type_into("password", "not the password").await;
    browser.press(Key::Enter).await;
    browser.await_text("That email or password").await;
    tab_through(&browser, "sign-in with an error").await;

    browser.type_into("password", PASSWORD).await;
    // The first button of the form is the one that Enter presses.
    browser.press(Key::Enter).await;
    browser.await_text("Don't allow").await;
    tab_through(&browser, "consent").await;

    browser.goto(&ours(&app.url(&[("prompt", "login")]))).await;
    tab_through(&browser, "confirm").await;
    browser.goto(&ours("/logout")).await;
    tab_through(&browser, "sign-out").await;
    browser.goto(&ours("/nowhere")).await;
    // What support asks for, then what developers unfold.
    for key in [Key::Tab, Key::Enter] {
        browser.press(key).await;
    }
    browser.await_text("Copied").await;
    browser.press(Key::Tab).await;
    browser.press(Key::Enter).await;
    browser.await_text("there is nothing at this address").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tab_reaches_every_control_of_the_forms_of_an_account() {
    let world = world_with_every_page().await;
    let (app, user, second) = (world.app().await, world.user().await, world.user().await);
    let browser = Browser::open().await;
    let ours = |path: &str| format!("{}{path}", world.issuer);
    let sign_in = async |email: &str| {
        browser.type_into("username", email).await;
        browser.type_into("password", PASSWORD).await;
        browser.press(Key::Enter).await;
    };

    for path in ["/recover", "/signup"] {
        browser.goto(&ours(path)).await;
        tab_through(&browser, path).await;
        browser.type_into("username", "nobody@example.com").await;
        browser.press(Key::Enter).await;
        browser.await_text("Check your email").await;
        tab_through(&browser, &format!("{path}/sent")).await;
    }
    app.grant(&world, &user, &[]).await;
    browser.goto(&ours("/account")).await;
    sign_in(user.email.shown()).await;
    browser.await_heading("Your account").await;
    tab_through(&browser, "account").await;
    for path in [
        "/account/switch",
        "/account/profile",
        "/account/password",
        "/account/email",
        "/account/apps",
        "/account/activity",
        "/account/export",
        "/account/delete",
    ] {
        browser.goto(&ours(path)).await;
        tab_through(&browser, path).await;
    }
    browser.goto(&ours("/account/switch?other=1")).await;
    sign_in(second.email.shown()).await;
    browser.await_heading("Your account").await;
    browser
        .goto(&ours(&app.url(&[("prompt", "select_account")])))
        .await;
    browser.await_heading("Choose an account").await;
    tab_through(&browser, "choose").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tab_reaches_every_control_of_the_demo_app() {
    let world = World::sqlite().await;
    let demo = Demo::beside(&world).await;
    let browser = Browser::open().await;
    browser.goto(&demo.app).await;
    tab_through(&browser, "home").await;
    demo.sign_in(&browser).await;
    tab_through(&browser, "signed in").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enter_on_a_consent_page_that_has_just_come_allows_nothing() {
    let world = World::sqlite().await;
    let (app, user) = (world.app().await, world.user().await);
    let browser = Browser::open().await;
    browser.goto(&format!("{}{}", world.issuer, app.url(&[]))).await;
    browser.type_into("username", user.email.shown()).await;
    browser.type_into("password", PASSWORD).await;
    browser.press(Key::Enter).await;
    browser.await_text("Don't allow").await;

    let before = world.row_counts().await;
    for key in [Key::Enter, Key::Space, Key::Escape] {
        browser.press(key).await;
    }
    sleep(Duration::from_millis(500)).await;
    assert_eq!(browser.url().await.path(), "/consent");
    assert_eq!(world.row_counts().await, before);
    let focused: Value = browser
        .execute("return document.activeElement.tagName", vec![])
        .await;
    assert_eq!(focused, "H1", "a screen reader begins with who asks");
}
