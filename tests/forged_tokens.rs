//! Tokens that are not ours, or not for this place: RFC 8725, RFC 9068 §4, RFC 6750 §3.1. Each forgery stands beside
//! the token that it imitates, made the same way and accepted.

use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use aws_lc_rs::{hmac, signature};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jose::SigningKey;
use protocol::SigningAlg;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::harness::app::{header, payload, post};
use crate::harness::{Answer, World};

on_both_databases! {
    async fn c039_the_algorithm_is_that_of_the_key_and_never_the_tokens_choice(world: World) {
        let genuine = Genuine::of(&world).await;
        for (token, accepted) in [
            (genuine.access(&json!({})), true),
            (genuine.id(&json!({})), false),
        ] {
            assert_eq!(shown(&world, &token).await.status == 200, accepted);
        }
        let jwks = world.visitor().get("/jwks").await.body;
        let keys: Value = serde_json::from_str(&jwks).unwrap();
        for (kind, own) in [
            ("at+jwt", &genuine.es256),
            ("at+jwt", &genuine.rs256),
            ("JWT", &genuine.rs256),
        ] {
            let claims = if kind == "JWT" {
                &genuine.id
            } else {
                &genuine.access
            };
            let head = |alg: &str| json!({ "typ": kind, "alg": alg, "kid": own.kid() });
            let mut forged = Vec::new();
            for none in ["none", "None", "NONE", "nOnE", ""] {
                forged.push(jws(&head(none), claims, |_| Vec::new()));
                forged.push(jws(&head(none), claims, |message| own.sign(message)));
            }
            // What is public must not serve as a secret.
            let jwk = keys["keys"]
                .as_array()
                .unwrap()
                .iter()
                .find(|key| key["kid"] == own.kid())
                .unwrap();
            let der = own.public_der();
            let pem = format!(
                "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
                STANDARD.encode(&der)
            );
            let numbers = ["n", "x"].iter().find_map(|name| jwk[*name].as_str()).unwrap();
            for secret in [
                jwk.to_string().as_bytes(),
                jwks.as_bytes(),
                &der,
                pem.as_bytes(),
                pem.trim().as_bytes(),
                numbers.as_bytes(),
                &URL_SAFE_NO_PAD.decode(numbers).unwrap(),
                own.public_point(),
                b"",
            ] {
                let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
                forged.push(jws(&head("HS256"), claims, |message| {
                    hmac::sign(&secret, message).as_ref().to_vec()
                }));
            }
            // The right key under another name, and other keys under the right name.
            for alg in [
                "RS256",
                "ES256",
                "PS256",
                "ES384",
                "EdDSA",
                "HS256",
                "RSA1_5",
                "PBES2-HS256+A128KW",
                "es256",
                "rs256",
            ] {
                if alg != own.alg() {
                    forged.push(jws(&head(alg), claims, |message| own.sign(message)));
                }
            }
            forged.push(jws(&head("PS256"), claims, |message| {
                genuine.rs256.sign_pss(message)
            }));
            let crossed = if own.alg() == "ES256" {
                &genuine.rs256
            } else {
                &genuine.es256
            };
            forged.push(jws(&head(own.alg()), claims, |message| crossed.sign(message)));
            forged.push(jws(&head(crossed.alg()), claims, |message| crossed.sign(message)));
            for token in &forged {
                match kind {
                    "JWT" => hinted(&world, &genuine, token)
                        .await
                        .assert_error("invalid_request"),
                    _ => shown(&world, token).await.assert_refusal(401, "invalid_token"),
                }
            }
        }
        hinted(&world, &genuine, &genuine.id(&json!({}))).await.code();
        assert_eq!(
            shown(&world, &genuine.rs256.access(&genuine.access)).await.status,
            200
        );
    }

    async fn c040_a_key_that_travels_in_the_token_counts_for_nothing(world: World) {
        let genuine = Genuine::of(&world).await;
        let trap = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks", trap.local_addr().unwrap());
        let foreign = Key::new(&SigningKey::generate(SigningAlg::Es256).unwrap());
        let own = &genuine.es256;
        let injected = [
            ("jwk", foreign.jwk.clone()),
            ("jku", json!(url)),
            ("x5u", json!(url)),
            ("x5c", json!([STANDARD.encode(b"x")])),
            ("x5t", json!("x")),
        ];
        for kid in [own.kid(), foreign.kid()] {
            for (name, value) in &injected {
                let mut head = json!({ "typ": "at+jwt", "alg": "ES256", "kid": kid });
                head[*name] = value.clone();
                let token = jws(&head, &genuine.access, |message| foreign.sign(message));
                shown(&world, &token).await.assert_refusal(401, "invalid_token");
                head["typ"] = json!("JWT");
                let token = jws(&head, &genuine.id, |message| foreign.sign(message));
                hinted(&world, &genuine, &token)
                    .await
                    .assert_error("invalid_request");
            }
        }
        // Beside a signature of ours they are not even read.
        for (name, value) in &injected {
            let mut head = json!({ "typ": "at+jwt", "alg": "ES256", "kid": own.kid() });
            head[*name] = value.clone();
            let token = jws(&head, &genuine.access, |message| own.sign(message));
            assert_eq!(shown(&world, &token).await.status, 200, "{name}");
        }
        let called = tokio::time::timeout(Duration::from_millis(50), trap.accept()).await;
        assert!(called.is_err(), "a URL of a token was fetched");

        for kid in [
            json!("unknown"),
            json!(""),
            json!("../../../../etc/passwd"),
            json!("' OR '1'='1"),
            json!("\u{0}"),
            json!(format!("{} ", own.kid())),
            json!(own.kid().to_lowercase()),
            json!("k".repeat(200)),
            json!("k".repeat(8000)),
            json!("k".repeat(45_000)),
            json!(7),
            json!(null),
            json!([own.kid()]),
            json!({ "kid": own.kid() }),
        ] {
            let head = json!({ "typ": "at+jwt", "alg": "ES256", "kid": kid });
            let token = jws(&head, &genuine.access, |message| own.sign(message));
            shown(&world, &token).await.assert_refusal(401, "invalid_token");
        }
        // Whoever stole a key that is withdrawn by its name would not name it.
        let nameless = json!({ "typ": "at+jwt", "alg": "ES256" });
        let token = jws(&nameless, &genuine.access, |message| own.sign(message));
        shown(&world, &token).await.assert_refusal(401, "invalid_token");
    }

    async fn c041_what_is_not_one_strict_compact_jws_of_the_right_type_is_refused(world: World) {
        let genuine = Genuine::of(&world).await;
        let token = genuine.access(&json!({}));
        let parts: Vec<&str> = token.split('.').collect();
        let [head, body, signature] = parts[..] else {
            panic!("three parts")
        };
        let own = &genuine.es256;
        let signed =
            |head: &str, body: &str| raw(head.as_bytes(), body.as_bytes(), |message| own.sign(message));
        let right = json!({ "typ": "at+jwt", "alg": "ES256", "kid": own.kid() }).to_string();
        let claims = genuine.access.to_string();
        let opened = right.trim_end_matches('}');
        let (mut corpus, long) = (Vec::new(), "x".repeat(16 * 1024));
        corpus.extend([
            "a".to_owned(),
            ".".to_owned(),
            "..".to_owned(),
            "...".to_owned(),
            format!("{head}.{body}"),
            format!("{head}.{body}."),
            format!("{token}."),
            format!(".{token}"),
            format!("{token}.{signature}"),
            format!("{head}..{signature}"),
            format!("{head}=.{body}.{signature}"),
            format!("{head}.{body}=.{signature}"),
            format!("{token}="),
            format!("{token}=="),
            format!(" {token}"),
            format!("{token}\n"),
            format!("{head}.{body} .{signature}"),
            token.replace('-', "+").replace('_', "/") + "+",
            format!("{token}{token}"),
            format!("{token},{token}"),
            json!({ "protected": head, "payload": body, "signature": signature }).to_string(),
            json!({ "payload": body, "signatures": [{ "protected": head, "signature": signature }] })
                .to_string(),
        ]);
        corpus.extend([
            signed(&right, "text"),
            signed(&right, "[]"),
            signed(&right, ""),
            signed("[]", &claims),
            signed("", &claims),
            signed("{}", &claims),
            signed(&format!("{right} x"), &claims),
            signed(&right, &format!("{claims}{claims}")),
            signed(&format!("{opened},\"alg\":\"ES256\"}}"), &claims),
            signed(&format!("{opened},\"typ\":\"JWT\"}}"), &claims),
            signed(
                &right,
                &format!("{},\"sub\":\"x\"}}", claims.trim_end_matches('}')),
            ),
            signed(
                &right,
                &format!("{},\"exp\":9999999999}}", claims.trim_end_matches('}')),
            ),
            signed(&format!("{opened},\"crit\":[\"exp\"],\"exp\":1}}"), &claims),
            signed(&format!("{opened},\"crit\":[]}}"), &claims),
            signed(&format!("{opened},\"crit\":[\"b64\"],\"b64\":false}}"), &claims),
            signed(
                &right,
                &format!("{},\"x\":\"{long}\"}}", claims.trim_end_matches('}')),
            ),
        ]);
        for typ in [
            json!("JWT"),
            json!("logout+jwt"),
            json!("dpop+jwt"),
            json!("at"),
            json!(""),
            json!("at+jwt "),
            json!("x/at+jwt"),
            json!(7),
            json!(["at+jwt"]),
            json!(null),
        ] {
            corpus.push(signed(
                &json!({ "typ": typ, "alg": "ES256", "kid": own.kid() }).to_string(),
                &claims,
            ));
        }
        corpus.push(signed(
            &json!({ "alg": "ES256", "kid": own.kid() }).to_string(),
            &claims,
        ));
        for token in &corpus {
            let answer = shown(&world, token).await;
            assert_eq!(answer.status, 401, "{token:.300}");
            answer.assert_refusal(401, "invalid_token");
        }
        for typ in ["at+jwt", "AT+JWT", "application/at+jwt"] {
            let head = json!({ "typ": typ, "alg": "ES256", "kid": own.kid() }).to_string();
            assert_eq!(shown(&world, &signed(&head, &claims)).await.status, 200, "{typ}");
        }
    }

    async fn c043_every_claim_of_an_access_token_is_needed_and_judged(world: World) {
        let genuine = Genuine::of(&world).await;
        let (now, slash) = (world.now().as_secs(), format!("{}/", world.issuer));
        for name in [
            "iss",
            "sub",
            "aud",
            "exp",
            "iat",
            "jti",
            "client_id",
            "approval",
            "client_generation",
        ] {
            let mut claims = genuine.access.clone();
            claims.as_object_mut().unwrap().remove(name);
            let token = genuine.es256.access(&claims);
            shown(&world, &token).await.assert_refusal(401, "invalid_token");
            shown(&world, &genuine.access(&json!({ name: null })))
                .await
                .assert_refusal(401, "invalid_token");
        }
        for changes in [
            json!({ "iss": "https://evil.test" }),
            json!({ "iss": slash }),
            json!({ "iss": [world.issuer] }),
            json!({ "iss": world.issuer.to_uppercase() }),
            json!({ "aud": "https://api.example.com/" }),
            json!({ "aud": slash }),
            json!({ "aud": [] }),
            json!({ "aud": [world.issuer, 7] }),
            json!({ "aud": { "0": world.issuer } }),
            json!({ "exp": now }),
            json!({ "exp": now - 1 }),
            json!({ "exp": 0 }),
            json!({ "exp": -1 }),
            json!({ "exp": 1e300 }),
            json!({ "exp": i64::MAX }),
            json!({ "exp": u64::MAX }),
            json!({ "exp": "9999999999" }),
            json!({ "exp": [now + 60] }),
            json!({ "exp": true }),
            json!({ "iat": now + 61 }),
            json!({ "iat": i64::MIN }),
            json!({ "iat": -1.5 }),
            json!({ "nbf": now + 61 }),
            json!({ "nbf": "0" }),
            json!({ "nbf": 1e308 }),
            json!({ "sub": 7 }),
            json!({ "sub": "nobody" }),
            json!({ "scope": ["openid"] }),
            json!({ "scope": "open\"id" }),
            json!({ "client_generation": "1" }),
            json!({ "cnf": { "jkt": "x" } }),
            json!({ "cnf": null }),
        ] {
            let answer = shown(&world, &genuine.access(&changes)).await;
            assert_eq!(answer.status, 401, "{changes} {}", answer.body);
            answer.assert_refusal(401, "invalid_token");
        }
        for changes in [
            json!({ "iat": now + 10 }),
            json!({ "nbf": now + 10 }),
            json!({ "exp": now + 1 }),
            json!({ "aud": ["https://a.test", world.issuer] }),
            json!({ "extra": { "deep": [1, 2] } }),
        ] {
            assert_eq!(
                shown(&world, &genuine.access(&changes)).await.status,
                200,
                "{changes}"
            );
        }
        for changes in [
            json!({ "iss": "https://evil.test" }),
            json!({ "iss": slash }),
            json!({ "sub": 7 }),
            json!({ "sub": null }),
        ] {
            let token = genuine.id(&changes);
            hinted(&world, &genuine, &token)
                .await
                .assert_error("invalid_request");
        }
    }
}

