//! The pages of the account in a browser: every page in every look.

use std::time::Duration;

use clients::Trust;
use serde_json::json;

use crate::harness::letters::world_with;
use crate::harness::world::{Own, PASSWORD};

const OFFLINE: &[(&str, &str)] = &[("scope", "openid profile email offline_access")];

tour! {
    ACCOUNT judges [
        "account-sign-in",
        "account",
        "account-switch-alone",
        "account-switch",
        "account-activity",
        "account-profile",
        "account-profile-wrong",
        "account-profile-done",
        "account-password",
        "account-password-wrong",
        "account-password-done",
        "account-apps-none",
        "account-sessions-one",
        "account-sessions",
        "account-sessions-wrong",
        "account-sessions-named",
        "account-apps",
        "account-app",
    ];
    async fn the_pages_of_the_account_fit_every_look(tour: &Tour) {
        let (world, _letters) = world_with(db::testing::sqlite_url(), Own::default()).await;
        let (user, second) = (world.user().await, world.user().await);
        let reader = tour.reader(&world.issuer).await;

        reader.open("/account").await;
        reader.judge("account-sign-in", "Sign in").await;
        reader.sign_in(user.email.shown(), PASSWORD).await;
        reader.judge("account", "Your account").await;
        reader.open("/account/switch").await;
        reader.judge("account-switch-alone", "Switch account").await;
        reader.click("account-other").await;
        reader.sign_in(second.email.shown(), PASSWORD).await;
        reader.await_text(second.email.shown()).await;
        reader.open("/account/switch").await;
        reader.judge("account-switch", "Switch account").await;

        reader.open("/account/activity").await;
        reader.judge("account-activity", "Security activity").await;
        reader.open("/account/profile").await;
        reader.judge("account-profile", "Profile").await;
        reader.type_into("birthdate", "31.12.1990").await;
        reader.click("profile-submit").await;
        reader.await_text("There is a problem").await;
        reader.judge("account-profile-wrong", "Profile").await;
        reader.type_into("birthdate", "1990-12-31").await;
        reader.click("profile-submit").await;
        reader.await_text("Saved.").await;
        reader.judge("account-profile-done", "Profile").await;

        reader.open("/account/password").await;
        reader.judge("account-password", "Password").await;
        reader.hold_nothing_back().await;
        reader.type_into("current", "wrong").await;
        reader.type_into("password", "quite long enough").await;
        reader.click("password-submit").await;
        reader.await_text("There is a problem").await;
        reader.judge("account-password-wrong", "Password").await;
        reader.type_into("current", PASSWORD).await;
        reader.type_into("password", "quite long enough").await;
        reader.click("password-submit").await;
        reader.await_text("Your new password is set").await;
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
        reader.unfold().await;
        reader.type_into("name", &"x".repeat(61)).await;
        reader.click("rename-1").await;
        reader.await_text("There is a problem").await;
        reader
            .judge("account-sessions-wrong", "Where you're signed in")
            .await;
        let name = "The laptop in the kitchen, beside the window";
        reader.type_into("name", name).await;
        reader.click("rename-1").await;
        reader.await_text("The laptop in the kitchen").await;
        reader
            .judge("account-sessions-named", "Where you're signed in")
            .await;
        reader.open("/account/apps").await;
        reader.judge("account-apps", "Connected apps").await;
        reader.open(&reader.link_of("row-app").await).await;
        let name = reader.heading().await;
        reader.judge("account-app", &name).await;
    }
}

tour! {
    ADDRESS_AND_END judges [
        "account-email",
        "account-email-wrong",
        "account-email-wrong-password",
        "account-email-sent",
        "account-email-confirm",
        "account-email-taken",
        "account-sudo",
        "account-data",
        "account-delete",
        "account-delete-wrong",
        "account-deleted",
    ];
    async fn the_pages_about_another_address_and_the_end_of_an_account_fit_every_look(tour: &Tour) {
        let (world, letters) = world_with(db::testing::sqlite_url(), Own::default()).await;
        let (user, other) = (world.user().await, world.user().await);
        let reader = tour.reader(&world.issuer).await;
        reader.open("/account/profile").await;
        reader.sign_in(user.email.shown(), PASSWORD).await;
        reader.click("email-change").await;
        reader.judge("account-email", "Change your email").await;
        reader.hold_nothing_back().await;
        reader.type_into("email", "alex").await;
        reader.type_into("current", "wrong").await;
        reader.click("email-submit").await;
        reader.await_text("There is a problem").await;
        reader.judge("account-email-wrong", "Change your email").await;
        let new = user.email.shown().replace("alex-", "new-");
        reader.type_into("email", &new).await;
        reader.type_into("current", "wrong").await;
        reader.click("email-submit").await;
        reader.await_text("That password isn't right").await;
        reader
            .judge("account-email-wrong-password", "Change your email")
            .await;
        reader.type_into("current", PASSWORD).await;
        reader.click("email-submit").await;
        reader.judge("account-email-sent", "Check your email").await;
        let link = letters.newest_link(&new, 1).await;
        let path = link.split_once("/account").expect("a path").1;
        reader.open(&format!("/account{path}")).await;
        reader
            .judge("account-email-confirm", "Confirm your new email")
            .await;
        let wanted = accounts::email::Email::parse(&new).expect("an address");
        world.user_with(move |draft| draft.email = wanted).await;
        reader.click("email-confirm").await;
        reader.await_text("This address can't be used").await;
        reader
            .judge("account-email-taken", "Confirm your new email")
            .await;

        world.pass(Duration::from_secs(10 * 60));
        reader.open("/account/export").await;
        reader.judge("account-sudo", "Confirm it's you").await;
        reader.type_into("password", PASSWORD).await;
        reader.click("login-submit").await;
        reader.judge("account-data", "Your data").await;
        reader.open("/account/delete").await;
        reader.judge("account-delete", "Delete account").await;
        reader.type_into("email", other.email.shown()).await;
        reader.type_into("current", PASSWORD).await;
        reader.click("delete-submit").await;
        reader.await_text("There is a problem").await;
        reader.judge("account-delete-wrong", "Delete account").await;
        reader.type_into("email", user.email.shown()).await;
        reader.type_into("current", PASSWORD).await;
        reader.click("delete-submit").await;
        reader
            .judge("account-deleted", "Your account will be deleted")
            .await;
    }
}
