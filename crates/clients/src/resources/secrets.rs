//! The secrets with which resource servers ask about tokens: RFC 7662 §2.1. Digests are stored, never secrets.
//!
//! One that verifies tokens by itself needs none. Two may be active at once, so that one can be replaced in
//! peace.

use db::{Conn, run};
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
pub async fn add(identifier: &str, conn: &mut Conn, now: Timestamp) -> Result<Added, Error> {
    hold(identifier, conn).await?;
    let secret = opaque::random(Kind::ClientSecret);
    let active = TABLE.rows(identifier, conn).await?;
    let stored = TABLE.store(identifier, &secret, &active, conn, now).await?;
    Ok(Added { stored, secret })
}

/// Ends one secret, the last one too: then the resource server cannot ask any more.
///
/// # Errors
/// `invalid_request` when there is no such secret.
pub async fn delete(identifier: &str, secret_id: &str, conn: &mut Conn) -> Result<(), Error> {
    match TABLE.delete(identifier, secret_id, conn).await? {
        true => Ok(()),
        false => Err(Error::invalid_request(
            "this resource server has no secret with this id",
        )),
    }
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
                    let api = ResourceServer::define(API, "API", SigningAlg::Es256, [].into(), NOW)?;
                    resources::insert(&api, conn).await?;
                    let first = add(API, conn, NOW).await?;
                    let second = add(API, conn, Timestamp::from_secs(1_001)).await?;
                    assert!(add(API, conn, NOW).await.is_err(), "a third secret");
                    assert!(add("urn:none", conn, NOW).await.is_err());
                    let stored = [first.stored.clone(), second.stored.clone()];
                    assert_eq!(list(API, conn).await?, stored);
                    let expected = [&first, &second].map(|own| seal::digest(own.secret.expose()));
                    assert_eq!(digests(API, conn).await?, expected);

                    for owner in ["urn:none", "https://api.test"] {
                        assert!(delete(owner, &first.stored.secret_id, conn).await.is_err());
                    }
                    delete(API, &first.stored.secret_id, conn).await?;
                    assert!(delete(API, &first.stored.secret_id, conn).await.is_err());
                    delete(API, &second.stored.secret_id, conn).await?;

                    add(API, conn, NOW).await?;
                    resources::delete(API, conn).await?;
                    assert_eq!(list(API, conn).await?, []);
                    Ok::<_, Error>(())
                })
            });
            work.await.unwrap();
        })
        .await;
    }
}
