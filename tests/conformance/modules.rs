//! What each module of the core plans does and wants to see, in our words.

use std::time::Duration;

use http::StatusCode;
use protocol::ResponseType;
use serde_json::{Value, json};

use super::run::{Outcome, Run, claims_of};
use crate::harness::app::{CHALLENGE, VERIFIER, address, answer, post, userinfo};
use crate::harness::rp::{Key, Site};
use crate::harness::visitor::{Form, client};

type Changes<'c> = &'c [(&'static str, &'c str)];

pub(super) async fn oidcc_server(run: Run<'_>) {
    run.complete(&mut run.world.visitor(), &[]).await;
}

pub(super) async fn oidcc_response_type_missing(mut run: Run<'_>) {
    let params = run.params(&[("response_type", "")]);
    let answer = run.world.visitor().open(&address(&params)).await;
    // Nobody knows which type was meant, so it comes as for a code.
    run.row.response_type = ResponseType::Code;
    run.refused(
        &params,
        &answer,
        &["invalid_request", "unsupported_response_type"],
    );
}

pub(super) async fn oidcc_idtoken_signature(run: Run<'_>) {
    let outcome = run.complete(&mut run.world.visitor(), &[]).await;
    let alg = crate::harness::app::header(&outcome.id_token)["alg"].clone();
    let metadata = metadata(&run).await;
    let advertised = metadata["id_token_signing_alg_values_supported"]
        .as_array()
        .unwrap()
        .clone();
    assert!(
        advertised.contains(&alg) && alg != "none" && alg != "HS256",
        "{alg}"
    );
}

/// Skipped by the suite, as long as nobody is told that `none` is to be had.
pub(super) async fn oidcc_idtoken_unsigned(run: Run<'_>) {
    let metadata = metadata(&run).await;
    let advertised = metadata["id_token_signing_alg_values_supported"]
        .as_array()
        .unwrap()
        .clone();
    assert!(!advertised.contains(&json!("none")), "{advertised:?}");
}

async fn metadata(run: &Run<'_>) -> Value {
    run.world
        .visitor()
        .get("/.well-known/openid-configuration")
        .await
        .json()
}

pub(super) async fn oidcc_userinfo_get(run: Run<'_>) {
    let outcome = run.complete(&mut run.world.visitor(), &[]).await;
    let answer = userinfo(run.world, outcome.access_token.as_deref().unwrap()).await;
    run.checked_userinfo(&[], &answer, &outcome.id_tokens);
}

pub(super) async fn oidcc_userinfo_post_header(run: Run<'_>) {
    let outcome = run.complete(&mut run.world.visitor(), &[]).await;
    let request = client().post(run.world.at("/userinfo"));
    let answer = answer(request.bearer_auth(outcome.access_token.as_deref().unwrap())).await;
    run.checked_userinfo(&[], &answer, &outcome.id_tokens);
}

pub(super) async fn oidcc_userinfo_post_body(run: Run<'_>) {
    let outcome = run.complete(&mut run.world.visitor(), &[]).await;
    let params = [("access_token", outcome.access_token.unwrap())];
    let answer = post(run.world, "/userinfo", &[], &params).await;
    run.checked_userinfo(&[], &answer, &outcome.id_tokens);
}

pub(super) async fn oidcc_ensure_request_without_nonce_succeeds_for_code_flow(run: Run<'_>) {
    let outcome = run.complete(&mut run.world.visitor(), &[("nonce", "")]).await;
    assert!(
        outcome
            .id_tokens
            .iter()
            .all(|claims| claims.get("nonce").is_none())
    );
}

pub(super) async fn oidcc_ensure_request_without_nonce_fails(run: Run<'_>) {
    let params = run.params(&[("nonce", "")]);
    let answer = run.world.visitor().open(&address(&params)).await;
    run.refused(&params, &answer, &["invalid_request"]);
}

/// Every claim of the scope, at userinfo where there is a way to it, else in the ID token.
async fn scope(run: &Run<'_>, scope: &'static str) {
    let outcome = run.complete(&mut run.world.visitor(), &[("scope", scope)]).await;
    let told = match &outcome.access_token {
        Some(access_token) => userinfo(run.world, access_token).await.json(),
        None => outcome.id_tokens[0].clone(),
    };
    for claim in claims_of(scope) {
        let value = told
            .get(claim)
            .unwrap_or_else(|| panic!("{scope}: no {claim}: {told}"));
        let typed = match claim {
            "email_verified" | "phone_number_verified" => value.is_boolean(),
            "updated_at" => value.is_number(),
            "address" => value.is_object(),
            _ => value
                .as_str()
                .is_some_and(|text| !text.trim().is_empty() && text != "null"),
        };
        assert!(typed, "{claim}: {value}");
    }
}

