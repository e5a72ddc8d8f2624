//! Keys that an operator brings along, from the server that this one replaces: tokens that are alive there stay good,
//! and verifiers that hold its set notice nothing.

use std::time::Duration;

use db::Conn;
use events::Context;
use jose::SigningKey;
use protocol::Timestamp;

use crate::records::{Origin, Record};
use crate::ring::Times;
use crate::{Error, Keyring, Start, decryption, records};

impl Keyring {
    /// Announces keys in their rings: they sign after the announce time and after whatever is announced already, or at
    /// once when told so. All of them or none.
    ///
    /// # Errors
    /// When a ring is off, a key is here already by this name or another, or was withdrawn; when the database fails.
    pub async fn import(
        &self,
        keys: &[SigningKey],
        start: Start,
        by: &Context,
        now: Timestamp,
    ) -> Result<(), Error> {
        let signs_at = match start {
            Start::Announced => now + self.0.policy.announce,
            Start::Now => now,
        };
        let mut records = Vec::new();
        for key in keys {
            self.require(key.alg())?;
            let times = Times {
                published_at: now,
                signs_at,
            };
            records.push(Record::seal(key, &self.0.master, times)?);
        }
        let by = by.clone();
        let work = self.0.db.transact(move |conn| {
            Box::pin(async move {
                records::lock(conn).await?;
                for record in records {
                    add(record, start, &by, conn, now).await?;
                }
                Ok::<_, Error>(())
            })
        });
        work.await?;
        self.refresh().await
    }
}

async fn add(
    mut record: Record,
    start: Start,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<(), Error> {
    let known = records::all(conn).await?;
    let own = record.thumbprint();
    // One key by two names, or in two rings, would have the fault of each in both (RFC 8017 §9.1).
    let same = |held: &&Record| held.kid == record.kid || (own.is_some() && held.thumbprint() == own);
    if let Some(held) = known.iter().find(same) {
        return Err(match held.withdrawn_at {
            Some(_) => Error::Compromised(held.kid.clone()),
            None => Error::Duplicate {
                kid: record.kid,
                held: format!("{} of the ring {}", held.kid, held.alg),
            },
        });
    }
    // A key that reads is called by its numbers.
    let reading = decryption::names(conn).await?;
    let reads = |held: &&decryption::Name| held.kid == record.kid || Some(&held.kid) == own.as_ref();
    if let Some(held) = reading.iter().find(reads) {
        return Err(Error::Duplicate {
            held: format!("{}, to which clients encrypt", held.kid),
            kid: record.kid,
        });
    }
    let ring = records::ring(record.alg, conn).await?;
    const SECOND: Duration = Duration::from_secs(1);
    let signs_at = &mut record.times.signs_at;
    // What is announced already keeps its turn.
    if start == Start::Announced
        && let Some(last) = ring.iter().max()
    {
        *signs_at = (*signs_at).max(last.signs_at + SECOND);
    }
    // Two keys that begin in one second would have no order.
    while ring.iter().any(|held| held.signs_at == *signs_at) {
        *signs_at = *signs_at + SECOND;
    }
    records::insert((&record, Origin::Imported), by, conn, now).await
}
