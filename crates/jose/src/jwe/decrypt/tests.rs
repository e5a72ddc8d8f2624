use josekit::jwe::{ECDH_ES, ECDH_ES_A128KW, ECDH_ES_A256KW, JweHeader, RSA_OAEP_256};
use josekit::jwk::Jwk;
use josekit::jwk::alg::ec::{EcCurve, EcKeyPair};
use josekit::jwk::alg::rsa::RsaKeyPair;
use proptest::prelude::*;

use super::*;

const CLAIMS: &[u8] = br#"{"iss":"c","nonce":"n"}"#;

fn keys() -> Vec<DecryptionKey> {
    let generate = |family: &Family| DecryptionKey::generate(*family).unwrap();
    Family::ALL.iter().map(generate).collect()
}

fn algs(family: Family) -> impl Iterator<Item = (JweAlg, JweEnc)> {
    let algs = JweAlg::ALL.iter().filter(move |alg| Family::of(**alg) == family);
    algs.flat_map(|alg| JweEnc::ALL.iter().map(|enc| (*alg, *enc)))
}

fn encrypted(key: &DecryptionKey, alg: JweAlg, enc: JweEnc) -> String {
    let public = EncryptionKey::from_jwk(&relabelled(key, alg), alg).unwrap();
    public.encrypt(enc, Content::SignedJwt, CLAIMS).unwrap()
}

/// The public key, said to be for this algorithm.
fn relabelled(key: &DecryptionKey, alg: JweAlg) -> Value {
    let mut jwk = key.public_jwk();
    jwk["alg"] = alg.as_str().into();
    jwk
}

fn read(key: &DecryptionKey, token: &str) -> Result<Vec<u8>, Refused> {
    Ok(key.decrypt(&Encrypted::parse(token)?)?.to_vec())
}

fn header(token: &str) -> Value {
    let part = token.split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// The token under another header.
fn with_header(token: &str, header: &Value) -> String {
    let (_, rest) = token.split_once('.').unwrap();
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()))
}

#[test]
fn what_is_encrypted_to_a_published_key_is_read_by_it_and_by_no_other() {
    for (key, other) in keys().iter().zip(keys()) {
        for (alg, enc) in algs(key.family()) {
            let token = encrypted(key, alg, enc);
            assert_eq!(read(key, &token).unwrap(), CLAIMS, "{alg} {enc}");
            assert_eq!(read(&other, &token), Err(Refused::Closed));
            assert_ne!(token, encrypted(key, alg, enc), "nothing is used twice");
            let header = header(&token);
            assert_eq!(header["alg"], alg.as_str());
            assert_eq!(header["enc"], enc.as_str());
            assert_eq!(header["kid"], key.kid());
            assert_eq!(header["cty"], "JWT");
            assert!(!token.contains("nonce"));
        }
    }
}

#[test]
fn an_independent_implementation_reads_what_we_encrypt() {
    let rsa = RsaKeyPair::generate(2048).unwrap();
    let mut jwk = rsa.to_jwk_public_key();
    jwk.set_key_id("r");
    let jwk = Value::Object(jwk.as_ref().clone());
    let ec = EcKeyPair::generate(EcCurve::P256).unwrap();
    let mut ec_jwk = ec.to_jwk_public_key();
    ec_jwk.set_key_id("e");
    let ec_jwk = Value::Object(ec_jwk.as_ref().clone());
    for alg in JweAlg::ALL.iter().copied() {
        let (jwk, private) = match Family::of(alg) {
            Family::Rsa => (&jwk, rsa.to_jwk_private_key()),
            Family::P256 => (&ec_jwk, ec.to_jwk_private_key()),
        };
        let mut jwk = jwk.clone();
        for name in ["alg", "use", "key_ops"] {
            jwk.as_object_mut().unwrap().remove(name);
        }
        let key = EncryptionKey::from_jwk(&jwk, alg).unwrap();
        for enc in JweEnc::ALL.iter().copied() {
            let token = key.encrypt(enc, Content::Claims, CLAIMS).unwrap();
            let (plain, header) = match alg {
                JweAlg::RsaOaep256 => {
                    let reader = RSA_OAEP_256.decrypter_from_jwk(&private).unwrap();
                    josekit::jwe::deserialize_compact(&token, &reader).unwrap()
                }
                JweAlg::EcdhEs => {
                    let reader = ECDH_ES.decrypter_from_jwk(&private).unwrap();
                    josekit::jwe::deserialize_compact(&token, &reader).unwrap()
                }
                JweAlg::EcdhEsA128Kw => {
                    let reader = ECDH_ES_A128KW.decrypter_from_jwk(&private).unwrap();
                    josekit::jwe::deserialize_compact(&token, &reader).unwrap()
                }
                JweAlg::EcdhEsA256Kw => {
                    let reader = ECDH_ES_A256KW.decrypter_from_jwk(&private).unwrap();
                    josekit::jwe::deserialize_compact(&token, &reader).unwrap()
                }
            };
            assert_eq!(plain, CLAIMS, "{alg} {enc}");
            assert_eq!(header.algorithm(), Some(alg.as_str()));
            assert!(header.claim("cty").is_none());
        }
    }
}

