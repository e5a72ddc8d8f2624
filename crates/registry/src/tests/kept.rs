//! What becomes of a document: records, their secrets, and the answer.

use protocol::{ClientAuthMethod, ErrorCode};

use super::*;

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