/// Userinfo with this token in the form, where any text can stand.
async fn shown(world: &World, token: &str) -> Answer {
    post(world, "/userinfo", &[], &[("access_token", token.to_owned())]).await
}

/// A request whose user this token names.
async fn hinted(world: &World, genuine: &Genuine, token: &str) -> Answer {
    let mut visitor = world.visitor();
    visitor.cookies.clone_from(&genuine.cookies);
    // In the body: a token may be longer than a URL.
    let params = [("id_token_hint", token), ("prompt", "none")];
    let params = crate::harness::app::changed(genuine.app.request(), &params);
    let answer = post(world, "/authorize", &[], &params).await;
    visitor.follow(answer).await
}

/// What was really issued, and the keys that did it.
struct Genuine {
    app: crate::harness::App,
    cookies: std::collections::BTreeMap<String, String>,
    access: Value,
    id: Value,
    es256: Key,
    rs256: Key,
}

impl Genuine {
    async fn of(world: &World) -> Self {
        let (app, user) = (world.app().await, world.user().await);
        let (visitor, tokens) = app.sign_in(world, &user, &[]).await;
        let own = |alg| Key::new(&world.keyring().signer(alg, world.now()).expect("a key"));
        let genuine = Self {
            cookies: visitor.cookies,
            access: payload(tokens.access()),
            id: tokens.id(),
            es256: own(SigningAlg::Es256),
            rs256: own(SigningAlg::Rs256),
            app,
        };
        assert_eq!(header(tokens.access())["kid"], genuine.es256.kid());
        assert_eq!(header(tokens.text("id_token"))["kid"], genuine.rs256.kid());
        genuine
    }

