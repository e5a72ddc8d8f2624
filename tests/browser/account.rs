//! The pages of the account in a browser: every page in every look.

use std::time::Duration;

use clients::Trust;
use serde_json::json;

use super::looks::Reader;
use crate::harness::letters::world_with;
use crate::harness::world::{Own, PASSWORD};

const OFFLINE: &[(&str, &str)] = &[("scope", "openid profile email offline_access")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_of_the_account_fit_every_look() {
    let (world, _letters) = world_with(db::testing::sqlite_url(), Own::default()).await;
    let (user, second) = (world.user().await, world.user().await);
    let reader = Reader::of(&world.issuer).await;

    reader.open("/account").await;
    reader.judge("account-sign-in", "Sign in").await;
    reader.sign_in(user.email.shown(), PASSWORD).await;
    reader.judge("account", "Your account").await;
    reader.open("/account/switch").await;
    reader.judge("account-switch-alone", "Switch account").await;
    reader.browser.click("account-other").await;
    reader.sign_in(second.email.shown(), PASSWORD).await;
    reader.browser.await_text(second.email.shown()).await;
    reader.open("/account/switch").await;
    reader.judge("account-switch", "Switch account").await;

    reader.open("/account/activity").await;
    reader.judge("account-activity", "Security activity").await;
    reader.open("/account/profile").await;
    reader.judge("account-profile", "Profile").await;
    reader.browser.type_into("birthdate", "31.12.1990").await;
    reader.browser.click("profile-submit").await;
    reader.browser.await_text("There is a problem").await;
    reader.judge("account-profile-wrong", "Profile").await;
    reader.browser.type_into("birthdate", "1990-12-31").await;
    reader.browser.click("profile-submit").await;
    reader.browser.await_text("Saved.").await;
    reader.judge("account-profile-done", "Profile").await;

    reader.open("/account/password").await;
    reader.judge("account-password", "Password").await;
    let lift = "document.getElementById('new-password').removeAttribute('minlength')";
    reader.browser.execute(lift, vec![]).await;
    reader.browser.type_into("current", "wrong").await;
    reader.browser.type_into("password", "quite long enough").await;
    reader.browser.click("password-submit").await;
    reader.browser.await_text("There is a problem").await;
    reader.judge("account-password-wrong", "Password").await;
    reader.browser.type_into("current", PASSWORD).await;
    reader.browser.type_into("password", "quite long enough").await;
    reader.browser.click("password-submit").await;
    reader.browser.await_text("Your new password is set").await;
    reader.judge("account-password-done", "Password").await;

    reader.open("/account/apps").await;
    reader.judge("account-apps-none", "Connected apps").await;
    reader.open("/account/sessions").await;
    reader
        .judge("account-sessions-one", "Where you're signed in")
        .await;

    let (app, stranger) = (
        world.app().await,
        world
            .app_with(json!({ "client_name": "A stranger with quite a long name" }))
            .await,
    );
    world.trust(&stranger, Trust::Unverified).await;
    for (app, changes) in [(&app, OFFLINE), (&stranger, &[])] {
        let mut visitor = world.visitor();
        let login = visitor.open(&app.url(changes)).await;
        let consent = visitor
            .sign_in_with(&login, second.email.shown(), "quite long enough")
            .await;
        visitor.decide(&consent, "allow").await.code();
    }
    reader.open("/account/sessions").await;
    reader.judge("account-sessions", "Where you're signed in").await;
    let unfold = "document.querySelector('details').open = true";
    reader.browser.execute(unfold, vec![]).await;
    reader.browser.type_into("name", &"x".repeat(61)).await;
    reader.browser.click("rename-1").await;
    reader.browser.await_text("There is a problem").await;
    reader
        .judge("account-sessions-wrong", "Where you're signed in")
        .await;
    reader
        .browser
        .type_into("name", "The laptop in the kitchen, beside the window")
        .await;
    reader.browser.click("rename-1").await;
    reader.browser.await_text("The laptop in the kitchen").await;
    reader
        .judge("account-sessions-named", "Where you're signed in")
        .await;
    reader.open("/account/apps").await;
    reader.judge("account-apps", "Connected apps").await;
    let first = "return document.querySelector('.row-app').getAttribute('href')";
    let href = reader.browser.execute(first, vec![]).await;
    reader.open(href.as_str().expect("a path")).await;
    let name = "return document.querySelector('h1').innerText";
    let name = reader.browser.execute(name, vec![]).await;
    reader.judge("account-app", name.as_str().expect("a name")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_about_another_address_and_the_end_of_an_account_fit_every_look() {
    let (world, letters) = world_with(db::testing::sqlite_url(), Own::default()).await;
    let (user, other) = (world.user().await, world.user().await);
    let reader = Reader::of(&world.issuer).await;
    reader.open("/account/profile").await;
    reader.sign_in(user.email.shown(), PASSWORD).await;
    reader.browser.click("email-change").await;
    reader.judge("account-email", "Change your email").await;
    // The browser itself would hold it back.
    let lift = "document.querySelector('form').noValidate = true";
    reader.browser.execute(lift, vec![]).await;
    reader.browser.type_into("email", "alex").await;
    reader.browser.type_into("current", "wrong").await;
    reader.browser.click("email-submit").await;
    reader.browser.await_text("There is a problem").await;
    reader.judge("account-email-wrong", "Change your email").await;
    let new = user.email.shown().replace("alex-", "new-");
    reader.browser.type_into("email", &new).await;
    reader.browser.type_into("current", "wrong").await;
    reader.browser.click("email-submit").await;
    reader.browser.await_text("That password isn't right").await;
    reader
        .judge("account-email-wrong-password", "Change your email")
        .await;
    reader.browser.type_into("current", PASSWORD).await;
    reader.browser.click("email-submit").await;
    reader.judge("account-email-sent", "Check your email").await;
    let link = letters.newest_link(&new, 1).await;
    let path = link.split_once("/account").expect("a path").1;
    reader.open(&format!("/account{path}")).await;
    reader
        .judge("account-email-confirm", "Confirm your new email")
        .await;
    let wanted = accounts::email::Email::parse(&new).expect("an address");
    world.user_with(move |draft| draft.email = wanted).await;
    reader.browser.click("email-confirm").await;
    reader.browser.await_text("This address can't be used").await;
    reader
        .judge("account-email-taken", "Confirm your new email")
        .await;

    world.pass(Duration::from_secs(10 * 60));
    reader.open("/account/export").await;
    reader.judge("account-sudo", "Confirm it's you").await;
    reader.browser.type_into("password", PASSWORD).await;
    reader.browser.click("login-submit").await;
    reader.judge("account-data", "Your data").await;
    reader.open("/account/delete").await;
    reader.judge("account-delete", "Delete account").await;
    reader.browser.type_into("email", other.email.shown()).await;
    reader.browser.type_into("current", PASSWORD).await;
    reader.browser.click("delete-submit").await;
    reader.browser.await_text("There is a problem").await;
    reader.judge("account-delete-wrong", "Delete account").await;
    reader.browser.type_into("email", user.email.shown()).await;
    reader.browser.type_into("current", PASSWORD).await;
    reader.browser.click("delete-submit").await;
    reader
        .judge("account-deleted", "Your account will be deleted")
        .await;
}
