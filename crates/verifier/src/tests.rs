//! A resource server as its author would write it, against an issuer that can rotate, break and disappear.

mod checklist;
mod feed;
mod forged;
mod guard;
mod issuer;
mod lost;
mod revocations;

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use futures_util::future::join_all;
use http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::{Authenticated, Error, Unavailable, Verifier};
use issuer::{AUDIENCE, Issuer, Mood, START};

/// The resource server.
fn api(verifier: Verifier) -> Router {
    async fn reports(token: Authenticated) -> Result<String, Error> {
        token.require_scope("reports:read")?;
        Ok(format!("the reports of {}", token.sub))
    }
    Router::new().route("/reports", get(reports)).with_state(verifier)
}

async fn call(api: &Router, token: &str) -> (StatusCode, HeaderMap) {
    send(api, "/reports", &[&format!("Bearer {token}")]).await
}

async fn send(api: &Router, uri: &str, authorization: &[&str]) -> (StatusCode, HeaderMap) {
    let mut request = Request::get(uri);
    for value in authorization {
        request = request.header(AUTHORIZATION, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    let response = api.clone().oneshot(request).await.unwrap();
    (response.status(), response.headers().clone())
}

fn challenge(headers: &HeaderMap) -> &str {
    headers.get(WWW_AUTHENTICATE).unwrap().to_str().unwrap()
}

#[tokio::test]
async fn a_good_token_reaches_the_handler() {
    let issuer = Issuer::start().await;
    let api = api(issuer.verifier());
    assert_eq!(call(&api, &issuer.token(&json!({}))).await.0, StatusCode::OK);

    let both = json!({ "aud": [AUDIENCE, issuer.url] });
    let authorization = format!("bEARER  {}", issuer.token(&both));
    assert_eq!(send(&api, "/reports", &[&authorization]).await.0, StatusCode::OK);
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn a_token_without_the_scope_is_told_which_one() {
    let issuer = Issuer::start().await;
    let (status, headers) = call(
        &api(issuer.verifier()),
        &issuer.token(&json!({ "scope": "openid" })),
    )
    .await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(
        challenge(&headers),
        "Bearer error=\"insufficient_scope\", error_description=\"the access token lacks the scope reports:read\", \
         scope=\"reports:read\""
    );
}

#[tokio::test]
async fn what_is_not_for_this_resource_server_is_refused() {
    let issuer = Issuer::start().await;
    let stranger = Issuer::start().await;
    let api = api(issuer.verifier());
    let now = START;
    for (token, reason) in [
        (issuer.token(&json!({ "exp": now })), "has expired"),
        (issuer.token(&json!({ "exp": null })), "exp is missing"),
        (issuer.token(&json!({ "iat": now + 61 })), "in the future"),
        (
            issuer.token(&json!({ "aud": "https://other.test" })),
            "another audience",
        ),
        (
            issuer.token(&json!({ "iss": "https://other.test" })),
            "another issuer",
        ),
        (issuer.token(&json!({ "cnf": { "jkt": "x" } })), "bound to a key"),
        (issuer.sign("JWT", &json!({})), "the typ of the token"),
        (
            stranger.token(&json!({ "iss": issuer.url })),
            "no key of the issuer",
        ),
        (format!("{}x", issuer.token(&json!({}))), "base64url"),
        ("opaque".to_owned(), "three parts"),
    ] {
        let (status, headers) = call(&api, &token).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        let challenge = challenge(&headers);
        assert!(
            challenge.starts_with("Bearer error=\"invalid_token\""),
            "{challenge}"
        );
        assert!(challenge.contains(reason), "{challenge}");
    }
}

#[tokio::test]
async fn c037_only_the_authorization_header_carries_a_token() {
    let issuer = Issuer::start().await;
    let api = api(issuer.verifier());
    let token = issuer.token(&json!({}));
    let bearer = format!("Bearer {token}");
    let uri = format!("/reports?access_token={token}");

    for authorization in [&[] as &[&str], &["Basic YTpi"], &["DPoP x"], &[&token]] {
        let (status, headers) = send(&api, &uri, authorization).await;
        assert_eq!(
            (status, challenge(&headers)),
            (StatusCode::UNAUTHORIZED, "Bearer")
        );
    }
    for authorization in [
        &["Bearer"] as &[&str],
        &["Bearer "],
        &["Bearer a b"],
        &[&bearer, &bearer],
    ] {
        let (status, headers) = send(&api, &uri, authorization).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(challenge(&headers).starts_with("Bearer error=\"invalid_request\""));
    }
    assert_eq!(issuer.asked(), 0);
}

#[tokio::test]
async fn a_flood_of_unknown_keys_costs_one_fetch_in_ten_seconds() {
    let issuer = Issuer::start().await;
    let api = api(issuer.verifier());
    let stranger = Issuer::start().await;
    let flood = || async {
        let token = stranger.token(&json!({ "iss": issuer.url }));
        for (status, _) in join_all((0..200).map(|_| call(&api, &token))).await {
            assert_eq!(status, StatusCode::UNAUTHORIZED);
        }
    };
    for fetches in 1..4 {
        flood().await;
        flood().await;
        assert_eq!(issuer.asked(), fetches);
        issuer.pass(9);
        flood().await;
        assert_eq!(issuer.asked(), fetches);
        issuer.pass(1);
    }
}

#[tokio::test]
async fn a_new_key_is_picked_up_by_all_who_wait_for_it() {
    let issuer = Issuer::start().await;
    let api = api(issuer.verifier());
    let old = issuer.token(&json!({}));
    assert_eq!(call(&api, &old).await.0, StatusCode::OK);

    issuer.pass(10);
    issuer.rotate();
    let new = issuer.token(&json!({}));
    let answers = join_all((0..50).flat_map(|_| [call(&api, &old), call(&api, &new)])).await;
    assert!(answers.iter().all(|(status, _)| *status == StatusCode::OK));
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn a_withdrawn_key_is_refused_once_the_set_is_stale() {
    let issuer = Issuer::start().await;
    let api = api(issuer.verifier());
    let token = issuer.token(&json!({}));
    assert_eq!(call(&api, &token).await.0, StatusCode::OK);

    issuer.rotate();
    issuer.keys.lock().unwrap().truncate(1);
    issuer.pass(299);
    assert_eq!(call(&api, &token).await.0, StatusCode::OK);
    issuer.pass(1);
    assert_eq!(call(&api, &token).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_issuer_that_goes_down_stops_nobody() {
    let issuer = Issuer::start().await;
    let api = api(issuer.verifier());
    assert_eq!(call(&api, &issuer.token(&json!({}))).await.0, StatusCode::OK);

    issuer.turn(Mood::Failing);
    for _ in 0..5 {
        issuer.pass(24 * 3600);
        let token = issuer.token(&json!({}));
        let answers = join_all((0..50).map(|_| call(&api, &token))).await;
        assert!(answers.iter().all(|(status, _)| *status == StatusCode::OK));
    }
    assert!(issuer.asked() <= 6, "asked {} times", issuer.asked());

    // One that accepts and never answers must not make anybody wait, now that it is known to fail.
    issuer.turn(Mood::Silent);
    issuer.pass(10);
    let token = issuer.token(&json!({}));
    let answer = tokio::time::timeout(Duration::from_secs(2), call(&api, &token)).await;
    assert_eq!(answer.unwrap().0, StatusCode::OK);
}

#[tokio::test]
async fn an_issuer_that_comes_back_is_asked_again() {
    let issuer = Issuer::start().await;
    let api = api(issuer.verifier());
    assert_eq!(call(&api, &issuer.token(&json!({}))).await.0, StatusCode::OK);

    issuer.turn(Mood::Failing);
    issuer.rotate();
    issuer.pass(10);
    // Its key may be a good one; the client need not throw it away.
    assert_eq!(
        call(&api, &issuer.token(&json!({}))).await.0,
        StatusCode::SERVICE_UNAVAILABLE
    );
    issuer.turn(Mood::Well);
    issuer.pass(10);
    assert_eq!(call(&api, &issuer.token(&json!({}))).await.0, StatusCode::OK);
}

#[tokio::test]
async fn keys_that_have_moved_are_found() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    assert!(verifier.verify(&issuer.token(&json!({}))).await.is_ok());

    issuer.has_moved.store(true, Ordering::SeqCst);
    issuer.metadata.lock().unwrap()["jwks_uri"] = format!("{}/keys", issuer.url).into();
    issuer.rotate();
    issuer.pass(10);
    let token = issuer.token(&json!({}));
    assert!(matches!(
        verifier.verify(&token).await,
        Err(Error::Unavailable(_))
    ));
    issuer.pass(10);
    assert!(verifier.verify(&token).await.is_ok());
    // Whoever names a key is told of those of now, whatever a cache holds.
    assert_eq!(issuer.past_caches.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn without_any_keys_the_answer_is_503_until_the_issuer_comes_up() {
    let issuer = Issuer::start().await;
    let api = api(issuer.verifier());
    let token = issuer.token(&json!({}));
    issuer.turn(Mood::Failing);
    let (status, headers) = call(&api, &token).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(headers.contains_key(RETRY_AFTER));

    issuer.turn(Mood::Well);
    issuer.pass(1);
    assert_eq!(call(&api, &token).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_request_that_is_given_up_does_not_end_the_fetch() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    let token = issuer.token(&json!({}));
    for _ in 0..20 {
        let given_up = tokio::time::timeout(Duration::ZERO, verifier.verify(&token)).await;
        assert!(given_up.is_err() || given_up.unwrap().is_ok());
    }
    assert!(verifier.verify(&token).await.is_ok());
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn discovery_fails_where_the_issuer_is_not_what_it_should_be() {
    let issuer = Issuer::start().await;
    let discover = || Verifier::discover(&issuer.url).audience(AUDIENCE);
    assert!(discover().await.is_ok());

    let host = issuer.url.trim_end_matches("/tenant");
    let url = &issuer.url;
    type Cause = fn(&Unavailable) -> bool;
    let cases: [(Value, Cause); 9] = [
        (
            json!({ "issuer": host, "jwks_uri": format!("{url}/jwks") }),
            |e| matches!(e, Unavailable::OtherIssuer(_)),
        ),
        (
            json!({ "issuer": format!("{url}/"), "jwks_uri": format!("{url}/jwks") }),
            |e| matches!(e, Unavailable::OtherIssuer(_)),
        ),
        (json!({ "issuer": url }), |e| {
            matches!(e, Unavailable::Metadata(_))
        }),
        (
            json!({ "issuer": url, "jwks_uri": "http://keys.test/jwks" }),
            |e| matches!(e, Unavailable::JwksUri),
        ),
        (json!({ "issuer": url, "jwks_uri": "file:///etc/passwd" }), |e| {
            matches!(e, Unavailable::JwksUri)
        }),
        (
            json!({ "issuer": url, "jwks_uri": format!("{host}/moved") }),
            |e| matches!(e, Unavailable::Status(StatusCode::SEE_OTHER)),
        ),
        (
            json!({ "issuer": url, "jwks_uri": format!("{host}/huge") }),
            |e| matches!(e, Unavailable::TooLong),
        ),
        (
            json!({ "issuer": url, "jwks_uri": format!("{host}/empty") }),
            |e| matches!(e, Unavailable::NoKeys),
        ),
        (
            json!({ "issuer": url, "jwks_uri": "http://127.0.0.1:1/jwks" }),
            |e| matches!(e, Unavailable::Http(_)),
        ),
    ];
    for (metadata, expected) in cases {
        *issuer.metadata.lock().unwrap() = metadata.clone();
        match discover().await {
            Err(Error::Unavailable(cause)) => assert!(expected(&cause), "{metadata}: {cause:?}"),
            other => panic!("{metadata}: {other:?}"),
        }
    }
}
