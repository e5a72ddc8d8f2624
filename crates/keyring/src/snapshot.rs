//! Everything the database holds about keys, opened, at one version.

use std::sync::Arc;

use db::Database;
use events::changes::{Topic, Versions};
use jose::SigningKey;
use protocol::{SigningAlg, Timestamp};

use crate::ring::{self, Times};
use crate::secrets::{self, PurposeSecret};
use crate::{Error, MasterKey, Policy, Purpose, RINGS, Stage, decryption, records};

#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) version: i64,
    pub(crate) keys: Vec<Held>,
    pub(crate) decryption: Vec<decryption::Held>,
    secrets: Vec<(Purpose, PurposeSecret)>,
}

#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) key: Arc<SigningKey>,
    pub(crate) times: Times,
}

/// One line of the calendar.
#[derive(Debug, Clone, serde::Serialize)]
pub struct RingEntry {
    pub kid: String,
    pub alg: SigningAlg,
    pub stage: Stage,
    pub published_at: Timestamp,
    pub signs_at: Timestamp,
    /// When its successor signs; none while it has no successor.
    pub retired_at: Option<Timestamp>,
    /// When it leaves the JWK set.
    pub gone_at: Option<Timestamp>,
}

impl Default for Snapshot {
    /// Of no version that the database can have.
    fn default() -> Self {
        Self {
            version: -1,
            keys: Vec::new(),
            decryption: Vec::new(),
            secrets: Vec::new(),
        }
    }
}

impl Snapshot {
    pub(crate) async fn load(db: &Database, master: &MasterKey) -> Result<Self, Error> {
        let mut conn = db.reader().await?;
        // The version first: what changes while we read is read again at the next refresh.
        let version = Versions::read(&mut conn).await?.of(Topic::Keys);
        let secrets = secrets::all(master, &mut conn).await?;
        let mut keys = Vec::new();
        for record in records::all(&mut conn).await? {
            keys.push(Held {
                key: Arc::new(record.open(master)?),
                times: record.times,
            });
        }
        let decryption = decryption::all(master, &mut conn).await?;
        Ok(Self {
            version,
            keys,
            decryption,
            secrets,
        })
    }

    pub(crate) fn ring(&self, alg: SigningAlg) -> impl Iterator<Item = &Held> {
        self.keys.iter().filter(move |held| held.key.alg() == alg)
    }

    pub(crate) fn signer(&self, alg: SigningAlg, now: Timestamp) -> Option<Arc<SigningKey>> {
        let ring: Vec<Times> = self.ring(alg).map(|held| held.times).collect();
        let signing = ring::signing(&ring, now)?;
        self.ring(alg)
            .find(|held| held.times == signing)
            .map(|held| held.key.clone())
    }

    pub(crate) fn secret(&self, purpose: Purpose) -> Option<PurposeSecret> {
        self.secrets
            .iter()
            .rev()
            .find(|(own, _)| *own == purpose)
            .map(|(_, secret)| secret.clone())
    }

    pub(crate) fn secret_by_id(&self, purpose: Purpose, id: &str) -> Option<PurposeSecret> {
        let named = |(own, secret): &&(Purpose, PurposeSecret)| *own == purpose && secret.id == id;
        self.secrets.iter().find(named).map(|(_, secret)| secret.clone())
    }

    pub(crate) fn calendar(&self, policy: &Policy, now: Timestamp) -> Vec<RingEntry> {
        let mut entries = Vec::new();
        for alg in RINGS {
            let ring: Vec<Times> = self.ring(*alg).map(|held| held.times).collect();
            for (held, stage) in self.ring(*alg).zip(policy.stages(&ring, now)) {
                let retired_at = ring::retired_at(held.times, &ring);
                entries.push(RingEntry {
                    kid: held.key.kid().to_owned(),
                    alg: *alg,
                    stage,
                    published_at: held.times.published_at,
                    signs_at: held.times.signs_at,
                    retired_at,
                    gone_at: retired_at.map(|at| at + policy.keep),
                });
            }
        }
        entries
    }
}
