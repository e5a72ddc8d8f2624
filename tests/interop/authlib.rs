//! Authlib's Flask client.

use serde_json::{Value, json};

use super::{Program, as_sent, challenged, id_token_alg, metadata, other, refused, task, the_whole_way};
use crate::harness::rp::Key;
use crate::harness::{App, World};

/// An app that an administrator entered, and what Authlib is told of it.
async fn entered(world: &World, registered: Value) -> (App, Value) {
    let app = world.app_with(metadata(registered)).await;
    let secret = app.secret.as_ref().map(|secret| secret.expose().to_owned());
    let told = task(world, json!({ "client_id": app.id, "client_secret": secret }));
    (app, told)
}

fn with_pkce(mut task: Value) -> Value {
    task["client_kwargs"] = json!({ "code_challenge_method": "S256" });
    task
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authlib_at_its_defaults_signs_in_refreshes_and_logs_out_where_pkce_is_not_required() {
    let world = World::https(&[]).await;
    let (_, task) = entered(&world, json!({ "require_pkce": false })).await;
    let found = the_whole_way(&world, Program::authlib(&task)).await;
    // What PKCE is by default: this app's registration had to be told.
    assert!(!challenged(&found), "{found:#}");
    assert_eq!(id_token_alg(&found), "RS256");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authlib_with_pkce_gets_along_with_an_app_at_our_defaults() {
    let world = World::https(&[]).await;
    for registered in [json!({}), json!({ "id_token_signed_response_alg": "ES256" })] {
        let alg = registered["id_token_signed_response_alg"]
            .as_str()
            .unwrap_or("RS256");
        let alg = alg.to_owned();
        let (_, task) = entered(&world, registered).await;
        let found = the_whole_way(&world, Program::authlib(&with_pkce(task))).await;
        assert!(challenged(&found), "{found:#}");
        assert_eq!(id_token_alg(&found), alg);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authlib_as_a_public_app_has_pkce_alone() {
    let world = World::https(&[]).await;
    let (app, task) = entered(&world, json!({ "token_endpoint_auth_method": "none" })).await;
    assert!(app.secret.is_none());
    let found = the_whole_way(&world, Program::authlib(&with_pkce(task))).await;
    assert!(challenged(&found), "{found:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authlib_proves_itself_by_a_key_where_the_token_endpoint_may_be_the_audience() {
    let world = World::https(&[]).await;
    let key = Key::new("RS256");
    let (_, mut task) = entered(
        &world,
        json!({
            "token_endpoint_auth_method": "private_key_jwt",
            "assertion_audience": "compatible",
            "jwks": key.jwks(),
        }),
    )
    .await;
    task["client_secret"] = json!(key.pem());
    task["asserts"] = json!(true);
    task["client_kwargs"] = json!({
        "code_challenge_method": "S256",
        "token_endpoint_auth_method": "private_key_jwt",
        "revocation_endpoint_auth_method": "private_key_jwt",
    });
    the_whole_way(&world, Program::authlib(&task)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authlib_refuses_an_answer_with_another_state_and_an_id_token_with_another_nonce() {
    let world = World::https(&[]).await;
    let (_, task) = entered(&world, json!({})).await;
    let task = with_pkce(task);
    let app = || Program::authlib(&task);

    let state = refused(&world, app(), as_sent, |url| other(url, "state", "another")).await;
    assert_eq!(state["name"], "MismatchingStateError", "{state:#}");
    let nonce = refused(&world, app(), |url| other(url, "nonce", "another"), as_sent).await;
    assert_eq!(nonce["error"], "invalid_claim", "{nonce:#}");
    assert!(
        nonce["message"].as_str().is_some_and(|it| it.contains("nonce")),
        "{nonce:#}"
    );
    let code = refused(&world, app(), as_sent, |url| other(url, "code", "another")).await;
    assert_eq!(code["error"], "invalid_grant", "{code:#}");
}
