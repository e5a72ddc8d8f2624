//! A new account, in a browser: every page in every look, and the whole way with and without JavaScript.

use std::time::Duration;

use accounts::email::Email;
use accounts::sign_ups::{self, Way};
use protocol::SignUp;

use super::places::{Dev, three_free_ports};
use super::reader::Reader;
use crate::harness::browser::{Browser, Look, Scripts};
use crate::harness::letters::{link, world_with};
use crate::harness::world::Own;
use crate::harness::{Letters, World};

const NEW: &str = "another horse, another battery";

async fn world_by(mode: SignUp, limits: Option<&'static str>) -> (World, Letters) {
    let own = Own {
        sign_up: Some(mode),
        limits,
        ..Own::default()
    };
    world_with(db::testing::sqlite_url(), own).await
}

async fn ask_for_link(reader: &Reader<'_>, address: &str) {
    reader.open("/signup").await;
    reader.type_into("username", address).await;
    reader.click("signup-submit").await;
    reader.await_text("Check your email").await;
}

/// Of a link to ours, the part after the host.
fn path(link: &str) -> String {
    let (_, rest) = link.split_once("://").expect("a URL");
    rest[rest.find('/').expect("a path")..].to_owned()
}

async fn mailed(reader: &Reader<'_>, letters: &Letters, address: &str) -> String {
    let before = letters.links(address);
    ask_for_link(reader, address).await;
    path(&letters.newest_link(address, before + 1).await)
}

tour! {
    NEW_ACCOUNT judges [
        "sign-in-create",
        "sign-up",
        "sign-up-wrong",
        "sign-up-sent",
        "sign-up-account",
        "sign-up-account-wrong",
        "sign-up-used",
        "sign-up-known",
        "sign-up-foreign",
        "sign-up-done",
        "sign-up-expired",
    ];
    async fn the_pages_of_a_new_account_fit_every_look(tour: &Tour) {
        let (world, letters) = world_by(SignUp::Open, None).await;
        let (app, known) = (world.app().await, world.user().await);
        let reader = tour.reader(&world.issuer).await;

        reader.open(&app.url(&[])).await;
        reader.judge("sign-in-create", "Sign in").await;
        reader.click("login-create").await;
        reader.await_text("We'll email you a link to go on").await;
        reader.judge("sign-up", "Create an account").await;
        reader.type_into("username", "zoe").await;
        reader.click("signup-submit").await;
        reader.await_text("There is a problem").await;
        reader.judge("sign-up-wrong", "Create an account").await;
        let address = "zoe@example.com";
        reader.type_into("username", address).await;
        reader.click("signup-submit").await;
        reader.await_text("We've sent an email").await;
        reader.judge("sign-up-sent", "Check your email").await;

        let own = path(&link(&letters.newest(address, 1).await));
        reader.open(&own).await;
        reader.judge("sign-up-account", "Create your account").await;
        reader.type_into("name", "Zoe Example").await;
        reader.type_into("password", "password").await;
        reader.click("signup-account-submit").await;
        reader.await_text("There is a problem").await;
        reader.judge("sign-up-account-wrong", "Create your account").await;
        reader.type_into("password", NEW).await;
        reader.click("signup-account-submit").await;
        reader.await_text("Don't allow").await;

        let late = mailed(&reader, &letters, "late@example.com").await;
        let other = mailed(&reader, &letters, known.email.shown()).await;
        for (page, path, heading) in [
            ("sign-up-used", own.as_str(), "This link no longer works"),
            ("sign-up-known", &other, "You already have an account"),
            (
                "sign-up-foreign",
                "/signup/account?link=x",
                "We don't know this link",
            ),
            ("sign-up-done", "/signup/done", "Your account is ready"),
        ] {
            reader.open(path).await;
            reader.judge(page, heading).await;
        }
        world.pass(Duration::from_secs(30 * 60));
        reader.open(&late).await;
        reader.judge("sign-up-expired", "This link has expired").await;
    }
}

tour! {
    NOT_FOR_EVERYBODY judges [
        "sign-up-too-many",
        "sign-up-closed",
        "sign-up-invitation",
        "sign-up-invitation-expired",
    ];
    async fn the_pages_where_nobody_or_not_everybody_makes_an_account_fit_every_look(tour: &Tour) {
        let (world, _letters) = world_by(SignUp::Open, Some("on")).await;
        let reader = tour.reader(&world.issuer).await;
        for _ in 0..3 {
            ask_for_link(&reader, "zoe@example.com").await;
        }
        reader.click("signup-again").await;
        reader.await_text("Too many links were asked for").await;
        reader.judge("sign-up-too-many", "Create an account").await;
        drop(reader);

        let (world, _letters) = world_by(SignUp::Closed, None).await;
        let reader = tour.reader(&world.issuer).await;
        reader.open("/signup").await;
        reader
            .judge("sign-up-closed", "You can't create an account here")
            .await;
        drop(reader);

        let (world, _letters) = world_by(SignUp::Invitation, None).await;
        let reader = tour.reader(&world.issuer).await;
        reader.open("/signup").await;
        reader.judge("sign-up-invitation", "You need an invitation").await;
        let (email, now) = (Email::parse("zoe@example.com").unwrap(), world.now());
        let made = world.db.transact(move |conn| {
            Box::pin(async move { sign_ups::make(Way::Handed, &email, None, conn, now).await })
        });
        let invitation = made.await.unwrap();
        world.pass(Way::Handed.life());
        reader
            .open(&format!("/signup/account?link={}", invitation.expose()))
            .await;
        reader
            .judge("sign-up-invitation-expired", "This invitation has expired")
            .await;
    }
}

/// Everything that a person who is new does with the demo: from the app to the mailbox and back to the app.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_dev_lets_a_person_make_an_account_and_takes_them_to_the_app() {
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
        browser.click("login-create").await;
        browser.type_into("username", "zoe@example.com").await;
        browser.click("signup-submit").await;
        browser.await_text("Check your email").await;

        let mut link = None;
        for _ in 0..50 {
            browser.goto(&mailbox).await;
            let source = browser.source().await;
            let found = source
                .split('"')
                .find(|text| text.contains("/signup/account?link="));
            if let Some(found) = found {
                link = Some(found.to_owned());
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        browser.goto(&link.expect("a mail")).await;
        browser.type_into("name", "Zoe Example").await;
        browser.type_into("password", NEW).await;
        browser.click("signup-account-submit").await;
        browser.click("consent-allow").await;
        assert_eq!(browser.text_of("#signed-in-as").await, "Zoe Example");
    }
}
