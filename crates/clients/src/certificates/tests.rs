use std::time::SystemTime;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, SanType,
};
use serde_json::json;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(2_000_000_000);

fn at(seconds: i64) -> time::OffsetDateTime {
    let seconds = u64::try_from(NOW.as_secs() + seconds).unwrap();
    (SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).into()
}

/// An authority, and its certificate in PEM.
fn authority() -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (params.not_before, params.not_after) = (at(-1_000), at(10_000));
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), pem)
}

fn params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "GB");
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Example, Inc.");
    params.distinguished_name.push(DnType::CommonName, "app");
    params.subject_alt_names = vec![
        SanType::DnsName("app.example.com".try_into().unwrap()),
        SanType::URI("spiffe://example.com/app".try_into().unwrap()),
        SanType::IpAddress("192.0.2.7".parse().unwrap()),
        SanType::IpAddress("2001:db8::7".parse().unwrap()),
        SanType::Rfc822Name("app@example.com".try_into().unwrap()),
    ];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    (params.not_before, params.not_after) = (at(-100), at(100));
    params
}

fn signed(params: CertificateParams, by: &Issuer<'_, KeyPair>) -> ClientCertificate {
    let key = KeyPair::generate().unwrap();
    ClientCertificate::new(params.signed_by(&key, by).unwrap().der(), Vec::new())
}

fn metadata(member: &str, value: &str) -> Metadata {
    serde_json::from_value(json!({ member: value })).unwrap()
}

const DN: (&str, &str) = ("tls_client_auth_subject_dn", "CN=app,O=Example\\, Inc.,C=GB");

#[test]
fn a_certificate_is_known_by_the_one_name_that_is_registered() {
    let (issuer, pem) = authority();
    let authorities = Authorities::parse(pem.as_bytes()).unwrap();
    let certificate = signed(params(), &issuer);
    for (member, good, bad) in [
        (
            DN.0,
            &[DN.1, "cn = app, o=Example\\2C Inc., c=GB"][..],
            &[
                "CN=app",
                "CN=App,O=Example\\, Inc.,C=GB",
                "C=GB,O=Example\\, Inc.,CN=app",
                "CN=app,O=Example\\, Inc.,C=GB,DC=com",
                "CN=evil,CN=app,O=Example\\, Inc.,C=GB",
            ][..],
        ),
        (
            "tls_client_auth_san_dns",
            &["app.example.com", "APP.example.com"],
            &[
                "example.com",
                "*.example.com",
                "xapp.example.com",
                "app",
                "spiffe://example.com/app",
            ],
        ),
        (
            "tls_client_auth_san_uri",
            &["spiffe://example.com/app"],
            &[
                "spiffe://example.com/",
                "spiffe://example.com/APP",
                "app.example.com",
            ],
        ),
        (
            "tls_client_auth_san_ip",
            &["192.0.2.7", "2001:db8::7", "2001:DB8:0::7"],
            &["192.0.2.8", "::ffff:192.0.2.7", "2001:db8::8"],
        ),
        (
            "tls_client_auth_san_email",
            &["app@example.com"],
            &["App@example.com", "other@example.com"],
        ),
    ] {
        for value in good {
            let verdict = by_authority(&certificate, &metadata(member, value), &authorities, NOW);
            assert_eq!(verdict, Ok(()), "{member} {value}");
        }
        for value in bad {
            let verdict = by_authority(&certificate, &metadata(member, value), &authorities, NOW);
            assert!(verdict.is_err(), "{member} {value}");
        }
    }
}

#[test]
fn c035_chain_dates_and_purpose_are_checked() {
    let ((issuer, pem), (foreign, _)) = (authority(), authority());
    let (authorities, dn) = (Authorities::parse(pem.as_bytes()).unwrap(), metadata(DN.0, DN.1));
    let good = signed(params(), &issuer);
    let verdict = |certificate: &ClientCertificate, now| by_authority(certificate, &dn, &authorities, now);
    assert_eq!(verdict(&good, NOW), Ok(()));
    for offset in [-101, 101] {
        assert!(
            verdict(&good, Timestamp::from_secs(NOW.as_secs() + offset)).is_err(),
            "{offset}"
        );
    }
    assert!(
        verdict(&signed(params(), &foreign), NOW).is_err(),
        "of the same name, by another authority"
    );
    let own = params().self_signed(&KeyPair::generate().unwrap()).unwrap();
    assert!(verdict(&ClientCertificate::new(own.der(), Vec::new()), NOW).is_err());
    let mut server = params();
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    assert!(
        verdict(&signed(server, &issuer), NOW).is_err(),
        "the certificate of a server"
    );
    for der in [
        &b""[..],
        b"x",
        &[good.leaf(), b"x"].concat(),
        &good.leaf()[..good.leaf().len() - 1],
    ] {
        assert!(verdict(&ClientCertificate::new(der, Vec::new()), NOW).is_err());
    }
    assert!(
        by_authority(&good, &dn, &Authorities::default(), NOW).is_err(),
        "no authority"
    );
    assert!(
        by_authority(&good, &Metadata::default(), &authorities, NOW).is_err(),
        "no name"
    );
}

