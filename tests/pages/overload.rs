//! C074 and C075: what is not worth hashing is not hashed, and who finds no room is told to come back.
//!
//! The server here has a hasher without any room: whatever would be queued is answered by 503, so an answer of
//! 400 shows that nothing was to be queued.

use accounts::passwords::{Cost, HasherSettings};
use accounts::sessions::{self, Acr, Amr, SignIn};
use http::StatusCode;
use tokio::time::{Duration, timeout};

use super::set_cookies;
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

/// As it was before the storm.
async fn sign_in_beforehand(world: &World, visitor: &mut Visitor<'_>) {
    let user = world.user().await;
    let proof = SignIn {
        presented: None,
        sub: user.sub,
        epoch: user.epoch,
        persistent: false,
        user_agent: String::new(),
        flow_id: None,
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
