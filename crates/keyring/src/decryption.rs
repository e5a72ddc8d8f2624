//! Keys to which clients encrypt their requests: OpenID Connect Core §10.2. Decides which of them is published and
//! which still read.
//!
//! A key turns by the calendar of the rings that sign, with two differences. Only the one in use stands in the JWK set:
//! whoever encrypts picks one key and should find the newest. And one that was replaced reads for as long as it was in
//! use, since what was encrypted to it may lie in a file.

use db::{Conn, execute, run};
use events::{Context, Event};
use jose::{DecryptionKey, Encrypted, Family};
use protocol::Timestamp;

use crate::ring::{self, Times};
use crate::{Error, MasterKey, Policy, records};

/// What a private key is sealed for.
const PURPOSE: &str = "decryption key";

const INSERT: &str = "INSERT INTO decryption_keys \
    (kid, alg, sealed_private, master_key_id, published_at, used_from) VALUES ($1, $2, $3, $4, $5, $6)";
const RING: &str = "SELECT published_at, used_from FROM decryption_keys WHERE alg = $1";
const ALL: &str =
    "SELECT kid, alg, sealed_private, published_at, used_from FROM decryption_keys ORDER BY alg, used_from";

/// A key with its calendar.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) key: DecryptionKey,
    pub(crate) times: Times,
}

/// A key as stored.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) family: Family,
    kid: String,
    sealed_private: String,
    master_key_id: String,
    pub(crate) times: Times,
}

impl Record {
    pub(crate) fn seal(key: &DecryptionKey, master: &MasterKey, times: Times) -> Result<Self, Error> {
        Ok(Self {
            family: key.family(),
            kid: key.kid().to_owned(),
            sealed_private: seal::seal(master.key(), PURPOSE, key.kid(), &key.to_pkcs8()?),
            master_key_id: master.id().to_owned(),
            times,
        })
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    kid: String,
    alg: String,
    sealed_private: String,
    published_at: i64,
    used_from: i64,
}

fn times(published_at: i64, used_from: i64) -> Times {
    Times {
        published_at: Timestamp::from_secs(published_at),
        signs_at: Timestamp::from_secs(used_from),
    }
}

/// The calendar of one ring.
pub(crate) async fn ring(family: Family, conn: &mut Conn) -> db::Result<Vec<Times>> {
    let rows: Vec<(i64, i64)> = run!(conn, |c| sqlx::query_as(RING).bind(family.as_str()).fetch_all(c))?;
    Ok(rows.into_iter().map(|(at, from)| times(at, from)).collect())
}

/// Looks again under the lock: another replica may have been first.
pub(crate) async fn add_if_due(
    key: Record,
    policy: Policy,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<bool, Error> {
    records::lock(conn).await?;
    if policy.due(&ring(key.family, conn).await?, now).is_none() {
        return Ok(false);
    }
    let insert = execute!(
        conn,
        sqlx::query(INSERT)
            .bind(&key.kid)
            .bind(key.family.as_str())
            .bind(&key.sealed_private)
            .bind(&key.master_key_id)
            .bind(key.times.published_at.as_secs())
            .bind(key.times.signs_at.as_secs())
    );
    insert.map_err(db::Error::from)?;
    let made = Event::DecryptionKeyMade {
        kid: &key.kid,
        alg: key.family.as_str(),
        used_from: key.times.signs_at,
    };
    records::changed(&made, &Context::server(), conn, now).await?;
    Ok(true)
}

/// Every key, oldest first in each ring.
pub(crate) async fn all(master: &MasterKey, conn: &mut Conn) -> Result<Vec<Held>, Error> {
    let rows: Vec<Row> = run!(conn, |c| sqlx::query_as(ALL).fetch_all(c)).map_err(db::Error::from)?;
    let mut held = Vec::with_capacity(rows.len());
    for row in rows {
        // A kind of a newer version is none of this one's business.
        let Ok(family) = row.alg.parse::<Family>() else {
            continue;
        };
        let pkcs8 = seal::open(master.key(), PURPOSE, &row.kid, &row.sealed_private)
            .map_err(|_| Error::Sealed(format!("decryption key {}", row.kid)))?;
        held.push(Held {
            key: DecryptionKey::from_pkcs8(family, row.kid, &pkcs8)?,
            times: times(row.published_at, row.used_from),
        });
    }
    Ok(held)
}

fn of(family: Family, held: &[Held]) -> impl DoubleEndedIterator<Item = &Held> {
    held.iter().filter(move |held| held.key.family() == family)
}

/// Those in use now: one of each kind.
pub(crate) fn in_use(held: &[Held], now: Timestamp) -> impl Iterator<Item = &Held> {
    Family::ALL.iter().filter_map(move |family| {
        let ring: Vec<Times> = of(*family, held).map(|held| held.times).collect();
        let current = ring::signing(&ring, now)?;
        of(*family, held).find(|held| held.times == current)
    })
}

/// The next instant at which another one comes into use.
pub(crate) fn next_change(held: &[Held], now: Timestamp) -> Option<Timestamp> {
    let starts = held.iter().map(|held| held.times.signs_at);
    starts.filter(|at| *at > now).min()
}

/// The keys that may read this token, the newest first: the one that it names; without a name, all of its kind.
pub(crate) fn fitting(
    token: &Encrypted,
    held: &[Held],
    policy: &Policy,
    now: Timestamp,
) -> Vec<DecryptionKey> {
    let ring: Vec<Times> = of(token.family(), held).map(|held| held.times).collect();
    let reads = |held: &&Held| match ring::retired_at(held.times, &ring) {
        Some(retired) => now < retired + policy.rotate_every,
        None => true,
    };
    let named = |held: &&Held| token.kid().is_none_or(|kid| kid == held.key.kid());
    let fitting = of(token.family(), held).rev().filter(reads).filter(named);
    fitting.map(|held| held.key.clone()).collect()
}