pub(super) async fn oidcc_scope_profile(run: Run<'_>) {
    scope(&run, "openid profile").await;
}

pub(super) async fn oidcc_scope_email(run: Run<'_>) {
    scope(&run, "openid email").await;
}

pub(super) async fn oidcc_scope_address(run: Run<'_>) {
    scope(&run, "openid address").await;
}

pub(super) async fn oidcc_scope_phone(run: Run<'_>) {
    scope(&run, "openid phone").await;
}

pub(super) async fn oidcc_scope_all(run: Run<'_>) {
    scope(&run, "openid profile email address phone").await;
}

pub(super) async fn oidcc_alternate_happy_flow(run: Run<'_>) {
    let mut params = run.params(&[("scope", "email openid")]);
    params.sort_by(|one, other| other.0.cmp(one.0));
    let mut visitor = run.world.visitor();
    let answer = visitor.authorize(&address(&params), run.user.email.shown()).await;
    run.collect(&params, &answer).await;
}

/// A parameter that asks for nothing that could fail.
async fn accepted(run: &Run<'_>, changes: Changes<'_>) -> Outcome {
    run.complete(&mut run.world.visitor(), changes).await
}

pub(super) async fn oidcc_display_page(run: Run<'_>) {
    accepted(&run, &[("display", "page")]).await;
}

pub(super) async fn oidcc_display_popup(run: Run<'_>) {
    accepted(&run, &[("display", "popup")]).await;
}

pub(super) async fn oidcc_ensure_request_with_unknown_parameter_succeeds(run: Run<'_>) {
    accepted(&run, &[("extra", "foobar")]).await;
}

pub(super) async fn oidcc_login_hint(run: Run<'_>) {
    accepted(&run, &[("login_hint", "buffy@suite.example.com")]).await;
}

pub(super) async fn oidcc_ui_locales(run: Run<'_>) {
    accepted(&run, &[("ui_locales", "se")]).await;
}

pub(super) async fn oidcc_claims_locales(run: Run<'_>) {
    accepted(&run, &[("claims_locales", "se")]).await;
}

pub(super) async fn oidcc_ensure_request_with_acr_values_succeeds(run: Run<'_>) {
    let supported = metadata(&run).await["acr_values_supported"].clone();
    let supported: Vec<String> = serde_json::from_value(supported).unwrap();
    let outcome = accepted(&run, &[("acr_values", &supported.join(" "))]).await;
    for claims in outcome.id_tokens {
        assert!(
            supported.iter().any(|acr| claims["acr"] == acr.as_str()),
            "{claims}"
        );
    }
}

/// A second request that has to ask for the password again although there is a session.
async fn asked_again(run: &Run<'_>, second: Changes<'_>) {
    let mut visitor = run.world.visitor();
    let before = run.complete(&mut visitor, &[]).await;
    run.world.pass(Duration::from_secs(2));
    let params = run.params(second);
    let page = visitor.open(&address(&params)).await;
    assert!(page.asks_to_sign_in(), "{}: {}", run.row.module, page.body);
    let answer = visitor.sign_in(&page, run.user.email.shown()).await;
    let after = run.collect(&params, &answer).await;
    let (before, after) = (&before.id_tokens[0], &after.id_tokens[0]);
    assert_eq!(before["sub"], after["sub"]);
    assert!(
        after["auth_time"].as_i64() > before["auth_time"].as_i64(),
        "{before} {after}"
    );
}

pub(super) async fn oidcc_prompt_login(run: Run<'_>) {
    asked_again(&run, &[("prompt", "login")]).await;
}

pub(super) async fn oidcc_max_age_1(run: Run<'_>) {
    asked_again(&run, &[("max_age", "1")]).await;
}

pub(super) async fn oidcc_prompt_none_not_logged_in(run: Run<'_>) {
    let state = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~".repeat(2);
    let params = run.params(&[("prompt", "none"), ("state", &state[..128])]);
    let answer = run.world.visitor().get(&address(&params)).await;
    let errors = [
        "login_required",
        "interaction_required",
        "consent_required",
        "account_selection_required",
    ];
    run.refused(&params, &answer, &errors);
}

