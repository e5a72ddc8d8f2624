//! The secrets of confidential clients: RFC 6749 §2.3.1. Digests are stored, and the secret itself, sealed, only where
//! something is signed by it: then a database without its keys still tells nobody anything.
//!
//! Two may be active at once, so that a client can change its secret without a moment in which neither the
//! old nor the new one works.

pub(crate) mod stored;

use db::{Conn, execute, run};
use events::{Context, Event};
use protocol::opaque::{self, Kind};
use protocol::{ClientId, Error, Secret, Timestamp};

use crate::{Client, Sealed, Vault, records};
use stored::{Table, table};

pub use stored::{Added, MAX_ACTIVE, Stored};

const TABLE: Table = table!("client_secrets", "client_id");

/// Gives the client a new random secret. Expects a connection inside a transaction.
///
/// # Errors
/// `invalid_request` when there is no such client, when it is public, or when two are active already.
pub async fn add(
    client_id: &ClientId,
    vault: &Vault,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<Added, Error> {
    let client = confidential(client_id, conn).await?;
    let secret = match client.metadata.needs_readable_secret() {
        true => opaque::random_long(Kind::ClientSecret),
        false => opaque::random(Kind::ClientSecret),
    };
    let active = TABLE.rows(client.id.as_str(), conn).await?;
    let stored = store((&client, &secret), &active, vault, by, conn, now).await?;
    Ok(Added { stored, secret })
}

/// Gives a client that needs one a secret that can be read again, unless it has one. The oldest of two that cannot
/// be read makes room: by then its owner is about to give it up. Expects a connection inside a transaction.
///
/// # Errors
/// As [`add`].
pub async fn ensure_readable(
    client: &Client,
    vault: &Vault,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<Option<Secret>, Error> {
    let id = client.id.as_str();
    if !sealed(&client.id, conn).await?.is_empty() {
        return Ok(None);
    }
    let active = TABLE.rows(id, conn).await?;
    // Who signs with a secret never sends one: what cannot be read is of no use any more.
    let kept = match client.sends_secret() {
        true => MAX_ACTIVE - 1,
        false => 0,
    };
    let gone = active.len().saturating_sub(kept);
    for own in active.iter().take(gone) {
        end(&client.id, &own.secret_id, by, conn, now).await?;
    }
    Ok(Some(add(&client.id, vault, by, conn, now).await?.secret))
}

/// Of a client that does not need them any more, only digests are kept.
///
/// # Errors
/// The database's failures.
pub async fn forget_sealed(client_id: &ClientId, conn: &mut Conn) -> db::Result<()> {
    execute!(conn, sqlx::query(FORGET_SEALED).bind(client_id.as_str()))?;
    Ok(())
}

const FORGET_SEALED: &str =
    "UPDATE client_secrets SET sealed = NULL, sealed_by = NULL WHERE client_id = $1 AND sealed IS NOT NULL";

/// Gives the client a secret that was made elsewhere. One that it has already is left as it is. Expects a
/// connection inside a transaction.
///
/// # Errors
/// As [`add`]; `invalid_client_metadata` when it is not 16 to 256 printable ASCII characters, or fewer than 64 for a
/// client that signs with it or is signed for by it.
pub async fn adopt(
    client_id: &ClientId,
    secret: &Secret,
    vault: &Vault,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<(), Error> {
    let text = secret.expose();
    if !(16..=256).contains(&text.len()) || !text.bytes().all(|b| matches!(b, 0x20..=0x7e)) {
        return Err(Error::invalid_client_metadata(
            "client_secret: expected 16 to 256 printable ASCII characters",
        ));
    }
    let client = confidential(client_id, conn).await?;
    if client.metadata.needs_readable_secret() && text.len() < READABLE_LEN {
        return Err(Error::invalid_client_metadata(
            "client_secret: client_secret_jwt and HS256 need one of at least 64 characters",
        ));
    }
    let active = TABLE.rows(client.id.as_str(), conn).await?;
    let digest = seal::digest(text);
    match active.iter().find(|own| own.digest == digest) {
        Some(own) => keep_sealed((&client, secret), &own.secret_id, vault, conn).await,
        None => store((&client, secret), &active, vault, by, conn, now)
            .await
            .map(drop),
    }
}

/// Bytes of a secret that serves as the key of a MAC: RFC 7518 §3.2 asks for 32, and what people choose is not random.
const READABLE_LEN: usize = 64;

/// The client, held until the transaction ends, so that two who count its secrets do not both add the second.
async fn confidential(client_id: &ClientId, conn: &mut Conn) -> Result<Client, Error> {
    match records::for_change(client_id, conn).await? {
        None => Err(Error::invalid_request("there is no client with this client_id")),
        Some(client) if !client.has_secret() => Err(Error::invalid_request(
            "a client that is public or signs its assertions has no secret; change its token_endpoint_auth_method first",
        )),
        Some(client) => Ok(client),
    }
}

async fn store(
    (client, secret): (&Client, &Secret),
    active: &[stored::Row],
    vault: &Vault,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<Stored, Error> {
    let stored = TABLE.store(client.id.as_str(), secret, active, conn, now).await?;
    keep_sealed((client, secret), &stored.secret_id, vault, conn).await?;
    let added = Event::ClientSecretAdded {
        client_id: &client.id,
        secret_id: &stored.secret_id,
    };
    records::changed(&added, by, conn, now).await?;
    Ok(stored)
}

const KEEP_SEALED: &str = "UPDATE client_secrets SET sealed = $1, sealed_by = $2 WHERE secret_id = $3";

/// Beside the digest, for a client that needs it.
async fn keep_sealed(
    (client, secret): (&Client, &Secret),
    secret_id: &str,
    vault: &Vault,
    conn: &mut Conn,
) -> Result<(), Error> {
    if !client.metadata.needs_readable_secret() {
        return Ok(());
    }
    let sealed = vault.seal(secret_id, secret)?;
    let kept = execute!(
        conn,
        sqlx::query(KEEP_SEALED)
            .bind(sealed.sealed.as_str())
            .bind(sealed.sealed_by.as_str())
            .bind(secret_id)
    );
    kept.map_err(db::Error::from)?;
    Ok(())
}

/// Ends one secret. Expects a connection inside a transaction.
///
/// # Errors
/// `invalid_request` when there is no such secret, or when it is the last one, or the last that can be read where that
/// is needed: the client could not authenticate any more, or would not be told anything.
pub async fn delete(
    client_id: &ClientId,
    secret_id: &str,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<(), Error> {
    let client = confidential(client_id, conn).await?;
    let active = TABLE.rows(client.id.as_str(), conn).await?;
    if !active.iter().any(|own| own.secret_id == secret_id) {
        return Err(Error::invalid_request("this client has no secret with this id"));
    }
    if active.len() == 1 {
        return Err(Error::invalid_request(
            "this is the client's last secret; add another one first",
        ));
    }
    let readable = sealed(client_id, conn).await?;
    if client.metadata.needs_readable_secret() && readable.iter().all(|own| own.secret_id == secret_id) {
        return Err(Error::invalid_request(
            "this is the client's last secret for client_secret_jwt or HS256; delete the other one and add a new one",
        ));
    }
    Ok(end(client_id, secret_id, by, conn, now).await?)
}

async fn end(
    client_id: &ClientId,
    secret_id: &str,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<()> {
    TABLE.delete(client_id.as_str(), secret_id, conn).await?;
    let deleted = Event::ClientSecretDeleted { client_id, secret_id };
    records::changed(&deleted, by, conn, now).await
}

const DELETE_ALL: &str = "DELETE FROM client_secrets WHERE client_id = $1 RETURNING secret_id";

/// Ends every secret of a client that authenticates without one by now.
///
/// # Errors
/// The database's failures.
pub async fn delete_all(
    client_id: &ClientId,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<()> {
    let ended: Vec<(String,)> = run!(conn, |c| sqlx::query_as(DELETE_ALL)
        .bind(client_id.as_str())
        .fetch_all(c))?;
    for (secret_id,) in &ended {
        let deleted = Event::ClientSecretDeleted { client_id, secret_id };
        records::changed(&deleted, by, conn, now).await?;
    }
    Ok(())
}

/// The active secrets of a client, oldest first.
///
/// # Errors
/// The database's failures.
pub async fn list(client_id: &ClientId, conn: &mut Conn) -> db::Result<Vec<Stored>> {
    TABLE.list(client_id.as_str(), conn).await
}

/// Whether this is one of the client's secrets.
///
/// # Errors
/// The database's failures.
pub async fn is_active(client_id: &ClientId, secret: &Secret, conn: &mut Conn) -> db::Result<bool> {
    let digest = seal::digest(secret.expose());
    let active = digests(client_id, conn).await?;
    let same = |own: &String| seal::same(own.as_bytes(), digest.as_bytes());
    Ok(active.iter().fold(false, |found, own| found | same(own)))
}

const ALL_DIGESTS: &str =
    "SELECT client_id, digest FROM client_secrets ORDER BY client_id, created_at, secret_id";

/// The digests of all clients, with whose they are.
pub(crate) async fn all_digests(conn: &mut Conn) -> db::Result<Vec<(String, String)>> {
    Ok(run!(conn, |c| sqlx::query_as(ALL_DIGESTS).fetch_all(c))?)
}

const SEALED: &str = "SELECT client_id, secret_id, sealed_by, sealed FROM client_secrets \
    WHERE client_id = $1 AND sealed IS NOT NULL ORDER BY created_at, secret_id";
const ALL_SEALED: &str = "SELECT client_id, secret_id, sealed_by, sealed FROM client_secrets \
    WHERE sealed IS NOT NULL ORDER BY client_id, created_at, secret_id";

type SealedRow = (String, String, String, String);

fn of_row((client_id, secret_id, sealed_by, sealed): SealedRow) -> (String, Sealed) {
    let sealed = Sealed {
        secret_id,
        sealed_by,
        sealed,
    };
    (client_id, sealed)
}

/// Those that can be read again, oldest first.
pub(crate) async fn sealed(client_id: &ClientId, conn: &mut Conn) -> db::Result<Vec<Sealed>> {
    let rows: Vec<SealedRow> = run!(conn, |c| sqlx::query_as(SEALED)
        .bind(client_id.as_str())
        .fetch_all(c))?;
    Ok(rows.into_iter().map(|row| of_row(row).1).collect())
}

/// Those of all clients, with whose they are.
pub(crate) async fn all_sealed(conn: &mut Conn) -> db::Result<Vec<(String, Sealed)>> {
    let rows: Vec<SealedRow> = run!(conn, |c| sqlx::query_as(ALL_SEALED).fetch_all(c))?;
    Ok(rows.into_iter().map(of_row).collect())
}

/// The digests to compare a presented secret with.
pub(crate) async fn digests(client_id: &ClientId, conn: &mut Conn) -> db::Result<Vec<String>> {
    TABLE.digests(client_id.as_str(), conn).await
}

#[cfg(test)]
mod tests {
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
                            refused(
                                add(&other.into(), &Vault::closed(), &Context::server(), conn, NOW).await
                            ),
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
                Box::pin(
                    async move { add(&"a".into(), &Vault::closed(), &Context::server(), conn, NOW).await },
                )
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
}
