//! Redeeming an authorization code: RFC 6749 §4.1.3, OAuth 2.1 §4.1.3, OpenID Connect Core §3.1.3.

use std::time::Duration;

use grants::codes;
use revocation::Act;
use serde_json::json;

use crate::harness::app::{CHALLENGE, userinfo};

everywhere! {
    async fn c007_a_code_is_bound_and_a_wrong_presenter_does_not_burn_it(world: World) {
        let user = world.user().await;
        let uris = ["https://app.example.com/cb", "https://app.example.com/other"];
        let (app, other) = (
            world.app_with(json!({ "redirect_uris": uris })).await,
            world.app().await,
        );
        let public = world.public_app().await;
        let code = app.code(&world, &user, &[]).await;
        let wrong = "b".repeat(43);

        for (change, error) in [
            (("redirect_uri", uris[1]), "invalid_grant"),
            (("redirect_uri", "https://app.example.com/cb/"), "invalid_grant"),
            (("redirect_uri", "https://evil.test/"), "invalid_grant"),
            (("redirect_uri", ""), "invalid_request"),
            (("code_verifier", wrong.as_str()), "invalid_grant"),
            (("code_verifier", CHALLENGE), "invalid_grant"),
            (("code_verifier", ""), "invalid_grant"),
            (("resource", "https://unknown.example.com/"), "invalid_target"),
            (("code", ""), "invalid_request"),
        ] {
            app.redeem_with(&world, &code, &[change])
                .await
                .assert_refusal(400, error);
        }
        for stranger in [&other, &public] {
            stranger
                .redeem(&world, &code)
                .await
                .assert_refusal(400, "invalid_grant");
        }
        assert_eq!(app.redeem(&world, &code).await.status, 200);
    }

    async fn c008_a_valid_replay_ends_what_came_of_the_code_and_an_invalid_one_nothing(world: World) {
        let (app, other, user) = (world.app().await, world.app().await, world.user().await);
        let (mut visitor, bystander) = app
            .sign_in(&world, &user, &[("scope", "openid offline_access")])
            .await;
        let redirect = visitor
            .authorize(
                &app.url(&[("scope", "openid offline_access")]),
                user.email.shown(),
            )
            .await;
        let code = redirect.code();
        let tokens = app.tokens(&world, &redirect).await;
        let refreshed = app.refresh(&world, tokens.refresh()).await.json();
        let access = [tokens.access(), refreshed["access_token"].as_str().unwrap()];

        let wrong = "b".repeat(43);
        app.redeem_with(&world, &code, &[("code_verifier", &wrong)])
            .await
            .assert_refusal(400, "invalid_grant");
        app.redeem_with(&world, &code, &[("redirect_uri", "https://evil.test/")])
            .await
            .assert_refusal(400, "invalid_grant");
        other
            .redeem(&world, &code)
            .await
            .assert_refusal(400, "invalid_grant");
        for token in access {
            assert_eq!(userinfo(&world, token).await.status, 200);
        }

        app.redeem(&world, &code)
            .await
            .assert_refusal(400, "invalid_grant");
        world.heard_elsewhere().await;
        for token in access {
            userinfo(&world, token).await.assert_refusal(401, "invalid_token");
        }
        let refresh = refreshed["refresh_token"].as_str().unwrap();
        app.refresh(&world, refresh)
            .await
            .assert_refusal(400, "invalid_grant");
        app.redeem(&world, &code)
            .await
            .assert_refusal(400, "invalid_grant");

        // The consent stays, and so does what came of it another time.
        assert_eq!(userinfo(&world, bystander.access()).await.status, 200);
        assert_eq!(app.refresh(&world, bystander.refresh()).await.status, 200);
        visitor
            .open(&app.url(&[("scope", "openid offline_access")]))
            .await
            .code();
    }

    async fn c007_a_code_dies_with_its_user_client_consent_or_session(world: World) {
        for end in ["session", "consent", "user", "disabled", "client"] {
            let (app, user) = (world.app().await, world.user().await);
            let code = app.code(&world, &user, &[]).await;
            world
                .end(match end {
                    "session" => Act::EndSession(world.sessions(&user).await.remove(0)),
                    "consent" => {
                        let mut conn = world.db.reader().await.unwrap();
                        let consent =
                            grants::consents::of(&user.sub, &app.id.as_str().into(), &mut conn).await;
                        Act::WithdrawConsent(consent.unwrap().unwrap().id)
                    }
                    "user" => Act::RevokeUser(user.sub.clone()),
                    "disabled" => Act::DisableUser(user.sub.clone()),
                    _ => Act::DeleteClient(app.id.as_str().into()),
                })
                .await;
            let answer = app.redeem(&world, &code).await;
            match end {
                "client" => answer.assert_refusal(401, "invalid_client"),
                _ => answer.assert_refusal(400, "invalid_grant"),
            }
        }
    }

    async fn c012_a_grant_that_is_not_enabled_gives_no_token(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        for grant_type in [
            "password",
            "implicit",
            "AUTHORIZATION_CODE",
            "authorization_code ",
            "urn:ietf:params:oauth:grant-type:device_code",
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "urn:ietf:params:oauth:grant-type:token-exchange",
            "urn:openid:params:grant-type:ciba",
        ] {
            let params = vec![
                ("grant_type", grant_type.to_owned()),
                ("username", user.email.shown().to_owned()),
                ("password", crate::harness::world::PASSWORD.to_owned()),
                ("scope", "openid".to_owned()),
            ];
            app.token(&world, params)
                .await
                .assert_refusal(400, "unsupported_grant_type");
        }
        app.token(&world, vec![("code", "x".to_owned())])
            .await
            .assert_refusal(400, "invalid_request");

        let without = world
            .app_with(json!({ "grant_types": ["authorization_code"] }))
            .await;
        let tokens = app
            .grant(&world, &user, &[("scope", "openid offline_access")])
            .await;
        without
            .refresh(&world, tokens.refresh())
            .await
            .assert_refusal(400, "unauthorized_client");

        // What a client gave up between the one request and the other is not granted any more.
        let code = without.code(&world, &user, &[]).await;
        let given_up = json!({
            "grant_types": ["client_credentials"], "response_types": [], "redirect_uris": ["https://app.example.com/cb"],
        });
        world.update(&without, given_up).await;
        without
            .redeem(&world, &code)
            .await
            .assert_refusal(400, "unauthorized_client");
    }

    async fn c010_a_token_request_with_a_repeated_parameter_is_refused(world: World) {
        let (app, user) = (world.public_app().await, world.user().await);
        let redirect = world
            .visitor()
            .authorize(
                &app.url(&[("scope", "openid offline_access")]),
                user.email.shown(),
            )
            .await;
        let usual = [
            ("grant_type", "authorization_code".to_owned()),
            ("code", redirect.code()),
            ("redirect_uri", app.redirect_uri.clone()),
            ("code_verifier", crate::harness::app::VERIFIER.to_owned()),
            ("client_id", app.id.clone()),
        ];
        for (name, value) in &usual {
            let mut params = usual.to_vec();
            params.push((name, value.clone()));
            let answer = app.token(&world, params).await;
            answer.assert_refusal(400, "invalid_request");
            assert!(
                answer.json()["error_description"]
                    .as_str()
                    .unwrap()
                    .contains(name)
            );
        }
        for name in [
            "client_secret",
            "client_assertion",
            "client_assertion_type",
            "refresh_token",
            "scope",
            "assertion",
        ] {
            let mut params = usual.to_vec();
            params.extend([(name, "a".to_owned()), (name, "b".to_owned())]);
            app.token(&world, params)
                .await
                .assert_refusal(400, "invalid_request");
        }
        let mut params = usual.to_vec();
        params.extend([("extra", "a".to_owned()), ("extra", "b".to_owned())]);
        let answer = app.token(&world, params).await;
        assert_eq!(answer.status, 200, "{}", answer.body);

        let usual = [
            ("grant_type", "refresh_token"),
            ("refresh_token", answer.json()["refresh_token"].as_str().unwrap()),
        ]
        .map(|(name, value)| (name, value.to_owned()));
        for (name, value) in &usual {
            let mut params = usual.to_vec();
            params.push((name, value.clone()));
            app.token(&world, params)
                .await
                .assert_refusal(400, "invalid_request");
        }
        assert_eq!(app.token(&world, usual.to_vec()).await.status, 200);
    }
}

on_both_databases! {
    async fn c066_a_code_expires_after_a_minute_by_the_clock(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let (one, two) = (
            app.code(&world, &user, &[]).await,
            app.code(&world, &user, &[]).await,
        );
        world.pass(codes::LIFETIME - Duration::from_secs(1));
        assert_eq!(app.redeem(&world, &one).await.status, 200);
        world.pass(Duration::from_secs(1));
        app.redeem(&world, &two)
            .await
            .assert_refusal(400, "invalid_grant");
        let counts = world.row_counts().await;
        assert!(
            counts.contains(&("codes".to_owned(), 2)),
            "tidied away: {counts:?}"
        );
    }

    async fn c008_a_replay_long_after_the_code_expired_still_tells(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let redirect = world.visitor().authorize(&app.url(&[]), user.email.shown()).await;
        let tokens = app.tokens(&world, &redirect).await;
        world.pass(Duration::from_secs(10 * 60));
        assert_eq!(userinfo(&world, tokens.access()).await.status, 200);
        app.redeem(&world, &redirect.code())
            .await
            .assert_refusal(400, "invalid_grant");
        userinfo(&world, tokens.access())
            .await
            .assert_refusal(401, "invalid_token");
    }
}
