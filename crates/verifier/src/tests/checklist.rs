//! The lines of the security checklist that concern a resource server, through its whole path.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jose::SigningKey;
use protocol::SigningAlg;

use super::*;
use crate::{Algorithm, Refused};

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key with which any header can be signed.
pub(super) struct RawKey(EcdsaKeyPair);

impl RawKey {
    /// Published by the issuer under this name.
    pub(super) fn of(issuer: &Issuer, kid: &str) -> Self {
        let key = Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());
        issuer.odd_keys.lock().unwrap().push(key.jwk(kid));
        key
    }

    fn jwk(&self, kid: &str) -> Value {
        let point = self.0.public_key().as_ref();
        json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": kid,
            "x": b64(&point[1..33]), "y": b64(&point[33..]),
        })
    }

    pub(super) fn sign(&self, header: &str, payload: &str) -> String {
        let message = format!("{}.{}", b64(header), b64(payload));
        let signature = self.0.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", b64(signature))
    }
}

fn payload(issuer: &Issuer) -> String {
    let token = issuer.token(&json!({}));
    let payload = token.split('.').nth(1).unwrap();
    String::from_utf8(URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

const HEADER: &str = r#"{"alg":"ES256","kid":"raw","typ":"at+jwt"}"#;

#[tokio::test]
async fn c038_refusals_are_stored_nowhere() {
    let issuer = Issuer::start().await;
    let api = api(issuer.verifier());
    for authorization in [&[] as &[&str], &["Bearer"], &["Bearer x"]] {
        let (_, headers) = send(&api, "/reports", authorization).await;
        assert_eq!(headers["cache-control"], "no-store");
    }
}

#[tokio::test]
async fn c039_the_algorithm_is_the_keys_and_the_authors_never_the_tokens() {
    let issuer = Issuer::start().await;
    let raw = RawKey::of(&issuer, "raw");
    let others = [SigningAlg::Rs256, SigningAlg::Ps256, SigningAlg::EdDsa];
    let others = others.map(|alg| SigningKey::generate(alg).unwrap());
    issuer.keys.lock().unwrap().extend(others);
    let verifier = issuer.verifier();
    let payload = payload(&issuer);
    assert!(verifier.verify(&raw.sign(HEADER, &payload)).await.is_ok());

    // Every name of an algorithm over every key of the issuer, signed by the one key that can sign anything.
    let mut kids: Vec<String> = issuer
        .keys
        .lock()
        .unwrap()
        .iter()
        .map(|key| key.kid().to_owned())
        .collect();
    kids.push("raw".to_owned());
    for alg in [
        "none",
        "None",
        "HS256",
        "HS384",
        "RS256",
        "PS256",
        "EdDSA",
        "Ed25519",
        "RS1",
        "ES384",
        "ES256K",
        "RSA1_5",
        "PBES2-HS256+A128KW",
        "dir",
        "es256",
        "ES256 ",
        "",
    ] {
        for kid in &kids {
            let header = json!({ "alg": alg, "kid": kid, "typ": "at+jwt" }).to_string();
            for token in [
                raw.sign(&header, &payload),
                format!("{}.{}.", b64(&header), b64(&payload)),
            ] {
                assert!(
                    matches!(verifier.verify(&token).await, Err(Error::Refused(_))),
                    "{header}"
                );
            }
        }
    }
    // The public key as a shared secret, in the forms that libraries have taken.
    let jwk = raw.jwk("raw").to_string();
    let header = json!({ "alg": "HS256", "kid": "raw", "typ": "at+jwt" }).to_string();
    let message = format!("{}.{}", b64(&header), b64(&payload));
    for secret in [raw.0.public_key().as_ref(), jwk.as_bytes(), b""] {
        let code = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
        let verdict = verifier.verify(&format!("{message}.{}", b64(code))).await;
        assert!(matches!(verdict, Err(Error::Refused(Refused::Algorithm))));
    }
}

#[tokio::test]
async fn c039_an_author_may_take_fewer_algorithms() {
    let issuer = Issuer::start().await;
    let token = issuer.token(&json!({}));
    let only = |alg| issuer.builder().algorithms([alg]).build().unwrap();
    assert!(only(Algorithm::Es256).verify(&token).await.is_ok());
    for alg in [Algorithm::Rs256, Algorithm::Ps256, Algorithm::EdDsa] {
        let verdict = only(alg).verify(&token).await;
        assert!(matches!(verdict, Err(Error::Refused(Refused::Algorithm))));
    }
}

#[tokio::test]
async fn c040_keys_and_addresses_in_a_header_are_passed_over_and_odd_kids_cause_nothing() {
    let issuer = Issuer::start().await;
    let raw = RawKey::of(&issuer, "raw");
    let stranger = RawKey(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());
    let verifier = issuer.verifier();
    let payload = payload(&issuer);
    assert!(verifier.verify(&raw.sign(HEADER, &payload)).await.is_ok());

    let elsewhere = format!("{}/elsewhere", issuer.url.trim_end_matches("/tenant"));
    for member in [
        json!({ "jwk": stranger.jwk("raw") }),
        json!({ "jku": elsewhere }),
        json!({ "x5u": elsewhere }),
        json!({ "x5c": ["AAAA"] }),
    ] {
        let mut header: Value = serde_json::from_str(HEADER).unwrap();
        header
            .as_object_mut()
            .unwrap()
            .extend(member.as_object().unwrap().clone());
        // They neither help a stranger nor harm who is none.
        let token = stranger.sign(&header.to_string(), &payload);
        assert!(matches!(
            verifier.verify(&token).await,
            Err(Error::Refused(Refused::Signature))
        ));
        assert!(
            verifier
                .verify(&raw.sign(&header.to_string(), &payload))
                .await
                .is_ok()
        );
    }
    for kid in [
        "../../etc/passwd".to_owned(),
        "' OR 1=1 --".to_owned(),
        elsewhere,
        "x".repeat(10_000),
        "\u{0}".to_owned(),
        String::new(),
    ] {
        let header = json!({ "alg": "ES256", "kid": kid, "typ": "at+jwt" }).to_string();
        assert!(matches!(
            verifier.verify(&stranger.sign(&header, &payload)).await,
            Err(Error::Refused(_))
        ));
    }
    assert_eq!(issuer.revocations.elsewhere.load(Ordering::SeqCst), 0);
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn c040_a_token_that_does_not_name_its_key_is_refused() {
    let issuer = Issuer::start().await;
    let raw = RawKey::of(&issuer, "raw");
    let payload = payload(&issuer);
    // The only key there is.
    issuer.keys.lock().unwrap().clear();
    let verifier = issuer.verifier();
    assert!(verifier.verify(&raw.sign(HEADER, &payload)).await.is_ok());
    let nameless = raw.sign(r#"{"alg":"ES256","typ":"at+jwt"}"#, &payload);
    assert!(matches!(
        verifier.verify(&nameless).await,
        Err(Error::Refused(Refused::Header("kid")))
    ));
}

#[tokio::test]
async fn c041_what_is_malformed_is_refused() {
    let issuer = Issuer::start().await;
    let raw = RawKey::of(&issuer, "raw");
    let verifier = issuer.verifier();
    let payload = payload(&issuer);
    let good = raw.sign(HEADER, &payload);
    assert!(verifier.verify(&good).await.is_ok());

    let (message, signature) = good.rsplit_once('.').unwrap();
    let mut tokens: Vec<String> = [
        r#"{"alg":"ES256","alg":"ES256","kid":"raw","typ":"at+jwt"}"#,
        r#"{"alg":"ES256","kid":"raw","typ":"at+jwt","crit":["exp"]}"#,
        r#"{"alg":"ES256","kid":"raw","typ":"at+jwt","b64":false,"crit":["b64"]}"#,
        r#"{"alg":"ES256","kid":"raw"}"#,
        r#"{"alg":"ES256","kid":"raw","typ":"JWT"}"#,
        r#"{"alg":"ES256","kid":"raw","typ":"application/text/at+jwt"}"#,
        r#"{"alg":"ES256","kid":7,"typ":"at+jwt"}"#,
        r#"{"alg":["ES256"],"kid":"raw","typ":"at+jwt"}"#,
        r#"{"kid":"raw","typ":"at+jwt"}"#,
        r#"["ES256"]"#,
        "",
        "{",
    ]
    .iter()
    .map(|header| raw.sign(header, &payload))
    .collect();
    for odd in [
        payload.replacen('{', "{\"sub\":\"root\",", 1),
        payload.replacen('{', "{\"new\":1,\"new\":2,", 1),
        format!("{payload}{payload}"),
        format!("[{payload}]"),
        payload.replacen(
            '{',
            &format!("{{\"deep\":{}{},", "[".repeat(99), "]".repeat(99)),
            1,
        ),
        "null".to_owned(),
        String::new(),
    ] {
        tokens.push(raw.sign(HEADER, &odd));
    }
    tokens.extend([
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        message.to_owned(),
        format!("{message}."),
        format!("{good}="),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}\n"),
        good.replace('.', ".."),
        format!("{message}.{}", signature.to_lowercase() + "A"),
        json!({ "payload": b64(&payload), "signatures": [] }).to_string(),
        format!("{message}.{}", "A".repeat(20_000)),
        "é.é.é".to_owned(),
    ]);
    // What ends in bits that nobody reads is another text for the same token.
    let last = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let next = alphabet.chars().nth(alphabet.find(last).unwrap() + 1).unwrap();
    tokens.push(format!("{}{next}", &good[..good.len() - 1]));
    for token in tokens {
        assert!(
            matches!(verifier.verify(&token).await, Err(Error::Refused(_))),
            "{token}"
        );
    }
    assert!(verifier.verify(&good).await.is_ok());
}

#[tokio::test]
async fn c042_what_is_encrypted_is_no_access_token_here() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    let header = b64(r#"{"alg":"RSA-OAEP-256","enc":"A128GCM","zip":"DEF"}"#);
    let verdict = verifier.verify(&format!("{header}.AAAA.AAAA.AAAA.AAAA")).await;
    assert!(matches!(verdict, Err(Error::Refused(Refused::NotCompact))));
}

#[tokio::test]
async fn c043_the_leeway_is_the_authors_within_bounds() {
    let issuer = Issuer::start().await;
    let within = |secs| {
        issuer
            .builder()
            .leeway(Duration::from_secs(secs))
            .build()
            .unwrap()
    };
    let ahead = async |verifier: Verifier, secs: i64| {
        let token = issuer.token(&json!({ "iat": START + secs, "nbf": START + secs }));
        verifier.verify(&token).await.is_ok()
    };
    for (leeway, ahead_by, passes) in [
        (10, 10, true),
        (10, 11, false),
        (30, 30, true),
        (30, 31, false),
        (60, 60, true),
        (60, 61, false),
    ] {
        assert_eq!(
            ahead(within(leeway), ahead_by).await,
            passes,
            "{leeway} {ahead_by}"
        );
    }
    assert!(ahead(issuer.verifier(), 30).await && !ahead(issuer.verifier(), 31).await);
    // What has expired has, whatever the leeway.
    let token = issuer.token(&json!({ "exp": START }));
    assert!(matches!(
        within(60).verify(&token).await,
        Err(Error::Refused(Refused::Expired))
    ));
}

#[tokio::test]
async fn c043_a_token_that_was_seen_expires_like_any_other() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    let token = issuer.token(&json!({ "exp": START + 100 }));
    for _ in 0..3 {
        assert!(verifier.verify(&token).await.is_ok());
    }
    issuer.pass(99);
    assert!(verifier.verify(&token).await.is_ok());
    issuer.pass(1);
    assert!(matches!(
        verifier.verify(&token).await,
        Err(Error::Refused(Refused::Expired))
    ));
}

#[tokio::test]
async fn c044_keys_that_are_private_weak_for_other_uses_or_doubled_vouch_for_nothing() {
    type Bend = fn(&mut Value);
    let bends: [(&str, Bend); 5] = [
        ("private", |jwk| jwk["d"] = "AAAA".into()),
        ("for encryption", |jwk| jwk["use"] = "enc".into()),
        ("for signing", |jwk| jwk["key_ops"] = json!(["sign"])),
        ("for another algorithm", |jwk| jwk["alg"] = "ES384".into()),
        ("off the curve", |jwk| jwk["x"] = jwk["y"].clone()),
    ];
    for (what, bend) in bends {
        let issuer = Issuer::start().await;
        let raw = RawKey::of(&issuer, "raw");
        let token = raw.sign(HEADER, &payload(&issuer));
        assert!(issuer.verifier().verify(&token).await.is_ok());
        bend(&mut issuer.odd_keys.lock().unwrap()[0]);
        assert!(
            matches!(issuer.verifier().verify(&token).await, Err(Error::Refused(_))),
            "{what}"
        );
    }
    let issuer = Issuer::start().await;
    let (one, other) = (RawKey::of(&issuer, "raw"), RawKey::of(&issuer, "raw"));
    for key in [one, other] {
        let verdict = issuer
            .verifier()
            .verify(&key.sign(HEADER, &payload(&issuer)))
            .await;
        assert!(matches!(verdict, Err(Error::Refused(Refused::AmbiguousKey))));
    }
}

#[tokio::test]
async fn c045_twenty_rotations_refuse_nothing_and_cost_a_fetch_each_time_the_keys_are_stale() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    let mut alive = vec![issuer.token(&json!({}))];
    for _ in 0..20 {
        // Published one cache life before it signs, and kept for as long as its tokens live.
        let next = SigningKey::generate(SigningAlg::Es256).unwrap();
        issuer.keys.lock().unwrap().push(next);
        for minute in 0..20 {
            issuer.pass(60);
            if minute == 5 {
                let mut keys = issuer.keys.lock().unwrap();
                let signs = keys.len() - 1;
                keys.swap(0, signs);
                if keys.len() > 3 {
                    keys.remove(1);
                }
            }
            alive.push(issuer.token(&json!({})));
            if alive.len() > 10 {
                alive.remove(0);
            }
            for token in &alive {
                assert!(verifier.verify(token).await.is_ok());
            }
        }
    }
    // Twenty minutes a rotation, five minutes a fetch.
    assert!((80..=81).contains(&issuer.asked()), "{}", issuer.asked());
}