#[test]
fn we_read_what_an_independent_implementation_encrypts() {
    for key in keys() {
        for (alg, enc) in algs(key.family()) {
            let jwk = relabelled(&key, alg);
            let jwk = Jwk::from_map(jwk.as_object().unwrap().clone()).unwrap();
            let mut header = JweHeader::new();
            header.set_content_encryption(enc.as_str());
            header.set_agreement_partyuinfo("Alice");
            let token = match alg {
                JweAlg::RsaOaep256 => {
                    let writer = RSA_OAEP_256.encrypter_from_jwk(&jwk).unwrap();
                    josekit::jwe::serialize_compact(CLAIMS, &header, &writer).unwrap()
                }
                JweAlg::EcdhEs => {
                    let writer = ECDH_ES.encrypter_from_jwk(&jwk).unwrap();
                    josekit::jwe::serialize_compact(CLAIMS, &header, &writer).unwrap()
                }
                JweAlg::EcdhEsA128Kw => {
                    let writer = ECDH_ES_A128KW.encrypter_from_jwk(&jwk).unwrap();
                    josekit::jwe::serialize_compact(CLAIMS, &header, &writer).unwrap()
                }
                JweAlg::EcdhEsA256Kw => {
                    let writer = ECDH_ES_A256KW.encrypter_from_jwk(&jwk).unwrap();
                    josekit::jwe::serialize_compact(CLAIMS, &header, &writer).unwrap()
                }
            };
            assert_eq!(read(&key, &token).unwrap(), CLAIMS, "{alg} {enc}");
        }
    }
}

#[test]
fn the_agreement_is_that_of_rfc_7518_appendix_c() {
    let d = URL_SAFE_NO_PAD
        .decode("VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw")
        .unwrap();
    let bob = PrivateKey::from_private_key(&ECDH_P256, &d).unwrap();
    let bob = DecryptionKey::assemble(Family::P256, Some("bob".to_owned()), Pair::P256(bob)).unwrap();
    assert_eq!(
        bob.public_jwk()["x"],
        "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ"
    );
    let derived = Zeroizing::new(URL_SAFE_NO_PAD.decode("VqqN6vgjbSBcIijNcacQGg").unwrap());
    let header = URL_SAFE_NO_PAD.encode(
        json!({
            "alg": "ECDH-ES", "enc": "A128GCM", "apu": "QWxpY2U", "apv": "Qm9i",
            "epk": {
                "kty": "EC", "crv": "P-256",
                "x": "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
                "y": "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps",
            },
        })
        .to_string(),
    );
    let sealed = content::seal(JweEnc::A128Gcm, &derived, &header, CLAIMS).unwrap();
    let token = format!(
        "{header}..{}.{}.{}",
        URL_SAFE_NO_PAD.encode(sealed.nonce),
        URL_SAFE_NO_PAD.encode(sealed.ciphertext),
        URL_SAFE_NO_PAD.encode(sealed.tag)
    );
    assert_eq!(read(&bob, &token).unwrap(), CLAIMS);
}

