//! Clients that sign: RFC 7523 §3, OpenID Connect Core §9. Whose key vouches for an assertion, what it has to say,
//! and that it says so once.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::app::{App, post};
use crate::harness::rp::{Key, Site, asserted, assertion, b64};
use crate::harness::{Answer, World};

/// Nothing is behind it: a request that is let in is told so.
const GRANT: [(&str, &str); 2] = [("grant_type", "refresh_token"), ("refresh_token", "none")];

async fn signing(world: &World, more: Value) -> App {
    let mut metadata = json!({ "token_endpoint_auth_method": "private_key_jwt" });
    let members = metadata.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    world.app_with(metadata).await
}

/// A token request with this assertion. What authenticates is refused as `invalid_grant`.
async fn ask(world: &World, assertion: String) -> Answer {
    let mut params: Vec<_> = GRANT.map(|(name, value)| (name, value.to_owned())).to_vec();
    params.extend(asserted(assertion));
    post(world, "/token", &[], &params).await
}

async fn is_let_in(world: &World, assertion: String) {
    let answer = ask(world, assertion).await;
    answer.assert_refusal(400, "invalid_grant");
}

async fn is_refused(world: &World, assertion: String, why: &str) -> String {
    let answer = ask(world, assertion).await;
    assert_eq!(answer.status, 401, "{why}: {}", answer.body);
    answer.assert_refusal(401, "invalid_client");
    answer.json()["error_description"].as_str().unwrap().to_owned()
}

fn claims(world: &World, app: &App, changes: &Value) -> Value {
    assertion(&app.id, &world.issuer, world.now().as_secs(), changes)
}

