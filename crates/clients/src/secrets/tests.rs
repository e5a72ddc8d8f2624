use std::time::Duration;

use db::testing::both;
use protocol::{ClientAuthMethod, ErrorCode};

use super::*;
use crate::{Metadata, Trust};

const NOW: Timestamp = Timestamp::from_secs(1_000);

/// Client `a` with a secret, and the public client `p`.
async fn prepare(conn: &mut Conn) -> Result<Added, Error> {
    let public = Metadata {
        token_endpoint_auth_method: ClientAuthMethod::None,
        ..Metadata::default()
    };
    for (id, metadata) in [("a", Metadata::default()), ("p", public)] {
        records::insert(
            &Client::new(id.into(), Trust::Trusted, metadata, NOW),
            &Context::server(),
            conn,
        )
        .await?;
    }
    add(&"a".into(), &Vault::closed(), &Context::server(), conn, NOW).await
}

fn refused<T>(outcome: Result<T, Error>) -> bool {
    outcome.is_err_and(|error| error.code() == ErrorCode::InvalidRequest)
}

#[tokio::test]
async fn a_client_has_one_or_two_secrets() {
    both(|db| async move {
        let work = db.transact(|conn| {
            Box::pin(async move {
                let a = ClientId::from("a");
                let first = prepare(conn).await?;
                assert!(refused(
                    delete(&a, &first.stored.secret_id, &Context::server(), conn, NOW).await
                ));

                let second = add(
                    &a,
                    &Vault::closed(),
                    &Context::server(),
                    conn,
                    Timestamp::from_secs(1_001),
                )
                .await?;
                assert!(refused(
                    add(&a, &Vault::closed(), &Context::server(), conn, NOW).await
                ));
                assert_eq!(
                    list(&a, conn).await?,
                    [first.stored.clone(), second.stored.clone()]
                );

                assert!(refused(delete(&a, "none", &Context::server(), conn, NOW).await));
                delete(&a, &first.stored.secret_id, &Context::server(), conn, NOW).await?;
                assert_eq!(list(&a, conn).await?, std::slice::from_ref(&second.stored));
                assert!(refused(
                    delete(&a, &first.stored.secret_id, &Context::server(), conn, NOW).await
                ));

                for other in ["p", "none"] {
                    assert!(
                        refused(add(&other.into(), &Vault::closed(), &Context::server(), conn, NOW).await),
                        "{other}"
                    );
                    assert!(refused(
                        delete(
                            &other.into(),
                            &second.stored.secret_id,
                            &Context::server(),
                            conn,
                            NOW
                        )
                        .await
                    ));
                }
                delete_all(&a, &Context::server(), conn, NOW).await?;
                assert_eq!(list(&a, conn).await?, []);
                Ok::<_, Error>(())
            })
        });
        work.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_secret_made_elsewhere_is_taken_once() {
    both(|db| async move {
        let work = db.transact(|conn| {
            Box::pin(async move {
                let a = ClientId::from("a");
                prepare(conn).await?;
                let own = Secret::from("made elsewhere, long enough");
                adopt(&a, &own, &Vault::closed(), &Context::server(), conn, NOW).await?;
                adopt(&a, &own, &Vault::closed(), &Context::server(), conn, NOW).await?;
                let hints: Vec<_> = list(&a, conn).await?.into_iter().map(|own| own.hint).collect();
                assert_eq!(hints.len(), 2);
                assert!(hints.contains(&"ough".to_owned()));
                assert!(refused(
                    adopt(
                        &a,
                        &"a third one, also long".into(),
                        &Vault::closed(),
                        &Context::server(),
                        conn,
                        NOW
                    )
                    .await
                ));
                assert!(refused(
                    adopt(&"p".into(), &own, &Vault::closed(), &Context::server(), conn, NOW).await
                ));
                for bad in [
                    "",
                    "fifteen chars..",
                    "tab\tin a long secret",
                    "ünicode in a long secret",
                ] {
                    let error = adopt(&a, &bad.into(), &Vault::closed(), &Context::server(), conn, NOW)
                        .await
                        .unwrap_err();
                    assert_eq!(error.code(), ErrorCode::InvalidClientMetadata, "{bad}");
                }
                assert!(
                    adopt(
                        &a,
                        &Secret::new("x".repeat(257)),
                        &Vault::closed(),
                        &Context::server(),
                        conn,
                        NOW
                    )
                    .await
                    .is_err()
                );
                Ok::<_, Error>(())
            })
        });
        work.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn c048_of_a_secret_only_digest_and_hint_are_stored() {
    both(|db| async move {
        let added = db
            .transact(|conn| Box::pin(async move { prepare(conn).await }))
            .await
            .unwrap();
        let mut conn = db.reader().await.unwrap();
        let row = TABLE.rows("a", &mut conn).await.unwrap().remove(0);
        let secret = added.secret.expose();
        assert_eq!(row.digest, seal::digest(secret));
        assert!(secret.ends_with(&row.hint) && row.hint.len() == 4);
        assert!(!format!("{added:?}").contains(secret));
    })
    .await;
}

#[tokio::test]
async fn one_who_adds_waits_for_another_and_counts_its_secret() {
    both(|db| async move {
        let made = db.transact(|conn| Box::pin(async move { prepare(conn).await }));
        made.await.unwrap();
        let (added, wait) = tokio::sync::oneshot::channel();
        let other = db.clone();
        let slow = tokio::spawn(async move {
            let work = other.transact(|conn| {
                Box::pin(async move {
                    add(&"a".into(), &Vault::closed(), &Context::server(), conn, NOW).await?;
                    added.send(()).unwrap();
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    Ok::<_, Error>(())
                })
            });
            work.await
        });
        wait.await.unwrap();
        let third = db.transact(|conn| {
            Box::pin(async move { add(&"a".into(), &Vault::closed(), &Context::server(), conn, NOW).await })
        });
        assert!(refused(third.await));
        slow.await.unwrap().unwrap();
    })
    .await;
}

fn vault() -> Vault {
    Vault::new(|_| Some(("1".to_owned(), seal::Key::from_bytes([7; 32]))))
}

fn signing(method: ClientAuthMethod) -> Metadata {
    Metadata {
        token_endpoint_auth_method: method,
        id_token_signed_response_alg: match method {
            ClientAuthMethod::ClientSecretJwt => protocol::ClientAlg::Rs256,
            _ => protocol::ClientAlg::Hs256,
        },
        ..Metadata::default()
    }
}

#[tokio::test]
async fn c047_c048_a_secret_that_signs_is_kept_sealed_and_every_other_one_is_not() {
    both(|db| async move {
        let work = db.transact(|conn| {
            Box::pin(async move {
                let (a, by) = (ClientId::from("a"), Context::server());
                prepare(conn).await?;
                assert_eq!(sealed(&a, conn).await?, []);
                for method in [
                    ClientAuthMethod::ClientSecretJwt,
                    ClientAuthMethod::ClientSecretPost,
                ] {
                    records::update(&a, signing(method), &by, conn, NOW).await?;
                    let added = add(&a, &vault(), &by, conn, NOW).await?;
                    let text = added.secret.expose();
                    assert!(text.len() >= 64 && opaque::decode(Kind::ClientSecret, text).is_some());
                    let kept = sealed(&a, conn).await?;
                    assert_eq!(vault().open_all(&kept), std::slice::from_ref(&added.secret));
                    assert!(!format!("{kept:?}").contains(text));
                    assert_eq!(all_sealed(conn).await?, [("a".to_owned(), kept[0].clone())]);
                    // The last one that can be read stays, although another one is there.
                    assert!(refused(delete(&a, &added.stored.secret_id, &by, conn, NOW).await));

                    records::update(&a, Metadata::default(), &by, conn, NOW).await?;
                    forget_sealed(&a, conn).await?;
                    assert_eq!(sealed(&a, conn).await?, []);
                    assert!(is_active(&a, &added.secret, conn).await?, "its digest is kept");
                    delete(&a, &added.stored.secret_id, &by, conn, NOW).await?;
                }
                records::update(&a, signing(ClientAuthMethod::ClientSecretJwt), &by, conn, NOW).await?;
                assert!(add(&a, &Vault::closed(), &by, conn, NOW).await.is_err());
                Ok::<_, Error>(())
            })
        });
        work.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_client_that_begins_to_sign_gets_a_secret_for_it_once() {
    both(|db| async move {
        let work = db.transact(|conn| {
            Box::pin(async move {
                let (a, by) = (ClientId::from("a"), Context::server());
                let first = prepare(conn).await?;
                add(&a, &vault(), &by, conn, Timestamp::from_secs(1_001)).await?;

                // It still sends its secrets: the newer one works on.
                let metadata = signing(ClientAuthMethod::ClientSecretBasic);
                let client = records::update(&a, metadata, &by, conn, NOW).await?.unwrap();
                let made = ensure_readable(&client, &vault(), &by, conn, NOW).await?.unwrap();
                assert!(!is_active(&a, &first.secret, conn).await?);
                assert_eq!(list(&a, conn).await?.len(), 2);
                assert_eq!(vault().open_all(&sealed(&a, conn).await?), [made]);
                assert_eq!(ensure_readable(&client, &vault(), &by, conn, NOW).await?, None);

                // It sends none any more: what cannot be read goes.
                forget_sealed(&a, conn).await?;
                let metadata = signing(ClientAuthMethod::ClientSecretJwt);
                let client = records::update(&a, metadata, &by, conn, NOW).await?.unwrap();
                let made = ensure_readable(&client, &vault(), &by, conn, NOW).await?.unwrap();
                assert_eq!(list(&a, conn).await?.len(), 1);
                assert_eq!(vault().open_all(&sealed(&a, conn).await?), [made]);

                for (text, good) in [("x".repeat(63), false), ("x".repeat(64), true)] {
                    let adopted = adopt(&a, &Secret::new(text), &vault(), &by, conn, NOW).await;
                    assert_eq!(adopted.is_ok(), good);
                }
                assert_eq!(sealed(&a, conn).await?.len(), 2);
                Ok::<_, Error>(())
            })
        });
        work.await.unwrap();
    })
    .await;
}
