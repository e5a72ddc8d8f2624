//! Signing keys in the database.
//!
//! A withdrawn key keeps its row, without its private half: its name and its public half are never used again.

use db::{Conn, execute, run};
use events::changes::{self, Topic};
use events::{Context, Event, audit};
use jose::SigningKey;
use protocol::{SigningAlg, Timestamp};
use serde_json::Value;

use crate::ring::Times;
use crate::{Error, MasterKey, master};

/// What a private key is sealed for.
pub(crate) const PURPOSE: &str = "signing key";

const INSERT: &str = "INSERT INTO signing_keys \
    (kid, alg, public_jwk, sealed_private, master_key_id, published_at, signs_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
const DROP_ANNOUNCED: &str = "DELETE FROM signing_keys WHERE alg = $1 AND signs_at > $2 \
    AND withdrawn_at IS NULL RETURNING kid";
const RING: &str = "SELECT published_at, signs_at FROM signing_keys WHERE alg = $1 AND withdrawn_at IS NULL";
const ALL: &str = "SELECT kid, alg, public_jwk, sealed_private, master_key_id, published_at, signs_at, withdrawn_at \
    FROM signing_keys ORDER BY alg, signs_at, published_at";
const WITHDRAW: &str = "UPDATE signing_keys SET withdrawn_at = $2, sealed_private = '' \
    WHERE kid = $1 AND withdrawn_at IS NULL";
const WITHDRAWN: &str = "SELECT kid FROM signing_keys WHERE withdrawn_at IS NOT NULL \
    UNION ALL SELECT kid FROM decryption_keys WHERE withdrawn_at IS NOT NULL";
const SIGN_FROM: &str = "UPDATE signing_keys SET signs_at = $2 WHERE kid = $1";

/// A key as stored.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) kid: String,
    pub(crate) alg: SigningAlg,
    pub(crate) public_jwk: String,
    pub(crate) sealed_private: String,
    pub(crate) master_key_id: String,
    pub(crate) times: Times,
    pub(crate) withdrawn_at: Option<Timestamp>,
}

/// How a key came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Made,
    Imported,
}

impl Record {
    pub(crate) fn seal(key: &SigningKey, master: &MasterKey, times: Times) -> Result<Self, Error> {
        let master = master.current();
        Ok(Self {
            kid: key.kid().to_owned(),
            alg: key.alg(),
            public_jwk: key.public_jwk().to_string(),
            sealed_private: master.seal(PURPOSE, key.kid(), &key.to_pkcs8()?),
            master_key_id: master.id.clone(),
            times,
            withdrawn_at: None,
        })
    }

    pub(crate) fn open(&self, master: &MasterKey) -> Result<SigningKey, Error> {
        let pkcs8 = master
            .open_by(&self.master_key_id, (PURPOSE, &self.kid), &self.sealed_private)
            .map_err(|_| Error::Sealed(format!("signing key {}", self.kid)))?;
        Ok(SigningKey::from_pkcs8(self.alg, self.kid.as_str(), &pkcs8)?)
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    kid: String,
    alg: String,
    public_jwk: String,
    sealed_private: String,
    master_key_id: String,
    published_at: i64,
    signs_at: i64,
    withdrawn_at: Option<i64>,
}

impl TryFrom<Row> for Record {
    type Error = db::Error;

