//! The secrets with which resource servers ask about tokens: RFC 7662 §2.1. Digests are stored, never secrets.
//!
//! One that verifies tokens by itself needs none. Two may be active at once, so that one can be replaced in
//! peace.

use db::{Conn, run};
use events::changes::{self, Topic};
use events::{Context, Event, audit};
use protocol::opaque::{self, Kind};
use protocol::{Error, Timestamp};

use crate::secrets::stored::{Added, Stored, Table, table};

const TABLE: Table = table!("resource_secrets", "identifier");

const HOLD: &str = "SELECT identifier FROM resource_servers WHERE identifier = $1";
const HOLD_LOCKED: &str = "SELECT identifier FROM resource_servers WHERE identifier = $1 FOR NO KEY UPDATE";

/// Gives the resource server a new random secret. Expects a connection inside a transaction.
///
/// # Errors
/// `invalid_request` when there is no such resource server, or when two secrets are active already.
pub async fn add(identifier: &str, by: &Context, conn: &mut Conn, now: Timestamp) -> Result<Added, Error> {
    hold(identifier, conn).await?;
    let secret = opaque::random(Kind::ClientSecret);
    let active = TABLE.rows(identifier, conn).await?;
    let stored = TABLE.store(identifier, &secret, &active, conn, now).await?;
    let added = Event::ResourceSecretAdded {
        identifier,
        secret_id: &stored.secret_id,
    };
    changed(&added, by, conn, now).await?;
    Ok(Added { stored, secret })
}

/// Ends one secret, the last one too: then the resource server cannot ask any more.
///
/// # Errors
/// `invalid_request` when there is no such secret.
pub async fn delete(
    identifier: &str,
    secret_id: &str,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<(), Error> {
    if !TABLE.delete(identifier, secret_id, conn).await? {
        return Err(Error::invalid_request(
            "this resource server has no secret with this id",
        ));
    }
    let deleted = Event::ResourceSecretDeleted {
        identifier,
        secret_id,
    };
    Ok(changed(&deleted, by, conn, now).await?)
}

/// Writes the event of a change, and tells every process of it.
async fn changed(event: &Event<'_>, by: &Context, conn: &mut Conn, now: Timestamp) -> db::Result<()> {
    audit::record(event, by, conn, now).await?;
    changes::bump(Topic::Resources, conn).await
}

const ALL_DIGESTS: &str =
    "SELECT identifier, digest FROM resource_secrets ORDER BY identifier, created_at, secret_id";

/// The digests of all resource servers, with whose they are.
pub(crate) async fn all_digests(conn: &mut Conn) -> db::Result<Vec<(String, String)>> {
    Ok(run!(conn, |c| sqlx::query_as(ALL_DIGESTS).fetch_all(c))?)
}

/// The active secrets of a resource server, oldest first.
///
/// # Errors
/// The database's failures.
pub async fn list(identifier: &str, conn: &mut Conn) -> db::Result<Vec<Stored>> {
    TABLE.list(identifier, conn).await
}

/// The digests to compare a presented secret with.
pub(crate) async fn digests(identifier: &str, conn: &mut Conn) -> db::Result<Vec<String>> {
    TABLE.digests(identifier, conn).await
}

/// Holds the resource server until the transaction ends, so that two who count its secrets do not both add the
/// second.
async fn hold(identifier: &str, conn: &mut Conn) -> Result<(), Error> {
    let statement = conn.either(HOLD, HOLD_LOCKED);
    let held = run!(conn, |c| sqlx::query_as::<_, (String,)>(statement)
        .bind(identifier)
        .fetch_optional(c));
    match held.map_err(db::Error::from)? {
        Some(_) => Ok(()),
        None => Err(Error::invalid_request(
            "there is no resource server with this identifier",
        )),
    }
}

#[cfg(test)]
mod tests {
    use db::testing::both;
    use protocol::SigningAlg;

    use super::*;
    use crate::{ResourceServer, resources};

    const API: &str = "https://api.test/";
    const NOW: Timestamp = Timestamp::from_secs(1_000);

    #[tokio::test]
    async fn c048_a_resource_server_has_at_most_two_secrets_and_only_their_digests_are_stored() {
        both(|db| async move {
            let work = db.transact(|conn| {
                Box::pin(async move {
                    let by = Context::server();
                    let api = ResourceServer::define(API, "API", SigningAlg::Es256, [].into(), NOW)?;
                    resources::insert(&api, &by, conn).await?;
                    let first = add(API, &by, conn, NOW).await?;
                    let second = add(API, &by, conn, Timestamp::from_secs(1_001)).await?;
                    assert!(add(API, &by, conn, NOW).await.is_err(), "a third secret");
                    assert!(add("urn:none", &by, conn, NOW).await.is_err());
                    let stored = [first.stored.clone(), second.stored.clone()];
                    assert_eq!(list(API, conn).await?, stored);
                    let expected = [&first, &second].map(|own| seal::digest(own.secret.expose()));
                    assert_eq!(digests(API, conn).await?, expected);

                    for owner in ["urn:none", "https://api.test"] {
                        assert!(
                            delete(owner, &first.stored.secret_id, &by, conn, NOW)
                                .await
                                .is_err()
                        );
                    }
                    delete(API, &first.stored.secret_id, &by, conn, NOW).await?;
                    assert!(
                        delete(API, &first.stored.secret_id, &by, conn, NOW)
                            .await
                            .is_err()
                    );
                    delete(API, &second.stored.secret_id, &by, conn, NOW).await?;

                    add(API, &by, conn, NOW).await?;
                    resources::delete(API, &by, conn, NOW).await?;
                    assert_eq!(list(API, conn).await?, []);
                    Ok::<_, Error>(())
                })
            });
            work.await.unwrap();
        })
        .await;
    }
}
