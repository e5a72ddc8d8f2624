//! What a document has to say, and what is in force after it.

use std::collections::BTreeSet;

use clients::Metadata;
use protocol::{ErrorCode, GrantType, ResponseType};

use super::documents::rsa;
use super::*;

#[test]
fn c057_every_bad_document_is_refused_by_the_member_to_blame() {
    let bad = bad();
    assert!(bad.len() >= 500, "{}", bad.len());
    for (member, document) in bad {
        let error = metadata(&document).expect_err(&document.to_string());
        let code = match member {
            "redirect_uris" | "post_logout_redirect_uris" => ErrorCode::InvalidRedirectUri,
            _ => ErrorCode::InvalidClientMetadata,
        };
        assert_eq!(error.code(), code, "{document}");
        assert!(
            error.description().starts_with(&format!("{member}: ")),
            "{document}: {error}"
        );
        // RFC 6749 §5.2: the characters that error_description may hold.
        let allowed = |b: u8| matches!(b, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E);
        assert!(error.description().bytes().all(allowed), "{error}");
    }
    for document in [json!(null), json!([]), json!("x"), json!(1)] {
        assert_eq!(
            metadata(&document).unwrap_err().code(),
            ErrorCode::InvalidClientMetadata
        );
    }
}

#[test]
fn c044_rsa_keys_of_clients_have_2048_to_8192_bits() {
    // The longest are as costly as it gets, for whoever checks.
    for (times, good) in [(42, false), (85, false), (86, true), (341, true), (342, false)] {
        let document = with(json!({ "jwks": { "keys": [rsa(times)] } }));
        assert_eq!(metadata(&document).is_ok(), good, "{} bits", 24 * times);
    }
}

#[test]
fn a_good_document_is_completed_and_its_unknown_members_ignored() {
    let least = json!({ "redirect_uris": ["https://a.test/cb", "https://a.test/cb"], "client_uri": null, "sector": 7 });
    let effective = metadata(&least).unwrap();
    assert_eq!(
        effective,
        Metadata {
            redirect_uris: effective.redirect_uris.clone(),
            ..Metadata::default()
        }
    );
    assert_eq!(effective.redirect_uris.len(), 1);

    let most = json!({
        "client_name": "Shop",
        "client_name#fr": "Boutique",
        "client_name#ja-Kana-JP": "ミセ",
        "application_type": "native",
        "redirect_uris": ["com.example.app:/cb", "http://127.0.0.1/cb", "http://localhost:3000/cb"],
        "subject_type": "pairwise",
        "sector_identifier_uri": "https://a.test/sector.json",
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "scope": "email openid",
        "client_uri": "https://a.test",
        "logo_uri": "https://a.test/logo.png?v=1#x",
        "policy_uri": "http://a.test/policy",
        "tos_uri": "https://xn--hst-hna.test/tos",
        "backchannel_logout_uri": "https://a.test/ended",
        "backchannel_logout_session_required": true,
        "frontchannel_logout_uri": "http://localhost:3000/out",
        "frontchannel_logout_session_required": true,
        "initiate_login_uri": "https://a.test/start",
        "contacts": ["dev@a.test"],
        "require_pkce": true,
    });
    assert_eq!(serde_json::to_value(metadata(&most).unwrap()).unwrap(), most);

    let keyed = json!({
        "client_name": "Shop",
        "application_type": "web",
        "redirect_uris": ["https://a.test/cb"],
        "subject_type": "public",
        "token_endpoint_auth_method": "private_key_jwt",
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "require_pkce": true,
        "jwks": { "keys": [ec(), { "kty": "of tomorrow" }] },
        "token_endpoint_auth_signing_alg": "ES256",
        "assertion_audience": "compatible",
        "id_token_signed_response_alg": "EdDSA",
        "id_token_encrypted_response_alg": "ECDH-ES",
        "id_token_encrypted_response_enc": "A128GCM",
        "userinfo_signed_response_alg": "PS256",
        "userinfo_encrypted_response_alg": "ECDH-ES+A256KW",
        "userinfo_encrypted_response_enc": "A192GCM",
        "request_object_encryption_alg": "RSA-OAEP-256",
        "request_object_encryption_enc": "A256GCM",
        "request_object_signing_alg": "PS256",
        "request_uris": ["https://a.test/r#digest"],
        "require_signed_request_object": true,
        "require_pushed_authorization_requests": true,
    });
    assert_eq!(serde_json::to_value(metadata(&keyed).unwrap()).unwrap(), keyed);
    let behind = with(json!({
        "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://a.test:8443/jwks?x=1",
    }));
    assert!(metadata(&behind).unwrap().jwks_uri.is_some());

    let twice = with(
        json!({ "grant_types": ["authorization_code", "authorization_code"], "client_name": "Ｓｈｏｐ" }),
    );
    let effective = metadata(&twice).unwrap();
    assert_eq!(effective.grant_types, [GrantType::AuthorizationCode]);
    assert_eq!(effective.client_name.as_deref(), Some("Shop"));
    let machine = json!({ "grant_types": ["client_credentials"], "scope": "a" });
    assert_eq!(metadata(&machine).unwrap().response_types, []);
    let both = with(json!({ "grant_types": ["authorization_code", "client_credentials"] }));
    assert_eq!(metadata(&both).unwrap().response_types, [ResponseType::Code]);
    assert!(
        !metadata(&with(json!({ "require_pkce": false })))
            .unwrap()
            .require_pkce
    );
}

