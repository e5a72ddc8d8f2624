//! Who is told what about a token: RFC 7662.

use std::collections::BTreeSet;

use clients::{ResourceServer, resources};
use events::Context;
use protocol::SigningAlg;
use serde_json::{Value, json};

use crate::harness::app::{basic, payload, post};
use crate::harness::visitor::client;
use crate::harness::{Answer, World};

/// A resource server with its only scope.
pub(crate) async fn api(world: &World, alg: SigningAlg) -> (ResourceServer, String) {
    let api = world.resource(alg).await;
    let scope = api.scopes.keys().next().expect("a scope").clone();
    (api, scope)
}

pub(crate) fn access(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["access_token"]
        .as_str()
        .expect("a token")
        .to_owned()
}

/// RFC 7662 §2.2: that it is not active, and nothing more.
#[track_caller]
pub(crate) fn assert_inactive(answer: &Answer) {
    assert_eq!(
        (answer.status.as_u16(), answer.json()),
        (200, json!({ "active": false }))
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[track_caller]
pub(crate) fn assert_active(answer: &Answer) -> Value {
    let body = answer.json();
    assert_eq!(
        (answer.status.as_u16(), &body["active"]),
        (200, &json!(true)),
        "{body}"
    );
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    body
}

everywhere! {
    async fn c031_who_may_ask_about_which_token(world: World) {
        let user = world.user().await;
        let ((one, a), (two, b)) = (api(&world, SigningAlg::Es256).await, api(&world, SigningAlg::Es256).await);
        let (app, other) = (world.app().await, world.app().await);
        let machine = world.machine(&a).await;
        let (asks_one, asks_two) = (world.asking(&one).await, world.asking(&two).await);

        let scope = format!("openid offline_access {a}");
        let changes = [("scope", scope.as_str()), ("resource", one.identifier.as_str())];
        let of_one = app.grant(&world, &user, &changes).await;
        let changes = [("scope", b.as_str()), ("resource", two.identifier.as_str())];
        let of_two = app.grant(&world, &user, &changes).await;
        let plain = app.grant(&world, &user, &[]).await;
        let own = access(&machine.for_itself(&world, &one.identifier, &a).await);

        let foreign = forged(plain.access());
        for (name, token, knowing) in [
            ("for one", of_one.access(), &[&app, &asks_one][..]),
            ("its refresh token", of_one.refresh(), &[&app]),
            ("for two", of_two.access(), &[&app, &asks_two]),
            ("for userinfo", plain.access(), &[&app]),
            ("a machine's", &own, &[&machine, &asks_one]),
            ("an ID token", of_one.text("id_token"), &[]),
            ("noise", "noise", &[]),
            ("noise like ours", "cs_rt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &[]),
            ("forged", &foreign, &[]),
            ("a secret", app.secret.as_ref().unwrap().expose(), &[]),
        ] {
            for caller in [&app, &other, &machine, &asks_one, &asks_two] {
                let answer = caller.introspect(&world, token).await;
                match knowing.iter().any(|known| known.id == caller.id) {
                    true => drop(assert_active(&answer)),
                    false => assert_eq!(answer.json(), json!({ "active": false }), "{name} by {}", caller.id),
                }
            }
        }

        let about = assert_active(&asks_one.introspect(&world, of_one.access()).await);
        let claims = payload(of_one.access());
        let mut expected = json!({ "active": true, "token_type": "Bearer" });
        for name in ["iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "auth_time", "acr"] {
            assert!(!claims[name].is_null(), "{name}: {claims}");
            expected[name] = claims[name].clone();
        }
        assert_eq!(about, expected);
        let about = assert_active(&app.introspect(&world, of_one.refresh()).await);
        let members: BTreeSet<&str> = about.as_object().unwrap().keys().map(String::as_str).collect();
        let expected = ["active", "iss", "sub", "client_id", "scope", "exp", "iat", "auth_time", "acr"];
        assert_eq!(members, expected.into());
        assert_eq!(about["sub"], user.sub.as_str());
    }

    async fn c010_c031_only_a_caller_with_a_secret_is_answered(world: World) {
        let (api, scope) = api(&world, SigningAlg::Es256).await;
        let (machine, public, asking) =
            (world.machine(&scope).await, world.public_app().await, world.asking(&api).await);
        let token = access(&machine.for_itself(&world, &api.identifier, &scope).await);
        let ask = async |headers: &[(&'static str, String)], params: &[(&'static str, &str)]| {
            let params: Vec<_> = params.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
            post(&world, "/introspect", headers, &params).await
        };
        let secret = asking.secret.as_ref().unwrap().expose();
        let (id, presented) = (api.identifier.as_str(), ("token", token.as_str()));

        let right = [("authorization", basic(id, secret))];
        for hint in ["access_token", "refresh_token", "unknown", ""] {
            assert_active(&ask(&right, &[presented, ("token_type_hint", hint), ("extra", "1"), ("extra", "2")]).await);
        }
        assert_active(&ask(&[], &[presented, ("client_id", id), ("client_secret", secret)]).await);

        ask(&right, &[]).await.assert_refusal(400, "invalid_request");
        ask(&right, &[presented, presented]).await.assert_refusal(400, "invalid_request");
        let hints = [presented, ("token_type_hint", "a"), ("token_type_hint", "a")];
        ask(&right, &hints).await.assert_refusal(400, "invalid_request");
        let twice = [presented, ("client_id", id), ("client_secret", secret)];
        ask(&right, &twice).await.assert_refusal(400, "invalid_request");

        for (headers, params) in [
            (vec![], vec![presented]),
            (vec![], vec![presented, ("client_id", id)]),
            (vec![], vec![presented, ("client_id", &public.id)]),
            (vec![], vec![presented, ("client_id", &machine.id)]),
            (vec![], vec![presented, ("client_id", id), ("client_secret", "cs_cs_wrong")]),
            (vec![], vec![presented, ("client_id", "urn:none"), ("client_secret", secret)]),
            (vec![("authorization", basic(id, "cs_cs_wrong"))], vec![presented]),
            (vec![("authorization", basic(&machine.id, secret))], vec![presented]),
            // The token is no credential (RFC 7662 §2.1 leaves that open; here it proves nothing about the caller).
            (vec![("authorization", format!("Bearer {token}"))], vec![presented]),
        ] {
            ask(&headers, &params).await.assert_refusal(401, "invalid_client");
        }
        let url = world.at(&format!("/introspect?token={token}"));
        let got = client().get(url).header("authorization", basic(id, secret));
        assert_eq!(got.send().await.unwrap().status(), 405);
    }

    async fn c024_a_resource_server_that_is_gone_asks_no_more_and_has_no_new_tokens(world: World) {
        let (api, scope) = api(&world, SigningAlg::Es256).await;
        let (machine, asking) = (world.machine(&scope).await, world.asking(&api).await);
        let token = access(&machine.for_itself(&world, &api.identifier, &scope).await);
        let (own, now) = (api.identifier.clone(), world.now());
        let deleted = world.db.transact(move |conn| {
            Box::pin(async move { resources::delete(&own, &Context::server(), conn, now).await })
        });
        assert!(deleted.await.unwrap());
        world.heard().await;
        for _ in 0..2 {
            asking.introspect(&world, &token).await.assert_refusal(401, "invalid_client");
            machine.for_itself(&world, &api.identifier, &scope).await.assert_refusal(400, "invalid_target");
        }
    }
}

/// The claims of a token with the signature of somebody else.
fn forged(token: &str) -> String {
    let (message, _) = token.rsplit_once('.').unwrap();
    format!("{message}.{}", "A".repeat(86))
}
