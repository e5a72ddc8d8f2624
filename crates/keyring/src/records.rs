//! Signing keys in the database.

use db::{Conn, execute, run};
use events::changes::{self, Topic};
use events::{Context, Event, audit};
use jose::SigningKey;
use protocol::{SigningAlg, Timestamp};

use crate::ring::Times;
use crate::{Error, MasterKey};

/// What a private key is sealed for.
const PURPOSE: &str = "signing key";

const INSERT: &str = "INSERT INTO signing_keys \
    (kid, alg, public_jwk, sealed_private, master_key_id, published_at, signs_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
const DROP_ANNOUNCED: &str = "DELETE FROM signing_keys WHERE alg = $1 AND signs_at > $2 RETURNING kid";
const RING: &str = "SELECT published_at, signs_at FROM signing_keys WHERE alg = $1";
const ALL: &str = "SELECT kid, alg, public_jwk, sealed_private, master_key_id, published_at, signs_at \
    FROM signing_keys ORDER BY alg, signs_at, published_at";

/// A key as stored.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) kid: String,
    pub(crate) alg: SigningAlg,
    pub(crate) public_jwk: String,
    pub(crate) sealed_private: String,
    pub(crate) master_key_id: String,
    pub(crate) times: Times,
}

impl Record {
    pub(crate) fn seal(key: &SigningKey, master: &MasterKey, times: Times) -> Result<Self, Error> {
        Ok(Self {
            kid: key.kid().to_owned(),
            alg: key.alg(),
            public_jwk: key.public_jwk().to_string(),
            sealed_private: seal::seal(master.key(), PURPOSE, key.kid(), &key.to_pkcs8()?),
            master_key_id: master.id().to_owned(),
            times,
        })
    }

    pub(crate) fn open(&self, master: &MasterKey) -> Result<SigningKey, Error> {
        let pkcs8 = seal::open(master.key(), PURPOSE, &self.kid, &self.sealed_private)
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

pub(crate) async fn insert(key: &Record, by: &Context, conn: &mut Conn, now: Timestamp) -> db::Result<()> {
    execute!(
        conn,
        sqlx::query(INSERT)
            .bind(&key.kid)
            .bind(key.alg.as_str())
            .bind(&key.public_jwk)
            .bind(&key.sealed_private)
            .bind(&key.master_key_id)
            .bind(key.times.published_at.as_secs())
            .bind(key.times.signs_at.as_secs())
    )?;
    let published = Event::SigningKeyPublished {
        kid: &key.kid,
        alg: key.alg,
        signs_at: key.times.signs_at,
    };
    changed(&published, by, conn, now).await
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
