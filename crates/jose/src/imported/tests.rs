//! Every file here is written by OpenSSL or josekit, which share nothing with the reader.

use josekit::jwk::alg::ec::{EcCurve, EcKeyPair};
use josekit::jwk::alg::ed::{EdCurve, EdKeyPair};
use josekit::jwk::alg::rsa::RsaKeyPair;
use josekit::jwk::{Jwk, KeyPair as _};
use jws::{Alg, KeySet, Typ, Unverified, VerifyingKey};
use serde_json::{Value, json};

use super::*;

fn json_of(jwk: &Jwk) -> Value {
    Value::Object(jwk.as_ref().clone())
}

fn one(file: impl AsRef<[u8]>, alg: Option<SigningAlg>) -> Result<SigningKey, Unusable> {
    let mut keys = read(file.as_ref(), alg)?;
    assert_eq!(keys.len(), 1);
    Ok(keys.remove(0))
}

/// What it signs verifies by what the other library says is its public half.
fn signs_for(key: &SigningKey, public: &Jwk) {
    let mut public = json_of(public);
    public["kid"] = key.kid().into();
    let set: KeySet = [VerifyingKey::from_jwk(&public, Some(Alg::from(key.alg()))).unwrap()]
        .into_iter()
        .collect();
    let token = key.sign("JWT", &json!({})).unwrap();
    let token = Unverified::parse(&token).unwrap();
    token.verify(&set, Alg::ALL, Typ::JwtOrAbsent).unwrap();
}

#[test]
fn what_openssl_writes_of_each_kind_is_read_and_signs() {
    let rsa = RsaKeyPair::generate(2048).unwrap();
    let ec = EcKeyPair::generate(EcCurve::P256).unwrap();
    let ed = EdKeyPair::generate(EdCurve::Ed25519).unwrap();
    let cases = [
        (
            rsa.to_pem_private_key(),
            rsa.to_jwk_public_key(),
            SigningAlg::Rs256,
        ),
        (
            rsa.to_traditional_pem_private_key(),
            rsa.to_jwk_public_key(),
            SigningAlg::Rs256,
        ),
        (ec.to_pem_private_key(), ec.to_jwk_public_key(), SigningAlg::Es256),
        (
            ec.to_traditional_pem_private_key(),
            ec.to_jwk_public_key(),
            SigningAlg::Es256,
        ),
        (ed.to_pem_private_key(), ed.to_jwk_public_key(), SigningAlg::EdDsa),
    ];
    for (pem, public, alg) in &cases {
        for text in [
            String::from_utf8(pem.clone()).unwrap(),
            format!("a comment\n{}\n", String::from_utf8_lossy(pem)).replace('\n', "\r\n"),
        ] {
            let key = one(&text, None).unwrap();
            assert_eq!((key.alg(), key.kid().len()), (*alg, 43));
            signs_for(&key, public);
            assert_eq!(one(&text, Some(*alg)).unwrap().public_jwk(), key.public_jwk());
        }
    }
    let ps256 = one(rsa.to_pem_private_key(), Some(SigningAlg::Ps256)).unwrap();
    assert_eq!(ps256.alg(), SigningAlg::Ps256);
    signs_for(&ps256, &rsa.to_jwk_public_key());

    let all = [
        rsa.to_pem_private_key(),
        ec.to_traditional_pem_private_key(),
        ed.to_pem_private_key(),
    ]
    .concat();
    let algs: Vec<_> = read(&all, None).unwrap().iter().map(SigningKey::alg).collect();
    assert_eq!(algs, [SigningAlg::Rs256, SigningAlg::Es256, SigningAlg::EdDsa]);
}

