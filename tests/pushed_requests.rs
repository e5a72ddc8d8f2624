//! Requests that clients push: RFC 9126. The browser brings a reference that works for its client, for a minute, and
//! until an authorization came of it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::app::{App, address, changed, post};
use crate::harness::rp::Key;
use crate::harness::{Answer, World};

async fn push(world: &World, app: &App, changes: &[(&'static str, &str)]) -> Answer {
    app.call(world, "/par", changed(app.request(), changes)).await
}

/// The reference to an ordinary request.
async fn pushed(world: &World, app: &App, changes: &[(&'static str, &str)]) -> String {
    let answer = push(world, app, changes).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.json()["expires_in"], 60);
    answer.json()["request_uri"].as_str().unwrap().to_owned()
}

/// What the browser brings.
fn at(app: &App, reference: &str) -> String {
    address(&[
        ("client_id", app.id.clone()),
        ("request_uri", reference.to_owned()),
    ])
}

everywhere! {
    async fn a_pushed_request_ends_in_tokens_whatever_the_browser_adds(world: World) {
        let user = world.user().await;
        for app in [world.app().await, world.public_app().await] {
            let reference = pushed(&world, &app, &[("state", "pushed")]).await;
            assert!(reference.starts_with("urn:ietf:params:oauth:request_uri:") && reference.len() > 70);
            let redirect = world.visitor().authorize(&at(&app, &reference), user.email.shown()).await;
            assert_eq!(redirect.param("state").as_deref(), Some("pushed"));
            app.tokens(&world, &redirect).await;

            let reference = pushed(&world, &app, &[("state", "pushed")]).await;
            let more = [("request_uri", reference.as_str()), ("state", "added"), ("scope", "openid phone"),
                ("redirect_uri", "https://evil.test/"), ("nonce", "added")];
            let redirect = world.visitor().authorize(&app.url(&more), user.email.shown()).await;
            assert_eq!(redirect.param("state").as_deref(), Some("pushed"));
            assert_eq!(app.tokens(&world, &redirect).await.id()["nonce"], "n-once");
        }
    }

    async fn a_reference_works_until_an_authorization_came_of_it(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let reference = pushed(&world, &app, &[]).await;
        // Opened twice, then used.
        for _ in 0..2 {
            assert!(world.visitor().open(&at(&app, &reference)).await.asks_to_sign_in());
        }
        let mut visitor = world.visitor();
        let redirect = visitor.authorize(&at(&app, &reference), user.email.shown()).await;
        app.tokens(&world, &redirect).await;
        for answer in [visitor.open(&at(&app, &reference)).await, world.visitor().open(&at(&app, &reference)).await] {
            assert!(answer.status == 400 && answer.location().is_none(), "{}", answer.body);
        }
    }

    async fn a_reference_is_its_clients_own(world: World) {
        let (app, other) = (world.app().await, world.app().await);
        let reference = pushed(&world, &app, &[]).await;
        for url in [
            at(&other, &reference),
            at(&app, &format!("{reference}A")),
            at(&app, &reference[..reference.len() - 1]),
            at(&app, "urn:ietf:params:oauth:request_uri:"),
            address(&[("request_uri", reference.clone())]),
        ] {
            let answer = world.visitor().get(&url).await;
            assert!(answer.status == 400 && answer.location().is_none(), "{url} {}", answer.status);
        }
        assert!(world.visitor().open(&at(&app, &reference)).await.asks_to_sign_in());
    }

    async fn what_is_wrong_with_a_request_is_said_when_it_is_pushed(world: World) {
        let (app, other) = (world.app().await, world.app().await);
        for (error, changes) in [
            ("invalid_request", &[("redirect_uri", "https://evil.test/cb")][..]),
            ("invalid_request", &[("redirect_uri", "")]),
            ("invalid_request", &[("code_challenge", ""), ("code_challenge_method", "")]),
            ("invalid_request", &[("code_challenge_method", "plain")]),
            ("invalid_request", &[("request_uri", "https://app.example.com/r")]),
            ("invalid_request", &[("request_uri", "urn:ietf:params:oauth:request_uri:x")]),
            ("invalid_request", &[("client_id", &other.id)]),
            ("invalid_request", &[("response_type", "")]),
            ("unsupported_response_type", &[("response_type", "nonsense")]),
            ("invalid_scope", &[("scope", "nonsense")]),
            ("invalid_request_object", &[("request", "e30.e30.")]),
            ("invalid_request", &[("state", &"x".repeat(5000))]),
        ] {
            let answer = push(&world, &app, changes).await;
            answer.assert_refusal(400, error);
        }
        let wrong = App { secret: Some("wrong".into()), ..app.clone() };
        push(&world, &wrong, &[]).await.assert_refusal(401, "invalid_client");
        let nobody = post(&world, "/par", &[], &app.request()[..1]).await;
        nobody.assert_refusal(401, "invalid_client");
        assert_eq!(world.visitor().get("/par").await.status, 405);
    }

    async fn a_client_that_pushes_may_sign_what_it_pushes_and_itself(world: World) {
        let (key, user) = (Key::new("PS256"), world.user().await);
        let metadata = json!({
            "jwks": key.jwks(), "token_endpoint_auth_method": "private_key_jwt",
            "require_pushed_authorization_requests": true,
        });
        let app = world.app_with(metadata).await;
        world.visitor().get(&app.url(&[])).await.assert_error("invalid_request");
        let mut claims = json!({ "iss": app.id, "aud": world.issuer });
        for (name, value) in app.request() {
            claims[name] = Value::from(value);
        }
        claims["state"] = json!("signed");
        let outside = vec![("request", key.sign(&claims)), ("state", "outside".to_owned())];
        let answer = app.assert_by(&key, &world, "/par", outside).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        let reference = answer.json()["request_uri"].as_str().unwrap().to_owned();
        let redirect = world.visitor().authorize(&at(&app, &reference), user.email.shown()).await;
        assert_eq!(redirect.param("state").as_deref(), Some("signed"));
        let code = redirect.param("code").unwrap();
        let tokens = app.assert_by(&key, &world, "/token", app.exchanging(&code)).await;
        assert_eq!(tokens.status, 200, "{}", tokens.body);
    }
}

on_both_databases! {
    async fn a_reference_dies_after_a_minute_and_what_it_began_does_not(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let reference = pushed(&world, &app, &[]).await;
        let mut visitor = world.visitor();
        let page = visitor.open(&at(&app, &reference)).await;
        world.pass(Duration::from_secs(60));
        assert_eq!(world.visitor().open(&at(&app, &reference)).await.status, 400);
        assert!(page.asks_to_sign_in());
        let fresh = pushed(&world, &app, &[]).await;
        world.pass(Duration::from_secs(59));
        let redirect = visitor.authorize(&at(&app, &fresh), user.email.shown()).await;
        app.tokens(&world, &redirect).await;
        let now = world.now() + Duration::from_secs(60);
        let work = world.db.transact(move |conn| {
            Box::pin(async move { grants::pushed::forget(10, conn, now).await })
        });
        assert_eq!(work.await.unwrap(), 2);
    }

    async fn strangers_cannot_fill_the_table_in_the_name_of_a_public_client(world: World) {
        let app = world.public_app().await;
        let mut refused = 0;
        for _ in 0..210 {
            let answer = push(&world, &app, &[]).await;
            match answer.status.as_u16() {
                201 => {}
                503 => refused += 1,
                other => panic!("{other} {}", answer.body),
            }
        }
        assert_eq!(refused, 10);
        // Others go on, and so does the client a minute later.
        pushed(&world, &world.app().await, &[]).await;
        world.pass(Duration::from_secs(60));
        pushed(&world, &app, &[]).await;
    }
}
