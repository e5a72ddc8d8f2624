//! C100: what only its receiver may know, and what a stranger writes, does not come into the log.

use http::Method;

use super::bare;
use crate::harness::World;
use crate::harness::app::{VERIFIER, basic, userinfo};
use crate::harness::world::PASSWORD;

/// Everything on the way that only its receiver may know, each with what it is.
async fn secrets_of_a_walk(world: &World) -> Vec<(&'static str, String)> {
    let (app, user) = (world.app().await, world.user().await);
    let mut visitor = world.visitor();
    let url = app.url(&[
        ("scope", "openid profile email offline_access"),
        ("state", "canary-state"),
        ("nonce", "canary-nonce"),
        ("login_hint", "canary-hint@example.com"),
    ]);
    let login = visitor.open(&url).await;
    visitor
        .sign_in_with(&login, "canary-typed@example.com", "canary-wrong-password")
        .await;
    let consent = visitor.sign_in(&login, user.email.shown()).await;
    let redirect = visitor.decide(&consent, "allow").await;
    let code = redirect.param("code").expect("a code");
    let tokens = app.tokens(world, &redirect).await;
    let refreshed = app.refresh(world, tokens.refresh()).await.json();
    userinfo(world, tokens.access()).await;

    // What is refused is logged as well.
    app.redeem(world, &code).await;
    app.redeem_with(world, "canary-code", &[("code_verifier", "canary-verifier")])
        .await;
    app.refresh(world, "canary-refresh").await;
    userinfo(world, "canary.access.token").await;
    visitor.get("/userinfo?access_token=canary-query-token").await;
    visitor.get("/canary-path?canary-query=1").await;
    visitor.get("/login?flow=canary-flow").await;
    visitor
        .get(&app.url(&[
            ("client_id", "canary-client"),
            ("redirect_uri", "https://canary-uri.example"),
        ]))
        .await;
    let wrong = basic(&app.id, "canary-client-secret");
    bare(
        world,
        Method::POST,
        "/token",
        &[("authorization", &wrong)],
        String::new(),
    )
    .await;
    bare(
        world,
        Method::GET,
        "/nowhere",
        &[
            ("cookie", "canary-cookie=1"),
            ("user-agent", "canary-agent\u{9b}31m"),
        ],
        String::new(),
    )
    .await;

    let mut secrets = vec![
        ("anything wrong or foreign", "canary".to_owned()),
        ("the password", PASSWORD.to_owned()),
        ("the code verifier", VERIFIER.to_owned()),
        ("the code", code),
        ("the access token", tokens.access().to_owned()),
        ("the refresh token", tokens.refresh().to_owned()),
        ("the next refresh token", text(&refreshed["refresh_token"])),
        ("the ID token", tokens.text("id_token").to_owned()),
        (
            "the client secret",
            app.secret.clone().unwrap().expose().to_owned(),
        ),
        (
            "the client secret, encoded",
            wrong.split(' ').nth(1).unwrap().to_owned(),
        ),
        ("the flow", login.form().value("flow").to_owned()),
        ("the flow, resealed", consent.form().value("flow").to_owned()),
        ("the form token", login.form().value("csrf").to_owned()),
        ("the user's address", user.email.shown().to_owned()),
    ];
    secrets.extend(visitor.cookies.into_values().map(|value| ("a cookie", value)));
    secrets
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().expect("a text").to_owned()
}

#[tokio::test]
async fn c100_no_secret_and_nothing_of_a_request_reaches_the_log() {
    for level in ["info", "debug"] {
        let world = World::process(&[("RUST_LOG", level)]).await;
        let secrets = secrets_of_a_walk(&world).await;
        let log = world.log();
        for event in ["signed in", "a sign-in failed", "refused", "\"status\":404"] {
            assert!(log.contains(event), "{level}: no line about \"{event}\":\n{log}");
        }
        for (what, secret) in secrets {
            let line = log.lines().find(|line| line.contains(&secret));
            assert_eq!(line, None, "{level}: {what} is in the log");
        }
        for line in log.lines() {
            serde_json::from_str::<serde_json::Value>(line).expect("one event, one line");
            assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
        }
    }
}
