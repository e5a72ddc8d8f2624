//! Whether an address is theirs: C073, OpenID Connect Core §5.1.

use std::time::Duration;

use account::{Mails, Outbox};
use accounts::users::{self, User};
use http::StatusCode;

use crate::harness::app::userinfo;
use crate::harness::letters::{link, world_with};
use crate::harness::process::run;
use crate::harness::smtp::MailServer;
use crate::harness::world::{Own, PASSWORD};
use crate::harness::{Letters, World};

async fn unverified(world: &World) -> User {
    world.user_with(|draft| draft.email_verified = Some(false)).await
}

async fn reload(world: &World, user: &User) -> User {
    let mut conn = world.db.reader().await.expect("a connection");
    let user = users::by_sub(&user.sub, &mut conn).await.expect("the database");
    user.expect("the user")
}

/// As `countersign user verify` does.
async fn mailed(world: &World, letters: &Letters, user: &User) -> String {
    let before = letters.links(user.email.shown());
    let outbox = Outbox::new(world.keyring().clone(), Mails::Counted);
    let (sub, now) = (user.sub.clone(), world.now());
    let queued = world
        .db
        .transact(move |conn| Box::pin(async move { outbox.verify(&sub, "en", conn, now).await }));
    queued.await.expect("a queued mail");
    letters.newest_link(user.email.shown(), before + 1).await
}

with_mail! {
    async fn an_address_is_confirmed_by_a_link_and_nothing_else_changes(world: World, letters: Letters) {
        let (app, user) = (world.app().await, unverified(&world).await);
        let mut signed_in = world.visitor();
        let redirect = signed_in.authorize(&app.url(&[]), user.email.shown()).await;
        let tokens = app.tokens(&world, &redirect).await;
        assert_eq!(userinfo(&world, tokens.access()).await.json()["email_verified"], false);

        let link = mailed(&world, &letters, &user).await;
        let other = mailed(&world, &letters, &user).await;
        let letter = letters.newest(user.email.shown(), 2).await;
        assert_eq!(letter.letter.subject, "Confirm your email for Countersign");
        let mut visitor = world.visitor();
        let page = visitor.get(&link).await;
        assert!(page.has(&format!("<bdi>{}</bdi>", user.email.shown())), "{}", page.body);
        assert_eq!(reload(&world, &user).await, user, "looking at it changes nothing");
        world.pass(Duration::from_secs(60));
        let answer = visitor.submit(&page.form()).await;
        assert_eq!(answer.status, 303);
        assert!(visitor.follow(answer).await.has("Your email is confirmed"));

        let after = reload(&world, &user).await;
        let expected = User { email_verified: true, updated_at: world.now(), ..user.clone() };
        assert_eq!(after, expected);
        assert_eq!(userinfo(&world, tokens.access()).await.json()["email_verified"], true);
        assert!(signed_in.open(&app.url(&[])).await.sent().is_some(), "the session goes on");

        // Once; and the other link has nothing left to do.
        for dead in [&link, &other] {
            let page = visitor.get(dead).await;
            let answer = match page.status {
                StatusCode::OK => visitor.submit(&page.form()).await,
                _ => page,
            };
            assert_eq!(answer.status, StatusCode::GONE, "{}", answer.body);
        }
        let trail = events::audit::newest(100, &mut world.db.reader().await.unwrap()).await.unwrap();
        assert_eq!(trail.iter().filter(|event| event.kind == "email.verified").count(), 1);
    }

    async fn c073_a_link_for_one_purpose_is_none_for_the_other(world: World, letters: Letters) {
        let user = unverified(&world).await;
        let link = mailed(&world, &letters, &user).await;
        let crossed = link.replace("/verify?", "/recover/password?");
        let page = world.visitor().get(&crossed).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND);
        assert!(page.has("We don't know this link"));
        assert_eq!(world.visitor().get(&link).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_holds_an_expired_link_may_have_another_within_bounds() {
    let own = Own {
        limits: Some("on"),
        ..Own::default()
    };
    let (world, letters) = world_with(db::testing::sqlite_url(), own).await;
    let user = unverified(&world).await;
    let expired = mailed(&world, &letters, &user).await;
    world.pass(Duration::from_secs(30 * 60));
    let mut visitor = world.visitor();
    let page = visitor.get(&expired).await;
    assert_eq!(page.status, StatusCode::GONE);
    assert!(page.has("This link has expired"), "{}", page.body);
    for _ in 0..3 {
        let answer = visitor.submit(&page.form()).await;
        assert_eq!(answer.status, 303);
        assert!(visitor.follow(answer).await.has("We've sent a new link"));
    }
    let refused = visitor.submit(&page.form()).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), Some("1200"));
    assert!(refused.has("id=\"link-send\""), "{}", refused.body);

    let link = link(&letters.newest(user.email.shown(), 4).await);
    let page = visitor.get(&link).await;
    assert_eq!(visitor.submit(&page.form()).await.status, 303);
    assert!(reload(&world, &user).await.email_verified);
}

