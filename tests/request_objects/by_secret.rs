//! Objects that a client signs with its secret, by HS256: OpenID Connect Core §6.1 and §10.1.

use super::*;
use crate::harness::app::{basic, post};
use crate::harness::rp::sign_by_secret;

async fn app_of(world: &World, more: Value) -> App {
    let mut metadata = json!({ "request_object_signing_alg": "HS256" });
    let members = metadata.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    world.app_with(metadata).await
}

fn secret(app: &App) -> &str {
    app.secret.as_ref().expect("a secret").expose()
}

everywhere! {
    async fn a_request_signed_with_the_secret_counts_where_that_is_registered(world: World) {
        let (site, user) = (Site::open().await, world.user().await);
        let url = site.put("/r", "application/oauth-authz-req+jwt", "");
        for method in ["client_secret_basic", "client_secret_jwt"] {
            let app = app_of(&world, json!({ "request_uris": [url], "token_endpoint_auth_method": method })).await;
            assert!(secret(&app).len() >= 64);
            let signed = sign_by_secret(&object(&world, &app, &json!({ "state": "from inside" })), secret(&app));
            let fetched = format!("{url}#{}", b64(seal::sha256(signed.as_bytes())));
            site.put("/r", "application/oauth-authz-req+jwt", signed.as_str());
            for carried in [("request", signed.as_str()), ("request_uri", &fetched)] {
                let answer = world.visitor().get(&app.url(&[("prompt", "none"), carried])).await;
                answer.assert_error("login_required");
                assert_eq!(answer.param("state").as_deref(), Some("from inside"), "{carried:?}");
            }
        }
        // Nothing else of the client has to be signed for that, and nothing beside the object counts for one that says so.
        let app = app_of(&world, json!({ "require_signed_request_object": true })).await;
        world.visitor().get(&app.url(&[])).await.assert_error("invalid_request");
        let signed = sign_by_secret(&object(&world, &app, &json!({ "state": null })), secret(&app));
        let redirect = world.visitor().authorize(&app.url(&[("request", &signed)]), user.email.shown()).await;
        assert_eq!(redirect.param("state"), None);
        app.tokens(&world, &redirect).await;
    }

    async fn c039_c040_a_secret_and_a_key_are_never_taken_for_each_other_in_a_request(world: World) {
        let key = Key::new("ES256");
        let by_secret = app_of(&world, json!({ "jwks": key.jwks() })).await;
        let by_key = signing(&world, &key, json!({
            "request_object_signing_alg": "ES256", "id_token_signed_response_alg": "HS256",
        })).await;
        let by_any_key = signing(&world, &key, json!({ "id_token_signed_response_alg": "HS256" })).await;
        let other = app_of(&world, json!({})).await;
        let public = key.jwk().to_string();
        let own = |app: &App| object(&world, app, &json!({}));
        for (app, bad) in [
            (&by_secret, key.sign(&own(&by_secret))),
            (&by_secret, sign_by_secret(&own(&by_secret), secret(&other))),
            (&by_secret, sign_by_secret(&own(&by_secret), "")),
            (&by_secret, sign_by_secret(&own(&by_secret), seal::digest(secret(&by_secret)))),
            (&by_secret, sign_by_secret(&own(&by_secret), &public)),
            (&by_secret, sign_by_secret(&own(&other), secret(&by_secret))),
            // These have a secret that can be read, for something else.
            (&by_key, sign_by_secret(&own(&by_key), secret(&by_key))),
            (&by_any_key, sign_by_secret(&own(&by_any_key), secret(&by_any_key))),
            (&by_any_key, sign_by_secret(&own(&by_any_key), &public)),
        ] {
            silently(&world, app, &bad, &[]).await.assert_error("invalid_request_object");
        }
        let unsigned = format!("{}.{}.", b64(r#"{"alg":"none"}"#), b64(own(&by_secret).to_string()));
        silently(&world, &by_secret, &unsigned, &[]).await.assert_error("request_not_supported");
        for (app, good) in [
            (&by_secret, sign_by_secret(&own(&by_secret), secret(&by_secret))),
            (&by_key, key.sign(&own(&by_key))),
            (&by_any_key, key.sign(&own(&by_any_key))),
        ] {
            silently(&world, app, &good, &[]).await.assert_error("login_required");
        }
    }

    async fn a_pushed_object_may_be_signed_with_the_secret_that_authenticates(world: World) {
        let app = app_of(&world, json!({})).await;
        let push = async |object: String| {
            let params = [("client_id", app.id.clone()), ("request", object)];
            let headers = [("authorization", basic(&app.id, secret(&app)))];
            post(&world, "/par", &headers, &params).await
        };
        let pushed = push(sign_by_secret(&object(&world, &app, &json!({})), secret(&app))).await;
        assert_eq!(pushed.status, 201, "{}", pushed.body);
        let forged = push(sign_by_secret(&object(&world, &app, &json!({})), "another")).await;
        forged.assert_refusal(400, "invalid_request_object");
    }
}

on_both_databases! {
    async fn either_of_two_secrets_signs_and_one_that_ended_does_not(world: World) {
        let app = app_of(&world, json!({})).await;
        world.pass(std::time::Duration::from_secs(1));
        let newer = world.another_secret(&app).await;
        let asks = async |by: &App, error: &str| {
            let signed = sign_by_secret(&object(&world, &app, &json!({})), secret(by));
            silently(&world, &app, &signed, &[]).await.assert_error(error);
        };
        for own in [&app, &newer] {
            asks(own, "login_required").await;
        }
        let id = protocol::ClientId::from(app.id.as_str());
        let listed = clients::secrets::list(&id, &mut world.db.reader().await.unwrap()).await.unwrap();
        let (oldest, now) = (listed[0].secret_id.clone(), world.now());
        let ended = world.db.transact(move |conn| {
            Box::pin(async move {
                clients::secrets::delete(&id, &oldest, &events::Context::server(), conn, now).await
            })
        });
        ended.await.unwrap();
        world.heard().await;
        asks(&app, "invalid_request_object").await;
        asks(&newer, "login_required").await;
    }
}