#[test]
fn the_content_cipher_is_that_of_rfc_7516_appendix_a_1() {
    let cek = Zeroizing::new(vec![
        177, 161, 244, 128, 84, 143, 225, 115, 63, 180, 3, 255, 107, 154, 212, 246, 138, 7, 110, 91, 112, 46,
        34, 105, 47, 130, 203, 46, 122, 234, 64, 252,
    ]);
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let sealed = Sealed {
        nonce: bytes("48V1_ALb6US04U3b").try_into().unwrap(),
        ciphertext: bytes(
            "5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9oMo4vpzs9tX_EFShS8iB7j6jiSdiwkIr3ajwQzaBtQD_A",
        ),
        tag: bytes("XFBoMYUZodetZdvTiFvSkQ"),
    };
    let header = "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ";
    let plain = content::open(JweEnc::A256Gcm, &cek, header, &sealed).unwrap();
    let text = b"The true sign of intelligence is not knowledge but imagination.";
    assert_eq!(plain.as_slice(), text);
}

#[test]
fn the_key_wrap_is_that_of_rfc_3394() {
    // §4.1.
    let by = Zeroizing::new((0..16).collect::<Vec<u8>>());
    let key = Zeroizing::new((0..16).map(|n| n * 0x11).collect::<Vec<u8>>());
    let wrapped = derive::wrap(&by, &key).unwrap();
    let hex: String = wrapped.iter().map(|byte| format!("{byte:02X}")).collect();
    assert_eq!(hex, "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5");
    assert_eq!(derive::unwrap(&by, &wrapped, JweEnc::A128Gcm).unwrap(), key);
    assert!(derive::unwrap(&by, &wrapped, JweEnc::A256Gcm).is_err());
}

#[test]
fn c042_what_is_never_accepted_is_refused_by_its_header_alone() {
    for key in keys() {
        let (alg, enc) = algs(key.family()).next().unwrap();
        let token = encrypted(&key, alg, enc);
        let change = |name: &str, value: Value| {
            let mut header = header(&token);
            header[name] = value;
            read(&key, &with_header(&token, &header)).unwrap_err()
        };
        for zip in [json!("DEF"), json!("none"), json!(null)] {
            assert_eq!(change("zip", zip), Refused::Zip);
        }
        assert_eq!(change("crit", json!(["exp"])), Refused::Critical);
        for name in [
            "RSA1_5",
            "RSA-OAEP",
            "dir",
            "A128KW",
            "A128GCMKW",
            "PBES2-HS256+A128KW",
            "none",
            "RS256",
            "",
        ] {
            assert_eq!(change("alg", json!(name)), Refused::Algorithm, "{name}");
        }
        for name in ["A128CBC-HS256", "A256CBC-HS512", "none", ""] {
            assert_eq!(change("enc", json!(name)), Refused::Algorithm, "{name}");
        }
        assert_eq!(change("alg", json!(7)), Refused::Header("alg"));
        assert_eq!(change("enc", json!(null)), Refused::Header("enc"));
        assert_eq!(change("kid", json!("k".repeat(129))), Refused::Header("kid"));
        assert_eq!(change("kid", json!([])), Refused::Header("kid"));
        // What is authenticated is the header as it came.
        assert_eq!(change("cty", json!("other")), Refused::Closed);
        assert_eq!(change("p2c", json!(1_000_000_000)), Refused::Closed);
    }
}

#[test]
fn c042_a_public_key_in_the_token_has_to_lie_on_the_curve_and_to_be_public() {
    let key = DecryptionKey::generate(Family::P256).unwrap();
    let token = encrypted(&key, JweAlg::EcdhEs, JweEnc::A128Gcm);
    let epk = header(&token)["epk"].clone();
    for (name, value) in [
        ("y", epk["x"].clone()),
        ("x", json!(URL_SAFE_NO_PAD.encode([0; 32]))),
        ("x", json!("")),
        ("x", json!(null)),
        ("crv", json!("P-384")),
        ("crv", json!("X25519")),
        ("kty", json!("OKP")),
        ("d", json!(URL_SAFE_NO_PAD.encode([1; 32]))),
    ] {
        let mut header = header(&token);
        header["epk"][name] = value.clone();
        let refused = read(&key, &with_header(&token, &header)).unwrap_err();
        assert_eq!(refused, Refused::Header("epk"), "{name} {value}");
    }
    for epk in [json!(null), json!("key"), json!([]), json!({})] {
        let mut header = header(&token);
        header["epk"] = epk;
        assert_eq!(
            read(&key, &with_header(&token, &header)),
            Err(Refused::Header("epk"))
        );
    }
    let mut long = header(&token);
    long["apu"] = json!(URL_SAFE_NO_PAD.encode([0; 129]));
    assert_eq!(
        read(&key, &with_header(&token, &long)),
        Err(Refused::Header("apu"))
    );
}

