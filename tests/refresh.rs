//! Refreshing: RFC 6749 §6, with rotation that a lost answer does not break (RFC 9700 §4.14.2).

use std::time::Duration;

use clients::Trust;
use grants::families::{ABSOLUTE, IDLE, RETRY_WINDOW};
use protocol::SigningAlg;
use revocation::Act;
use serde_json::json;

use crate::harness::Answer;
use crate::harness::app::{App, payload, userinfo};

const OFFLINE: &[(&str, &str)] = &[("scope", "openid profile offline_access")];
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

everywhere! {
    async fn a_refresh_gives_new_tokens_for_the_same_person(world: World) {
        let user = world.user().await;
        for app in [world.app().await, world.public_app().await] {
            let first = app.grant(&world, &user, OFFLINE).await;
            let second = refreshed(&app.refresh(&world, first.refresh()).await);
            assert_ne!(second.refresh(), first.refresh());
            assert_ne!(second.access(), first.access());
            assert_eq!(second.text("scope"), first.text("scope"));
            let (id, first_id) = (second.id(), first.id());
            for claim in ["iss", "sub", "aud", "auth_time", "acr", "amr"] {
                assert_eq!(id[claim], first_id[claim], "{claim}");
            }
            // OpenID Connect Core §12.2: the nonce answered the authorization request, and this is none.
            assert!(id.get("nonce").is_none());
            assert_eq!(userinfo(&world, second.access()).await.status, 200);
            // Rotation takes nothing back: the access token lives on.
            assert_eq!(userinfo(&world, first.access()).await.status, 200);
        }
    }

    async fn a_refresh_token_is_made_where_access_offline_was_asked_registered_and_granted(world: World) {
        let user = world.user().await;
        let api = world.resource(SigningAlg::Es256).await;
        let (api_scope, api) = (api.scopes.keys().next().unwrap().clone(), api.identifier);
        let (may, may_not) = (
            world.app().await,
            world
                .app_with(json!({ "grant_types": ["authorization_code"] }))
                .await,
        );
        let unverified = world.app().await;
        world.trust(&unverified, Trust::Unverified).await;
        let openid = format!("openid {api_scope}");
        for (app, scope, resource, made) in [
            (&may, "openid offline_access", "", true),
            (&may, "openid profile", "", false),
            (&may, openid.as_str(), api.as_str(), false),
            (&may, api_scope.as_str(), api.as_str(), true),
            (&may, "profile", "", true),
            (&may, "profile offline_access", "", true),
            (&may_not, "openid offline_access", "", false),
            (&may_not, api_scope.as_str(), api.as_str(), false),
            (&unverified, "openid offline_access", "", false),
            (&unverified, api_scope.as_str(), api.as_str(), false),
        ] {
            let tokens = app
                .grant(&world, &user, &[("scope", scope), ("resource", resource)])
                .await;
            assert_eq!(
                tokens.body.get("refresh_token").is_some(),
                made,
                "{scope} {}",
                tokens.body
            );
        }
    }

    async fn c028_a_lost_answer_can_be_asked_for_again_and_a_reuse_ends_the_approval(world: World) {
        let user = world.user().await;
        for app in [world.app().await, world.public_app().await] {
            let (first, bystander) = (
                app.grant(&world, &user, OFFLINE).await,
                app.grant(&world, &user, OFFLINE).await,
            );
            let second = refreshed(&app.refresh(&world, first.refresh()).await);
            for _ in 0..3 {
                let again = refreshed(&app.refresh(&world, first.refresh()).await);
                assert_eq!(again.refresh(), second.refresh());
                assert_eq!(userinfo(&world, again.access()).await.status, 200);
            }
            let third = refreshed(&app.refresh(&world, second.refresh()).await);
            assert_eq!(userinfo(&world, third.access()).await.status, 200);

            // The second was used, so the first cannot be a retry.
            app.refresh(&world, first.refresh())
                .await
                .assert_refusal(400, "invalid_grant");
            world.heard_elsewhere().await;
            for tokens in [&first, &second, &third] {
                userinfo(&world, tokens.access())
                    .await
                    .assert_refusal(401, "invalid_token");
                app.refresh(&world, tokens.refresh())
                    .await
                    .assert_refusal(400, "invalid_grant");
            }
            assert_eq!(userinfo(&world, bystander.access()).await.status, 200);
            refreshed(&app.refresh(&world, bystander.refresh()).await);
        }
    }

    async fn c029_scope_never_grows_and_a_failed_request_burns_nothing(world: World) {
        let (app, other, user) = (world.app().await, world.app().await, world.user().await);
        let (public, others) = (
            world.public_app().await,
            other.grant(&world, &user, OFFLINE).await,
        );
        let first = app.grant(&world, &user, OFFLINE).await;
        for (change, error) in [
            (("scope", "openid profile offline_access email"), "invalid_scope"),
            (("scope", "email"), "invalid_scope"),
            (("scope", "nonsense"), "invalid_scope"),
            (("scope", "op\"enid"), "invalid_scope"),
            (("resource", "https://unknown.example.com/"), "invalid_target"),
            (("refresh_token", others.refresh()), "invalid_grant"),
            (("refresh_token", "nonsense"), "invalid_grant"),
            (("refresh_token", ""), "invalid_request"),
        ] {
            app.refresh_with(&world, first.refresh(), &[change])
                .await
                .assert_refusal(400, error);
        }
        for stranger in [&other, &public] {
            stranger
                .refresh(&world, first.refresh())
                .await
                .assert_refusal(400, "invalid_grant");
        }
        let unauthenticated = App {
            secret: None,
            ..app.clone()
        };
        unauthenticated
            .refresh(&world, first.refresh())
            .await
            .assert_refusal(401, "invalid_client");

        // Neither was the token used up, nor does what failed count as its use.
        let narrow = refreshed(
            &app.refresh_with(&world, first.refresh(), &[("scope", "profile openid")])
                .await,
        );
        assert_eq!(narrow.text("scope"), "openid profile");
        assert_eq!(payload(narrow.access())["scope"], "openid profile");
        let plain = refreshed(
            &app.refresh_with(&world, first.refresh(), &[("scope", "profile")])
                .await,
        );
        assert_eq!(plain.text("scope"), "profile");
        assert!(plain.body.get("id_token").is_none());
        userinfo(&world, plain.access())
            .await
            .assert_refusal(403, "insufficient_scope");
        // A narrower access token leaves the grant as wide as it was.
        let whole = refreshed(&app.refresh(&world, narrow.refresh()).await);
        assert_eq!(whole.text("scope"), "offline_access openid profile");
        assert_eq!(userinfo(&world, others.access()).await.status, 200);
    }

    async fn c029_resources_never_grow(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let (own, foreign) = (
            world.resource(SigningAlg::Es256).await,
            world.resource(SigningAlg::Es256).await,
        );
        let scope = format!("{} offline_access", own.scopes.keys().next().unwrap());
        let first = app
            .grant(&world, &user, &[("scope", &scope), ("resource", &own.identifier)])
            .await;
        let foreign_scope = foreign.scopes.keys().next().unwrap();
        for (changes, error) in [
            (&[("resource", foreign.identifier.as_str())][..], "invalid_target"),
            (&[("resource", &world.issuer)], "invalid_target"),
            (&[("scope", foreign_scope)], "invalid_scope"),
        ] {
            app.refresh_with(&world, first.refresh(), changes)
                .await
                .assert_refusal(400, error);
        }
        let second = refreshed(&app.refresh(&world, first.refresh()).await);
        assert_eq!(payload(second.access())["aud"], own.identifier.as_str());
    }

    async fn a_refresh_dies_with_its_user_client_or_consent_and_outlives_the_session(world: World) {
        for end in ["session", "consent", "user", "disabled", "client"] {
            let (app, user) = (world.app().await, world.user().await);
            let tokens = app.grant(&world, &user, OFFLINE).await;
            let online = app.grant(&world, &user, &[]).await;
            let sessions = world.sessions(&user).await;
            let acts = match end {
                "session" => sessions.into_iter().map(Act::EndSession).collect(),
                "consent" => {
                    let mut conn = world.db.reader().await.unwrap();
                    let consent = grants::consents::of(&user.sub, &app.id.as_str().into(), &mut conn).await;
                    vec![Act::WithdrawConsent(consent.unwrap().unwrap().id)]
                }
                "user" => vec![Act::RevokeUser(user.sub.clone())],
                "disabled" => vec![Act::DisableUser(user.sub.clone())],
                _ => vec![Act::DeleteClient(app.id.as_str().into())],
            };
            for act in acts {
                world.end(act).await;
            }
            userinfo(&world, online.access())
                .await
                .assert_refusal(401, "invalid_token");
            let answer = app.refresh(&world, tokens.refresh()).await;
            match end {
                "session" => {
                    refreshed(&answer);
                    assert_eq!(userinfo(&world, tokens.access()).await.status, 200);
                    continue;
                }
                "client" => answer.assert_refusal(401, "invalid_client"),
                _ => answer.assert_refusal(400, "invalid_grant"),
            }
            userinfo(&world, tokens.access())
                .await
                .assert_refusal(401, "invalid_token");
        }
    }
}

