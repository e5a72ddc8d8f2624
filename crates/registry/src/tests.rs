mod documents;

use std::collections::BTreeSet;

use clients::{Metadata, records, secrets};
use db::Database;
use db::testing::both;
use protocol::{ClientAuthMethod, ErrorCode, GrantType, ResponseType};
use serde_json::json;

use super::*;
use documents::{bad, ec, rsa, with};

const NOW: Timestamp = Timestamp::from_secs(1_000);
const LATER: Timestamp = Timestamp::from_secs(2_000);

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
    let source = include_str!("../../clients/src/metadata.rs");
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

/// One key for all tests.
fn vault() -> Vault {
    Vault::new(|_| Some(("1".to_owned(), seal::Key::from_bytes([7; 32]))))
}

#[derive(Clone, Copy)]
enum Act {
    Register,
    Update(&'static str),
    Import,
}

/// One act in a transaction of its own.
async fn act(act: Act, document: Value, db: &Database) -> Result<Registered, Error> {
    let vault = vault();
    db.transact(move |conn| {
        Box::pin(async move {
            match act {
                Act::Register => {
                    register(
                        &document,
                        Trust::Unverified,
                        &vault,
                        &Context::server(),
                        conn,
                        NOW,
                    )
                    .await
                }
                Act::Update(id) => {
                    update(&id.into(), &document, &vault, &Context::server(), conn, LATER).await
                }
                Act::Import => {
                    import(&document, Trust::Trusted, &vault, &Context::server(), conn, LATER).await
                }
            }
        })
    })
    .await
}

async fn stored(db: &Database) -> Vec<Client> {
    records::list(&mut db.reader().await.unwrap()).await.unwrap()
}

async fn secret_ids(id: &str, db: &Database) -> Vec<String> {
    let listed = secrets::list(&id.into(), &mut db.reader().await.unwrap())
        .await
        .unwrap();
    listed.into_iter().map(|own| own.secret_id).collect()
}

async fn admits(id: &str, secret: &str, db: &Database) -> bool {
    let body = format!("client_id={id}&client_secret={secret}");
    let params = protocol::Params::parse(body.as_bytes()).unwrap();
    let credentials = clients::Credentials::from_request(&Default::default(), &params, None).unwrap();
    let mut conn = db.reader().await.unwrap();
    clients::authenticate(&credentials, &mut conn).await.is_ok()
}

#[tokio::test]
async fn c057_no_bad_document_is_stored() {
    both(|db| async move {
        let good = with(json!({ "client_id": "c" }));
        act(Act::Import, good, &db).await.unwrap();
        let before = stored(&db).await;
        for (_, mut document) in bad() {
            assert!(
                act(Act::Register, document.clone(), &db).await.is_err(),
                "{document}"
            );
            assert!(
                act(Act::Update("c"), document.clone(), &db).await.is_err(),
                "{document}"
            );
            document["client_id"] = json!("c");
            assert!(
                act(Act::Import, document.clone(), &db).await.is_err(),
                "{document}"
            );
        }
        assert_eq!(stored(&db).await, before);
    })
    .await;
}

#[tokio::test]
async fn c058_a_registrant_chooses_neither_id_nor_secret_nor_trust() {
    both(|db| async move {
        let wishes = json!({
            "client_id": "admin", "client_secret": "a secret of its own wish", "trust": "trusted",
            "version": 9, "generation": 9, "client_id_issued_at": 1,
        });
        let registered = act(Act::Register, with(wishes), &db).await.unwrap();
        let (client, secret) = (registered.client, registered.secret.unwrap());
        assert_eq!(stored(&db).await, std::slice::from_ref(&client));
        assert_eq!((client.id.as_str().len(), client.trust), (22, Trust::Unverified));
        assert_eq!(
            (client.version, client.generation, client.created_at),
            (1, 1, NOW)
        );
        assert!(secret.expose().starts_with("cs_cs_"));
        assert!(admits(client.id.as_str(), secret.expose(), &db).await);
        assert!(!admits(client.id.as_str(), "a secret of its own wish", &db).await);

        let public = with(json!({ "token_endpoint_auth_method": "none", "client_secret": "ignored here" }));
        assert!(act(Act::Register, public, &db).await.unwrap().secret.is_none());
    })
    .await;
}

#[tokio::test]
async fn an_update_replaces_the_document_and_keeps_the_secrets() {
    both(|db| async move {
        let full = with(json!({ "client_id": "c", "tos_uri": "https://a.test/tos" }));
        act(Act::Import, full, &db).await.unwrap();
        let own = secret_ids("c", &db).await;

        let updated = act(Act::Update("c"), with(json!({ "client_id": "c" })), &db)
            .await
            .unwrap();
        assert!(updated.secret.is_none());
        assert_eq!(
            (updated.client.metadata.tos_uri.as_deref(), updated.client.version),
            (None, 2)
        );
        assert_eq!(secret_ids("c", &db).await, own);

        let public = with(json!({ "token_endpoint_auth_method": "none" }));
        assert!(act(Act::Update("c"), public, &db).await.unwrap().secret.is_none());
        assert!(secret_ids("c", &db).await.is_empty());

        let keyed = json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": { "keys": [ec()] } });
        assert!(
            act(Act::Update("c"), with(keyed.clone()), &db)
                .await
                .unwrap()
                .secret
                .is_none()
        );
        assert!(secret_ids("c", &db).await.is_empty());
        let mut both = with(keyed);
        both["client_id"] = json!("c");
        both["client_secret"] = json!("a secret that it cannot have");
        assert!(act(Act::Import, both, &db).await.is_err());

        let again = act(Act::Update("c"), with(json!({})), &db).await.unwrap();
        assert!(admits("c", again.secret.unwrap().expose(), &db).await);

        assert!(
            act(Act::Update("c"), with(json!({ "client_id": "d" })), &db)
                .await
                .is_err()
        );
        assert!(act(Act::Update("d"), with(json!({})), &db).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_client_that_begins_to_sign_with_its_secret_is_given_one_for_it() {
    both(|db| async move {
        let plain = json!({ "client_id": "c", "client_secret": "made-elsewhere-1" });
        act(Act::Import, with(plain.clone()), &db).await.unwrap();
        for members in [
            json!({ "token_endpoint_auth_method": "client_secret_jwt" }),
            json!({ "id_token_signed_response_alg": "HS256" }),
            json!({ "userinfo_signed_response_alg": "HS256" }),
        ] {
            let updated = act(Act::Update("c"), with(members.clone()), &db).await.unwrap();
            let secret = updated.secret.expect("a new secret");
            assert!(secret.expose().len() >= 64, "{members}");
            let answer = response(&updated.client, Some(&secret));
            assert_eq!(answer["client_secret"], secret.expose());
            // Said once, and kept while nothing changes that it is for.
            let again = act(Act::Update("c"), with(members), &db).await.unwrap();
            assert!(again.secret.is_none());
            act(Act::Update("c"), with(json!({})), &db).await.unwrap();
        }
        let registered = act(
            Act::Register,
            with(json!({ "token_endpoint_auth_method": "client_secret_jwt" })),
            &db,
        );
        assert!(registered.await.unwrap().secret.unwrap().expose().len() >= 64);

        let mut short = with(plain);
        short["token_endpoint_auth_method"] = json!("client_secret_jwt");
        let refused = act(Act::Import, short.clone(), &db).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::InvalidClientMetadata);
        short["client_id"] = json!("d");
        short["client_secret"] = json!("x".repeat(64));
        assert!(act(Act::Import, short, &db).await.unwrap().secret.is_none());
    })
    .await;
}

#[tokio::test]
async fn an_import_can_be_repeated_and_never_makes_a_third_secret() {
    both(|db| async move {
        let file =
            |secret: &str| with(json!({ "client_id": "c", "client_secret": secret, "client_name": "C" }));
        for _ in 0..3 {
            let imported = act(Act::Import, file("made-elsewhere-1"), &db).await.unwrap();
            assert!(imported.secret.is_none());
            assert_eq!(
                (imported.client.version, imported.client.trust),
                (1, Trust::Trusted)
            );
            assert_eq!(secret_ids("c", &db).await.len(), 1);
        }
        act(Act::Import, file("made-elsewhere-2"), &db).await.unwrap();
        for secret in ["made-elsewhere-1", "made-elsewhere-2"] {
            assert!(admits("c", secret, &db).await);
        }
        let mut third = file("made-elsewhere-3");
        third["client_name"] = json!("Other");
        assert!(act(Act::Import, third, &db).await.is_err());
        assert_eq!(secret_ids("c", &db).await.len(), 2);
        assert_eq!(stored(&db).await[0].metadata.client_name.as_deref(), Some("C"));

        let mut silent = file("");
        silent["client_secret"] = Value::Null;
        assert!(act(Act::Import, silent, &db).await.unwrap().secret.is_none());
        assert_eq!(secret_ids("c", &db).await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn an_import_brings_along_only_what_it_may() {
    both(|db| async move {
        let user = db.transact(|conn| {
            Box::pin(async move {
                let insert = "INSERT INTO users (sub, email, email_canonical, email_verified, claims, epoch, \
                    created_at, updated_at) VALUES ('user', 'a@b.test', 'a@b.test', $1, '{}', 1, 0, 0)";
                Ok::<_, db::Error>(db::execute!(conn, sqlx::query(insert).bind(false))?)
            })
        });
        user.await.unwrap();
        for members in [
            json!({ "client_id": "user" }),
            json!({ "client_id": "" }),
            json!({ "client_id": 7 }),
            json!({ "client_id": "a b" }),
            json!({ "client_id": "a:b" }),
            json!({ "client_id": "https://a.test/client" }),
            json!({ "client_id": "a\u{0}" }),
            json!({ "client_id": "x".repeat(256) }),
            json!({ "client_secret": "" }),
            json!({ "client_secret": "too-short" }),
            json!({ "client_secret": 1_234_567_890_123_456_789_u64 }),
            json!({ "client_secret": "x".repeat(257) }),
            json!({ "client_secret": "long enough, but\u{0}" }),
            json!({ "client_secret": "long enough, but public", "token_endpoint_auth_method": "none" }),
        ] {
            let error = act(Act::Import, with(members.clone()), &db)
                .await
                .expect_err(&members.to_string());
            assert_eq!(error.code(), ErrorCode::InvalidClientMetadata, "{members}");
        }
        assert!(stored(&db).await.is_empty());

        let imported = act(Act::Import, with(json!({})), &db).await.unwrap();
        assert!(
            admits(
                imported.client.id.as_str(),
                imported.secret.unwrap().expose(),
                &db
            )
            .await
        );
    })
    .await;
}

#[tokio::test]
async fn what_is_answered_can_be_imported_again() {
    both(|db| async move {
        let first = act(Act::Register, with(json!({ "scope": "openid" })), &db)
            .await
            .unwrap();
        let answer = response(&first.client, first.secret.as_ref());
        let again = act(Act::Import, answer, &db).await.unwrap();
        assert_eq!(again.client, first.client, "nothing was changed");
        assert_eq!(secret_ids(again.client.id.as_str(), &db).await.len(), 1);
    })
    .await;
}

#[test]
fn the_answer_has_the_members_of_rfc_7591() {
    let document = with(json!({
        "token_endpoint_auth_method": "client_secret_post", "scope": "openid",
        "post_logout_redirect_uris": ["https://a.test/bye", "https://a.test/bye"],
    }));
    let client = Client::new("c".into(), Trust::Trusted, metadata(&document).unwrap(), NOW);
    assert_eq!(
        client.metadata.token_endpoint_auth_method,
        ClientAuthMethod::ClientSecretPost
    );
    let mut expected = json!({
        "client_id": "c",
        "client_secret": "s",
        "client_secret_expires_at": 0,
        "client_id_issued_at": 1000,
        "client_name": "Shop",
        "application_type": "web",
        "redirect_uris": ["https://a.test/cb"],
        "post_logout_redirect_uris": ["https://a.test/bye"],
        "subject_type": "public",
        "token_endpoint_auth_method": "client_secret_post",
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "scope": "openid",
        "require_pkce": true,
    });
    assert_eq!(response(&client, Some(&"s".into())), expected);
    for member in ["client_secret", "client_secret_expires_at"] {
        expected.as_object_mut().unwrap().remove(member);
    }
    assert_eq!(response(&client, None), expected);
}
