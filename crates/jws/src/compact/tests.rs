use aws_lc_rs::hmac;
use aws_lc_rs::signature::KeyPair as _;
use serde_json::json;

use super::*;
use crate::testing::{KEYS, b64, set, signed};

const EVERY: &[&str] = &["RS256", "PS256", "ES256", "EdDSA"];

/// By a set with the keys of all algorithms, with every algorithm allowed.
fn verdict(token: &str) -> Result<(), Error> {
    let token = Unverified::parse(token)?;
    token.verify(&set(EVERY), Alg::ALL, Typ::JwtOrAbsent).map(drop)
}

fn with_header(alg: &str, header: &Value) -> String {
    signed(alg, &header.to_string(), "{}")
}

#[test]
fn every_algorithm_verifies_what_its_key_signed_and_nothing_else() {
    for alg in EVERY {
        let token = signed(
            alg,
            &json!({ "alg": alg, "kid": alg }).to_string(),
            r#"{"sub":"me"}"#,
        );
        assert_eq!(verdict(&token), Ok(()), "{alg}");

        let (message, signature) = token.rsplit_once('.').unwrap();
        let other = message.replace(&b64(r#"{"sub":"me"}"#), &b64(r#"{"sub":"xx"}"#));
        assert_eq!(
            verdict(&format!("{other}.{signature}")),
            Err(Error::Signature),
            "{alg}"
        );
        for cut in ["", "AA", &signature[..signature.len() / 8 * 4]] {
            assert_eq!(
                verdict(&format!("{message}.{cut}")),
                Err(Error::Signature),
                "{alg}"
            );
        }
        let longer = format!(
            "{message}.{}",
            b64([URL_SAFE_NO_PAD.decode(signature).unwrap(), vec![0]].concat())
        );
        assert_eq!(verdict(&longer), Err(Error::Signature), "{alg}");
    }
}

#[test]
fn claims_are_read_into_the_type_asked_for() {
    #[derive(serde::Deserialize)]
    struct Wanted {
        sub: String,
    }
    let token = Unverified::parse(&signed("ES256", r#"{"alg":"ES256"}"#, r#"{"sub":"me"}"#)).unwrap();
    let keys = set(&["ES256"]);
    let verified = token.verify(&keys, &[Alg::Es256], Typ::JwtOrAbsent).unwrap();
    assert_eq!(verified.claims::<Wanted>().unwrap().sub, "me");
    assert!(matches!(verified.claims::<Vec<String>>(), Err(Error::Claims(_))));
}

#[test]
fn c039_no_algorithm_but_the_keys_own_is_accepted() {
    for signer in EVERY {
        for claimed in EVERY {
            let token = with_header(signer, &json!({ "alg": claimed, "kid": signer }));
            let expected = match *claimed {
                own if own == *signer => Ok(()),
                _ => Err(Error::KeyAlgorithm(signer.parse().unwrap())),
            };
            assert_eq!(verdict(&token), expected, "{signer} as {claimed}");

            // The same token naming the key of the claimed algorithm, or none.
            if claimed != signer {
                for header in [
                    json!({ "alg": claimed, "kid": claimed }),
                    json!({ "alg": claimed }),
                ] {
                    assert_eq!(verdict(&with_header(signer, &header)), Err(Error::Signature));
                }
            }
        }
        for never in [
            "None", "NONE", "", "HS256", "HS384", "HS512", "RS1", "RSA1_5", "rs256", "RS256 ",
        ] {
            let token = with_header(signer, &json!({ "alg": never, "kid": signer }));
            assert_eq!(verdict(&token), Err(Error::Algorithm), "{never}");
        }
        let token = with_header(signer, &json!({ "alg": "none", "kid": signer }));
        assert_eq!(verdict(&token), Err(Error::Unsigned));
    }
}

#[test]
fn c039_none_without_a_signature_is_refused() {
    for (alg, refused) in [("none", Error::Unsigned), ("nOnE", Error::Algorithm)] {
        let token = format!("{}.{}.", b64(json!({ "alg": alg }).to_string()), b64("{}"));
        assert_eq!(verdict(&token), Err(refused));
    }
    let token = format!("{}.{}.", b64("{}"), b64("{}"));
    assert_eq!(verdict(&token), Err(Error::Header("alg")));
}

#[test]
fn c039_a_public_key_is_no_hmac_secret() {
    let jwk = KEYS.jwk("RS256").to_string();
    let secrets = [KEYS.rsa.public_key().as_ref(), KEYS.modulus(), jwk.as_bytes()];
    for secret in secrets {
        let message = format!("{}.{}", b64(r#"{"alg":"HS256","kid":"RS256"}"#), b64("{}"));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
        assert_eq!(verdict(&format!("{message}.{}", b64(tag))), Err(Error::Algorithm));
    }
}

#[test]
fn c039_a_shared_secret_vouches_for_hs256_only_and_only_where_one_is_asked_for() {
    let secret = b"a secret that two parties share, long enough".as_slice();
    let made = |alg: &str, secret: &[u8]| {
        let message = format!(
            "{}.{}",
            b64(json!({ "alg": alg }).to_string()),
            b64(r#"{"sub":"me"}"#)
        );
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
        format!("{message}.{}", b64(tag))
    };
    let by = |token: &str, secrets: &[&[u8]]| {
        let token = Unverified::parse(token)?;
        let verified = token.verify_by_secret(secrets.iter().copied(), Typ::JwtOrAbsent);
        verified.map(drop)
    };
    let token = made("HS256", secret);
    assert_eq!(by(&token, &[b"other", secret]), Ok(()));
    assert_eq!(Unverified::parse(&token).unwrap().claimed("sub"), Some("me"));
    assert_eq!(by(&token, &[b"other"]), Err(Error::Signature));
    assert_eq!(by(&token, &[]), Err(Error::Signature));
    assert_eq!(
        by(&format!("{}AA", &token[..token.len() - 43]), &[secret]),
        Err(Error::Signature)
    );
    for alg in ["HS384", "HS512", "None", "hs256"] {
        assert_eq!(by(&made(alg, secret), &[secret]), Err(Error::Algorithm), "{alg}");
    }
    assert_eq!(by(&made("none", secret), &[secret]), Err(Error::Unsigned));
    // One that a key has signed is not looked at with a secret, whatever the secret is.
    let signed = with_header("ES256", &json!({ "alg": "ES256" }));
    assert_eq!(by(&signed, &[secret]), Err(Error::Algorithm));
    let confused = made("ES256", secret);
    assert_eq!(by(&confused, &[secret]), Err(Error::Algorithm));
    assert_eq!(verdict(&confused), Err(Error::Signature));
}

#[test]
fn c041_a_type_that_came_late_is_admitted_beside_those_before_it_and_no_other() {
    let typ = Typ::IsOrJwtOrAbsent("oauth-authz-req+jwt");
    for (given, passes) in [
        (json!("oauth-authz-req+jwt"), true),
        (json!("application/oauth-authz-req+jwt"), true),
        (json!("JWT"), true),
        (json!(null), true),
        (json!("at+jwt"), false),
        (json!("client-authentication+jwt"), false),
        (json!(""), false),
    ] {
        let header = match given.is_null() {
            true => json!({ "alg": "ES256" }),
            false => json!({ "alg": "ES256", "typ": given }),
        };
        let token = Unverified::parse(&with_header("ES256", &header)).unwrap();
        assert_eq!(
            token.verify(&set(EVERY), Alg::ALL, typ).is_ok(),
            passes,
            "{given}"
        );
    }
}

#[test]
fn c039_an_algorithm_that_the_caller_does_not_allow_is_refused() {
    let token = Unverified::parse(&with_header("RS256", &json!({ "alg": "RS256", "kid": "RS256" }))).unwrap();
    let verdict = token.verify(&set(EVERY), &[Alg::Es256, Alg::Ps256], Typ::JwtOrAbsent);
    assert_eq!(verdict.map(drop), Err(Error::Algorithm));
}

#[test]
fn c040_keys_and_addresses_in_the_header_are_ignored() {
    let keys = set(&["RS256"]);
    for (name, value) in [
        ("jwk", KEYS.jwk("ES256")),
        ("jwk", json!(7)),
        ("jku", json!("https://evil.test/jwks")),
        ("x5u", json!("http://127.0.0.1:1/cert")),
        ("x5c", json!(["MIIB"])),
    ] {
        for (kid, expected) in [
            (json!("ES256"), Error::UnknownKey),
            (json!("RS256"), Error::KeyAlgorithm(Alg::Rs256)),
        ] {
            let token = with_header("ES256", &json!({ "alg": "ES256", "kid": kid, name: value }));
            let token = Unverified::parse(&token).unwrap();
            let verdict = token.verify(&keys, Alg::ALL, Typ::JwtOrAbsent);
            assert_eq!(verdict.map(drop), Err(expected), "{name}");
        }
        let own = with_header("RS256", &json!({ "alg": "RS256", "kid": "RS256", name: value }));
        let verdict = Unverified::parse(&own).unwrap();
        assert!(
            verdict.verify(&keys, Alg::ALL, Typ::JwtOrAbsent).is_ok(),
            "{name}"
        );
    }
}

#[test]
fn c040_a_kid_only_picks_among_the_keys_given() {
    for kid in [
        "../../../etc/passwd",
        "/dev/null",
        "' OR '1'='1",
        "x'; DROP TABLE keys; --",
        "http://evil.test/",
        "ES256\0",
        " ES256",
        "es256",
        "",
    ] {
        let token = with_header("ES256", &json!({ "alg": "ES256", "kid": kid }));
        assert_eq!(verdict(&token), Err(Error::UnknownKey), "{kid}");
    }
    let long = |length| with_header("ES256", &json!({ "alg": "ES256", "kid": "k".repeat(length) }));
    assert_eq!(verdict(&long(128)), Err(Error::UnknownKey));
    assert_eq!(verdict(&long(129)), Err(Error::Header("kid")));
    assert_eq!(verdict(&long(64 * 1024)), Err(Error::TooLong));
    for odd in [json!(7), json!(null), json!(["ES256"]), json!({})] {
        let token = with_header("ES256", &json!({ "alg": "ES256", "kid": odd }));
        assert_eq!(verdict(&token), Err(Error::Header("kid")));
    }
}

#[test]
fn c041_only_strict_compact_json_is_a_token() {
    let (head, body, tail) = (b64(r#"{"alg":"ES256"}"#), b64("{}"), b64([0; 64]));
    for text in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        head.clone(),
        format!("{head}.{body}"),
        format!("{head}.{body}.{tail}.{tail}"),
        format!("{head}.{body}.{tail}.{tail}.{tail}"),
        format!("{head}.{body}.{tail}="),
        format!("{head}=.{body}.{tail}"),
        format!("{head}.e30=.{tail}"),
        format!("{head}.e31.{tail}"),
        format!("{head}.{body}.{tail}\n"),
        format!(" {head}.{body}.{tail}"),
        format!("{head}.{body}.+/{}", &tail[2..]),
        format!("{head}.{body}.A"),
        format!("{head}..{tail}"),
        format!("{head}.{}.{tail}", b64("[]")),
        format!("{head}.{}.{tail}", b64("{}{}")),
        format!("{head}.{}.{tail}", b64("text")),
        format!("{head}.{}.{tail}", b64(r#"{"aud":"a","aud":"b"}"#)),
        format!("{head}.{}.{tail}", b64(r#"{"exp":1e400}"#)),
        format!("{head}.{}.{tail}", b64(b"{\"a\":\"\xc3\x28\"}")),
        format!("{head}.{}.{tail}", b64(format!("{{\"a\":{}", "[".repeat(9000)))),
        format!("{}.{body}.{tail}", b64(r#"{"alg":"ES256","alg":"RS256"}"#)),
        format!("{}.{body}.{tail}", b64(r#"{"alg":"ES256","x":{"y":1,"y":1}}"#)),
        format!("{}.{body}.{tail}", b64(r#"{"alg":["ES256"]}"#)),
        format!("{}.{body}.{tail}", b64(r#"{"alg":"ES256","typ":1}"#)),
        format!("{}.{body}.{tail}", b64("\"ES256\"")),
        format!(r#"{{"payload":"{body}","protected":"{head}","signature":"{tail}"}}"#),
    ] {
        assert!(Unverified::parse(&text).is_err(), "{text}");
    }
    assert!(Unverified::parse(&format!("{head}.{body}.{tail}")).is_ok());
}

#[test]
fn c041_a_token_has_at_most_sixteen_kib() {
    let of = |length: usize| {
        let (head, tail) = (b64(r#"{"alg":"ES256"}"#), b64([0; 64]));
        let claim = "x".repeat((length - head.len() - tail.len() - 2) / 4 * 3 - r#"{"a":""}"#.len());
        format!("{head}.{}.{tail}", b64(format!(r#"{{"a":"{claim}"}}"#)))
    };
    assert!(of(16 * 1024).len() > 16 * 1024 - 4);
    assert!(Unverified::parse(&of(16 * 1024)).is_ok());
    assert_eq!(
        Unverified::parse(&of(16 * 1024 + 4)).map(drop),
        Err(Error::TooLong)
    );
}

#[test]
fn c041_critical_extensions_are_refused() {
    for crit in [
        json!(["b64"]),
        json!(["exp"]),
        json!([]),
        json!("b64"),
        json!(null),
    ] {
        let token = with_header(
            "ES256",
            &json!({ "alg": "ES256", "kid": "ES256", "b64": true, "crit": crit }),
        );
        assert_eq!(verdict(&token), Err(Error::Critical));
    }
}

#[test]
fn c041_a_token_of_another_type_is_refused() {
    let keys = set(&["ES256"]);
    for (typ, access, plain) in [
        (json!("at+jwt"), true, false),
        (json!("AT+JWT"), true, false),
        (json!("application/at+jwt"), true, false),
        (json!("Application/AT+jwt"), true, false),
        (json!("application/x/at+jwt"), false, false),
        (json!("text/at+jwt"), false, false),
        (json!("at+jwt "), false, false),
        (json!("JWT"), false, true),
        (json!("jwt"), false, true),
        (json!("application/jwt"), false, true),
        (json!("logout+jwt"), false, false),
        (json!(""), false, false),
        (json!(null), false, true),
    ] {
        let mut header = json!({ "alg": "ES256", "kid": "ES256" });
        if !typ.is_null() {
            header["typ"] = typ.clone();
        }
        let token = Unverified::parse(&with_header("ES256", &header)).unwrap();
        for (wanted, expected) in [(Typ::Is("at+jwt"), access), (Typ::JwtOrAbsent, plain)] {
            let verdict = token.verify(&keys, Alg::ALL, wanted).map(drop);
            assert_eq!(
                verdict,
                if expected { Ok(()) } else { Err(Error::Typ) },
                "{typ} {wanted:?}"
            );
        }
    }
}

#[test]
fn a_token_does_not_show_itself() {
    let token = signed("ES256", r#"{"alg":"ES256"}"#, r#"{"sub":"canary"}"#);
    let shown = format!("{:?}", Unverified::parse(&token).unwrap());
    assert!(!shown.contains("canary") && !shown.contains(token.rsplit_once('.').unwrap().1));
}

proptest::proptest! {
    #[test]
    fn c041_no_text_makes_it_panic(text: String, header: String, payload in ".{0,60}", signature: Vec<u8>) {
        let _ = verdict(&text);
        let _ = verdict(&format!("{header}.{payload}.{text}"));
        let _ = verdict(&format!("{}.{}.{}", b64(&header), b64(&payload), b64(&signature)));
        let header = json!({ "alg": "ES256", "kid": "ES256", "typ": header });
        let _ = verdict(&format!("{}.{}.{}", b64(header.to_string()), b64("{}"), b64(signature)));
    }
}