#[test]
fn c042_a_single_altered_character_is_noticed_and_nothing_tells_where() {
    for key in keys() {
        let (alg, enc) = algs(key.family()).last().unwrap();
        let token = encrypted(&key, alg, enc);
        let header_len = token.find('.').unwrap();
        for at in (header_len + 1..token.len()).filter(|at| token.as_bytes()[*at] != b'.') {
            let mut altered = token.clone();
            altered.replace_range(at..=at, if &token[at..=at] == "A" { "B" } else { "A" });
            let refused = read(&key, &altered).unwrap_err();
            // The last character of a part may hold bits that are no octet.
            assert!(
                [Refused::Closed, Refused::NotCompact].contains(&refused),
                "{refused} at {at}"
            );
        }
        let parts: Vec<&str> = token.split('.').collect();
        let [header, wrapped, nonce, ciphertext, tag] = parts.as_slice() else {
            panic!("five parts");
        };
        let longer = URL_SAFE_NO_PAD.encode([7; 8]);
        for altered in [
            format!("{header}..{nonce}.{ciphertext}.{tag}"),
            format!("{header}.{wrapped}{longer}.{nonce}.{ciphertext}.{tag}"),
            format!("{header}.{wrapped}.{nonce}..{tag}"),
        ] {
            // That a key was agreed on shows in the header.
            if altered != token {
                let refused = read(&key, &altered).unwrap_err();
                assert!(
                    [Refused::Closed, Refused::NotCompact].contains(&refused),
                    "{refused}"
                );
            }
        }
        for altered in [
            format!("{header}.{wrapped}.{nonce}.{ciphertext}"),
            format!("{header}.{wrapped}.{nonce}.{ciphertext}.{tag}."),
            format!("{header}.{wrapped}..{ciphertext}.{tag}"),
            format!("{header}.{wrapped}.{nonce}A.{ciphertext}.{tag}"),
            format!("{header}.{wrapped}.{nonce}.{ciphertext}."),
            format!("{header}.{wrapped}.{nonce}.{ciphertext}.{}", &tag[..16]),
            format!("{header}.{wrapped}.{nonce}.{ciphertext}.{tag}="),
        ] {
            assert_eq!(read(&key, &altered), Err(Refused::NotCompact), "{altered}");
        }
        let long = format!("{token}{}", "A".repeat(MAX_LENGTH));
        assert_eq!(read(&key, &long), Err(Refused::TooLong));
    }
}

#[test]
fn c044_a_key_for_another_use_or_algorithm_is_not_encrypted_to() {
    let [rsa, ec] = [Family::Rsa, Family::P256].map(|family| DecryptionKey::generate(family).unwrap());
    for (key, alg) in [(&rsa, JweAlg::RsaOaep256), (&ec, JweAlg::EcdhEs)] {
        assert!(EncryptionKey::from_jwk(&key.public_jwk(), alg).is_some());
        for (name, value) in [
            ("use", json!("sig")),
            ("use", json!(null)),
            ("alg", json!("RS256")),
            ("alg", json!("RSA-OAEP")),
            ("key_ops", json!(["verify"])),
            ("key_ops", json!("encrypt")),
            ("d", json!("AQAB")),
            ("kty", json!("oct")),
            ("n", json!("AQAB")),
            ("x", json!("AQAB")),
        ] {
            let mut jwk = key.public_jwk();
            let own = ["n", "x"].contains(&name) && jwk.get(name).is_none();
            jwk[name] = value;
            assert!(own || EncryptionKey::from_jwk(&jwk, alg).is_none(), "{name}");
        }
        let mut jwk = key.public_jwk();
        jwk["key_ops"] = json!(["wrapKey", "deriveKey"]);
        assert!(EncryptionKey::from_jwk(&jwk, alg).is_some());
    }
    assert!(EncryptionKey::from_jwk(&relabelled(&rsa, JweAlg::EcdhEs), JweAlg::EcdhEs).is_none());
    assert!(EncryptionKey::from_jwk(&relabelled(&ec, JweAlg::RsaOaep256), JweAlg::RsaOaep256).is_none());
}

