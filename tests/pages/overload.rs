//! C070, C074 and C075: what is not worth hashing is not hashed, who finds no room is told to come back, and who
//! guesses is slowed down.
//!
//! Most servers here have a hasher without any room: whatever would be queued is answered by 503, so an answer of
//! 400 shows that nothing was to be queued.

use accounts::passwords::{Cost, HasherSettings};
use accounts::sessions::{self, Acr, Amr, SignIn};
use http::StatusCode;
use protocol::SigningAlg;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::time::{Duration, timeout};

use super::set_cookies;
use crate::harness::app::Tokens;
use crate::harness::wire::{Crowd, Wire};
use crate::harness::world::{Own, PASSWORD};
use crate::harness::{Visitor, World};

async fn without_room() -> World {
    let hasher = HasherSettings {
        cost: Cost::LEAST,
        queue: 0,
        ..HasherSettings::default()
    };
    World::sqlite_with(Own {
        hasher: Some(hasher),
        ..Own::default()
    })
    .await
}

#[tokio::test]
async fn c075_a_sign_in_that_finds_no_room_is_told_to_come_back() {
    let world = without_room().await;
    let (app, user) = (world.app().await, world.user().await);
    let mut visitor = world.visitor();
    let page = visitor.open(&app.url(&[])).await;
    let before = world.row_counts().await;
    for email in [user.email.shown(), "nobody@example.com"] {
        let busy = visitor.sign_in(&page, email).await;
        assert_eq!(busy.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(
            busy.header("retry-after")
                .is_some_and(|seconds| seconds.parse::<u32>().is_ok())
        );
        assert_eq!(busy.header("cache-control"), Some("no-store"));
        assert!(
            busy.has("We're busy just now.") && busy.has("login-submit"),
            "{}",
            busy.body
        );
        assert!(busy.has(email) && !busy.has(PASSWORD), "the form stays filled");
        assert!(set_cookies(&busy).is_empty());
    }
    assert_eq!(world.row_counts().await, before);
}

#[tokio::test]
async fn c074_a_password_that_nobody_can_have_is_not_hashed() {
    let world = without_room().await;
    let (app, user) = (world.app().await, world.user().await);
    let mut visitor = world.visitor();
    let page = visitor.open(&app.url(&[])).await;
    for (password, status) in [
        ("x".repeat(256), 503),
        ("é".repeat(256), 503),
        ("x".repeat(257), 400),
        ("é".repeat(257), 400),
        ("x".repeat(60_000), 400),
        ("a\u{7}b".to_owned(), 400),
        ("x".repeat(1 << 20), 413),
    ] {
        let form = page
            .form()
            .with("username", user.email.shown())
            .with("password", &password);
        let answer = timeout(Duration::from_secs(10), visitor.submit(&form))
            .await
            .expect("an answer");
        assert_eq!(answer.status.as_u16(), status, "{} bytes", password.len());
        assert!(!answer.has(&password), "{} bytes", password.len());
    }
}

#[tokio::test]
async fn c075_without_any_room_for_sign_ins_tokens_and_known_users_go_on() {
    let world = without_room().await;
    let app = world.app().await;
    let mut visitor = world.visitor();
    sign_in_beforehand(&world, &mut visitor).await;

    let url = app.url(&[("scope", "openid offline_access")]);
    let consent = visitor.open(&url).await;
    let redirect = visitor.decide(&consent, "allow").await;
    let tokens = app.tokens(&world, &redirect).await;
    let refreshed = app.refresh(&world, tokens.refresh()).await;
    assert_eq!(refreshed.status, StatusCode::OK, "{}", refreshed.body);
    let silent = visitor
        .get(&app.url(&[("prompt", "none"), ("scope", "openid")]))
        .await;
    assert!(silent.param("code").is_some(), "{silent:?}");
}

/// The storm in a test's size: two thousand at one instant, at a hasher as it is, in a process of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c075_two_thousand_sign_ins_at_one_instant_take_bounded_memory_and_tokens_go_on() {
    const STORM: usize = 2_000;
    /// Beside what the hasher may take: 2,000 connections with their requests, in a build that is not optimized.
    const FOR_THE_REST_KIB: u64 = 160 * 1024;

    let world = World::process(&[("RUST_LOG", "warn")]).await;
    let (app, user) = (world.app().await, world.user().await);
    world.heard().await;
    let tokens = app
        .grant(&world, &user, &[("scope", "openid offline_access")])
        .await;
    let mut visitor = world.visitor();
    let page = visitor.open(&app.url(&[])).await;
    let guess = visitor.guess(&page, user.email.shown());
    let mut crowd = Crowd::gather(&world, STORM).await;

    let over = AtomicBool::new(false);
    let storm = async {
        let answers = crowd.ask(&guess).await;
        over.store(true, Ordering::Relaxed);
        answers
    };
    let apps = async {
        let (mut current, mut times) = (tokens.refresh().to_owned(), 0);
        while !over.load(Ordering::Relaxed) {
            let refreshed = app.refresh(&world, &current).await;
            assert_eq!(refreshed.status, StatusCode::OK, "{}", refreshed.body);
            current = Tokens {
                body: refreshed.json(),
            }
            .refresh()
            .to_owned();
            times += 1;
        }
        times
    };
    let (answers, refreshes) = tokio::join!(storm, apps);
    let of = |status: StatusCode| answers.iter().filter(move |answer| answer.status == status);
    let (checked, busy) = (
        of(StatusCode::BAD_REQUEST).count(),
        of(StatusCode::SERVICE_UNAVAILABLE).count(),
    );
    assert_eq!(checked + busy, STORM);
    assert!(
        checked > 0 && busy > 0,
        "{checked} checked, {busy} told to come back"
    );
    assert!(of(StatusCode::SERVICE_UNAVAILABLE).all(|answer| answer.header("retry-after").is_some()));
    assert!(refreshes > 0, "no refresh came through");
    let (peak, budget) = (
        world.peak_memory(),
        u64::from(HasherSettings::default().memory_budget_kib),
    );
    assert!(peak < budget + FOR_THE_REST_KIB, "{peak} KiB");
    eprintln!("{checked} checked, {busy} told to come back, {refreshes} refreshes, {peak} KiB at most");
    let redirect = visitor.sign_in(&page, user.email.shown()).await;
    assert!(
        redirect.asks_for_consent() || redirect.param("code").is_some(),
        "{}",
        redirect.body
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c075_when_every_seat_for_rsa_signatures_is_taken_nothing_is_used_up() {
    let world = World::sqlite().await;
    let (app, user) = (world.app().await, world.user().await);
    let api = world.resource(SigningAlg::Es256).await;
    let machine = world.machine(api.scopes.keys().next().expect("a scope")).await;
    world.heard().await;
    let offline = [("scope", "openid offline_access")];
    let tokens = app.grant(&world, &user, &offline).await;
    let code = app.code(&world, &user, &offline).await;

    let taken: Vec<_> = (0..keyring::SEATS)
        .map(|_| world.keyring().seat(&[SigningAlg::Rs256]).expect("a seat"))
        .collect();
    for busy in [
        app.redeem(&world, &code).await,
        app.refresh(&world, tokens.refresh()).await,
    ] {
        busy.assert_refusal(503, "temporarily_unavailable");
        assert!(busy.header("retry-after").is_some());
    }
    // What is signed on the spot waits for nobody.
    assert_eq!(
        machine.for_itself(&world, &api.identifier, "").await.status,
        StatusCode::OK
    );
    drop(taken);
    let redeemed = app.redeem(&world, &code).await;
    assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.body);
    let refreshed = app.refresh(&world, tokens.refresh()).await;
    assert_eq!(refreshed.status, StatusCode::OK, "{}", refreshed.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c070_who_guesses_is_slowed_down_before_a_password_is_looked_at() {
    const GUESSES: usize = 1_000;
    let world = World::sqlite_with(Own {
        limits: Some("on"),
        ..Own::default()
    })
    .await;
    let (app, user) = (world.app().await, world.user().await);
    let mut owner = world.visitor();
    owner.authorize(&app.url(&[]), user.email.shown()).await;

    let guesser = world.visitor();
    let mut guesser = guesser.elsewhere();
    let page = guesser.open(&app.url(&[])).await;
    let guess = guesser.guess(&page, user.email.shown());
    let mut wire = Wire::connect(world.origin()).await.expect("a connection");
    let mut looked_at = 0;
    for _ in 0..GUESSES {
        let answer = wire.exchange(&guess).await.expect("an answer");
        match answer.status {
            StatusCode::BAD_REQUEST => looked_at += 1,
            status => {
                assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{}", answer.body);
                let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
                assert!((1..=600).contains(&seconds), "{seconds}");
                assert!(answer.has("Too many sign-ins"), "{}", answer.body);
            }
        }
    }
    assert!((1..200).contains(&looked_at), "{looked_at}");
    // Whoever is signed in goes on.
    let redirect = owner.get(&app.url(&[("prompt", "none")])).await;
    assert!(redirect.param("code").is_some(), "{:?}", redirect.location());
    // And the network is not shut out for good.
    assert_eq!(
        guesser.sign_in(&page, user.email.shown()).await.status,
        StatusCode::TOO_MANY_REQUESTS
    );
    world.pass(std::time::Duration::from_secs(600));
    let page = guesser.open(&app.url(&[])).await;
    let signed_in = guesser.sign_in(&page, user.email.shown()).await;
    assert_eq!(signed_in.status, StatusCode::SEE_OTHER, "{}", signed_in.body);
}

/// As it was before the storm.
async fn sign_in_beforehand(world: &World, visitor: &mut Visitor<'_>) {
    let user = world.user().await;
    let proof = SignIn {
        presented: None,
        device: None,
        sub: user.sub,
        epoch: user.epoch,
        persistent: false,
        user_agent: String::new(),
        flow_id: None,
        flow_cookie: None,
        acr: Acr::Pwd,
        amr: vec![Amr::Pwd],
    };
    let now = world.now();
    let signed_in = world.db.transact(move |conn| {
        Box::pin(async move { sessions::sign_in(proof, &events::Context::server(), conn, now).await })
    });
    let signed_in = signed_in.await.unwrap().expect("a live user");
    let port = world.issuer.rsplit(':').next().unwrap();
    visitor
        .cookies
        .insert(format!("cs_browser_{port}"), signed_in.cookie.expose().to_owned());
}