/// Members with a URL that the server asks, and those that it never does.
const FETCHED: [&str; 5] = [
    "jwks_uri",
    "request_uris",
    "sector_identifier_uri",
    "logo_uri",
    "backchannel_logout_uri",
];
const NEVER_FETCHED: [&str; 8] = [
    "redirect_uris",
    "post_logout_redirect_uris",
    "client_uri",
    "policy_uri",
    "tos_uri",
    "frontchannel_logout_uri",
    "initiate_login_uri",
    // A name in certificates.
    "tls_client_auth_san_uri",
];

#[test]
fn c053_every_member_with_a_url_is_known_to_be_fetched_or_not_and_none_leads_into_our_network() {
    let source = include_str!("../../../clients/src/metadata.rs");
    let members: BTreeSet<&str> = source
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("pub ")?.split_once(':'))
        .map(|(name, _)| name)
        .filter(|name| name.ends_with("_uri") || name.ends_with("_uris"))
        .collect();
    assert_eq!(members, FETCHED.into_iter().chain(NEVER_FETCHED).collect());
    for member in FETCHED {
        let with = |url: &str| match member.ends_with('s') {
            true => with(json!({ member: [url] })),
            false => with(json!({ member: url })),
        };
        assert!(metadata(&with("https://a.test:8443/x?y=1")).is_ok(), "{member}");
        for url in [
            "http://a.test/",
            "file:///etc/passwd",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://10.0.0.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://user@a.test/",
        ] {
            let refused = metadata(&with(url)).expect_err(url);
            assert!(
                refused.description().starts_with(member),
                "{}",
                refused.description()
            );
        }
    }
}

#[test]
fn response_types_are_registered_with_their_grant_types_and_spelled_in_one_way() {
    let implicit = with(json!({
        "grant_types": ["implicit"], "response_types": ["token id_token", "id_token", "id_token token"],
    }));
    let effective = metadata(&implicit).unwrap();
    assert_eq!(
        effective.response_types,
        [ResponseType::IdTokenToken, ResponseType::IdToken]
    );
    let hybrid = with(json!({
        "grant_types": ["authorization_code", "implicit"], "response_types": ["token code id_token"],
    }));
    let written = serde_json::to_value(metadata(&hybrid).unwrap()).unwrap();
    assert_eq!(written["response_types"], json!(["code id_token token"]));
    assert_eq!(written["grant_types"], json!(["authorization_code", "implicit"]));
}