everywhere! {
    async fn each_algorithm_by_keys_in_the_registration_and_behind_a_url(world: World) {
        let site = Site::open().await;
        for alg in ["RS256", "PS256", "ES256", "EdDSA"] {
            let key = Key::new(alg);
            let jwks_uri = site.put(&format!("/{alg}"), "application/json", key.jwks().to_string());
            for keys in [json!({ "jwks": key.jwks() }), json!({ "jwks_uri": jwks_uri })] {
                let app = signing(&world, keys).await;
                is_let_in(&world, key.sign(&claims(&world, &app, &json!({})))).await;
                for typ in ["JWT", "client-authentication+jwt"] {
                    let header = json!({ "alg": alg, "kid": key.kid, "typ": typ });
                    is_let_in(&world, key.sign_as(&header, &claims(&world, &app, &json!({})))).await;
                }
            }
            // Without names and algorithms, as RFC 7517 allows.
            let mut jwk = key.jwk();
            for member in ["kid", "alg", "use"] {
                jwk.as_object_mut().unwrap().remove(member);
            }
            let app = signing(&world, json!({ "jwks": { "keys": [jwk] } })).await;
            is_let_in(&world, key.sign_as(&json!({ "alg": alg }), &claims(&world, &app, &json!({})))).await;
        }
    }

    async fn c033_what_an_assertion_says(world: World) {
        let key = Key::new("ES256");
        let app = signing(&world, json!({ "jwks": key.jwks() })).await;
        let (issuer, now) = (world.issuer.clone(), world.now().as_secs());
        let token = format!("{issuer}/token");
        for (changes, good) in [
            (json!({}), true),
            (json!({ "iat": null, "nbf": null }), true),
            (json!({ "exp": now + 290 }), true),
            (json!({ "iat": now + 8, "nbf": now + 8 }), true),
            (json!({ "unknown": { "a": [1] } }), true),
            (json!({ "iss": null }), false),
            (json!({ "sub": null }), false),
            (json!({ "aud": null }), false),
            (json!({ "exp": null }), false),
            (json!({ "jti": null }), false),
            (json!({ "jti": "" }), false),
            (json!({ "jti": 7 }), false),
            (json!({ "jti": "x".repeat(257) }), false),
            (json!({ "iss": "other" }), false),
            (json!({ "sub": "other" }), false),
            (json!({ "iss": issuer }), false),
            (json!({ "aud": token }), false),
            (json!({ "aud": [issuer] }), false),
            (json!({ "aud": [issuer, token] }), false),
            (json!({ "aud": format!("{issuer}/") }), false),
            (json!({ "aud": app.id }), false),
            (json!({ "aud": 7 }), false),
            (json!({ "exp": now }), false),
            (json!({ "exp": now - 300 }), false),
            (json!({ "exp": now + 600 }), false),
            (json!({ "exp": "soon" }), false),
            (json!({ "exp": 1e300 }), false),
            (json!({ "exp": -1 }), false),
            (json!({ "nbf": now + 70 }), false),
            (json!({ "iat": now + 70 }), false),
            (json!({ "iat": "now" }), false),
        ] {
            let assertion = key.sign(&claims(&world, &app, &changes));
            match good {
                true => is_let_in(&world, assertion).await,
                false => drop(is_refused(&world, assertion, &changes.to_string()).await),
            }
        }
        // Whose client_id stands beside it has to be the one who signed.
        let mut params = asserted(key.sign(&claims(&world, &app, &json!({})))).to_vec();
        params.extend([("grant_type", "refresh_token".to_owned()), ("client_id", world.app().await.id)]);
        post(&world, "/token", &[], &params).await.assert_refusal(401, "invalid_client");
    }

    async fn c033_the_audience_of_old_libraries_only_where_it_is_registered(world: World) {
        let key = Key::new("ES256");
        let app = signing(&world, json!({ "jwks": key.jwks(), "assertion_audience": "compatible" })).await;
        let issuer = world.issuer.clone();
        let at = |path: &str| format!("{issuer}{path}");
        let exp = world.now().as_secs() + 3600;
        for changes in [
            json!({}),
            json!({ "aud": at("/token") }),
            json!({ "aud": [at("/token")] }),
            json!({ "aud": ["https://other.test", issuer] }),
            json!({ "exp": exp }),
        ] {
            is_let_in(&world, key.sign(&claims(&world, &app, &changes))).await;
        }
        for aud in [
            json!("https://other.test"),
            json!(["https://other.test"]),
            json!([]),
            json!(at("/revoke")),
            json!(at("/userinfo")),
        ] {
            is_refused(&world, key.sign(&claims(&world, &app, &json!({ "aud": aud }))), &aud.to_string()).await;
        }
        let by = |path: &str| asserted(key.sign(&claims(&world, &app, &json!({ "aud": at(path) }))));
        let mut params = by("/revoke").to_vec();
        params.push(("token", "x".to_owned()));
        assert_eq!(post(&world, "/revoke", &[], &params).await.status, 200);
    }

    async fn c033_an_assertion_works_once_whoever_brings_it_and_wherever(world: World) {
        let key = Key::new("ES256");
        let app = signing(&world, json!({ "jwks": key.jwks() })).await;
        let assertion = key.sign(&claims(&world, &app, &json!({})));
        let answers = join_all((0..20).map(|_| ask(&world, assertion.clone()))).await;
        let let_in = answers.iter().filter(|answer| answer.status == 400).count();
        assert_eq!(let_in, 1, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
        assert!(answers.iter().all(|answer| [400, 401].contains(&answer.status.as_u16())));
        let text = is_refused(&world, assertion, "again").await;
        assert!(text.contains("jti"), "{text}");

        // The same name in another client's assertion is another one.
        let other = signing(&world, json!({ "jwks": key.jwks() })).await;
        for app in [&app, &other] {
            is_let_in(&world, key.sign(&claims(&world, app, &json!({ "jti": "one" })))).await;
        }
        is_refused(&world, key.sign(&claims(&world, &other, &json!({ "jti": "one" }))), "one").await;
    }

    async fn c039_c040_only_a_key_and_an_algorithm_that_the_client_registered_vouch(world: World) {
        let (key, stranger, rsa) = (Key::new("ES256"), Key::new("ES256"), Key::new("RS256"));
        let keys = json!({ "keys": [key.jwk(), rsa.jwk()] });
        let app = signing(&world, json!({ "jwks": keys, "token_endpoint_auth_signing_alg": "ES256" })).await;
        let own = claims(&world, &app, &json!({}));
        let mut texts = Vec::new();
        let long = "k".repeat(64 * 1024 / 8);
        for (header, signer) in [
            (json!({ "alg": "ES256", "kid": key.kid }), &stranger),
            (json!({ "alg": "ES256", "kid": stranger.kid }), &stranger),
            (json!({ "alg": "ES256", "kid": key.kid, "jwk": stranger.jwk() }), &stranger),
            (json!({ "alg": "ES256", "kid": key.kid, "jku": "https://localhost:1/jwks" }), &stranger),
            (json!({ "alg": "ES256", "kid": key.kid, "x5u": "https://localhost:1/x" }), &stranger),
            // Registered, but for nothing here.
            (json!({ "alg": "RS256", "kid": rsa.kid }), &rsa),
            (json!({ "alg": "PS256", "kid": rsa.kid }), &rsa),
            (json!({ "alg": "ES256", "kid": "../../etc/passwd" }), &key),
            (json!({ "alg": "ES256", "kid": "' OR 1=1 --" }), &key),
            (json!({ "alg": "ES256", "kid": key.kid, "typ": "at+jwt" }), &key),
            (json!({ "alg": "ES256", "kid": key.kid, "typ": "dpop+jwt" }), &key),
        ] {
            texts.push(is_refused(&world, signer.sign_as(&header, &own), &header.to_string()).await);
        }
        // HMAC with what everybody knows.
        let public = key.jwk().to_string();
        for secret in [public.as_bytes(), b"".as_slice()] {
            let message = format!("{}.{}", b64(r#"{"alg":"HS256"}"#), b64(own.to_string()));
            let hmac = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
            let tag = aws_lc_rs::hmac::sign(&hmac, message.as_bytes());
            is_refused(&world, format!("{message}.{}", b64(tag)), "HS256").await;
        }
        texts.dedup();
        assert_eq!(texts.len(), 1, "a stranger learns what was wrong: {texts:?}");
        let none = format!("{}.{}.", b64(r#"{"alg":"none"}"#), b64(own.to_string()));
        for text in [
            none,
            key.sign_as(&json!({ "alg": "ES256", "kid": long }), &own),
            key.sign_as(&json!({ "alg": "ES256", "kid": key.kid, "crit": ["b64"], "b64": false }), &own),
            key.sign(&json!({ "sub": app.id, "x": "x".repeat(17_000) })),
            "a.b.c".to_owned(),
            "x".to_owned(),
        ] {
            is_refused(&world, text, "form").await;
        }
        // Of the same client after all.
        is_let_in(&world, key.sign(&own)).await;
        let unknown = assertion("unknown", &world.issuer, world.now().as_secs(), &json!({}));
        let secret_app = world.app().await;
        let of_secret = claims(&world, &secret_app, &json!({}));
        for claims in [unknown, of_secret] {
            texts.push(is_refused(&world, key.sign(&claims), "no such key").await);
        }
        texts.dedup();
        assert_eq!(texts.len(), 1, "a stranger learns which clients there are: {texts:?}");
    }

    async fn a_client_that_signs_gets_in_by_nothing_else(world: World) {
        let key = Key::new("ES256");
        let app = signing(&world, json!({ "jwks": key.jwks() })).await;
        assert!(app.secret.is_none());
        let by_id = app.token(&world, GRANT.map(|(name, value)| (name, value.to_owned())).to_vec()).await;
        by_id.assert_refusal(401, "invalid_client");
        let with_secret = App { secret: Some("guess".into()), ..app };
        let answer = with_secret.token(&world, GRANT.map(|(name, value)| (name, value.to_owned())).to_vec()).await;
        answer.assert_refusal(401, "invalid_client");
    }

    async fn keys_that_were_changed_a_moment_ago_count_at_once(world: World) {
        let site = Site::open().await;
        let (old, new, next) = (Key::new("RS256"), Key::new("RS256"), Key::new("ES256"));
        let jwks_uri = site.put("/jwks", "application/jwk-set+json", old.jwks().to_string());
        let app = signing(&world, json!({ "jwks_uri": jwks_uri })).await;
        for key in [&old, &new, &next] {
            site.put("/jwks", "application/json", key.jwks().to_string());
            for _ in 0..4 {
                is_let_in(&world, key.sign(&claims(&world, &app, &json!({})))).await;
            }
        }
        // Keys that are gone do not count once others were seen.
        for _ in 0..2 {
            is_refused(&world, old.sign(&claims(&world, &app, &json!({}))), "gone").await;
        }
    }
}

on_both_databases! {
    async fn keys_are_kept_and_fetched_once_for_all(world: World) {
        let (site, key) = (Site::open().await, Key::new("ES256"));
        let jwks_uri = site.put("/jwks", "application/json", key.jwks().to_string());
        let app = signing(&world, json!({ "jwks_uri": jwks_uri })).await;
        let sign = || key.sign(&claims(&world, &app, &json!({})));
        join_all((0..10).map(|_| is_let_in(&world, sign()))).await;
        assert_eq!(site.asked(), 1);
        world.pass(Duration::from_secs(301));
        is_let_in(&world, sign()).await;
        assert_eq!(site.asked(), 2);

        // While the site is away, what it last said counts, and not for ever.
        site.take_away("/jwks");
        world.pass(Duration::from_secs(3000));
        is_let_in(&world, sign()).await;
        world.pass(Duration::from_secs(601));
        is_refused(&world, sign(), "too old").await;
        site.put("/jwks", "application/json", key.jwks().to_string());
        world.pass(Duration::from_secs(60));
        is_let_in(&world, sign()).await;
    }

    async fn strangers_cannot_have_keys_fetched_without_end(world: World) {
        let (site, key, stranger) = (Site::open().await, Key::new("ES256"), Key::new("ES256"));
        let jwks_uri = site.put("/jwks", "application/json", key.jwks().to_string());
        let app = signing(&world, json!({ "jwks_uri": jwks_uri })).await;
        for _ in 0..40 {
            is_refused(&world, stranger.sign(&claims(&world, &app, &json!({}))), "stranger").await;
        }
        assert!(site.asked() <= 12, "{}", site.asked());
        // The client itself is let in all the while.
        is_let_in(&world, key.sign(&claims(&world, &app, &json!({})))).await;
    }

    async fn c052_all_failures_to_fetch_keys_look_the_same(world: World) {
        let (site, key) = (Site::open().await, Key::new("ES256"));
        site.put("/html", "text/html", key.jwks().to_string());
        site.put("/junk", "application/json", "[]");
        site.put("/huge", "application/json", " ".repeat(70_000));
        let origin = site.put("/", "application/json", "");
        let mut texts = Vec::new();
        for url in [
            format!("{origin}html"),
            format!("{origin}junk"),
            format!("{origin}huge"),
            format!("{origin}none"),
            "https://localhost:1/closed".to_owned(),
            // A name that is not listed, at an address of this machine.
            origin.replace("localhost", "other.localhost"),
            "https://name.invalid/".to_owned(),
        ] {
            let app = signing(&world, json!({ "jwks_uri": url })).await;
            texts.push(is_refused(&world, key.sign(&claims(&world, &app, &json!({}))), &url).await);
        }
        let app = signing(&world, json!({ "jwks": key.jwks() })).await;
        texts.push(is_refused(&world, Key::new("ES256").sign(&claims(&world, &app, &json!({}))), "key").await);
        texts.dedup();
        assert_eq!(texts.len(), 1, "{texts:?}");
    }

    async fn used_assertions_are_forgotten_when_they_have_expired(world: World) {
        let key = Key::new("ES256");
        let app = signing(&world, json!({ "jwks": key.jwks() })).await;
        is_let_in(&world, key.sign(&claims(&world, &app, &json!({})))).await;
        for (wait, forgotten) in [(59, 0), (1, 1)] {
            world.pass(Duration::from_secs(wait));
            let now = world.now();
            let work = world.db.transact(move |conn| {
                Box::pin(async move { clients::assertions::forget(10, conn, now).await })
            });
            assert_eq!(work.await.unwrap(), forgotten);
        }
    }
}