#[test]
fn a_private_jwk_keeps_its_name_and_a_set_comes_whole() {
    let (rsa, ec) = (
        RsaKeyPair::generate(2048).unwrap(),
        EcKeyPair::generate(EcCurve::P256).unwrap(),
    );
    let ed = EdKeyPair::generate(EdCurve::Ed25519).unwrap();
    let jwks = [rsa.to_jwk_key_pair(), ec.to_jwk_key_pair(), ed.to_jwk_key_pair()];
    let publics = [
        rsa.to_jwk_public_key(),
        ec.to_jwk_public_key(),
        ed.to_jwk_public_key(),
    ];
    let mut set = Vec::new();
    for (at, (jwk, public)) in jwks.iter().zip(&publics).enumerate() {
        let mut jwk = json_of(jwk);
        let nameless = one(jwk.to_string(), None).unwrap();
        assert_eq!(
            crate::thumbprint(&json_of(public)).as_deref(),
            Some(nameless.kid())
        );
        jwk["kid"] = format!("2024/{at}=").into();
        jwk["use"] = "sig".into();
        jwk["alg"] = nameless.alg().as_str().into();
        let key = one(jwk.to_string(), None).unwrap();
        assert_eq!(key.kid(), format!("2024/{at}="));
        signs_for(&key, public);
        set.push(jwk);
    }
    for whole in [json!({ "keys": set }), json!(set)] {
        let keys = read(whole.to_string().as_bytes(), None).unwrap();
        let kids: Vec<_> = keys.iter().map(SigningKey::kid).collect();
        assert_eq!(kids, ["2024/0=", "2024/1=", "2024/2="]);
    }
    // RFC 9864 has its own name for it.
    let mut jwk = json_of(&ed.to_jwk_key_pair());
    jwk["alg"] = "Ed25519".into();
    assert_eq!(one(jwk.to_string(), None).unwrap().alg(), SigningAlg::EdDsa);
    let mut jwk = json_of(&rsa.to_jwk_key_pair());
    jwk["alg"] = "PS256".into();
    assert_eq!(one(jwk.to_string(), None).unwrap().alg(), SigningAlg::Ps256);
}

#[test]
fn c044_weak_foreign_public_and_encrypted_keys_are_refused_with_what_to_change() {
    let refused = |file: Vec<u8>| one(file, None).unwrap_err();
    let weak = RsaKeyPair::generate(1024).unwrap();
    for file in [
        weak.to_pem_private_key(),
        weak.to_traditional_pem_private_key(),
        json_of(&weak.to_jwk_key_pair()).to_string().into_bytes(),
    ] {
        assert_eq!(refused(file), Unusable::Weak(1024));
    }
    let other = EcKeyPair::generate(EcCurve::P384).unwrap();
    for file in [
        other.to_pem_private_key(),
        other.to_traditional_pem_private_key(),
        json_of(&other.to_jwk_key_pair()).to_string().into_bytes(),
    ] {
        assert!(matches!(refused(file), Unusable::Kind(_)));
    }
    let ed448 = EdKeyPair::generate(EdCurve::Ed448).unwrap();
    assert_eq!(
        refused(ed448.to_pem_private_key()),
        Unusable::Kind("1.3.101.113".to_owned())
    );

    let ec = EcKeyPair::generate(EcCurve::P256).unwrap();
    for file in [
        ec.to_pem_public_key(),
        json_of(&ec.to_jwk_public_key()).to_string().into_bytes(),
        b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n".to_vec(),
    ] {
        assert!(matches!(refused(file), Unusable::PublicOnly(_)));
    }
    for encrypted in [
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AA\n\nAA==\n-----END RSA PRIVATE KEY-----\n",
    ] {
        assert_eq!(refused(encrypted.into()), Unusable::Encrypted);
    }
    assert_eq!(
        one(ec.to_pem_private_key(), Some(SigningAlg::Rs256)).unwrap_err(),
        Unusable::Algorithm("P-256", SigningAlg::Rs256)
    );
    for (file, expected) in [
        ("", Unusable::Unknown),
        ("hello", Unusable::Unknown),
        ("[]", Unusable::Empty),
        ("{}", Unusable::Member("kty")),
        ("{\"keys\": 1}", Unusable::Member("keys")),
        ("[1]", Unusable::Unknown),
        (
            "-----BEGIN EC PARAMETERS-----\nAA==\n-----END EC PARAMETERS-----",
            Unusable::Empty,
        ),
        (
            "-----BEGIN PRIVATE KEY-----\n",
            Unusable::Pem("PRIVATE KEY".to_owned()),
        ),
        (
            "-----BEGIN PRIVATE KEY-----\n???\n-----END PRIVATE KEY-----",
            Unusable::Pem("PRIVATE KEY".to_owned()),
        ),
        (
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
            Unusable::Damaged,
        ),
    ] {
        assert_eq!(read(file.as_bytes(), None).err(), Some(expected), "{file}");
    }
    assert_eq!(
        read(&vec![b' '; MAX_LENGTH + 1], None).err(),
        Some(Unusable::TooLong)
    );
}

