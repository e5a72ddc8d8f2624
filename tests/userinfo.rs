//! The userinfo endpoint: OpenID Connect Core §5.3 and §5.4, RFC 6750.

use accounts::claims::Claim;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Map, Value, json};

use crate::harness::Answer;
use crate::harness::app::{answer, userinfo};
use crate::harness::visitor::client;

everywhere! {
    async fn a_token_may_come_in_the_header_or_in_the_form_and_in_one_place_only(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let tokens = app.grant(&world, &user, &[]).await;
        let (url, token) = (world.at("/userinfo"), tokens.access());
        let form = [("access_token", token.to_owned())];
        for request in [
            client().get(&url).bearer_auth(token),
            client().post(&url).bearer_auth(token),
            client().post(&url).bearer_auth(token).form(&[("extra", "1")]),
            client().post(&url).form(&form),
            client()
                .get(&url)
                .header(AUTHORIZATION, format!("bEARER {token}")),
            client()
                .get(&url)
                .header(AUTHORIZATION, format!("Bearer  {token}")),
        ] {
            let answer = answer(request).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            assert_eq!(answer.json()["sub"], tokens.id()["sub"]);
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert!(answer.header("date").is_some());
        }
        for (request, error) in [
            (
                client().post(&url).bearer_auth(token).form(&form),
                "invalid_request",
            ),
            (
                client()
                    .get(&url)
                    .bearer_auth(token)
                    .header(AUTHORIZATION, format!("Bearer {token}")),
                "invalid_request",
            ),
            (client().get(&url).header(AUTHORIZATION, token), "invalid_request"),
            (
                client().get(&url).header(AUTHORIZATION, format!("Token {token}")),
                "invalid_request",
            ),
            (client().post(&url).form(&[&form[0], &form[0]]), "invalid_request"),
            (
                client().post(&url).json(&json!({ "access_token": token })),
                "invalid_request",
            ),
        ] {
            answer(request).await.assert_refusal(400, error);
        }
    }

    async fn without_a_token_only_the_scheme_is_named(world: World) {
        let url = world.at("/userinfo");
        for request in [
            client().get(&url),
            client().post(&url),
            client().post(&url).form(&[("access_token", "")]),
        ] {
            let answer = answer(request).await;
            answer.assert_refusal(401, "invalid_token");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
        let answer = userinfo(&world, "nonsense").await;
        answer.assert_refusal(401, "invalid_token");
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(
            challenge.starts_with("Bearer error=\"invalid_token\", error_description=\""),
            "{challenge}"
        );
    }

    async fn c037_a_token_in_the_query_is_no_token(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let tokens = app.grant(&world, &user, &[]).await;
        let url = world.at(&format!("/userinfo?access_token={}", tokens.access()));
        for request in [
            client().get(&url),
            client().post(&url),
            client().post(&url).form(&[("a", "b")]),
        ] {
            answer(request).await.assert_refusal(401, "invalid_token");
        }
    }

    async fn each_scope_releases_its_claims_typed_and_nothing_else(world: World) {
        let (app, full) = (world.app().await, everything());
        let claims = full.clone();
        let user = world
            .user_with(move |draft| {
                draft.email_verified = Some(true);
                for (name, value) in claims {
                    let claim: Claim = name.parse().unwrap();
                    if !matches!(claim, Claim::Email | Claim::EmailVerified | Claim::UpdatedAt) {
                        draft.claims.set(claim, value).unwrap();
                    }
                }
            })
            .await;
        for scope in [
            "openid",
            "openid profile",
            "openid email",
            "openid address",
            "openid phone",
            "openid profile email address phone",
        ] {
            let tokens = app.grant(&world, &user, &[("scope", scope)]).await;
            let answer = userinfo(&world, tokens.access()).await;
            let answer = answer.json();
            let mut expected: Map<String, Value> = full
                .clone()
                .into_iter()
                .filter(|(name, _)| scope.contains(name.parse::<Claim>().unwrap().scope()))
                .collect();
            expected.insert("sub".to_owned(), tokens.id()["sub"].clone());
            if scope.contains("profile") {
                expected.insert("updated_at".to_owned(), json!(user.updated_at.as_secs()));
            }
            if scope.contains("email") {
                expected.insert("email".to_owned(), json!(user.email.shown()));
            }
            assert_eq!(answer, Value::Object(expected), "{scope}");
        }
    }

    async fn what_is_not_known_is_left_out_and_never_null(world: World) {
        let (app, user) = (
            world.app().await,
            world
                .user_with(|draft| {
                    draft.claims.forget(Claim::Name);
                    draft.email_verified = None;
                })
                .await,
        );
        let tokens = app
            .grant(&world, &user, &[("scope", "openid profile email address phone")])
            .await;
        let answer: Answer = userinfo(&world, tokens.access()).await;
        let expected = json!({
            "sub": user.sub, "email": user.email.shown(), "email_verified": false, "updated_at": user.updated_at,
        });
        assert_eq!(answer.json(), expected);
    }

    async fn a_token_without_openid_is_not_enough(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let tokens = app.grant(&world, &user, &[("scope", "profile email")]).await;
        let answer = userinfo(&world, tokens.access()).await;
        answer.assert_refusal(403, "insufficient_scope");
        assert!(
            answer
                .header("www-authenticate")
                .unwrap()
                .contains("error=\"insufficient_scope\"")
        );
        assert!(!answer.body.contains(user.email.shown()));
    }

    async fn only_get_and_post_are_answered(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let tokens = app.grant(&world, &user, &[]).await;
        for method in [http::Method::PUT, http::Method::DELETE, http::Method::PATCH] {
            let request = client()
                .request(method, world.at("/userinfo"))
                .bearer_auth(tokens.access());
            assert_eq!(answer(request).await.status, 405);
        }
        let request = client()
            .post(world.at("/userinfo"))
            .header(CONTENT_TYPE, "text/plain");
        answer(request.body("access_token=x"))
            .await
            .assert_refusal(400, "invalid_request");
    }
}

/// A value for every claim there is.
fn everything() -> Map<String, Value> {
    let all = json!({
        "name": "Ada Example", "given_name": "Ada", "family_name": "Example", "middle_name": "M", "nickname": "ada",
        "preferred_username": "ada.e", "profile": "https://example.com/ada", "picture": "https://example.com/ada.png",
        "website": "https://ada.example.com/", "gender": "female", "birthdate": "0000-12-10",
        "zoneinfo": "Europe/London", "locale": "en-GB", "updated_at": 0, "email": "", "email_verified": true,
        "address": { "formatted": "1 Street\nLondon", "street_address": "1 Street", "locality": "London",
            "region": "Greater London", "postal_code": "N1", "country": "GB" },
        "phone_number": "+44 20 7946 0000", "phone_number_verified": false,
    });
    let Value::Object(all) = all else { unreachable!() };
    assert_eq!(all.len(), Claim::ALL.len());
    all
}