    fn try_from(row: Row) -> db::Result<Self> {
        Ok(Self {
            alg: row
                .alg
                .parse()
                .map_err(|_| db::Error::corrupt(format_args!("signing_keys.alg {}", row.alg)))?,
            kid: row.kid,
            public_jwk: row.public_jwk,
            sealed_private: row.sealed_private,
            master_key_id: row.master_key_id,
            times: Times {
                published_at: Timestamp::from_secs(row.published_at),
                signs_at: Timestamp::from_secs(row.signs_at),
            },
            withdrawn_at: row.withdrawn_at.map(Timestamp::from_secs),
        })
    }
}

/// Taken before anything about keys is decided: replicas queue here.
pub(crate) async fn lock(conn: &mut Conn) -> db::Result<()> {
    changes::lock(Topic::Keys, conn).await
}

/// Writes what happened into the trail, and tells the other replicas.
pub(crate) async fn changed(
    event: &Event<'_>,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<()> {
    audit::record(event, by, conn, now).await?;
    changes::bump(Topic::Keys, conn).await
}

/// Under the lock. Another process may have retired the master key since the key was sealed.
pub(crate) async fn insert(
    (key, origin): (&Record, Origin),
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<(), Error> {
    if master::is_retired(&key.master_key_id, conn).await? {
        return Err(Error::MasterKeyChanged);
    }
    let insert = execute!(
        conn,
        sqlx::query(INSERT)
            .bind(&key.kid)
            .bind(key.alg.as_str())
            .bind(&key.public_jwk)
            .bind(&key.sealed_private)
            .bind(&key.master_key_id)
            .bind(key.times.published_at.as_secs())
            .bind(key.times.signs_at.as_secs())
    );
    insert.map_err(db::Error::from)?;
    let (kid, alg, signs_at) = (key.kid.as_str(), key.alg, key.times.signs_at);
    let event = match origin {
        Origin::Made => Event::SigningKeyPublished { kid, alg, signs_at },
        Origin::Imported => Event::SigningKeyImported { kid, alg, signs_at },
    };
    Ok(changed(&event, by, conn, now).await?)
}

/// Nothing that this key signed is believed from now on, and nobody can bring it back.
pub(crate) async fn withdraw(
    (kid, alg): (&str, SigningAlg),
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<()> {
    execute!(conn, sqlx::query(WITHDRAW).bind(kid).bind(now.as_secs()))?;
    changed(&Event::SigningKeyCompromised { kid, alg }, by, conn, now).await
}

/// The names of all keys that were withdrawn, whatever they were for.
pub(crate) async fn withdrawn(conn: &mut Conn) -> db::Result<Vec<String>> {
    let rows: Vec<(String,)> = run!(conn, |c| sqlx::query_as(WITHDRAWN).fetch_all(c))?;
    Ok(rows.into_iter().map(|(kid,)| kid).collect())
}

/// Lets an announced key sign earlier.
pub(crate) async fn sign_from(
    (kid, alg): (&str, SigningAlg),
    signs_at: Timestamp,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<()> {
    execute!(conn, sqlx::query(SIGN_FROM).bind(kid).bind(signs_at.as_secs()))?;
    changed(&Event::SigningKeyPublished { kid, alg, signs_at }, by, conn, now).await
}

pub(crate) async fn drop_announced(
    alg: SigningAlg,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<()> {
    let dropped: Vec<(String,)> = run!(conn, |c| sqlx::query_as(DROP_ANNOUNCED)
        .bind(alg.as_str())
        .bind(now.as_secs())
        .fetch_all(c))?;
    for (kid,) in &dropped {
        changed(&Event::SigningKeyWithdrawn { kid, alg }, by, conn, now).await?;
    }
    Ok(())
}

pub(crate) async fn ring(alg: SigningAlg, conn: &mut Conn) -> db::Result<Vec<Times>> {
    let rows: Vec<(i64, i64)> = run!(conn, |c| sqlx::query_as(RING).bind(alg.as_str()).fetch_all(c))?;
    let times = |(published_at, signs_at)| Times {
        published_at: Timestamp::from_secs(published_at),
        signs_at: Timestamp::from_secs(signs_at),
    };
    Ok(rows.into_iter().map(times).collect())
}

pub(crate) async fn all(conn: &mut Conn) -> db::Result<Vec<Record>> {
    let rows: Vec<Row> = run!(conn, |c| sqlx::query_as(ALL).fetch_all(c))?;
    rows.into_iter().map(Record::try_from).collect()
}

impl Record {
    /// The numbers that are this key, by whatever name.
    pub(crate) fn thumbprint(&self) -> Option<String> {
        let jwk: Value = serde_json::from_str(&self.public_jwk).ok()?;
        jose::thumbprint(&jwk)
    }
}
