//! Requests that clients push: RFC 9126. The browser brings a reference that works for its client, for a minute, and
//! until an authorization came of it.

use std::time::Duration;

use http::Method;
use protocol::PushedRequests;
use serde_json::{Value, json};

use crate::harness::app::{App, address, answer, changed, post};
use crate::harness::rp::{Key, asserted, assertion, b64};
use crate::harness::visitor::client;
use crate::harness::world::Own;
use crate::harness::{Answer, Channel, World};

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
            answer.assert_error("invalid_request_uri");
        }
        let way_back = [("request_uri", reference.as_str()), ("state", "back")];
        let answer = world.visitor().open(&app.url(&way_back)).await;
        answer.assert_error("invalid_request_uri");
        assert_eq!(answer.param("state").as_deref(), Some("back"));
    }

    async fn a_reference_is_its_clients_own(world: World) {
        let (app, other) = (world.app().await, world.app().await);
        let reference = pushed(&world, &app, &[]).await;
        for url in [
            at(&other, &reference),
            at(&app, &format!("{reference}A")),
            at(&app, &reference[..reference.len() - 1]),
            at(&app, "urn:ietf:params:oauth:request_uri:"),
        ] {
            world.visitor().get(&url).await.assert_error("invalid_request_uri");
        }
        let elsewhere = [("request_uri", reference.as_str()), ("redirect_uri", "https://evil.test/")];
        for url in [
            address(&[("request_uri", reference.clone())]),
            other.url(&elsewhere),
            address(&[("request_uri", reference.clone()), ("client_id", "nobody".to_owned())]),
        ] {
            world.visitor().get(&url).await.assert_rejected();
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
            ("invalid_request", &[("state", &"x".repeat(16 * 1024))]),
        ] {
            let answer = push(&world, &app, changes).await;
            answer.assert_refusal(400, error);
        }
        let wrong = App { secret: Some("wrong".into()), ..app.clone() };
        push(&world, &wrong, &[]).await.assert_refusal(401, "invalid_client");
        let nobody = post(&world, "/par", &[], &app.request()[..1]).await;
        nobody.assert_refusal(401, "invalid_client");
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            assert_eq!(answer(client().request(method, world.at("/par"))).await.status, 405);
        }
    }

    async fn a_request_too_large_for_an_address_is_pushed_and_goes_all_the_way(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let state = format!("canary{}", "s".repeat(10_000));
        let plain = post(&world, "/authorize", &[], &changed(app.request(), &[("state", &state)])).await;
        plain.assert_error("invalid_request");
        assert!(plain.param("error_description").unwrap().contains("PAR"));

        let large = async || pushed(&world, &app, &[("state", &state)]).await;
        let mut visitor = world.visitor();
        let page = visitor.open(&at(&app, &large().await)).await;
        assert!(page.asks_to_sign_in() && page.form().value("flow").len() < 300);
        let wrong = visitor.sign_in_with(&page, user.email.shown(), "not the password").await;
        assert!(wrong.asks_to_sign_in() && wrong.form().value("flow").len() < 300);
        let page = visitor.sign_in(&wrong, user.email.shown()).await;
        assert!(page.has("id=\"consent-allow\"") && !page.has("canary"));
        let redirect = visitor.decide(&page, "allow").await;
        assert_eq!(redirect.param("state"), Some(state.clone()));
        app.tokens(&world, &redirect).await;
        // Once more, with everything known; and refused on the way.
        let redirect = visitor.open(&at(&app, &large().await)).await;
        assert_eq!(redirect.param("state"), Some(state.clone()));
        let mut other = world.visitor();
        let page = other.open(&at(&app, &large().await)).await;
        let answer = other.decide(&page, "cancel").await;
        answer.assert_error("access_denied");
        assert_eq!(answer.param("state"), Some(state));
    }

    async fn c011_what_travels_of_a_pushed_request_opens_in_its_browser_only(world: World) {
        let app = world.app().await;
        let mut visitor = world.visitor();
        let page = visitor.open(&at(&app, &pushed(&world, &app, &[]).await)).await;
        let flow = page.form().value("flow").to_owned();
        for path in ["/login", "/consent", "/authorize"] {
            let mut thief = world.visitor();
            assert!(thief.open(&app.url(&[])).await.asks_to_sign_in());
            let answer = thief.get(&format!("{path}?flow={flow}")).await;
            assert!(answer.status == 400 && answer.location().is_none(), "{path} {}", answer.status);
        }
        // From a form of the app's site it is bound by the GET that follows.
        let params = [("client_id", app.id.clone()), ("request_uri", pushed(&world, &app, &[]).await)];
        let sent = post(&world, "/authorize", &[], &params).await;
        assert!(world.visitor().follow(sent).await.asks_to_sign_in());
    }

    async fn c016_a_pushed_state_is_text_in_a_form_and_nothing_else(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let state = "\"><script>alert(1)</script>'&amp;\u{fc}";
        let reference = pushed(&world, &app, &[("state", state), ("response_mode", "form_post")]).await;
        let answer = world.visitor().authorize(&at(&app, &reference), user.email.shown()).await;
        assert_eq!(answer.sent().unwrap().channel, Channel::FormPost);
        assert_eq!(answer.param("state").as_deref(), Some(state));
        assert!(!answer.has("<script>alert"), "{}", answer.body);
        assert!(!answer.header("content-security-policy").unwrap().contains("form-action"));
    }

    async fn c095_pages_of_registered_origins_may_push(world: World) {
        let app = world.public_app().await;
        for (origin, admitted) in [("https://app.example.com", true), ("https://evil.example.com", false), ("null", false)] {
            for method in [Method::OPTIONS, Method::POST] {
                let request = client()
                    .request(method.clone(), world.at("/par"))
                    .header("origin", origin)
                    .header("access-control-request-method", "POST")
                    .form(&app.request());
                let answer = answer(request).await;
                let allowed = answer.header("access-control-allow-origin");
                assert_eq!(allowed, admitted.then_some(origin), "{method} {origin}");
                assert_eq!(answer.header("access-control-allow-credentials"), None);
            }
        }
    }

    async fn c033_an_assertion_for_pushing_names_the_issuer_and_counts_once(world: World) {
        let key = Key::new("ES256");
        let app = world.app_with(json!({ "jwks": key.jwks(), "token_endpoint_auth_method": "private_key_jwt" })).await;
        let now = world.now().as_secs();
        let push = async |assertion: &str| {
            let mut params = app.request();
            params.extend(asserted(assertion.to_owned()));
            post(&world, "/par", &[], &params).await
        };
        for (changes, status) in [
            (json!({}), 201),
            (json!({ "nbf": now + 8, "iat": now + 8 }), 201),
            (json!({ "nbf": now + 90 }), 401),
            (json!({ "aud": [world.issuer] }), 401),
            (json!({ "aud": format!("{}/par", world.issuer) }), 401),
            (json!({ "aud": format!("{}/token", world.issuer) }), 401),
            (json!({ "exp": now - 300 }), 401),
            (json!({ "jti": null }), 401),
        ] {
            let answer = push(&key.sign(&assertion(&app.id, &world.issuer, now, &changes))).await;
            assert_eq!(answer.status, status, "{changes} {}", answer.body);
        }
        let once = key.sign(&assertion(&app.id, &world.issuer, now, &json!({})));
        assert_eq!(push(&once).await.status, 201);
        push(&once).await.assert_refusal(401, "invalid_client");
    }

    async fn c039_c043_a_pushed_object_is_judged_like_any_other(world: World) {
        let (key, stranger) = (Key::new("PS256"), Key::new("PS256"));
        let metadata = json!({ "jwks": key.jwks(), "require_signed_request_object": true, "request_object_signing_alg": "PS256" });
        let app = world.app_with(metadata).await;
        push(&world, &app, &[]).await.assert_refusal(400, "invalid_request");
        let now = world.now().as_secs();
        let claims = |changes: &Value| {
            let mut claims = json!({ "iss": app.id, "aud": world.issuer, "nbf": now, "exp": now + 60 });
            for (name, value) in app.request() {
                claims[name] = json!(value);
            }
            claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            claims
        };
        let pushing = async |object: String| app.call(&world, "/par", vec![("request", object)]).await;
        for changes in [
            json!({}),
            json!({ "nbf": now + 8 }),
            json!({ "aud": ["https://other.test", world.issuer] }),
        ] {
            let answer = pushing(key.sign(&claims(&changes))).await;
            assert_eq!(answer.status, 201, "{changes} {}", answer.body);
        }
        for changes in [
            json!({ "exp": now - 300 }),
            json!({ "nbf": now + 90 }),
            json!({ "aud": "https://other.test" }),
            json!({ "iss": "other" }),
            json!({ "client_id": "other" }),
            json!({ "request_uri": "urn:ietf:params:oauth:request_uri:x" }),
        ] {
            pushing(key.sign(&claims(&changes))).await.assert_refusal(400, "invalid_request_object");
        }
        let payload = b64(claims(&json!({})).to_string());
        for object in [
            format!("{}.{payload}.", b64(r#"{"alg":"none"}"#)),
            stranger.sign(&claims(&json!({}))),
            key.sign_as(&json!({ "alg": "RS256", "kid": key.kid }), &claims(&json!({}))),
            key.sign(&claims(&json!({ "state": "s".repeat(16 * 1024) }))),
        ] {
            pushing(object).await.assert_refusal(400, "invalid_request_object");
        }
        let no_way_back = key.sign(&claims(&json!({ "redirect_uri": "https://evil.test/cb" })));
        pushing(no_way_back).await.assert_refusal(400, "invalid_request");
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
        let mut late = world.visitor();
        let (page, late_page) = (visitor.open(&at(&app, &reference)).await, late.open(&at(&app, &reference)).await);
        world.pass(Duration::from_secs(59));
        assert!(world.visitor().open(&at(&app, &reference)).await.asks_to_sign_in());
        world.pass(Duration::from_secs(1));
        world.visitor().open(&at(&app, &reference)).await.assert_error("invalid_request_uri");
        let forgotten = async || {
            let now = world.now();
            let work = world.db.transact(move |conn| {
                Box::pin(async move { grants::pushed::forget(10, conn, now).await })
            });
            work.await.unwrap()
        };
        // A person takes their time, to the last second of a flow.
        world.pass(Duration::from_secs(60 * 60 - 61));
        assert_eq!(forgotten().await, 0);
        let consent = visitor.sign_in(&page, user.email.shown()).await;
        let redirect = visitor.decide(&consent, "allow").await;
        app.tokens(&world, &redirect).await;
        world.pass(Duration::from_secs(1));
        let answer = late.sign_in(&late_page, user.email.shown()).await;
        assert!(answer.status == 400 && answer.location().is_none(), "{}", answer.body);
        assert_eq!(forgotten().await, 1);
    }
}

/// A public client proves nothing: anybody pushes in its name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_neither_fill_the_table_in_the_name_of_a_public_client_nor_keep_its_people_out_from_one_network()
 {
    for database in [db::testing::sqlite_url(), db::testing::postgres_url().await] {
        let own = Own {
            proxies: Some("127.0.0.1"),
            ..Own::default()
        };
        let world = World::here_with(database, own).await;
        let (app, other) = (world.public_app().await, world.public_app().await);
        let from = async |app: &App, network: usize| {
            let address = [("x-forwarded-for", format!("203.0.{network}.7"))];
            post(&world, "/par", &address, &app.request()).await
        };
        for sent in 0..210 {
            let answer = from(&app, 1).await;
            let is_refused = answer.status == 429 && answer.header("retry-after") == Some("1");
            assert!(
                if sent < 200 {
                    answer.status == 201
                } else {
                    is_refused
                },
                "{sent}: {} {}",
                answer.status,
                answer.body
            );
        }
        // Neither the people of another network, nor those of another app.
        assert_eq!(from(&app, 2).await.status, 201);
        assert_eq!(from(&other, 1).await.status, 201);
        world.pass(Duration::from_secs(1));
        assert_eq!(from(&app, 1).await.status, 201);
        assert_eq!(from(&app, 1).await.status, 429);
        // All networks together fill no more than this.
        let mut kept = 202;
        'all: for network in 3..20 {
            for _ in 0..200 {
                let answer = from(&app, network).await;
                if answer.status != 201 {
                    assert_eq!(
                        (answer.status.as_u16(), answer.header("retry-after")),
                        (429, Some("60"))
                    );
                    break 'all;
                }
                kept += 1;
            }
        }
        assert_eq!(kept, 2_000);
        let large = changed(app.request(), &[("state", &"s".repeat(3 * 1024))]);
        let large = post(&world, "/par", &[], &large).await;
        large.assert_refusal(400, "invalid_request");
        // Others go on, and so does the client a minute later.
        pushed(&world, &other, &[]).await;
        world.pass(Duration::from_secs(60));
        pushed(&world, &app, &[]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_may_take_pushed_requests_only() {
    let world = World::sqlite_with(Own {
        pushed_requests: PushedRequests::Required,
        ..Own::default()
    })
    .await;
    let (app, user, key) = (world.public_app().await, world.user().await, Key::new("ES256"));
    let document = world
        .visitor()
        .get("/.well-known/openid-configuration")
        .await
        .json();
    assert_eq!(document["require_pushed_authorization_requests"], true);
    let answer = world.visitor().get(&app.url(&[])).await;
    answer.assert_error("invalid_request");
    assert!(answer.param("error_description").unwrap().contains("PAR"));
    post(&world, "/authorize", &[], &app.request())
        .await
        .assert_error("invalid_request");
    world
        .visitor()
        .get(&app.url(&[("redirect_uri", "https://evil.test/")]))
        .await
        .assert_rejected();
    // Signed is not pushed.
    let signing = world.app_with(json!({ "jwks": key.jwks() })).await;
    let object = key.sign(&json!({ "state": "signed" }));
    world
        .visitor()
        .get(&signing.url(&[("request", &object)]))
        .await
        .assert_error("invalid_request");
    let redirect = world
        .visitor()
        .authorize(&at(&app, &pushed(&world, &app, &[]).await), user.email.shown())
        .await;
    app.tokens(&world, &redirect).await;
}
