//! The `claims` parameter: OpenID Connect Core §5.5. What is asked for by name is shown, allowed, told where it was
//! asked for, and nowhere else.

use protocol::ResponseTypes;
use serde_json::{Value, json};

use crate::discovery::known_user;
use crate::harness::app::{payload, userinfo};
use crate::harness::world::Own;

everywhere! {
    async fn claims_are_told_where_they_were_asked_for_and_refreshed_with_the_rest(world: World) {
        let (app, user) = (world.app().await, known_user(&world).await);
        let claims = json!({
            "userinfo": {
                "nickname": null, "birthdate": { "essential": true }, "zoneinfo": { "value": "Europe/Paris" },
                "locale": { "values": ["de", "en-GB"] }, "https://example.com/unknown": { "essential": true },
                "auth_time": null,
            },
            "id_token": {
                "name": { "essential": true }, "email": null, "gender": { "value": "other" }, "nonsense": null,
                "acr": { "essential": true, "values": ["urn:x", "urn:countersign:pwd"] },
            },
            "elsewhere": { "name": null },
        });
        let asked = [("scope", "openid offline_access"), ("claims", &claims.to_string())];
        let (_, tokens) = app.sign_in(&world, &user, &asked).await;
        let again = app.refresh(&world, tokens.refresh()).await;
        assert_eq!(again.status, 200, "{}", again.body);
        let again = again.json();
        let text = |body: &Value, name: &str| body[name].as_str().expect("a token").to_owned();
        for body in [&tokens.body, &again] {
            let told = userinfo(&world, &text(body, "access_token")).await.json();
            let names: Vec<&str> = told.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(names, ["birthdate", "locale", "nickname", "sub"]);
            let id_token = payload(&text(body, "id_token"));
            assert_eq!(id_token["name"], user.claim(accounts::claims::Claim::Name).unwrap());
            assert_eq!(id_token["email"], user.email.shown());
            assert_eq!(id_token["acr"], "urn:countersign:pwd");
            for absent in ["gender", "nonsense", "birthdate", "nickname"] {
                assert!(id_token.get(absent).is_none(), "{absent}");
            }
        }
    }

    async fn claims_beyond_the_scope_are_shown_and_allowed_once(world: World) {
        let (app, user) = (world.app().await, known_user(&world).await);
        let birthdate = r#"{"userinfo":{"birthdate":null}}"#;
        let both = r#"{"userinfo":{"birthdate":null,"nickname":null,"email":null}}"#;
        let scope = ("scope", "openid email");
        let (mut visitor, _) = app.sign_in(&world, &user, &[scope]).await;

        let silent = app.url(&[scope, ("claims", birthdate), ("prompt", "none")]);
        visitor.open(&silent).await.assert_error("consent_required");
        let page = visitor.open(&app.url(&[scope, ("claims", birthdate)])).await;
        assert!(page.asks_for_consent(), "{}", page.body);
        assert!(page.has("See your date of birth: <bdi>1815-12-10</bdi>"), "{}", page.body);
        visitor.decide(&page, "allow").await.code();
        visitor.open(&silent).await.code();

        // The scope has the address already; the nickname is new, and what was allowed stays.
        let page = visitor.open(&app.url(&[scope, ("claims", both)])).await;
        assert!(page.asks_for_consent() && page.has("See your nickname"), "{}", page.body);
        let (new, already) = page.body.split_once("<summary>Already allowed</summary>").expect("both parts");
        assert!(new.contains("See your nickname") && !new.contains("date of birth"), "{new}");
        assert!(already.contains("date of birth"), "{already}");
        let denied = visitor.decide(&page, "deny").await;
        denied.assert_error("access_denied");
        let page = visitor.open(&app.url(&[scope, ("claims", both)])).await;
        visitor.decide(&page, "allow").await.code();
        visitor.open(&silent).await.code();

        // Allowed as a scope is allowed by name as well.
        let profile = app.url(&[("scope", "openid email profile")]);
        let page = visitor.open(&profile).await;
        visitor.decide(&page, "allow").await.code();
        let gender = [scope, ("claims", r#"{"id_token":{"gender":null}}"#), ("prompt", "none")];
        visitor.open(&app.url(&gender)).await.code();
    }

    async fn a_sub_with_a_value_is_answered_for_that_user_only(world: World) {
        let (app, user, other) = (world.app().await, world.user().await, world.user().await);
        let of = |sub: &str| json!({ "id_token": { "sub": { "value": sub } } }).to_string();
        let (own, others) = (of(user.sub.as_str()), of(other.sub.as_str()));
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        let hint = tokens.text("id_token");

        visitor.open(&app.url(&[("claims", &own), ("prompt", "none")])).await.code();
        for claims in [&others, &of("nobody"), &json!({ "userinfo": { "sub": { "values": ["x", 7] } } }).to_string()] {
            let answer = visitor.open(&app.url(&[("claims", claims), ("prompt", "none")])).await;
            answer.assert_error("login_required");
        }
        let either = json!({ "id_token": { "sub": { "values": ["x", user.sub.as_str()] } } }).to_string();
        visitor.open(&app.url(&[("claims", &either), ("prompt", "none")])).await.code();
        let contradiction = [("claims", others.as_str()), ("id_token_hint", hint)];
        visitor.open(&app.url(&contradiction)).await.assert_error("login_required");

        // The wrong one signs in for it: no token of another user.
        let page = visitor.open(&app.url(&[("claims", &others)])).await;
        assert!(page.asks_to_sign_in());
        visitor.sign_in(&page, user.email.shown()).await.assert_error("login_required");
        let page = visitor.open(&app.url(&[("claims", &others)])).await;
        let page = visitor.sign_in(&page, other.email.shown()).await;
        let answer = visitor.decide(&page, "allow").await;
        assert_eq!(app.tokens(&world, &answer).await.id()["sub"], other.sub.as_str());
    }

    async fn an_essential_acr_that_cannot_be_had_is_a_refusal_and_a_wish_is_not(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let (mut visitor, _) = app.sign_in(&world, &user, &[]).await;
        let acr = |how: Value| json!({ "id_token": { "acr": how } }).to_string();
        let gold = json!({ "essential": true, "values": ["urn:gold"] });
        let refused = visitor.open(&app.url(&[("claims", &acr(gold))])).await;
        refused.assert_error("access_denied");
        for wish in [
            json!({ "values": ["urn:gold"] }),
            json!({ "essential": true }),
            json!({ "essential": true, "values": ["urn:gold", "urn:countersign:pwd"] }),
            Value::Null,
        ] {
            let answer = visitor.open(&app.url(&[("claims", &acr(wish))])).await;
            assert_eq!(app.tokens(&world, &answer).await.id()["acr"], "urn:countersign:pwd");
        }
    }

    async fn what_is_no_claims_request_is_refused(world: World) {
        let app = world.app().await;
        let mut visitor = world.visitor();
        for claims in ["name", "[]", "{", r#"{"userinfo":["name"]}"#, r#"{"id_token":{"name":true}}"#] {
            visitor.open(&app.url(&[("claims", claims)])).await.assert_error("invalid_request");
        }
        let plain = [("scope", "phone"), ("claims", "not JSON, and of no use without openid")];
        assert!(visitor.open(&app.url(&plain)).await.asks_to_sign_in());
    }

    async fn a_registered_default_max_age_counts_where_the_request_has_none(world: World) {
        let metadata = json!({ "default_max_age": 0, "require_auth_time": true, "default_acr_values": ["urn:x"] });
        let (app, user) = (world.app_with(metadata).await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        assert!(tokens.id()["auth_time"].is_number());
        assert!(visitor.open(&app.url(&[])).await.asks_to_sign_in());
        visitor.open(&app.url(&[("max_age", "10000")])).await.code();
    }
}

#[tokio::test]
async fn an_id_token_of_the_authorization_endpoint_holds_what_was_asked_for_it() {
    let world = crate::harness::World::sqlite_with(Own {
        response_types: Some(ResponseTypes::All),
        ..Own::default()
    })
    .await;
    let app = world
        .app_with(json!({
            "grant_types": ["authorization_code", "implicit"],
            "response_types": ["id_token", "id_token token", "code id_token"],
        }))
        .await;
    let user = known_user(&world).await;
    let claims = r#"{"userinfo":{"nickname":null},"id_token":{"name":null}}"#;
    for response_type in ["id_token", "id_token token", "code id_token"] {
        let asked = [
            ("response_type", response_type),
            ("scope", "openid"),
            ("claims", claims),
        ];
        let answer = world
            .visitor()
            .authorize(&app.url(&asked), user.email.shown())
            .await;
        let id_token = payload(&answer.param("id_token").unwrap());
        assert!(id_token["name"].is_string(), "{response_type}");
        // Userinfo is out of reach without an access token.
        assert_eq!(
            id_token.get("nickname").is_some(),
            response_type == "id_token",
            "{response_type}"
        );
        assert!(id_token.get("email").is_none());
        if let Some(access_token) = answer.param("access_token") {
            let told = userinfo(&world, &access_token).await.json();
            assert!(
                told["nickname"].is_string() && told.get("name").is_none(),
                "{told}"
            );
        }
    }
}