#[test]
fn an_intermediate_authority_comes_along_with_the_certificate() {
    let (issuer, pem) = authority();
    let authorities = Authorities::parse(pem.as_bytes()).unwrap();
    let (mut between, key) = (CertificateParams::default(), KeyPair::generate().unwrap());
    between.distinguished_name.push(DnType::CommonName, "Between");
    between.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    (between.not_before, between.not_after) = (at(-100), at(100));
    let certificate = between.signed_by(&key, &issuer).unwrap();
    let alone = signed(params(), &Issuer::new(between, key));
    let dn = metadata(DN.0, DN.1);
    assert!(by_authority(&alone, &dn, &authorities, NOW).is_err());
    let whole = ClientCertificate::new(alone.leaf(), vec![certificate.der().to_vec()]);
    assert_eq!(by_authority(&whole, &dn, &authorities, NOW), Ok(()));
}

#[test]
fn c035_a_certificate_of_its_own_is_the_registered_one_and_ends_on_its_day() {
    let own = |params: CertificateParams| {
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        ClientCertificate::new(certificate.der(), Vec::new())
    };
    let (registered, other) = (own(params()), own(params()));
    let x5c = base64::engine::general_purpose::STANDARD.encode(registered.leaf());
    let jwks = json!({ "keys": [{ "kty": "EC", "x5c": [x5c] }] });
    let keys = KeySet::of_client(&jwks).unwrap();
    assert_eq!(by_registration(&registered, &keys, NOW), Ok(()));
    assert!(by_registration(&other, &keys, NOW).is_err());
    for offset in [-101, 101] {
        let then = Timestamp::from_secs(NOW.as_secs() + offset);
        assert!(by_registration(&registered, &keys, then).is_err(), "{offset}");
    }
    for jwks in [
        json!({ "keys": [] }),
        json!({ "keys": [{ "kty": "EC" }] }),
        json!({ "keys": [{ "kty": "EC", "x5c": [] }] }),
        json!({ "keys": [{ "kty": "EC", "x5c": ["", 7, x5c] }] }),
    ] {
        let keys = KeySet::of_client(&jwks).unwrap();
        assert!(by_registration(&registered, &keys, NOW).is_err(), "{jwks}");
    }
}

#[test]
fn one_name_and_one_that_means_something() {
    assert_eq!(Name::of(&Metadata::default()), Ok(None));
    for (member, value) in [
        (DN.0, ""),
        (DN.0, "app"),
        ("tls_client_auth_san_dns", ""),
        ("tls_client_auth_san_dns", "a b"),
        ("tls_client_auth_san_uri", "caf\u{e9}"),
        ("tls_client_auth_san_ip", "app.example.com"),
        ("tls_client_auth_san_ip", "192.0.2.0/24"),
        ("tls_client_auth_san_email", ""),
    ] {
        assert_eq!(
            Name::of(&metadata(member, value)).unwrap_err().0,
            member,
            "{value}"
        );
    }
    let two = json!({ DN.0: DN.1, "tls_client_auth_san_ip": "192.0.2.7" });
    let two: Metadata = serde_json::from_value(two).unwrap();
    assert_eq!(Name::of(&two).unwrap_err().0, "tls_client_auth_san_ip");
}

#[test]
fn authorities_are_read_from_pem() {
    let (_, pem) = authority();
    assert!(!Authorities::parse(pem.as_bytes()).unwrap().is_empty());
    for bad in [
        "",
        "x",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        assert!(Authorities::parse(bad.as_bytes()).is_err(), "{bad:?}");
    }
}
