//! A forgotten password and an address to confirm, in a browser: every page in every look, and the whole way with and
//! without JavaScript.

use std::time::Duration;

use account::{Mails, Outbox};
use accounts::email::Email;
use accounts::former_addresses;
use accounts::users::{self, User};
use revocation::Act;

use super::places::{Dev, three_free_ports};
use super::reader::Reader;
use crate::harness::browser::{Browser, Look, Scripts};
use crate::harness::letters::{link, world_with};
use crate::harness::world::Own;
use crate::harness::{Letters, World};

/// More than a network may try.
const MANY: usize = 80;
const NEW: &str = "another horse, another battery";

async fn ask_for_link(reader: &Reader<'_>, user: &User) {
    reader.open("/recover").await;
    reader.type_into("username", user.email.shown()).await;
    reader.click("recover-submit").await;
    reader.await_text("Check your email").await;
}

async fn mailed(reader: &Reader<'_>, letters: &Letters, user: &User) -> String {
    let before = letters.links(user.email.shown());
    ask_for_link(reader, user).await;
    path(&letters.newest_link(user.email.shown(), before + 1).await)
}

/// Of a link to ours, the part after the host.
fn path(link: &str) -> String {
    let (_, rest) = link.split_once("://").expect("a URL");
    rest[rest.find('/').expect("a path")..].to_owned()
}

tour! {
    FORGOTTEN judges [
        "sign-in-forgot",
        "recover",
        "recover-wrong",
        "recover-sent",
        "recover-sent-elsewhere",
        "password",
        "password-wrong",
        "password-done",
        "password-done-elsewhere",
        "link-used",
        "link-expired",
        "link-disabled",
        "link-foreign",
        "mailbox",
        "mail",
    ];
    async fn the_pages_of_a_forgotten_password_fit_every_look(tour: &Tour) {
        let (world, letters) = world_with(db::testing::sqlite_url(), Own::default()).await;
        let (app, user, off) = (world.app().await, world.user().await, world.user().await);
        let reader = tour.reader(&world.issuer).await;

        reader.open(&app.url(&[])).await;
        reader.judge("sign-in-forgot", "Sign in").await;
        reader.click("login-forgot").await;
        reader.await_text("We'll email you a link").await;
        reader.judge("recover", "Forgot your password?").await;
        reader.type_into("username", "alex").await;
        reader.click("recover-submit").await;
        reader.await_text("There is a problem").await;
        reader.judge("recover-wrong", "Forgot your password?").await;
        reader.type_into("username", user.email.shown()).await;
        reader.click("recover-submit").await;
        reader.await_text("If there's an account").await;
        reader.judge("recover-sent", "Check your email").await;
        reader.open("/recover/sent").await;
        reader.judge("recover-sent-elsewhere", "Check your email").await;

        let own = path(&link(&letters.newest(user.email.shown(), 1).await));
        reader.open(&own).await;
        reader.judge("password", "Set a new password").await;
        reader.hold_nothing_back().await;
        reader.type_into("password", "short").await;
        reader.click("password-submit").await;
        reader.await_text("There is a problem").await;
        reader.judge("password-wrong", "Set a new password").await;
        reader.type_into("password", NEW).await;
        reader.click("password-submit").await;
        reader.await_text("Your new password is set").await;
        reader.judge("password-done", "Your new password is set").await;
        reader.open("/recover/done").await;
        reader
            .judge("password-done-elsewhere", "Your new password is set")
            .await;

        let (expired, disabled) = (
            mailed(&reader, &letters, &user).await,
            mailed(&reader, &letters, &off).await,
        );
        world.end(Act::DisableUser(off.sub.clone())).await;
        world.pass(Duration::from_secs(30 * 60));
        for (page, path, heading) in [
            ("link-used", own.as_str(), "This link no longer works"),
            ("link-expired", &expired, "This link has expired"),
            ("link-disabled", &disabled, "This account is turned off"),
            (
                "link-foreign",
                "/recover/password?link=x",
                "We don't know this link",
            ),
        ] {
            reader.open(path).await;
            reader.judge(page, heading).await;
        }
        reader.open("/dev/mailbox").await;
        reader.judge("mailbox", "Mailbox").await;
        reader.open(&reader.link_of("as-html").await).await;
        reader.judge("mail", "Countersign").await;
    }
}

tour! {
    TOO_MUCH_AND_NONE judges [
        "recover-too-many",
        "recover-none",
        "sign-in-too-many",
    ];
    async fn the_pages_about_too_much_and_about_none_at_all_fit_every_look(tour: &Tour) {
        let own = Own {
            limits: Some("on"),
            ..Own::default()
        };
        let (world, _letters) = world_with(db::testing::sqlite_url(), own).await;
        let user = world.user().await;
        let reader = tour.reader(&world.issuer).await;
        for _ in 0..3 {
            ask_for_link(&reader, &user).await;
        }
        reader.click("recover-again").await;
        reader.await_text("Too many links were asked for").await;
        reader.judge("recover-too-many", "Forgot your password?").await;
        let app = world.app().await;
        let mut guesser = world.visitor();
        let page = guesser.open(&app.url(&[])).await;
        for _ in 0..MANY {
            guesser.sign_in_with(&page, user.email.shown(), "wrong").await;
        }
        reader.open(&app.url(&[])).await;
        reader.sign_in(user.email.shown(), "wrong").await;
        reader.await_text("There is a problem").await;
        reader.judge("sign-in-too-many", "Sign in").await;
        drop(reader);

        let world = World::sqlite().await;
        let reader = tour.reader(&world.issuer).await;
        reader.open("/recover").await;
        reader.judge("recover-none", "Forgot your password?").await;
    }
}

