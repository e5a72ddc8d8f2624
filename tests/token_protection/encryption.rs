//! Encryption to keys of clients: which key, which algorithm, what is inside, and what happens without a key.

use jose::{DecryptionKey, Encrypted, Family};

use super::*;
use crate::harness::rp::Site;

const COMBINATIONS: [(&str, Family, &str); 6] = [
    ("RSA-OAEP-256", Family::Rsa, "A128GCM"),
    ("RSA-OAEP-256", Family::Rsa, "A256GCM"),
    ("ECDH-ES", Family::P256, "A128GCM"),
    ("ECDH-ES", Family::P256, "A192GCM"),
    ("ECDH-ES+A128KW", Family::P256, "A256GCM"),
    ("ECDH-ES+A256KW", Family::P256, "A128GCM"),
];

/// A key of an app, for whatever its kind can.
struct Reader(DecryptionKey);

impl Reader {
    fn new(family: Family) -> Self {
        Self(DecryptionKey::generate(family).expect("a key"))
    }

    fn jwk(&self) -> Value {
        let mut jwk = self.0.public_jwk();
        jwk.as_object_mut().expect("an object").remove("alg");
        jwk
    }

    fn jwks(&self) -> Value {
        json!({ "keys": [self.jwk()] })
    }

    fn read(&self, token: &str) -> String {
        let token = Encrypted::parse(token).expect("a JWE");
        assert_eq!(token.kid(), Some(self.0.kid()));
        let plain = self.0.decrypt(&token).expect("encrypted to this key");
        String::from_utf8(plain.to_vec()).expect("text")
    }
}

