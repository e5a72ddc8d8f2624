//! The records of clients. Functions that change one expect a connection inside a transaction.

use db::{Conn, execute, run};
use events::changes::{self, Topic};
use events::{Context, Event, audit};
use protocol::{ClientId, Timestamp};

use crate::{Client, Metadata, Trust, logos, origins, shows_differently};

/// What a guard compares before it writes on behalf of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Live {
    pub version: i64,
    pub generation: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    client_id: String,
    version: i64,
    generation: i64,
    trust: String,
    metadata: String,
    created_at: i64,
    updated_at: i64,
}

impl TryFrom<Row> for Client {
    type Error = db::Error;

    fn try_from(row: Row) -> db::Result<Self> {
        let wrong = |what: &str| db::Error::corrupt(format!("{what} of client {}", row.client_id));
        Ok(Self {
            version: row.version,
            generation: row.generation,
            trust: row.trust.parse().map_err(|_| wrong("trust"))?,
            metadata: serde_json::from_str(&row.metadata).map_err(|_| wrong("metadata"))?,
            created_at: Timestamp::from_secs(row.created_at),
            updated_at: Timestamp::from_secs(row.updated_at),
            id: row.client_id.into(),
        })
    }
}

const INSERT: &str = "INSERT INTO clients \
    (client_id, version, generation, trust, metadata, created_at, updated_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// # Errors
/// [`db::Error::Conflict`] when the id is taken.
pub async fn insert(client: &Client, by: &Context, conn: &mut Conn) -> db::Result<()> {
    let metadata = json(&client.metadata)?;
    execute!(
        conn,
        sqlx::query(INSERT)
            .bind(client.id.as_str())
            .bind(client.version)
            .bind(client.generation)
            .bind(client.trust.as_str())
            .bind(metadata.as_str())
            .bind(client.created_at.as_secs())
            .bind(client.updated_at.as_secs())
    )?;
    origins::note(&client.id, &client.metadata, conn).await?;
    logos::note(client, conn, client.created_at).await?;
    let created = Event::ClientCreated {
        client_id: &client.id,
        trust: client.trust.as_str(),
    };
    changed(&created, by, conn, client.created_at).await
}

/// Writes what happened into the trail, and tells whoever keeps clients in memory.
pub(crate) async fn changed(
    event: &Event<'_>,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<()> {
    audit::record(event, by, conn, now).await?;
    changes::bump(Topic::Clients, conn).await
}

const BY_ID: &str = "SELECT client_id, version, generation, trust, metadata, created_at, updated_at \
    FROM clients WHERE client_id = $1";

/// # Errors
/// The database's failures.
pub async fn by_id(client_id: &ClientId, conn: &mut Conn) -> db::Result<Option<Client>> {
    one(BY_ID, client_id, conn).await
}

/// NO KEY: issuing codes and consents, which refer to the row, need not wait.
const FOR_CHANGE: &str = "SELECT client_id, version, generation, trust, metadata, created_at, updated_at \
    FROM clients WHERE client_id = $1 FOR NO KEY UPDATE";

/// The record, held against other changes of it and its secrets until the transaction ends.
///
/// # Errors
/// The database's failures.
pub async fn for_change(client_id: &ClientId, conn: &mut Conn) -> db::Result<Option<Client>> {
    one(conn.either(BY_ID, FOR_CHANGE), client_id, conn).await
}

async fn one(query: &'static str, client_id: &ClientId, conn: &mut Conn) -> db::Result<Option<Client>> {
    let row = run!(conn, |c| sqlx::query_as::<_, Row>(query)
        .bind(client_id.as_str())
        .fetch_optional(c))?;
    row.map(Client::try_from).transpose()
}

const LIST: &str = "SELECT client_id, version, generation, trust, metadata, created_at, updated_at \
    FROM clients ORDER BY created_at, client_id";

/// Every client, oldest first.
///
/// # Errors
/// The database's failures.
pub async fn list(conn: &mut Conn) -> db::Result<Vec<Client>> {
    let rows = run!(conn, |c| sqlx::query_as::<_, Row>(LIST).fetch_all(c))?;
    rows.into_iter().map(Client::try_from).collect()
}

const UPDATE: &str = "UPDATE clients SET version = $1, metadata = $2, updated_at = $3 WHERE client_id = $4";