    /// An access token as we make them, with other claims.
    fn access(&self, changes: &Value) -> String {
        self.es256.access(&merged(&self.access, changes))
    }

    fn id(&self, changes: &Value) -> String {
        let head = json!({ "typ": "JWT", "alg": "RS256", "kid": self.rs256.kid() });
        jws(&head, &merged(&self.id, changes), |message| {
            self.rs256.sign(message)
        })
    }
}

fn merged(claims: &Value, changes: &Value) -> Value {
    let mut claims = claims.clone();
    for (name, value) in changes.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    claims
}

/// A private key in the hands of a test.
struct Key {
    jwk: Value,
    pair: Pair,
}

enum Pair {
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
}

impl Key {
    fn new(key: &SigningKey) -> Self {
        let der = key.to_pkcs8().expect("a key that can be stored");
        let pair = match key.alg() {
            SigningAlg::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).map(Pair::Es256)
            }
            SigningAlg::Rs256 => RsaKeyPair::from_pkcs8(&der).map(Pair::Rs256),
            SigningAlg::Ps256 | SigningAlg::EdDsa => panic!("no token of ours has this algorithm here"),
        };
        Self {
            jwk: key.public_jwk(),
            pair: pair.expect("a key"),
        }
    }

    fn kid(&self) -> &str {
        self.jwk["kid"].as_str().expect("a kid")
    }

    fn alg(&self) -> &str {
        self.jwk["alg"].as_str().expect("an alg")
    }

    fn access(&self, claims: &Value) -> String {
        let head = json!({ "typ": "at+jwt", "alg": self.alg(), "kid": self.kid() });
        jws(&head, claims, |message| self.sign(message))
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::Es256(pair) => pair
                .sign(&SystemRandom::new(), message)
                .expect("a signature")
                .as_ref()
                .to_vec(),
            Pair::Rs256(pair) => rsa(pair, &RSA_PKCS1_SHA256, message),
        }
    }

    fn sign_pss(&self, message: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::Rs256(pair) => rsa(pair, &RSA_PSS_SHA256, message),
            Pair::Es256(_) => panic!("no RSA key"),
        }
    }

    fn public_der(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = match &self.pair {
            Pair::Es256(pair) => pair.public_key().as_der().expect("DER"),
            Pair::Rs256(pair) => pair.public_key().as_der().expect("DER"),
        };
        der.as_ref().to_vec()
    }

    fn public_point(&self) -> &[u8] {
        match &self.pair {
            Pair::Es256(pair) => pair.public_key().as_ref(),
            Pair::Rs256(pair) => pair.public_key().as_ref(),
        }
    }
}

fn rsa(pair: &RsaKeyPair, encoding: &'static dyn signature::RsaEncoding, message: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), message, &mut signature)
        .expect("a signature");
    signature
}

fn jws(head: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    raw(head.to_string().as_bytes(), claims.to_string().as_bytes(), sign)
}

fn raw(head: &[u8], claims: &[u8], sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(head),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}