#[test]
fn a_jwk_that_is_for_something_else_or_has_no_sane_name_is_refused() {
    let ec = EcKeyPair::generate(EcCurve::P256).unwrap();
    let jwk = json_of(&ec.to_jwk_key_pair());
    let with = |name: &str, value: Value| {
        let mut jwk = jwk.clone();
        jwk[name] = value;
        read(jwk.to_string().as_bytes(), None).map(drop)
    };
    assert_eq!(
        with("use", "enc".into()),
        Err(Unusable::Purpose("enc".to_owned()))
    );
    assert_eq!(with("use", 1.into()), Err(Unusable::Member("use")));
    assert!(matches!(
        with("key_ops", json!(["deriveKey"])),
        Err(Unusable::Purpose(_))
    ));
    assert_eq!(with("key_ops", json!(["sign"])), Ok(()));
    for alg in ["ES384", "ECDH-ES", "RS256", "none"] {
        assert!(with("alg", alg.into()).is_err(), "{alg}");
    }
    for kid in [
        "".to_owned(),
        "a b".to_owned(),
        "a\u{1b}[2J".to_owned(),
        "ä".to_owned(),
        "../../x\0".to_owned(),
        "k".repeat(129),
    ] {
        assert!(
            matches!(with("kid", kid.as_str().into()), Err(Unusable::Kid(_))),
            "{kid:?}"
        );
    }
    assert_eq!(with("kid", 1.into()), Err(Unusable::Member("kid")));
    assert_eq!(with("kid", "k".repeat(128).into()), Ok(()));
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let [one_key, other] = [0; 2].map(|_| json_of(&RsaKeyPair::generate(2048).unwrap().to_jwk_key_pair()));
    for member in ["n", "e", "d", "p", "q", "dp", "dq", "qi"] {
        let mut mixed = one_key.clone();
        mixed[member] = match member {
            "e" => "Aw".into(),
            _ => other[member].clone(),
        };
        assert!(read(mixed.to_string().as_bytes(), None).is_err(), "{member}");
        mixed.as_object_mut().unwrap().remove(member);
        assert!(
            read(mixed.to_string().as_bytes(), None).is_err(),
            "without {member}"
        );
    }
    let [one_key, other] =
        [0; 2].map(|_| json_of(&EcKeyPair::generate(EcCurve::P256).unwrap().to_jwk_key_pair()));
    for member in ["x", "y", "d"] {
        let mut mixed = one_key.clone();
        mixed[member] = other[member].clone();
        assert!(read(mixed.to_string().as_bytes(), None).is_err(), "{member}");
    }
    let [one_key, other] =
        [0; 2].map(|_| json_of(&EdKeyPair::generate(EdCurve::Ed25519).unwrap().to_jwk_key_pair()));
    for member in ["x", "d"] {
        let mut mixed = one_key.clone();
        mixed[member] = other[member].clone();
        assert!(read(mixed.to_string().as_bytes(), None).is_err(), "{member}");
    }
}

#[test]
fn no_file_makes_it_panic() {
    let ec = EcKeyPair::generate(EcCurve::P256).unwrap();
    let der = ec.to_der_private_key();
    for at in 0..der.len() {
        let _ = Raw::pkcs8(&der[..at]);
        let _ = Raw::p256(&der[..at]);
        let _ = Raw::rsa(&der[..at]);
        for value in [0, 1, 0x7f, 0x80, 0x84, 0xff] {
            let mut altered = der.clone();
            altered[at] = value;
            let _ = Raw::pkcs8(&altered);
            let _ = Raw::rsa(&altered);
        }
    }
}
