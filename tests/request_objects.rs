//! Requests that are signed: OpenID Connect Core §6, RFC 9101. Whose signature counts, what an object has to say of
//! itself, and what becomes of what stands beside it.

mod by_secret;

use jose::{Content, DecryptionKey, EncryptionKey, Family};
use protocol::{JweAlg, JweEnc};
use serde_json::{Value, json};

use crate::harness::app::App;
use crate::harness::rp::{Key, Site, b64};
use crate::harness::{Answer, World};

async fn signing(world: &World, key: &Key, more: Value) -> App {
    let mut metadata = json!({ "jwks": key.jwks() });
    metadata
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    world.app_with(metadata).await
}

/// An ordinary request as an object, with these members changed; null takes one away.
fn object(world: &World, app: &App, changes: &Value) -> Value {
    let mut claims = json!({ "iss": app.id, "aud": world.issuer, "exp": world.now().as_secs() + 60 });
    for (name, value) in app.request() {
        claims[name] = json!(value);
    }
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

/// The answer to this object with these parameters beside it, without a page between.
async fn silently(world: &World, app: &App, object: &str, beside: &[(&'static str, &str)]) -> Answer {
    let changes = [&[("request", object), ("prompt", "none")], beside].concat();
    world.visitor().get(&app.url(&changes)).await
}

/// A key that is not the server's.
fn stranger(alg: JweAlg) -> Value {
    let family = match alg {
        JweAlg::RsaOaep256 => Family::Rsa,
        JweAlg::EcdhEs | JweAlg::EcdhEsA128Kw | JweAlg::EcdhEsA256Kw => Family::P256,
    };
    let mut jwk = DecryptionKey::generate(family).unwrap().public_jwk();
    jwk.as_object_mut().unwrap().remove("alg");
    jwk
}

everywhere! {
    async fn a_signed_request_by_value_and_behind_a_url_ends_in_tokens(world: World) {
        let (site, user) = (Site::open().await, world.user().await);
        for alg in ["RS256", "PS256", "ES256", "EdDSA"] {
            let key = Key::new(alg);
            let url = site.put(&format!("/{alg}"), "application/oauth-authz-req+jwt", "");
            let metadata = json!({ "request_uris": [url], "request_object_signing_alg": alg });
            let app = signing(&world, &key, metadata).await;
            let signed = object(&world, &app, &json!({ "state": "from inside", "nonce": "signed", "max_age": 600 }));
            let signed = key.sign_as(&json!({ "alg": alg, "kid": key.kid, "typ": "oauth-authz-req+jwt" }), &signed);
            site.put(&format!("/{alg}"), "application/oauth-authz-req+jwt", signed.as_str());
            let with_digest = format!("{url}#{}", b64(seal::sha256(signed.as_bytes())));
            for carried in [("request", signed.as_str()), ("request_uri", &url), ("request_uri", &with_digest)] {
                // What stands inside wins.
                let beside = [("state", "outside"), ("nonce", "outside"), carried];
                let redirect = world.visitor().authorize(&app.url(&beside), user.email.shown()).await;
                assert_eq!(redirect.param("state").as_deref(), Some("from inside"), "{carried:?}");
                let tokens = app.tokens(&world, &redirect).await;
                assert_eq!(tokens.id()["nonce"], "signed");
                assert!(tokens.id()["auth_time"].is_i64());

                // What OpenID Connect wants outside is enough there.
                let least = [carried, ("redirect_uri", ""), ("state", ""), ("nonce", ""), ("code_challenge", ""),
                    ("code_challenge_method", "")];
                let redirect = world.visitor().authorize(&app.url(&least), user.email.shown()).await;
                app.tokens(&world, &redirect).await;
            }
        }
    }

    async fn c039_c041_only_an_object_that_a_key_of_the_client_signed_counts(world: World) {
        let (key, stranger, rsa) = (Key::new("ES256"), Key::new("ES256"), Key::new("RS256"));
        let keys = json!({ "keys": [key.jwk(), rsa.jwk()] });
        let app = signing(&world, &key, json!({ "jwks": keys, "request_object_signing_alg": "ES256" })).await;
        let claims = object(&world, &app, &json!({}));
        let payload = b64(claims.to_string());
        let mac = |secret: &[u8]| {
            let message = format!("{}.{payload}", b64(r#"{"alg":"HS256"}"#));
            let hmac = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
            format!("{message}.{}", b64(aws_lc_rs::hmac::sign(&hmac, message.as_bytes())))
        };
        let secret = app.secret.as_ref().unwrap().expose();
        let (site, header) = (Site::open().await, json!({ "alg": "ES256", "kid": key.kid }));
        let url = site.put("/keys", "application/json", stranger.jwks().to_string());
        let with = |name: &str, value: Value| {
            let mut header = header.clone();
            header[name] = value;
            header
        };
        let signed = key.sign(&claims);
        let (message, _) = signed.rsplit_once('.').unwrap();
        for bad in [
            format!("{}.{payload}.", b64("{}")),
            mac(key.jwk().to_string().as_bytes()),
            mac(secret.as_bytes()),
            stranger.sign(&claims),
            rsa.sign(&claims),
            stranger.sign_as(&with("jwk", stranger.jwk()), &claims),
            stranger.sign_as(&with("jku", json!(url)), &claims),
            stranger.sign_as(&with("x5u", json!(url)), &claims),
            key.sign_as(&with("kid", json!("../../etc/passwd")), &claims),
            key.sign_as(&with("kid", json!("k".repeat(1000))), &claims),
            key.sign_as(&with("typ", json!("at+jwt")), &claims),
            key.sign_as(&with("typ", json!("client-authentication+jwt")), &claims),
            key.sign_as(&with("crit", json!(["x"])), &claims),
            signed.replacen('.', "..", 1),
            format!("{signed}="),
            format!("{message}."),
            claims.to_string(),
            key.sign(&json!([1])),
            "x".to_owned(),
        ] {
            let answer = silently(&world, &app, &bad, &[]).await;
            answer.assert_error("invalid_request_object");
            assert_eq!(answer.param("state").as_deref(), Some("st-ate"));
        }
        silently(&world, &app, &signed, &[]).await.assert_error("login_required");
        assert_eq!(site.asked(), 0);
    }

    async fn what_nobody_signed_is_not_supported_and_said_so(world: World) {
        let (site, key) = (Site::open().await, Key::new("ES256"));
        let url = site.put("/r", "application/jwt", "");
        let app = signing(&world, &key, json!({ "request_uris": [url] })).await;
        let claims = object(&world, &app, &json!({}));
        let unsigned = format!("{}.{}.", b64(r#"{"alg":"none"}"#), b64(claims.to_string()));
        site.put("/r", "application/jwt", unsigned.as_str());
        silently(&world, &app, &unsigned, &[]).await.assert_error("request_not_supported");
        let by_reference = app.url(&[("request_uri", &url), ("prompt", "none")]);
        world.visitor().get(&by_reference).await.assert_error("request_uri_not_supported");
        // Not even its way back counts.
        let outside = [("redirect_uri", "https://evil.test/cb")];
        silently(&world, &app, &unsigned, &outside).await.assert_rejected();
    }

    async fn c042_what_was_signed_and_then_encrypted_to_us_is_opened_and_nothing_else_that_was_encrypted(world: World) {
        let key = Key::new("ES256");
        let jwks: Value = serde_json::from_str(&world.visitor().get("/jwks").await.body).unwrap();
        for (alg, enc) in [
            (JweAlg::RsaOaep256, JweEnc::A128Gcm),
            (JweAlg::EcdhEs, JweEnc::A256Gcm),
            (JweAlg::EcdhEsA128Kw, JweEnc::A192Gcm),
            (JweAlg::EcdhEsA256Kw, JweEnc::A128Gcm),
        ] {
            let registered = json!({ "request_object_encryption_alg": alg, "request_object_encryption_enc": enc });
            let app = signing(&world, &key, registered).await;
            let signed = key.sign(&object(&world, &app, &json!({ "state": "from inside" })));
            let ours = EncryptionKey::choose(&jwks, alg).expect("a key for it");
            let encrypt = |enc, plain: &str| ours.encrypt(enc, Content::SignedJwt, plain.as_bytes()).unwrap();
            let good = encrypt(enc, &signed);
            let answer = silently(&world, &app, &good, &[]).await;
            answer.assert_error("login_required");
            assert_eq!(answer.param("state").as_deref(), Some("from inside"), "{alg:?}");
            // What is not encrypted is still read.
            silently(&world, &app, &signed, &[]).await.assert_error("login_required");

            let unsigned = format!("{}.{}.", b64(r#"{"alg":"none"}"#), b64("{}"));
            let other = if enc == JweEnc::A128Gcm { JweEnc::A256Gcm } else { JweEnc::A128Gcm };
            let strangers = EncryptionKey::from_jwk(&stranger(alg), alg).unwrap();
            for bad in [
                encrypt(other, &signed),
                encrypt(enc, &encrypt(enc, &signed)),
                encrypt(enc, &format!("{signed}x")),
                encrypt(enc, &Key::new("ES256").sign(&object(&world, &app, &json!({})))),
                encrypt(enc, "{}"),
                strangers.encrypt(enc, Content::SignedJwt, signed.as_bytes()).unwrap(),
                format!("{}x", &good[..good.len() - 1]),
            ] {
                silently(&world, &app, &bad, &[]).await.assert_error("invalid_request_object");
            }
            silently(&world, &app, &encrypt(enc, &unsigned), &[]).await.assert_error("request_not_supported");
        }
    }

    async fn c042_what_is_encrypted_is_refused_before_anything_is_read_of_it(world: World) {
        let key = Key::new("ES256");
        let app = signing(&world, &key, json!({})).await;
        let signed = key.sign(&object(&world, &app, &json!({})));
        let header = b64(r#"{"alg":"RSA-OAEP-256","enc":"A256GCM","zip":"DEF","cty":"JWT"}"#);
        for encrypted in [
            format!("{header}.a2V5.aXY.{}.dGFn", b64(&signed)),
            format!("{signed}.."),
            "a.b.c.d.e".to_owned(),
            "....".to_owned(),
        ] {
            let answer = silently(&world, &app, &encrypted, &[]).await;
            answer.assert_error("invalid_request_object");
            assert!(answer.param("error_description").unwrap().contains("encrypted"));
        }
    }

    async fn c043_what_an_object_says_about_itself_has_to_be_true(world: World) {
        let key = Key::new("ES256");
        let app = signing(&world, &key, json!({})).await;
        let now = world.now().as_secs();
        for (changes, good) in [
            (json!({}), true),
            (json!({ "iss": null, "aud": null, "exp": null }), true),
            (json!({ "aud": ["https://other.test", world.issuer] }), true),
            (json!({ "nbf": now + 8 }), true),
            (json!({ "sub": "a user" }), true),
            (json!({ "unknown": { "a": [1] } }), true),
            (json!({ "iss": "other" }), false),
            (json!({ "client_id": "other" }), false),
            (json!({ "aud": "https://other.test" }), false),
            (json!({ "aud": 7 }), false),
            (json!({ "exp": now }), false),
            (json!({ "exp": "x" }), false),
            (json!({ "exp": -1 }), false),
            (json!({ "exp": 1e300 }), false),
            (json!({ "iat": u64::MAX }), false),
            (json!({ "nbf": [now] }), false),
            (json!({ "nbf": now + 70 }), false),
            (json!({ "sub": app.id }), false),
            (json!({ "request": "x" }), false),
            (json!({ "request_uri": "https://app.example.com/r" }), false),
            (json!({ "response_type": "token" }), false),
            (json!({ "state": "a\u{0}b" }), false),
        ] {
            let answer = silently(&world, &app, &key.sign(&object(&world, &app, &changes)), &[]).await;
            answer.assert_error(if good { "login_required" } else { "invalid_request_object" });
        }
    }

    async fn c001_no_redirect_uri_that_is_not_registered_inside_or_outside(world: World) {
        let key = Key::new("ES256");
        let app = signing(&world, &key, json!({})).await;
        let good = key.sign(&object(&world, &app, &json!({})));
        let bad = key.sign(&object(&world, &app, &json!({ "redirect_uri": "https://evil.test/cb" })));
        let broken = format!("{}x", &good[..good.len() - 1]);
        // The one inside counts, so the one outside is nobody's.
        let answer = silently(&world, &app, &good, &[("redirect_uri", "https://evil.test/cb")]).await;
        assert!(answer.location().unwrap().starts_with(&app.redirect_uri));
        for (object, beside) in [
            (&bad, &[][..]),
            (&broken, &[("redirect_uri", "https://evil.test/cb")]),
            (&good, &[("client_id", "unknown")]),
        ] {
            let answer = silently(&world, &app, object, beside).await;
            assert!(answer.status == 400 && answer.location().is_none(), "{beside:?} {}", answer.status);
        }
    }

    async fn c050_only_registered_urls_are_asked_and_seldom(world: World) {
        let (site, key) = (Site::open().await, Key::new("ES256"));
        let url = site.put("/r", "application/jwt", "");
        let app = signing(&world, &key, json!({ "request_uris": [url, format!("{url}none")] })).await;
        site.put("/r", "application/jwt", key.sign(&object(&world, &app, &json!({}))));
        let ask = async |url: &str| {
            world.visitor().get(&app.url(&[("request_uri", url), ("prompt", "none")])).await
        };
        for unregistered in [
            format!("{url}/"),
            format!("{url}?x"),
            "https://localhost:1/r".to_owned(),
            "http://localhost/r".to_owned(),
            "file:///etc/passwd".to_owned(),
            "urn:ietf:params:oauth:request".to_owned(),
        ] {
            ask(&unregistered).await.assert_error("invalid_request_uri");
        }
        assert_eq!(site.asked(), 0);
        for _ in 0..6 {
            ask(&url).await.assert_error("login_required");
            ask(&format!("{url}none")).await.assert_error("invalid_request_uri");
        }
        // Two processes keep what they have for themselves.
        assert!(site.asked() <= 4, "{}", site.asked());
        let before = site.asked();
        let signed = key.sign(&object(&world, &app, &json!({})));
        let digest = b64(seal::sha256(signed.as_bytes()));
        site.put("/r", "application/jwt", signed);
        for _ in 0..6 {
            ask(&format!("{url}#{digest}")).await.assert_error("login_required");
        }
        assert!((1..=2).contains(&(site.asked() - before)), "another fragment, another object");
        let both = app.url(&[("request_uri", &url), ("request", "x")]);
        world.visitor().get(&both).await.assert_error("invalid_request");
    }

    async fn beside_the_object_of_a_client_that_always_signs_nothing_counts(world: World) {
        let (key, user) = (Key::new("ES256"), world.user().await);
        let app = signing(&world, &key, json!({ "require_signed_request_object": true })).await;
        let unsigned = world.visitor().get(&app.url(&[])).await;
        unsigned.assert_error("invalid_request");
        let signed = key.sign(&object(&world, &app, &json!({ "state": null, "nonce": null })));
        let redirect = world.visitor().authorize(&app.url(&[("request", &signed)]), user.email.shown()).await;
        assert_eq!(redirect.param("state"), None);
        let tokens = app.tokens(&world, &redirect).await;
        assert!(tokens.id().get("nonce").is_none());
        let no_challenge = key.sign(&object(&world, &app, &json!({ "code_challenge": null })));
        let answer = world.visitor().get(&app.url(&[("request", &no_challenge)])).await;
        answer.assert_error("invalid_request");
    }
}