everywhere! {
    async fn id_tokens_and_userinfo_are_signed_and_then_encrypted_as_registered(world: World) {
        let (user, site) = (world.user().await, Site::open().await);
        for (alg, family, enc) in COMBINATIONS {
            let key = Reader::new(family);
            // Beside keys that are none for this.
            let others = json!({ "keys": [crate::harness::rp::Key::new("RS256").jwk(),
                crate::harness::rp::Key::new("ES256").jwk(), key.jwk()] });
            let jwks_uri = site.put(&format!("/{alg}-{enc}"), "application/json", others.to_string());
            for place in [json!({ "jwks": others }), json!({ "jwks_uri": jwks_uri })] {
                let mut metadata = json!({
                    "id_token_encrypted_response_alg": alg, "id_token_encrypted_response_enc": enc,
                    "userinfo_signed_response_alg": "ES256",
                    "userinfo_encrypted_response_alg": alg, "userinfo_encrypted_response_enc": enc,
                });
                metadata.as_object_mut().unwrap().extend(place.as_object().unwrap().clone());
                let app = world.app_with(metadata).await;
                let tokens = app.grant(&world, &user, &[("scope", "openid email offline_access")]).await;
                let refreshed = app.refresh(&world, tokens.refresh()).await.json();
                let told = userinfo(&world, tokens.access()).await;
                assert_eq!(told.header("content-type"), Some("application/jwt"), "{}", told.body);
                for (token, inner) in [
                    (tokens.text("id_token"), "RS256"),
                    (refreshed["id_token"].as_str().unwrap(), "RS256"),
                    (told.body.as_str(), "ES256"),
                ] {
                    let outer = header(token);
                    assert_eq!(outer["alg"], alg);
                    assert_eq!(outer["enc"], enc);
                    assert_eq!(outer["cty"], "JWT");
                    assert!(outer.get("zip").is_none(), "{outer}");
                    let signed = key.read(token);
                    assert_eq!(header(&signed)["alg"], inner);
                    let claims = verified(&signed, &app, &world).await;
                    assert_eq!(claims["sub"], user.sub.as_str());
                    assert_eq!(claims["aud"], app.id);
                    assert!(!token.contains(user.sub.as_str()));
                }
            }
        }
    }

    async fn a_logout_token_is_protected_as_the_id_tokens_of_its_app_are(world: World) {
        let key = Reader::new(Family::P256);
        for members in [
            json!({ "id_token_signed_response_alg": "EdDSA" }),
            json!({ "id_token_signed_response_alg": "HS256" }),
            json!({
                "jwks": key.jwks(), "id_token_signed_response_alg": "ES256",
                "id_token_encrypted_response_alg": "ECDH-ES", "id_token_encrypted_response_enc": "A256GCM",
            }),
        ] {
            let (user, site) = (world.user().await, Site::open().await);
            let mut metadata = members.clone();
            metadata["backchannel_logout_uri"] = json!(site.put("/ended", "text/html", ""));
            let app = world.app_with(metadata).await;
            app.grant(&world, &user, &[]).await;
            let session = world.sessions(&user).await.remove(0);
            world.end(revocation::Act::EndSession(session)).await;
            let told = site.await_posted(1).await.remove(0);
            let token = told.body.strip_prefix("logout_token=").unwrap().to_owned();
            let signed = match header(&token).get("enc") {
                Some(_) => key.read(&token),
                None => token,
            };
            let head = header(&signed);
            assert_eq!(head["typ"], "logout+jwt");
            assert_eq!(head["alg"], members["id_token_signed_response_alg"]);
            assert_eq!(payload(&signed)["aud"], app.id);
            let parsed = jws::Unverified::parse(&signed).unwrap();
            if parsed.alg().is_none() {
                let secret = app.secret.as_ref().unwrap().expose().as_bytes();
                assert!(parsed.verify_by_secret([secret], jws::Typ::Is("logout+jwt")).is_ok());
            }
        }
    }

    async fn userinfo_may_be_encrypted_without_being_signed(world: World) {
        let (user, key) = (world.user().await, Reader::new(Family::P256));
        let app = world.app_with(json!({
            "jwks": key.jwks(),
            "userinfo_encrypted_response_alg": "ECDH-ES", "userinfo_encrypted_response_enc": "A256GCM",
        })).await;
        let tokens = app.grant(&world, &user, &[]).await;
        assert_eq!(tokens.text("id_token").split('.').count(), 3, "what was not registered is not encrypted");
        let told = userinfo(&world, tokens.access()).await;
        assert_eq!(told.header("content-type"), Some("application/jwt"));
        assert!(header(&told.body).get("cty").is_none());
        let claims: Value = serde_json::from_str(&key.read(&told.body)).unwrap();
        assert_eq!(claims["sub"], user.sub.as_str());
        assert_eq!(claims["iss"], world.issuer);
    }

    async fn a_code_is_not_used_up_while_there_is_no_key_to_encrypt_to(world: World) {
        let (user, site) = (world.user().await, Site::open().await);
        let (key, other) = (Reader::new(Family::P256), Reader::new(Family::Rsa));
        let jwks_uri = site.put("/jwks", "application/json", other.jwks().to_string());
        let app = world.app_with(json!({
            "jwks_uri": jwks_uri,
            "id_token_encrypted_response_alg": "ECDH-ES", "id_token_encrypted_response_enc": "A128GCM",
        })).await;
        let code = app.code(&world, &user, &[]).await;
        for _ in 0..2 {
            let refused = app.redeem(&world, &code).await;
            refused.assert_refusal(400, "invalid_request");
            let text = refused.json()["error_description"].as_str().unwrap().to_owned();
            assert!(text.contains("ECDH-ES") && text.contains("jwks_uri"), "{text}");
        }
        // Plain OAuth has no ID token, and needs none.
        let plain = app.grant(&world, &user, &[("scope", "profile")]).await;
        assert!(plain.body.get("id_token").is_none());

        site.put("/jwks", "application/json", key.jwks().to_string());
        let redeemed = app.redeem(&world, &code).await;
        assert_eq!(redeemed.status, 200, "{}", redeemed.body);
        key.read(redeemed.json()["id_token"].as_str().unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_cannot_be_encrypted_is_told_to_the_app() {
    let own = Own {
        response_types: Some(ResponseTypes::All),
        ..Own::default()
    };
    let world = World::sqlite_with(own).await;
    let (user, site, key) = (world.user().await, Site::open().await, Reader::new(Family::P256));
    let jwks_uri = site.put("/jwks", "application/json", json!({ "keys": [] }).to_string());
    let app = world
        .app_with(json!({
            "grant_types": ["authorization_code", "implicit"], "response_types": ResponseType::ALL,
            "jwks_uri": jwks_uri,
            "id_token_encrypted_response_alg": "ECDH-ES", "id_token_encrypted_response_enc": "A128GCM",
        }))
        .await;
    let url = app.url(&[("response_type", "code id_token")]);
    let refused = world.visitor().authorize(&url, user.email.shown()).await;
    let sent = refused.sent().expect("an answer to the app").params;
    assert!(
        sent.contains(&("error".to_owned(), "invalid_request".to_owned())),
        "{sent:?}"
    );
    assert!(sent.iter().all(|(name, _)| name != "code"), "{sent:?}");

    site.put("/jwks", "application/json", key.jwks().to_string());
    let sent = answered(ResponseType::CodeIdToken, &app, &user, &world).await;
    let id_token = sent
        .iter()
        .find(|(name, _)| name == "id_token")
        .expect("an ID token");
    verified(&key.read(&id_token.1), &app, &world).await;
}
