//! openid-client.

use protocol::SigningAlg;
use serde_json::{Value, json};

use super::{Program, as_sent, challenged, id_token_alg, metadata, other, refused, task, the_whole_way};
use crate::harness::World;

/// Apps may register themselves and are trusted as if an administrator had entered them, with any response type.
const OPEN: [(&str, &str); 3] = [
    ("COUNTERSIGN_REGISTRATION", "open"),
    ("COUNTERSIGN_REGISTRATION_TRUST", "trusted"),
    ("COUNTERSIGN_RESPONSE_TYPES", "all"),
];

/// An app that an administrator entered, and what openid-client is told of it.
async fn entered(world: &World, registered: Value) -> Value {
    let app = world.app_with(metadata(registered)).await;
    let secret = app.secret.as_ref().map(|secret| secret.expose().to_owned());
    task(world, json!({ "client_id": app.id, "client_secret": secret }))
}

/// An app that registers itself, through the library.
fn registering(world: &World, registered: Value, how: Value) -> Value {
    let mut task = task(world, json!({ "register": metadata(registered) }));
    super::extend(&mut task, how);
    task
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openid_client_at_its_defaults_signs_in_refreshes_and_logs_out() {
    let world = World::https(&[]).await;
    // Its default is the secret in the body.
    let task = entered(
        &world,
        json!({ "token_endpoint_auth_method": "client_secret_post" }),
    )
    .await;
    let found = the_whole_way(&world, Program::openid_client(&task)).await;
    assert!(challenged(&found), "{found:#}");
    assert_eq!(id_token_alg(&found), "RS256");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openid_client_gets_along_with_an_app_at_our_defaults_and_with_a_public_one() {
    let world = World::https(&[]).await;
    for method in ["client_secret_basic", "none"] {
        let mut task = entered(&world, json!({ "token_endpoint_auth_method": method })).await;
        task["method"] = json!(method);
        task["signatures"] = json!(true);
        the_whole_way(&world, Program::openid_client(&task)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openid_client_registers_itself_and_reads_id_tokens_and_userinfo_of_every_algorithm() {
    let world = World::https(&OPEN).await;
    for alg in ["ES256", "PS256", "EdDSA"] {
        let registered = json!({
            "token_endpoint_auth_method": "client_secret_basic",
            "id_token_signed_response_alg": alg,
            "userinfo_signed_response_alg": alg,
        });
        let how = json!({ "method": "client_secret_basic", "signatures": true });
        let app = Program::openid_client(&registering(&world, registered, how));
        let found = the_whole_way(&world, app).await;
        assert_eq!(id_token_alg(&found), alg);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openid_client_proves_itself_by_assertions_pushes_its_requests_and_signs_them() {
    let world = World::https(&OPEN).await;
    let by_key = json!({ "token_endpoint_auth_method": "private_key_jwt" });
    let pushing = json!({
        "token_endpoint_auth_method": "private_key_jwt", "require_pushed_authorization_requests": true,
    });
    let signing = json!({
        "token_endpoint_auth_method": "private_key_jwt", "request_object_signing_alg": "ES256",
    });
    let by_secret = json!({ "token_endpoint_auth_method": "client_secret_jwt" });
    for (registered, how) in [
        (by_key, json!({ "method": "private_key_jwt", "signs": "ES256" })),
        (
            pushing,
            json!({ "method": "private_key_jwt", "signs": "PS256", "pushed": true }),
        ),
        (
            signing,
            json!({ "method": "private_key_jwt", "signs": "ES256", "signed": true }),
        ),
        (by_secret, json!({ "method": "client_secret_jwt" })),
    ] {
        let app = Program::openid_client(&registering(&world, registered, how.clone()));
        let found = the_whole_way(&world, app).await;
        let request = found["request"].as_str().expect("a query");
        assert_eq!(
            request.contains("request_uri="),
            how["pushed"] == true,
            "{request}"
        );
        assert_eq!(request.contains("request="), how["signed"] == true, "{request}");
        assert_eq!(
            challenged(&found),
            how["pushed"].is_null() && how["signed"].is_null(),
            "{request}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openid_client_pushes_requests_of_an_app_with_a_secret() {
    let world = World::https(&[]).await;
    let mut task = entered(&world, json!({ "require_pushed_authorization_requests": true })).await;
    task["method"] = json!("client_secret_basic");
    task["pushed"] = json!(true);
    let found = the_whole_way(&world, Program::openid_client(&task)).await;
    assert!(
        found["request"]
            .as_str()
            .is_some_and(|query| query.contains("request_uri=")),
        "{found:#}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openid_client_decrypts_id_tokens_and_userinfo() {
    let world = World::https(&OPEN).await;
    let registered = json!({
        "token_endpoint_auth_method": "client_secret_basic",
        "id_token_encrypted_response_alg": "ECDH-ES",
        "id_token_encrypted_response_enc": "A256GCM",
        "userinfo_signed_response_alg": "RS256",
        "userinfo_encrypted_response_alg": "ECDH-ES",
        "userinfo_encrypted_response_enc": "A256GCM",
    });
    let how = json!({ "method": "client_secret_basic", "decrypts": "ECDH-ES", "signatures": true });
    let app = Program::openid_client(&registering(&world, registered, how));
    let found = the_whole_way(&world, app).await;
    assert_eq!(id_token_alg(&found), "ECDH-ES");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openid_client_reads_answers_that_carry_an_id_token() {
    let world = World::https(&OPEN).await;
    let hybrid = json!({
        "token_endpoint_auth_method": "client_secret_basic", "response_types": ["code id_token"],
        "grant_types": ["authorization_code", "implicit", "refresh_token"],
    });
    let how = json!({ "method": "client_secret_basic", "hybrid": true, "signatures": true });
    the_whole_way(&world, Program::openid_client(&registering(&world, hybrid, how))).await;

    let implicit = json!({
        "token_endpoint_auth_method": "none", "response_types": ["id_token"], "grant_types": ["implicit"],
    });
    let how = json!({ "method": "none", "implicit": true, "scope": "openid" });
    let mut app = Program::openid_client(&registering(&world, implicit, how));
    let user = world.user().await;
    let url = app.sends().await;
    let answer = world.visitor().authorize(&url, user.email.shown()).await;
    app.tell(&answer.location().expect("a redirect"));
    assert_eq!(app.done().await["sub"], user.sub.to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openid_client_gets_a_machine_its_token() {
    let world = World::https(&[]).await;
    let api = world.resource(SigningAlg::Rs256).await;
    let scope = api.scopes.keys().next().expect("a scope").clone();
    let machine = world.machine(&scope).await;
    world.heard().await;
    let secret = machine.secret.as_ref().expect("a secret").expose();
    let task = task(
        &world,
        json!({
            "client_id": machine.id, "client_secret": secret, "method": "client_secret_basic",
            "machine": { "resource": api.identifier, "scope": scope },
        }),
    );
    let found = Program::openid_client(&task).done().await;
    let token = found["access_token"].as_str().expect("a token");
    let known = world.asking(&api).await.introspect(&world, token).await.json();
    assert_eq!(
        (&known["active"], &known["client_id"], &known["scope"]),
        (&json!(true), &json!(machine.id), &json!(scope)),
        "{known:#}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openid_client_refuses_another_state_nonce_or_issuer_and_hears_why_a_code_is_no_good() {
    let world = World::https(&[]).await;
    let mut task = entered(&world, json!({})).await;
    task["method"] = json!("client_secret_basic");
    let app = || Program::openid_client(&task);
    let says = |refused: &Value, text: &str| {
        let said = format!("{} {}", refused["message"], refused["cause"]);
        assert!(said.contains(text), "{refused:#}");
    };

    let state = refused(&world, app(), as_sent, |url| other(url, "state", "another")).await;
    says(&state, "state");
    let issuer = refused(&world, app(), as_sent, |url| {
        other(url, "iss", "https://other.example.com")
    })
    .await;
    says(&issuer, "iss");
    let nonce = refused(&world, app(), |url| other(url, "nonce", "another"), as_sent).await;
    assert_eq!(nonce["code"], "OAUTH_JWT_CLAIM_COMPARISON_FAILED", "{nonce:#}");
    says(&nonce, "nonce");
    let code = refused(&world, app(), as_sent, |url| other(url, "code", "another")).await;
    assert_eq!(code["error"], "invalid_grant", "{code:#}");
}