#[test]
fn of_several_keys_the_one_that_says_most_is_taken_wherever_it_stands() {
    let named = |kid: &str, without: &[&str]| {
        let mut jwk = DecryptionKey::generate(Family::P256).unwrap().public_jwk();
        jwk["kid"] = kid.into();
        jwk["alg"] = "ECDH-ES".into();
        for name in without {
            jwk.as_object_mut().unwrap().remove(*name);
        }
        jwk
    };
    let sig = {
        let mut jwk = named("sig", &["alg"]);
        jwk["use"] = "sig".into();
        jwk
    };
    let (plain, with_use, with_alg, second) = (
        named("plain", &["alg", "use"]),
        named("use", &["alg"]),
        named("alg", &["use"]),
        named("second", &[]),
    );
    let chosen = |keys: &[&Value]| {
        let key = EncryptionKey::choose(&json!({ "keys": keys }), JweAlg::EcdhEs);
        key.and_then(|key| key.kid().map(str::to_owned))
    };
    assert_eq!(chosen(&[&sig]), None);
    assert_eq!(chosen(&[]), None);
    assert_eq!(chosen(&[&sig, &plain]).as_deref(), Some("plain"));
    assert_eq!(chosen(&[&plain, &with_use]).as_deref(), Some("use"));
    assert_eq!(
        chosen(&[&plain, &with_use, &with_alg, &second]).as_deref(),
        Some("alg")
    );
    assert_eq!(chosen(&[&second, &with_alg]).as_deref(), Some("second"));
    assert!(EncryptionKey::choose(&json!({ "keys": {} }), JweAlg::EcdhEs).is_none());
}

#[test]
fn a_stored_key_comes_back_as_the_same_key_and_a_damaged_one_does_not() {
    for key in keys() {
        let der = key.to_pkcs8().unwrap();
        let again = DecryptionKey::from_pkcs8(key.family(), key.kid(), &der).unwrap();
        assert_eq!(again.public_jwk(), key.public_jwk());
        let (alg, enc) = algs(key.family()).next().unwrap();
        assert_eq!(read(&again, &encrypted(&key, alg, enc)).unwrap(), CLAIMS);
        for other in Family::ALL.iter().filter(|other| **other != key.family()) {
            assert!(DecryptionKey::from_pkcs8(*other, "kid", &der).is_err());
        }
        assert!(DecryptionKey::from_pkcs8(key.family(), "kid", &der[..der.len() - 1]).is_err());
        for at in (40..der.len()).step_by(61) {
            let mut damaged = der.clone();
            damaged[at] ^= 1;
            let read = DecryptionKey::from_pkcs8(key.family(), "kid", &damaged);
            assert!(read.is_err(), "{} {at}", key.family());
        }
        let shown = format!("{key:?}");
        assert!(shown.len() < 200, "{shown}");
        let names: Vec<String> = key.public_jwk().as_object().unwrap().keys().cloned().collect();
        assert!(
            !names
                .iter()
                .any(|name| ["d", "p", "q", "dp", "dq", "qi"].contains(&name.as_str()))
        );
    }
}

proptest! {
    #[test]
    fn c042_no_text_makes_the_reader_panic(text in "\\PC{0,200}|[A-Za-z0-9_.-]{0,400}") {
        let _ = Encrypted::parse(&text);
    }

    #[test]
    fn c042_no_header_and_no_parts_make_the_reader_panic(
        alg in "RSA-OAEP-256|ECDH-ES|ECDH-ES\\+A128KW|ECDH-ES\\+A256KW|dir",
        enc in "A128GCM|A192GCM|A256GCM|A128CBC-HS256",
        x in prop::collection::vec(any::<u8>(), 0..40),
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 3),
        nonce in prop::collection::vec(any::<u8>(), 10..14),
    ) {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let header = json!({
            "alg": alg, "enc": enc, "apu": encode(&x),
            "epk": { "kty": "EC", "crv": "P-256", "x": encode(&x), "y": encode(&x) },
        });
        let token = format!(
            "{}.{}.{}.{}.{}",
            encode(header.to_string().as_bytes()), encode(&parts[0]), encode(&nonce), encode(&parts[1]), encode(&parts[2])
        );
        if let Ok(token) = Encrypted::parse(&token) {
            let key = EC.with(Clone::clone);
            prop_assert_eq!(key.decrypt(&token).err(), Some(Refused::Closed));
        }
    }
}

thread_local! {
    static EC: DecryptionKey = DecryptionKey::generate(Family::P256).unwrap();
}