tour! {
    ADDRESS judges [
        "mailbox-empty",
        "verify",
        "verify-expired",
        "verify-sent",
        "verify-done",
    ];
    async fn the_pages_that_confirm_an_address_fit_every_look(tour: &Tour) {
        let (world, letters) = world_with(db::testing::sqlite_url(), Own::default()).await;
        let user = world.user_with(|draft| draft.email_verified = Some(false)).await;
        let reader = tour.reader(&world.issuer).await;
        let mailed = async |count: usize| {
            let outbox = Outbox::new(world.keyring().clone(), Mails::Free);
            let (sub, now) = (user.sub.clone(), world.now());
            let queued = world
                .db
                .transact(move |conn| Box::pin(async move { outbox.verify(&sub, "en", conn, now).await }));
            queued.await.expect("a queued mail");
            path(&link(&letters.newest(user.email.shown(), count).await))
        };
        reader.open("/dev/mailbox").await;
        reader.judge("mailbox-empty", "Mailbox").await;
        let expired = mailed(1).await;
        world.pass(Duration::from_secs(30 * 60));
        reader.open(&expired).await;
        reader.judge("verify-expired", "This link has expired").await;
        reader.click("link-send").await;
        reader.await_text("We've sent a new link").await;
        reader.judge("verify-sent", "Check your email").await;
        let fresh = path(&link(&letters.newest(user.email.shown(), 2).await));
        reader.open(&fresh).await;
        reader.judge("verify", "Confirm your email").await;
        reader.click("verify-submit").await;
        reader.await_text("Your email is confirmed").await;
        reader.judge("verify-done", "Your email is confirmed").await;
    }
}

tour! {
    TAKEN_BACK judges [
        "take-back",
        "take-back-wrong",
        "take-back-used",
    ];
    async fn the_pages_by_which_an_account_is_taken_back_fit_every_look(tour: &Tour) {
        let (world, letters) = world_with(db::testing::sqlite_url(), Own::default()).await;
        let user = world.user().await;
        let (before, now) = (user.clone(), world.now());
        let moved = world.db.transact(move |conn| {
            Box::pin(async move {
                let to = Email::parse("thief@example.com").unwrap();
                users::change_email(&before.sub, before.epoch, &to, conn, now).await?;
                former_addresses::leave(&before, &to, conn, now).await
            })
        });
        moved.await.unwrap();
        let reader = tour.reader(&world.issuer).await;
        let way_back = mailed(&reader, &letters, &user).await;
        reader.open(&way_back).await;
        reader.judge("take-back", "Take your account back").await;
        reader.hold_nothing_back().await;
        reader.type_into("password", "short").await;
        reader.click("take-back-submit").await;
        reader.await_text("There is a problem").await;
        reader.judge("take-back-wrong", "Take your account back").await;
        reader.type_into("password", NEW).await;
        reader.click("take-back-submit").await;
        reader.await_text("Your new password is set").await;
        reader.open(&way_back).await;
        reader.judge("take-back-used", "This link no longer works").await;
    }
}

/// Everything that a person who forgot does with the demo: from the app to the mailbox and back to the app.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_dev_shows_the_mail_by_which_a_person_comes_back_to_the_app() {
    for scripts in [Scripts::On, Scripts::Off] {
        let folder = tempfile::tempdir().unwrap();
        let dev = Dev::serve(folder.path(), three_free_ports()).await;
        let printed = dev.process.stdout();
        let mailbox = printed
            .split_whitespace()
            .find(|word| word.ends_with("/dev/mailbox"))
            .expect("the mailbox is printed")
            .to_owned();
        let browser = Browser::open_as(Look {
            scripts,
            ..Look::default()
        })
        .await;
        dev.demo.click_sign_in(&browser).await;
        browser.click("login-forgot").await;
        browser.type_into("username", &dev.demo.email).await;
        browser.click("recover-submit").await;
        browser.await_text("Check your email").await;

        let mut link = None;
        for _ in 0..50 {
            browser.goto(&mailbox).await;
            let source = browser.source().await;
            let found = source
                .split('"')
                .find(|text| text.contains("/recover/password?link="));
            if let Some(found) = found {
                link = Some(found.to_owned());
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        browser.goto(&link.expect("a mail")).await;
        browser.type_into("password", NEW).await;
        browser.click("password-submit").await;
        browser.await_text("Your new password is set").await;
        browser.click("onward").await;
        browser.type_into("username", &dev.demo.email).await;
        browser.type_into("password", NEW).await;
        browser.click("login-submit").await;
        browser.click("consent-allow").await;
        dev.demo.is_signed_in(&browser).await;
    }
}