/// A second request that has to succeed without any page, for the same user by the same sign-in.
async fn known(run: &Run<'_>, first: Changes<'_>, second: Changes<'_>) {
    let mut visitor = run.world.visitor();
    let before = run.complete(&mut visitor, first).await;
    run.world.pass(Duration::from_secs(2));
    let after = run.silently(&mut visitor, second).await;
    let (before, after) = (&before.id_tokens[0], &after.id_tokens[0]);
    assert_eq!(
        (&before["sub"], &before["auth_time"]),
        (&after["sub"], &after["auth_time"])
    );
}

pub(super) async fn oidcc_prompt_none_logged_in(run: Run<'_>) {
    known(&run, &[], &[("prompt", "none")]).await;
}

pub(super) async fn oidcc_max_age_10000(run: Run<'_>) {
    known(&run, &[], &[("max_age", "10000")]).await;
}

pub(super) async fn oidcc_id_token_hint(run: Run<'_>) {
    let mut visitor = run.world.visitor();
    let before = run.complete(&mut visitor, &[]).await;
    // A hint is as good after its token has expired.
    for time in [Duration::from_secs(2), Duration::from_secs(2 * 60 * 60)] {
        run.world.pass(time);
        let hinted = [("prompt", "none"), ("id_token_hint", before.id_token.as_str())];
        let after = run.silently(&mut visitor, &hinted).await;
        assert_eq!(before.id_tokens[0]["sub"], after.id_tokens[0]["sub"]);
    }
}

pub(super) async fn oidcc_codereuse(run: Run<'_>) {
    reused_after(&run, Duration::ZERO).await;
}

pub(super) async fn oidcc_codereuse_30seconds(run: Run<'_>) {
    reused_after(&run, Duration::from_secs(30)).await;
}