/// Replaces the metadata, and raises the version when a user would see the difference. The generation stays:
/// only revocation raises it. `None` when there is no such client.
///
/// # Errors
/// The database's failures.
pub async fn update(
    client_id: &ClientId,
    metadata: Metadata,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Option<Client>> {
    let Some(old) = for_change(client_id, conn).await? else {
        return Ok(None);
    };
    if old.metadata == metadata {
        return Ok(Some(old));
    }
    let new = Client {
        version: old.version + i64::from(shows_differently(&old.metadata, &metadata)),
        metadata,
        updated_at: now,
        ..old
    };
    let text = json(&new.metadata)?;
    execute!(
        conn,
        sqlx::query(UPDATE)
            .bind(new.version)
            .bind(text.as_str())
            .bind(now.as_secs())
            .bind(client_id.as_str())
    )?;
    origins::note(client_id, &new.metadata, conn).await?;
    logos::note(&new, conn, now).await?;
    let updated = Event::ClientUpdated {
        client_id,
        version: new.version,
    };
    changed(&updated, by, conn, now).await?;
    Ok(Some(new))
}

const SET_TRUST: &str = "UPDATE clients SET trust = $1, updated_at = $2 WHERE client_id = $3";

/// Whether there was such a client.
///
/// # Errors
/// The database's failures.
pub async fn set_trust(
    client_id: &ClientId,
    trust: Trust,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<bool> {
    let touched = execute!(
        conn,
        sqlx::query(SET_TRUST)
            .bind(trust.as_str())
            .bind(now.as_secs())
            .bind(client_id.as_str())
    )?;
    if touched == 0 {
        return Ok(false);
    }
    logos::trusted(client_id, trust, conn, now).await?;
    let trust = trust.as_str();
    changed(&Event::ClientTrustSet { client_id, trust }, by, conn, now).await?;
    Ok(true)
}

const LIVE: &str = "SELECT version, generation FROM clients WHERE client_id = $1";
const LIVE_LOCKED: &str = "SELECT version, generation FROM clients WHERE client_id = $1 FOR SHARE";

/// What a client is at this moment, held so until the transaction ends: an approval is written against it,
/// and a revocation or deletion comes wholly before or wholly after. `None` when it is gone.
///
/// # Errors
/// The database's failures.
pub async fn lock_live(client_id: &ClientId, conn: &mut Conn) -> db::Result<Option<Live>> {
    let query = conn.either(LIVE, LIVE_LOCKED);
    Ok(run!(conn, |c| sqlx::query_as::<_, Live>(query)
        .bind(client_id.as_str())
        .fetch_optional(c))?)
}

fn json(metadata: &Metadata) -> db::Result<String> {
    serde_json::to_string(metadata).map_err(db::Error::corrupt)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use db::testing::both;
    use db::{Database, Error};
    use protocol::{ApplicationType, RedirectUri, Scope};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000);
    const LATER: Timestamp = Timestamp::from_secs(2_000);

    fn sample(id: &str) -> Client {
        let metadata = Metadata {
            client_name: Some("Shöp".to_owned()),
            redirect_uris: vec![RedirectUri::register("https://a.test/cb", ApplicationType::Web).unwrap()],
            scope: Some(Scope::from_tokens(["openid"])),
            contacts: vec!["dev@a.test".to_owned()],
            ..Metadata::default()
        };
        Client::new(id.into(), Trust::Unverified, metadata, NOW)
    }

    async fn stored(db: &Database, client: Client) -> db::Result<()> {
        db.transact(move |conn| Box::pin(async move { insert(&client, &Context::server(), conn).await }))
            .await
    }

    async fn delete(client_id: &ClientId, conn: &mut Conn) -> db::Result<u64> {
        const DELETE: &str = "DELETE FROM clients WHERE client_id = $1";
        Ok(execute!(conn, sqlx::query(DELETE).bind(client_id.as_str()))?)
    }

    #[tokio::test]
    async fn a_client_comes_back_as_it_was_written() {
        both(|db| async move {
            stored(&db, sample("b")).await.unwrap();
            stored(&db, sample("a")).await.unwrap();
            assert!(stored(&db, sample("a")).await.unwrap_err().is_conflict());

            let mut conn = db.reader().await.unwrap();
            assert_eq!(by_id(&"a".into(), &mut conn).await.unwrap(), Some(sample("a")));
            assert_eq!(by_id(&"none".into(), &mut conn).await.unwrap(), None);
            assert_eq!(list(&mut conn).await.unwrap(), [sample("a"), sample("b")]);
        })
        .await;
    }

    #[tokio::test]
    async fn the_version_rises_with_what_is_seen_and_the_generation_never() {
        both(|db| async move {
            stored(&db, sample("a")).await.unwrap();
            for (edit, version) in [
                ((|m| m.require_pkce = false) as fn(&mut Metadata), 1),
                (|m| m.client_name = Some("Bank".to_owned()), 2),
                (|m| m.scope = None, 2),
                (|m| m.redirect_uris.clear(), 3),
            ] {
                let change = db.transact(move |conn| {
                    Box::pin(async move {
                        let old = by_id(&"a".into(), conn).await?.unwrap();
                        let mut metadata = old.metadata;
                        edit(&mut metadata);
                        update(&"a".into(), metadata, &Context::server(), conn, LATER).await
                    })
                });
                let new = change.await.unwrap().unwrap();
                assert_eq!((new.version, new.generation), (version, 1));
                let mut conn = db.reader().await.unwrap();
                assert_eq!(by_id(&"a".into(), &mut conn).await.unwrap(), Some(new));
            }
        })
        .await;
    }

    #[tokio::test]
    async fn trust_is_given_only_where_there_is_a_client() {
        both(|db| async move {
            stored(&db, sample("a")).await.unwrap();
            let work = db.transact(|conn| {
                Box::pin(async move {
                    let (a, none) = ("a".into(), "none".into());
                    assert!(set_trust(&a, Trust::Trusted, &Context::server(), conn, LATER).await?);
                    assert!(!set_trust(&none, Trust::Trusted, &Context::server(), conn, LATER).await?);
                    assert_eq!(by_id(&a, conn).await?.unwrap().trust, Trust::Trusted);
                    let live = lock_live(&a, conn).await?.unwrap();
                    assert_eq!((live.version, live.generation), (1, 1));
                    assert!(
                        update(&none, Metadata::default(), &Context::server(), conn, LATER)
                            .await?
                            .is_none()
                    );
                    delete(&a, conn).await?;
                    assert_eq!(lock_live(&a, conn).await?, None);
                    Ok::<_, Error>(())
                })
            });
            work.await.unwrap();
        })
        .await;
    }

    #[tokio::test]
    async fn a_deletion_waits_for_whoever_holds_the_client_as_live() {
        both(|db| async move {
            stored(&db, sample("a")).await.unwrap();
            let (locked, wait) = tokio::sync::oneshot::channel();
            let other = db.clone();
            let holder = tokio::spawn(async move {
                let work = other.transact(|conn| {
                    Box::pin(async move {
                        lock_live(&"a".into(), conn).await?;
                        locked.send(()).unwrap();
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        by_id(&"a".into(), conn).await
                    })
                });
                work.await
            });
            wait.await.unwrap();
            let deletion = db.transact(|conn| Box::pin(async move { delete(&"a".into(), conn).await }));
            assert_eq!(deletion.await.unwrap(), 1);
            assert_eq!(holder.await.unwrap().unwrap(), Some(sample("a")));
        })
        .await;
    }

    #[tokio::test]
    async fn a_row_that_makes_no_sense_is_an_error() {
        both(|db| async move {
            for (id, column) in [("a", "trust"), ("b", "metadata")] {
                stored(&db, sample(id)).await.unwrap();
                let query: &'static str = match column {
                    "trust" => "UPDATE clients SET trust = 'x' WHERE client_id = 'a'",
                    _ => "UPDATE clients SET metadata = '{\"grant_types\":[\"x\"]}' WHERE client_id = 'b'",
                };
                let spoil = db.transact(move |conn| {
                    Box::pin(async move {
                        execute!(conn, sqlx::query(query))?;
                        Ok::<_, Error>(())
                    })
                });
                spoil.await.unwrap();
                let mut conn = db.reader().await.unwrap();
                let error = by_id(&id.into(), &mut conn).await.unwrap_err();
                assert!(matches!(error, Error::Corrupt(_)), "{column}");
            }
        })
        .await;
    }
}