on_both_databases! {
    async fn c028_a_public_app_has_a_minute_to_ask_again(world: World) {
        let (app, user) = (world.public_app().await, world.user().await);
        let (first, bystander) = (
            app.grant(&world, &user, OFFLINE).await,
            app.grant(&world, &user, OFFLINE).await,
        );
        let second = refreshed(&app.refresh(&world, first.refresh()).await);
        world.pass(RETRY_WINDOW - SECOND);
        assert_eq!(
            refreshed(&app.refresh(&world, first.refresh()).await).refresh(),
            second.refresh()
        );
        // Asking again does not make the window longer.
        world.pass(SECOND);
        app.refresh(&world, first.refresh())
            .await
            .assert_refusal(400, "invalid_grant");
        app.refresh(&world, second.refresh())
            .await
            .assert_refusal(400, "invalid_grant");
        userinfo(&world, second.access())
            .await
            .assert_refusal(401, "invalid_token");
        refreshed(&app.refresh(&world, bystander.refresh()).await);
    }

    async fn c028_an_app_with_a_secret_has_until_the_idle_end_and_does_not_put_it_off(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let first = app.grant(&world, &user, OFFLINE).await;
        let second = refreshed(&app.refresh(&world, first.refresh()).await);
        world.pass(IDLE - SECOND);
        let again = refreshed(&app.refresh(&world, first.refresh()).await);
        assert_eq!(again.refresh(), second.refresh());
        assert_eq!(userinfo(&world, again.access()).await.status, 200);
        world.pass(SECOND);
        for token in [first.refresh(), second.refresh()] {
            app.refresh(&world, token)
                .await
                .assert_refusal(400, "invalid_grant");
        }
    }

    async fn c029_a_refresh_token_ends_when_idle_and_in_any_case(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let start = world.now();
        let idle = app.grant(&world, &user, OFFLINE).await;
        let mut used = app.grant(&world, &user, OFFLINE).await;
        while world.now().since(start) + 6 * DAY < ABSOLUTE {
            world.pass(6 * DAY);
            used = refreshed(&app.refresh(&world, used.refresh()).await);
        }
        app.refresh(&world, idle.refresh())
            .await
            .assert_refusal(400, "invalid_grant");
        world.pass(ABSOLUTE - world.now().since(start) - SECOND);
        used = refreshed(&app.refresh(&world, used.refresh()).await);
        world.pass(SECOND);
        app.refresh(&world, used.refresh())
            .await
            .assert_refusal(400, "invalid_grant");
        // The last access token lives its quarter of an hour.
        assert_eq!(userinfo(&world, used.access()).await.status, 200);

        let young = app.grant(&world, &user, OFFLINE).await;
        world.pass(IDLE - SECOND);
        let young = refreshed(&app.refresh(&world, young.refresh()).await);
        world.pass(IDLE);
        app.refresh(&world, young.refresh())
            .await
            .assert_refusal(400, "invalid_grant");
        let counts = world.row_counts().await;
        assert!(
            counts.contains(&("families".to_owned(), 3)),
            "tidied away: {counts:?}"
        );
    }
}

#[track_caller]
fn refreshed(answer: &Answer) -> crate::harness::app::Tokens {
    assert_eq!(answer.status, 200, "{}", answer.body);
    crate::harness::app::Tokens { body: answer.json() }
}
