//! The secrets of confidential clients: RFC 6749 §2.3.1. Digests are stored, never secrets.
//!
//! Two may be active at once, so that a client can change its secret without a moment in which neither the
//! old nor the new one works.

pub(crate) mod stored;

use db::{Conn, run};
use events::{Context, Event};
use protocol::opaque::{self, Kind};
use protocol::{ClientId, Error, Secret, Timestamp};

use crate::{Client, records};
use stored::{Table, table};

pub use stored::{Added, MAX_ACTIVE, Stored};

const TABLE: Table = table!("client_secrets", "client_id");

/// Gives the client a new random secret. Expects a connection inside a transaction.
///
/// # Errors
/// `invalid_request` when there is no such client, when it is public, or when two are active already.
pub async fn add(
    client_id: &ClientId,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<Added, Error> {
    let secret = opaque::random(Kind::ClientSecret);
    let client = confidential(client_id, conn).await?;
    let active = TABLE.rows(client.id.as_str(), conn).await?;
    let stored = store(&client, &secret, &active, by, conn, now).await?;
    Ok(Added { stored, secret })
}

/// Gives the client a secret that was made elsewhere. One that it has already is left as it is. Expects a
/// connection inside a transaction.
///
/// # Errors
/// As [`add`]; `invalid_client_metadata` when it is not 16 to 256 printable ASCII characters.
pub async fn adopt(
    client_id: &ClientId,
    secret: &Secret,
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
    let active = TABLE.rows(client.id.as_str(), conn).await?;
    let digest = seal::digest(text);
    if active.iter().any(|own| own.digest == digest) {
        return Ok(());
    }
    store(&client, secret, &active, by, conn, now).await.map(drop)
}

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
    client: &Client,
    secret: &Secret,
    active: &[stored::Row],
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<Stored, Error> {
    let stored = TABLE.store(client.id.as_str(), secret, active, conn, now).await?;
    let added = Event::ClientSecretAdded {
        client_id: &client.id,
        secret_id: &stored.secret_id,
    };
    records::changed(&added, by, conn, now).await?;
    Ok(stored)
}

/// Ends one secret. Expects a connection inside a transaction.
///
/// # Errors
/// `invalid_request` when there is no such secret, or when it is the last one: the client could not
/// authenticate any more.
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
    TABLE.delete(client_id.as_str(), secret_id, conn).await?;
    let deleted = Event::ClientSecretDeleted { client_id, secret_id };
    Ok(records::changed(&deleted, by, conn, now).await?)
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
        add(&"a".into(), &Context::server(), conn, NOW).await
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

                    let second = add(&a, &Context::server(), conn, Timestamp::from_secs(1_001)).await?;
                    assert!(refused(add(&a, &Context::server(), conn, NOW).await));
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
                            refused(add(&other.into(), &Context::server(), conn, NOW).await),
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
                    adopt(&a, &own, &Context::server(), conn, NOW).await?;
                    adopt(&a, &own, &Context::server(), conn, NOW).await?;
                    let hints: Vec<_> = list(&a, conn).await?.into_iter().map(|own| own.hint).collect();
                    assert_eq!(hints.len(), 2);
                    assert!(hints.contains(&"ough".to_owned()));
                    assert!(refused(
                        adopt(
                            &a,
                            &"a third one, also long".into(),
                            &Context::server(),
                            conn,
                            NOW
                        )
                        .await
                    ));
                    assert!(refused(
                        adopt(&"p".into(), &own, &Context::server(), conn, NOW).await
                    ));
                    for bad in [
                        "",
                        "fifteen chars..",
                        "tab\tin a long secret",
                        "ünicode in a long secret",
                    ] {
                        let error = adopt(&a, &bad.into(), &Context::server(), conn, NOW)
                            .await
                            .unwrap_err();
                        assert_eq!(error.code(), ErrorCode::InvalidClientMetadata, "{bad}");
                    }
                    assert!(
                        adopt(&a, &Secret::new("x".repeat(257)), &Context::server(), conn, NOW)
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
                        add(&"a".into(), &Context::server(), conn, NOW).await?;
                        added.send(()).unwrap();
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        Ok::<_, Error>(())
                    })
                });
                work.await
            });
            wait.await.unwrap();
            let third = db.transact(|conn| {
                Box::pin(async move { add(&"a".into(), &Context::server(), conn, NOW).await })
            });
            assert!(refused(third.await));
            slow.await.unwrap().unwrap();
        })
        .await;
    }
}
