//! What stands around pages: the links of whoever runs the site, what errors mean, and what the script adds.

use serde_json::json;

use super::looks::app;
use crate::harness::World;
use crate::harness::axe::violations;
use crate::harness::browser::Browser;
use crate::harness::world::{Own, PASSWORD};
use crate::pages::operator::everything;

tour! {
    SHELL judges [
        "errors",
        "sign-in-operator",
        "recover-none-operator",
        "account-app-operator",
    ];
    async fn what_stands_around_pages_fits_every_look(tour: &Tour) {
        let own = Own {
            operator: everything(),
            ..Own::default()
        };
        let world = World::sqlite_with(own).await;
        let (app, user) = (world.app().await, world.user().await);
        app.grant(&world, &user, &[]).await;
        let reader = tour.reader(&world.issuer).await;

        reader.open("/errors").await;
        reader.judge("errors", "What errors mean").await;
        reader.open(&app.url(&[])).await;
        reader.judge("sign-in-operator", "Sign in").await;
        reader.open("/recover").await;
        reader.judge("recover-none-operator", "Forgot your password?").await;
        reader.open("/account/apps").await;
        reader.sign_in(user.email.shown(), PASSWORD).await;
        reader.await_text("Connected apps").await;
        reader.open(&reader.link_of("row-app").await).await;
        reader.judge("account-app-operator", "Test app").await;
    }
}

/// What the button that belongs to a password says of itself, and what the field is.
const SHOWN: &str = "
    const field = document.getElementById(arguments[0]);
    const button = document.querySelector(`button[aria-controls=${field.id}]`), box = button.getBoundingClientRect();
    return {
        kind: field.type,
        named: field.name,
        value: field.value,
        pressed: button.getAttribute('aria-pressed'),
        button: button.type,
        says: button.textContent,
        tall: box.height >= 44,
    }";

/// Presses it.
const PRESS: &str = "document.querySelector(`button[aria-controls=${arguments[0]}]`).click()";

/// Notes what the field is when the form leaves.
const NOTE: &str = "
    const field = document.getElementById(arguments[0]);
    field.form.addEventListener('submit', event => {
        event.preventDefault();
        document.documentElement.dataset.left = field.type;
    }, { once: true })";

async fn is_accessible(browser: &Browser) {
    let broken = violations(browser).await;
    let broken: Vec<String> = broken.iter().map(ToString::to_string).collect();
    assert_eq!(broken, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_can_be_looked_at_and_is_hidden_when_it_leaves() {
    let world = World::sqlite().await;
    let (app, user) = (
        app(&world, "Test app", clients::Trust::Trusted).await,
        world.user().await,
    );
    let browser = Browser::open().await;
    browser.goto(&format!("{}{}", world.issuer, app.url(&[]))).await;
    browser.type_into("username", user.email.shown()).await;
    browser.type_into("password", PASSWORD).await;
    let field = json!("current-password");
    let shown = async || browser.execute(SHOWN, vec![field.clone()]).await;
    let of = |kind: &str, pressed: &str| {
        json!({
            "kind": kind,
            "named": "password",
            "value": PASSWORD,
            "pressed": pressed,
            "button": "button",
            "says": "Show password",
            "tall": true,
        })
    };
    assert_eq!(shown().await, of("password", "false"));
    for (kind, pressed) in [("text", "true"), ("password", "false"), ("text", "true")] {
        browser.execute(PRESS, vec![field.clone()]).await;
        assert_eq!(shown().await, of(kind, pressed));
        is_accessible(&browser).await;
    }
    browser.execute(NOTE, vec![field.clone()]).await;
    browser.click("login-submit").await;
    let left = "return document.documentElement.dataset.left";
    assert_eq!(browser.execute(left, vec![]).await, "password");
    assert_eq!(shown().await, of("password", "false"));

    browser.execute(PRESS, vec![field.clone()]).await;
    browser.click("login-submit").await;
    browser.await_text("Don't allow").await;
    assert_eq!(browser.console_errors().await, Vec::<String>::new());
    let ours = world.issuer.clone();
    assert_eq!(
        browser.request_origins().await.into_iter().collect::<Vec<_>>(),
        [ours]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_password_on_a_page_has_a_button_of_its_own() {
    let world = World::sqlite().await;
    let user = world.user().await;
    let browser = Browser::open().await;
    browser.goto(&format!("{}/account/password", world.issuer)).await;
    browser.type_into("username", user.email.shown()).await;
    browser.type_into("password", PASSWORD).await;
    browser.click("login-submit").await;
    browser.await_text("Disconnect apps as well").await;
    let (current, new) = (json!("current-password"), json!("new-password"));
    browser.execute(PRESS, vec![new.clone()]).await;
    for (field, kind, says) in [
        (current, "password", "Show current password"),
        (new, "text", "Show new password"),
    ] {
        let shown = browser.execute(SHOWN, vec![field]).await;
        assert_eq!(
            (shown["kind"].as_str(), shown["says"].as_str()),
            (Some(kind), Some(says))
        );
    }
    is_accessible(&browser).await;
}
