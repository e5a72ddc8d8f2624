//! Keys to which clients encrypt their requests: OpenID Connect Core §10.2. Decides which of them is published and
//! which still read.
//!
//! A key turns by the calendar of the rings that sign, with two differences. Only the one in use stands in the JWK set:
//! whoever encrypts picks one key and should find the newest. And one that was replaced reads for as long as it was in
//! use, since what was encrypted to it may lie in a file.

use std::time::Duration;

use db::{Conn, execute, run};
use events::{Context, Event};
use jose::{DecryptionKey, Encrypted, Family};
use protocol::Timestamp;

use crate::ring::{self, Times};
use crate::{Error, MasterKey, Policy, master, records};

/// What a private key is sealed for.
pub(crate) const PURPOSE: &str = "decryption key";

const INSERT: &str = "INSERT INTO decryption_keys \
    (kid, alg, sealed_private, master_key_id, published_at, used_from) VALUES ($1, $2, $3, $4, $5, $6)";
const RING: &str =
    "SELECT published_at, used_from FROM decryption_keys WHERE alg = $1 AND withdrawn_at IS NULL";
const ALL: &str = "SELECT kid, alg, sealed_private, master_key_id, published_at, used_from, withdrawn_at \
    FROM decryption_keys ORDER BY alg, used_from";
const DROP_WAITING: &str = "DELETE FROM decryption_keys WHERE alg = $1 AND used_from > $2 \
    AND withdrawn_at IS NULL RETURNING kid";
const WITHDRAW: &str = "UPDATE decryption_keys SET withdrawn_at = $2, sealed_private = '' \
    WHERE kid = $1 AND withdrawn_at IS NULL";
const USE_FROM: &str = "UPDATE decryption_keys SET used_from = $2 WHERE kid = $1";

/// A key with its calendar.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) key: DecryptionKey,
    pub(crate) times: Times,
}

/// One that reads nothing any more.
#[derive(Clone, Debug)]
pub(crate) struct Withdrawn {
    pub(crate) kid: String,
    pub(crate) family: Family,
    pub(crate) times: Times,
    pub(crate) at: Timestamp,
}

/// Every key there is.
#[derive(Clone, Debug, Default)]
pub(crate) struct All {
    pub(crate) held: Vec<Held>,
    pub(crate) withdrawn: Vec<Withdrawn>,
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
        let master = master.current();
        Ok(Self {
            family: key.family(),
            kid: key.kid().to_owned(),
            sealed_private: master.seal(PURPOSE, key.kid(), &key.to_pkcs8()?),
            master_key_id: master.id.clone(),
            times,
        })
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    kid: String,
    alg: String,
    sealed_private: String,
    master_key_id: String,
    published_at: i64,
    used_from: i64,
    withdrawn_at: Option<i64>,
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
    insert(&key, &Context::server(), conn, now).await?;
    Ok(true)
}

/// Under the lock.
pub(crate) async fn insert(key: &Record, by: &Context, conn: &mut Conn, now: Timestamp) -> Result<(), Error> {
    if master::is_retired(&key.master_key_id, conn).await? {
        return Err(Error::MasterKeyChanged);
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
    Ok(records::changed(&made, by, conn, now).await?)
}

/// Puts another key behind the one in use, in place of one that waits already.
pub(crate) async fn follow_up(
    mut key: Record,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<(), Error> {
    let dropped: Vec<(String,)> = run!(conn, |c| sqlx::query_as(DROP_WAITING)
        .bind(key.family.as_str())
        .bind(now.as_secs())
        .fetch_all(c))
    .map_err(db::Error::from)?;
    for (kid,) in &dropped {
        let alg = key.family.as_str();
        records::changed(&Event::DecryptionKeyWithdrawn { kid, alg }, by, conn, now).await?;
    }
    // Two keys that begin in one second would have no order.
    let newest = ring(key.family, conn).await?.into_iter().max();
    let free = newest.map_or(key.times.signs_at, |newest| {
        newest.signs_at + Duration::from_secs(1)
    });
    key.times.signs_at = key.times.signs_at.max(free);
    insert(&key, by, conn, now).await
}

/// This key reads nothing from now on.
pub(crate) async fn withdraw(
    (kid, family): (&str, Family),
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<()> {
    execute!(conn, sqlx::query(WITHDRAW).bind(kid).bind(now.as_secs()))?;
    let alg = family.as_str();
    records::changed(&Event::DecryptionKeyCompromised { kid, alg }, by, conn, now).await
}

/// Lets a key that waits be used earlier.
pub(crate) async fn use_from(
    (kid, family): (&str, Family),
    used_from: Timestamp,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<()> {
    execute!(conn, sqlx::query(USE_FROM).bind(kid).bind(used_from.as_secs()))?;
    let alg = family.as_str();
    records::changed(&Event::DecryptionKeyMade { kid, alg, used_from }, by, conn, now).await
}

/// Every key, oldest first in each ring.
pub(crate) async fn all(master: &MasterKey, conn: &mut Conn) -> Result<All, Error> {
    let rows: Vec<Row> = run!(conn, |c| sqlx::query_as(ALL).fetch_all(c)).map_err(db::Error::from)?;
    let mut all = All::default();
    for row in rows {
        // A kind of a newer version is none of this one's business.
        let Ok(family) = row.alg.parse::<Family>() else {
            continue;
        };
        let times = times(row.published_at, row.used_from);
        if let Some(at) = row.withdrawn_at {
            all.withdrawn.push(Withdrawn {
                kid: row.kid,
                family,
                times,
                at: Timestamp::from_secs(at),
            });
            continue;
        }
        let pkcs8 = master
            .open_by(&row.master_key_id, (PURPOSE, &row.kid), &row.sealed_private)
            .map_err(|_| Error::Sealed(format!("decryption key {}", row.kid)))?;
        all.held.push(Held {
            key: DecryptionKey::from_pkcs8(family, row.kid, &pkcs8)?,
            times,
        });
    }
    Ok(all)
}

/// How long one that was replaced still reads.
pub(crate) fn reads_for(policy: &Policy) -> Duration {
    policy.rotate_every
}

pub(crate) fn of(family: Family, held: &[Held]) -> impl DoubleEndedIterator<Item = &Held> {
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
        Some(retired) => now < retired + reads_for(policy),
        None => true,
    };
    let named = |held: &&Held| token.kid().is_none_or(|kid| kid == held.key.kid());
    let fitting = of(token.family(), held).rev().filter(reads).filter(named);
    fitting.map(|held| held.key.clone()).collect()
}

/// One of the keys by its name, not opened.
#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) kid: String,
    pub(crate) family: Family,
    pub(crate) times: Times,
    pub(crate) withdrawn: bool,
}

/// Every key, oldest first in each ring.
pub(crate) async fn names(conn: &mut Conn) -> db::Result<Vec<Name>> {
    let rows: Vec<Row> = run!(conn, |c| sqlx::query_as(ALL).fetch_all(c))?;
    let name = |row: Row| {
        let family = row.alg.parse().ok()?;
        Some(Name {
            family,
            times: times(row.published_at, row.used_from),
            withdrawn: row.withdrawn_at.is_some(),
            kid: row.kid,
        })
    };
    Ok(rows.into_iter().filter_map(name).collect())
}
