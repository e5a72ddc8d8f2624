//! The course of the rings: what is due by the policy, and what an operator asks for before that.
//!
//! Any number of replicas and commands may do either: each key is made before the transaction (an RSA key takes its time,
//! and no lock waits for it), and whether it is still wanted is decided under the lock.

use std::time::Duration;

use db::Conn;
use events::Context;
use jose::{DecryptionKey, Family, SigningKey};
use protocol::{SigningAlg, Timestamp};

use crate::records::{self, Origin};
use crate::{Error, Keyring, Policy, decryption, ring};

/// When a key that an operator asked for begins to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// After the announce time, so that every verifier has fetched it.
    Announced,
    Now,
}

impl Keyring {
    /// Adds what the policy says is due: the first key of an empty ring, or the successor of one that has
    /// signed long enough. Any number of replicas may call it; each step happens once.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn maintain(&self, now: Timestamp) -> Result<(), Error> {
        self.0.master.follow(&mut self.0.db.reader().await?).await?;
        for alg in self.algs().iter() {
            let times = records::ring(alg, &mut self.0.db.reader().await?).await?;
            if let Some(signs_at) = self.0.policy.due(&times, now) {
                let key = self.new_record(alg, signs_at, now).await?;
                let policy = self.0.policy;
                let added = self
                    .0
                    .db
                    .transact(move |conn| Box::pin(add_if_due(key, policy, conn, now)));
                if added.await? {
                    tracing::info!(%alg, %signs_at, "a signing key was added");
                }
            }
        }
        for family in Family::ALL {
            let times = decryption::ring(*family, &mut self.0.db.reader().await?).await?;
            if let Some(used_from) = self.0.policy.due(&times, now) {
                let key = self.new_decryption_key(*family, used_from, now).await?;
                let policy = self.0.policy;
                let added = self
                    .0
                    .db
                    .transact(move |conn| Box::pin(decryption::add_if_due(key, policy, conn, now)));
                if added.await? {
                    tracing::info!(alg = %family, %used_from, "a decryption key was added");
                }
            }
        }
        self.refresh().await?;
        Ok(())
    }

    /// Publishes a new key for each of these algorithms, replacing one that was announced but does not sign
    /// yet. It signs after the announce time, or at once when told so.
    ///
    /// # Errors
    /// When the database fails, or one of the rings is off.
    pub async fn rotate(
        &self,
        algs: &[SigningAlg],
        start: Start,
        by: &Context,
        now: Timestamp,
    ) -> Result<(), Error> {
        let by = by.clone();
        let signs_at = match start {
            Start::Announced => now + self.0.policy.announce,
            Start::Now => now,
        };
        let mut keys = Vec::new();
        for alg in algs {
            self.require(*alg)?;
            keys.push(self.new_record(*alg, signs_at, now).await?);
        }
        self.0
            .db
            .transact(move |conn| {
                Box::pin(async move {
                    records::lock(conn).await?;
                    for mut key in keys {
                        records::drop_announced(key.alg, &by, conn, now).await?;
                        // Two keys that begin in one second would have no order.
                        let newest = records::ring(key.alg, conn).await?.into_iter().max();
                        let free = newest.map_or(key.times.signs_at, |newest| {
                            newest.signs_at + Duration::from_secs(1)
                        });
                        key.times.signs_at = key.times.signs_at.max(free);
                        records::insert((&key, Origin::Made), &by, conn, now).await?;
                    }
                    Ok::<_, Error>(())
                })
            })
            .await?;
        self.refresh().await
    }

    /// The same for keys to which clients encrypt. Only the one in use is published, so the new one is seen when it is
    /// used.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rotate_decryption(
        &self,
        families: &[Family],
        start: Start,
        by: &Context,
        now: Timestamp,
    ) -> Result<(), Error> {
        let used_from = match start {
            Start::Announced => now + self.0.policy.announce,
            Start::Now => now,
        };
        let mut keys = Vec::new();
        for family in families {
            keys.push(self.new_decryption_key(*family, used_from, now).await?);
        }
        let by = by.clone();
        let work = self.0.db.transact(move |conn| {
            Box::pin(async move {
                records::lock(conn).await?;
                for key in keys {
                    decryption::follow_up(key, &by, conn, now).await?;
                }
                Ok::<_, Error>(())
            })
        });
        work.await?;
        self.refresh().await
    }

    pub(crate) async fn new_record(
        &self,
        alg: SigningAlg,
        signs_at: Timestamp,
        now: Timestamp,
    ) -> Result<records::Record, Error> {
        // An RSA key takes so long that whoever shares the thread would miss his deadlines.
        let generated = tokio::task::spawn_blocking(move || SigningKey::generate(alg)).await;
        let key = generated.map_err(|_| jose::Error::Generate)??;
        records::Record::seal(
            &key,
            &self.0.master,
            ring::Times {
                published_at: now,
                signs_at,
            },
        )
    }

    pub(crate) async fn new_decryption_key(
        &self,
        family: Family,
        used_from: Timestamp,
        now: Timestamp,
    ) -> Result<decryption::Record, Error> {
        let generated = tokio::task::spawn_blocking(move || DecryptionKey::generate(family)).await;
        let key = generated.map_err(|_| jose::Error::Generate)??;
        let times = ring::Times {
            published_at: now,
            signs_at: used_from,
        };
        decryption::Record::seal(&key, &self.0.master, times)
    }
}

/// Looks again under the lock: another replica may have been first.
async fn add_if_due(
    key: records::Record,
    policy: Policy,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<bool, Error> {
    records::lock(conn).await?;
    let times = records::ring(key.alg, conn).await?;
    if policy.due(&times, now).is_none() {
        return Ok(false);
    }
    records::insert((&key, Origin::Made), &Context::server(), conn, now).await?;
    Ok(true)
}