async fn reused_after(run: &Run<'_>, time: Duration) {
    let outcome = run.complete(&mut run.world.visitor(), &[]).await;
    run.world.pass(time);
    let again = run.redeem(outcome.code.as_deref().unwrap(), &[]).await;
    again.assert_refusal(400, "invalid_grant");
    let answer = userinfo(run.world, outcome.access_token.as_deref().unwrap()).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

pub(super) async fn oidcc_ensure_registered_redirect_uri(run: Run<'_>) {
    let unregistered = format!("{}/unregistered", run.app.redirect_uri);
    let params = run.params(&[("redirect_uri", &unregistered)]);
    run.world
        .visitor()
        .open(&address(&params))
        .await
        .assert_rejected();
}

pub(super) async fn oidcc_ensure_post_request_succeeds(run: Run<'_>) {
    let params = run.params(&[]);
    let form = Form {
        action: "/authorize".to_owned(),
        fields: params
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
    };
    let mut visitor = run.world.visitor();
    let from = [
        ("origin", "https://suite.example.com"),
        ("sec-fetch-site", "cross-site"),
    ];
    let sent = visitor.submit_from(&form, &from).await;
    let page = visitor.follow(sent).await;
    let page = visitor.sign_in(&page, run.user.email.shown()).await;
    let answer = visitor.decide(&page, "allow").await;
    run.collect(&params, &answer).await;
}

pub(super) async fn oidcc_server_client_secret_post(run: Run<'_>) {
    run.complete(&mut run.world.visitor(), &[]).await;
}

/// Not supported, and said so: the suite skips it. To ignore the object silently would fail.
pub(super) async fn oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported(run: Run<'_>) {
    let (run, params) = behind_a_url(run, json!({}), unsigned).await;
    let answer = run.world.visitor().open(&address(&params)).await;
    run.refused(&params, &answer, &["request_uri_not_supported"]);
    none_is_not_advertised(&run).await;
}

pub(super) async fn oidcc_unsigned_request_object_supported_correctly_or_rejected_as_unsupported(
    run: Run<'_>,
) {
    let params = run.params(&[]);
    let object = unsigned(&params);
    let params = run.params(&[("request", &object)]);
    let answer = run.world.visitor().open(&address(&params)).await;
    run.refused(&params, &answer, &["request_not_supported"]);
    none_is_not_advertised(&run).await;
}

/// Nor is the way back that nobody signed taken, nor the one beside it, which is not registered.
pub(super) async fn oidcc_ensure_request_object_with_redirect_uri(mut run: Run<'_>) {
    let outside = format!("{}/unregistered", run.app.redirect_uri);
    let object = unsigned(&run.params(&[]));
    let params = run.params(&[("request", &object), ("redirect_uri", &outside)]);
    run.world
        .visitor()
        .open(&address(&params))
        .await
        .assert_rejected();

    // Signed, it wins.
    let key = Key::new("RS256");
    if run.key.is_none() {
        run.register(&json!({ "jwks": key.jwks() })).await;
    }
    let key = run.key.as_deref().unwrap_or(&key);
    let inside = run.params(&[]);
    let object = key.sign(&claims_in(&inside));
    let params = run.params(&[("request", &object), ("redirect_uri", &outside)]);
    let mut visitor = run.world.visitor();
    let answer = visitor.authorize(&address(&params), run.user.email.shown()).await;
    run.collect(&inside, &answer).await;
}

/// Skipped by the suite, as long as nobody is told that `none` is to be had.
pub(super) async fn oidcc_request_uri_unsigned(run: Run<'_>) {
    none_is_not_advertised(&run).await;
    let (run, params) = behind_a_url(run, json!({}), unsigned).await;
    let answer = run.world.visitor().open(&address(&params)).await;
    run.refused(&params, &answer, &["request_uri_not_supported"]);
}

pub(super) async fn oidcc_request_uri_signed_rs256(run: Run<'_>) {
    let advertised = metadata(&run).await["request_object_signing_alg_values_supported"].clone();
    assert!(
        advertised.as_array().unwrap().contains(&json!("RS256")),
        "{advertised}"
    );
    let key = run.key.clone().expect("a client with a key");
    let issuer = run.world.issuer.clone();
    let signed = |params: &[(&'static str, String)]| {
        let mut claims = claims_in(params);
        claims["iss"] = claims["client_id"].clone();
        claims["aud"] = json!(issuer);
        key.sign(&claims)
    };
    let (run, params) = behind_a_url(run, json!({ "request_object_signing_alg": "RS256" }), signed).await;
    // What does not have to stand outside stands inside only.
    let outside: Vec<_> = params
        .iter()
        .filter(|(name, _)| !["state", "nonce"].contains(name))
        .cloned()
        .collect();
    let mut visitor = run.world.visitor();
    let answer = visitor
        .authorize(&address(&outside), run.user.email.shown())
        .await;
    run.collect(&params, &answer).await;
}

/// A run whose client has registered where its request object is, and a request that points there.
async fn behind_a_url<'w>(
    mut run: Run<'w>,
    mut metadata: Value,
    object: impl Fn(&[(&'static str, String)]) -> String,
) -> (Run<'w>, Vec<(&'static str, String)>) {
    let (site, path) = (
        Site::open().await,
        format!("/requesturi/{}", protocol::random::id()),
    );
    // The suite says a fragment which is no digest of what it will put there.
    let url = format!(
        "{}#{}",
        site.put(&path, "application/jose", ""),
        protocol::random::id()
    );
    metadata["request_uris"] = json!([url]);
    run.register(&metadata).await;
    let inside = run.params(&[]);
    site.put(&path, "application/jose", object(&inside));
    let mut params = inside;
    params.push(("request_uri", url));
    (run, params)
}

async fn none_is_not_advertised(run: &Run<'_>) {
    let advertised = metadata(run).await["request_object_signing_alg_values_supported"].clone();
    assert!(
        !advertised.as_array().unwrap().contains(&json!("none")),
        "{advertised}"
    );
}

/// A request object that nobody signed.
fn unsigned(params: &[(&'static str, String)]) -> String {
    use base64::Engine as _;
    let encode = |value: Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    format!(
        "{}.{}.",
        encode(json!({ "alg": "none" })),
        encode(claims_in(params))
    )
}

fn claims_in(params: &[(&'static str, String)]) -> Value {
    let members = params
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)));
    Value::Object(members.collect())
}

pub(super) async fn oidcc_claims_essential(run: Run<'_>) {
    let asked = json!({ "name": { "essential": true } });
    let claims = match run.row.response_type {
        ResponseType::IdToken => json!({ "id_token": asked }),
        _ => json!({ "userinfo": asked }),
    };
    let outcome = accepted(&run, &[("claims", &claims.to_string())]).await;
    let told = match &outcome.access_token {
        Some(access_token) => userinfo(run.world, access_token).await.json(),
        None => outcome.id_tokens[0].clone(),
    };
    assert!(told["name"].is_string(), "{told}");
    assert!(told.get("email").is_none(), "asked for by nobody: {told}");
}

pub(super) async fn oidcc_refresh_token(run: Run<'_>) {
    let metadata = metadata(&run).await;
    assert!(
        metadata["grant_types_supported"]
            .as_array()
            .unwrap()
            .contains(&json!("refresh_token"))
    );
    let offline = [("scope", "openid offline_access"), ("prompt", "consent")];
    let before = run.complete(&mut run.world.visitor(), &offline).await;
    let refresh_token = before.refresh_token.clone().expect("a refresh token");
    assert!(refresh_token.bytes().all(|b| matches!(b, 0x20..=0x7e)) && refresh_token.len() >= 22);
    run.world.pass(Duration::from_secs(2));

    let params = |token: &str| {
        vec![
            ("grant_type", "refresh_token".to_owned()),
            ("refresh_token", token.to_owned()),
        ]
    };
    let answer = run.token(params(&refresh_token)).await;
    let mut after = Outcome::default();
    run.take_tokens(&[], &answer, &mut after).await;
    let (first, second) = (&before.id_tokens[0], &after.id_tokens[0]);
    for same in ["iss", "sub", "aud", "auth_time"] {
        assert_eq!(first[same], second[same], "{same}");
    }
    assert!(second["iat"].as_i64() > first["iat"].as_i64());

    let newest = after.refresh_token.unwrap_or(refresh_token);
    let other = run.other().await;
    other
        .token(params(&newest))
        .await
        .assert_refusal(400, "invalid_grant");
}

pub(super) async fn oidcc_ensure_request_with_valid_pkce_succeeds(run: Run<'_>) {
    let params = run.params(&[("code_challenge", CHALLENGE), ("code_challenge_method", "S256")]);
    let mut visitor = run.world.visitor();
    let answer = visitor.authorize(&address(&params), run.user.email.shown()).await;
    run.arrived(&params, &answer);
    let tokens = run.redeem(&answer.code(), &[("code_verifier", VERIFIER)]).await;
    run.take_tokens(&params, &tokens, &mut Outcome::default()).await;
}

/// Over plain HTTP the scheme of every address is the issuer's; all else is as over HTTPS.
pub(super) async fn oidcc_discovery_endpoint_verification(run: Run<'_>) {
    let answer = run.world.visitor().get("/.well-known/openid-configuration").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("content-type")),
        (200, Some("application/json"))
    );
    let metadata = answer.json();
    assert_eq!(metadata["issuer"], run.world.issuer.as_str());
    let members = metadata.as_object().unwrap();
    for (name, value) in members {
        match name.as_str() {
            "issuer" | "jwks_uri" => {
                assert!(value.as_str().unwrap().starts_with(&run.world.issuer), "{name}")
            }
            name if name.ends_with("_endpoint") => {
                assert!(value.as_str().unwrap().starts_with(&run.world.issuer), "{name}");
            }
            name if name.ends_with("_supported") || name.starts_with("require_") => {
                let words = value
                    .as_array()
                    .is_some_and(|all| !all.is_empty() && all.iter().all(Value::is_string));
                assert!(words || value.is_boolean(), "{name}: {value}");
            }
            name => panic!("{name} is no member that the suite knows"),
        }
    }
    let has = |member: &str, word: &str| metadata[member].as_array().unwrap().contains(&json!(word));
    assert!(
        has("subject_types_supported", "public") && has("id_token_signing_alg_values_supported", "RS256")
    );
    assert!(has("scopes_supported", "openid") && has("claims_supported", "sub"));
    assert!(has("code_challenge_methods_supported", "S256") && has("response_modes_supported", "form_post"));
    for response_type in ResponseType::ALL {
        assert!(
            has("response_types_supported", response_type.as_str()),
            "{response_type}"
        );
    }
    assert!(has("grant_types_supported", "implicit"));
    let keys = run.world.visitor().get("/jwks").await.json();
    for key in keys["keys"].as_array().unwrap() {
        assert!(
            key["kid"].is_string() && key.get("d").is_none() && key["kty"] != "oct",
            "{key}"
        );
    }
}