/// The whole of it as an operator has it: settings, the command, a server, a relay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_has_a_link_mailed_through_their_relay() {
    let relay = MailServer::open().await;
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("smtp-url");
    let url = format!("smtp://office:s%23cret@127.0.0.1:{}", relay.port());
    std::fs::write(&secret, format!("{url}\n")).expect("a file");
    let port = crate::harness::process::free_port();
    let (issuer, file) = (format!("http://127.0.0.1:{port}"), secret.display().to_string());
    let environment = [
        ("COUNTERSIGN_ISSUER", issuer.as_str()),
        ("COUNTERSIGN_MAIL_SMTP_URL_FILE", file.as_str()),
        ("COUNTERSIGN_MAIL_FROM", "Example <no-reply@example.com>"),
    ];
    let process = crate::harness::process::Process::serve(folder.path(), &[], &environment, port).await;
    let command =
        async |arguments: &[&str], stdin: &str| run(folder.path(), arguments, &environment, stdin).await;
    let created = command(
        &[
            "user",
            "create",
            "--email",
            "Alex@example.com",
            "--password-stdin",
        ],
        PASSWORD,
    );
    assert_eq!(created.await.code, Some(0));
    let asked = command(&["user", "verify", "alex@example.com"], "").await;
    assert_eq!(asked.code, Some(0), "{asked:?}");

    let mail = relay.received(1).await.remove(0);
    assert_eq!(
        (&*mail.from, &*mail.to),
        ("no-reply@example.com", "Alex@example.com")
    );
    assert_eq!(
        mail.head("From").as_deref(),
        Some("Example <no-reply@example.com>")
    );
    assert_eq!(
        mail.head("Subject").as_deref(),
        Some("Confirm your email for Countersign")
    );
    assert_eq!(mail.login.as_deref(), Some("\0office\0s#cret"));
    let link = mail.link();
    assert!(
        link.starts_with(&format!("{issuer}/verify?link=cs_ml_")),
        "{link}"
    );

    let world = {
        let database = format!("sqlite://{}", folder.path().join("data/countersign.db").display());
        World::beside(&issuer, &database.parse().expect("a URL")).await
    };
    let mut visitor = world.visitor();
    let page = visitor.get(&link).await;
    assert_eq!(visitor.submit(&page.form()).await.status, 303);
    let again = command(&["user", "verify", "alex@example.com"], "").await;
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("is confirmed already"), "{again:?}");

    let log = process.stderr();
    for secret in ["s#cret", "s%23cret", "cs_ml_", "lex@example.com"] {
        assert!(!log.contains(secret), "{secret} is in the log: {log}");
    }
    let shown = command(&["config", "show"], "").await;
    assert!(shown.stdout.contains("smtp://office:***@127.0.0.1") && !shown.stdout.contains("s%23cret"));

    let without = run(
        folder.path(),
        &["user", "verify", "alex@example.com"],
        &environment[..1],
        "",
    );
    assert!(without.await.stderr.contains("COUNTERSIGN_MAIL_SMTP_URL"));
}
