//! Everything the database holds about keys, opened, at one version.

use std::sync::Arc;

use db::Database;
use events::changes::{Topic, Versions};
use jose::{Family, SigningKey};
use protocol::{SigningAlg, Timestamp, wire_enum};

use crate::ring::{self, Times, Turning};
use crate::secrets::{self, PurposeSecret};
use crate::{Error, MasterKey, Policy, Purpose, Stage, decryption, records};

#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) version: i64,
    keys: Vec<Held>,
    withdrawn: Vec<Withdrawn>,
    pub(crate) decryption: decryption::All,
    secrets: Vec<(Purpose, PurposeSecret)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) key: Arc<SigningKey>,
    pub(crate) times: Times,
}

/// One that was taken out; its private half is no more.
#[derive(Clone, Debug)]
struct Withdrawn {
    kid: String,
    alg: SigningAlg,
    times: Times,
    at: Timestamp,
}

wire_enum! {
    /// What a key is for: RFC 7517 §4.2.
    pub enum Use {
        Signatures => "sig",
        Encryption => "enc",
    }
}

/// One line of the calendar, of a key for signatures or of one that reads.
#[derive(Debug, Clone, serde::Serialize)]
pub struct RingEntry<A = SigningAlg> {
    pub kid: String,
    #[serde(rename = "use")]
    pub purpose: Use,
    pub alg: A,
    pub stage: Stage,
    pub published_at: Timestamp,
    /// When it begins to sign, or to be the one in use.
    pub signs_at: Timestamp,
    /// When its successor takes over; none while it has no successor.
    pub retired_at: Option<Timestamp>,
    /// When it leaves the JWK set; of a key that reads: when it reads no more.
    pub gone_at: Option<Timestamp>,
    /// When it was taken out, for good.
    pub withdrawn_at: Option<Timestamp>,
}

impl<A> RingEntry<A> {
    fn withdrawn((kid, alg): (String, A), purpose: Use, times: Times, at: Timestamp) -> Self {
        Self {
            kid,
            purpose,
            alg,
            stage: Stage::Withdrawn,
            published_at: times.published_at,
            signs_at: times.signs_at,
            retired_at: None,
            gone_at: None,
            withdrawn_at: Some(at),
        }
    }
}

/// Where a key of a ring stands.
pub(crate) struct Life<'s> {
    pub(crate) held: &'s Held,
    pub(crate) stage: Stage,
    retires_at: Option<Timestamp>,
}

impl Default for Snapshot {
    /// Of no version that the database can have.
    fn default() -> Self {
        Self {
            version: -1,
            keys: Vec::new(),
            withdrawn: Vec::new(),
            decryption: decryption::All::default(),
            secrets: Vec::new(),
        }
    }
}

impl Snapshot {
    pub(crate) async fn load(db: &Database, master: &MasterKey) -> Result<Self, Error> {
        let mut conn = db.reader().await?;
        // The version first: what changes while we read is read again at the next refresh.
        let version = Versions::read(&mut conn).await?.of(Topic::Keys);
        master.follow(&mut conn).await?;
        let secrets = secrets::all(master, &mut conn).await?;
        let (mut keys, mut withdrawn) = (Vec::new(), Vec::new());
        for record in records::all(&mut conn).await? {
            match record.withdrawn_at {
                None => keys.push(Held {
                    key: Arc::new(record.open(master)?),
                    times: record.times,
                }),
                Some(at) => withdrawn.push(Withdrawn {
                    kid: record.kid,
                    alg: record.alg,
                    times: record.times,
                    at,
                }),
            }
        }
        let decryption = decryption::all(master, &mut conn).await?;
        Ok(Self {
            version,
            keys,
            withdrawn,
            decryption,
            secrets,
        })
    }

    /// The same without these keys; none where it has none of them. Still of the version that it was.
    pub(crate) fn without(&self, kids: &[String]) -> Option<Self> {
        let named = |kid: &str| kids.iter().any(|own| own == kid);
        let signs = self.keys.iter().any(|held| named(held.key.kid()));
        let reads = self.decryption.held.iter().any(|held| named(held.key.kid()));
        if !signs && !reads {
            return None;
        }
        let mut rest = self.clone();
        rest.keys.retain(|held| !named(held.key.kid()));
        rest.decryption.held.retain(|held| !named(held.key.kid()));
        Some(rest)
    }

    /// Every key of a ring that was not withdrawn.
    fn ring(&self, alg: SigningAlg) -> impl Iterator<Item = &Held> {
        self.keys.iter().filter(move |held| held.key.alg() == alg)
    }

    pub(crate) fn signer(&self, alg: SigningAlg, now: Timestamp) -> Option<Arc<SigningKey>> {
        let ring: Vec<Times> = self.ring(alg).map(|held| held.times).collect();
        let signing = ring::signing(&ring, now)?;
        self.ring(alg)
            .find(|held| held.times == signing)
            .map(|held| held.key.clone())
    }

    /// The keys of a ring, and the next instant at which one of them stands elsewhere.
    pub(crate) fn lives(
        &self,
        alg: SigningAlg,
        policy: &Policy,
        now: Timestamp,
    ) -> (Vec<Life<'_>>, Option<Timestamp>) {
        let turning = policy.turning(alg);
        let ring: Vec<Times> = self.ring(alg).map(|held| held.times).collect();
        let stages = policy.stages(&ring, turning, now);
        let lives = self.ring(alg).zip(stages).map(|(held, stage)| Life {
            held,
            stage,
            retires_at: policy.retires_at(held.times, &ring, turning),
        });
        (lives.collect(), policy.next_change(&ring, turning, now))
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
        for alg in SigningAlg::ALL {
            let (lives, _) = self.lives(*alg, policy, now);
            entries.extend(lives.into_iter().map(|life| RingEntry {
                kid: life.held.key.kid().to_owned(),
                purpose: Use::Signatures,
                alg: *alg,
                stage: life.stage,
                published_at: life.held.times.published_at,
                signs_at: life.held.times.signs_at,
                retired_at: life.retires_at,
                gone_at: life.retires_at.map(|at| at + policy.keep),
                withdrawn_at: None,
            }));
            let withdrawn = self.withdrawn.iter().filter(|own| own.alg == *alg);
            entries.extend(withdrawn.map(|own| {
                RingEntry::withdrawn((own.kid.clone(), *alg), Use::Signatures, own.times, own.at)
            }));
        }
        entries
    }

    /// The same of the keys that read.
    pub(crate) fn decryption_calendar(&self, policy: &Policy, now: Timestamp) -> Vec<RingEntry<Family>> {
        // One that was replaced reads for longer than it would verify.
        let policy = Policy {
            keep: decryption::reads_for(policy),
            ..*policy
        };
        let mut entries = Vec::new();
        for family in Family::ALL {
            let all = || decryption::of(*family, &self.decryption.held);
            let ring: Vec<Times> = all().map(|held| held.times).collect();
            let stages = policy.stages(&ring, Turning::On, now);
            entries.extend(all().zip(stages).map(|(held, stage)| {
                let retired_at = ring::retired_at(held.times, &ring);
                RingEntry {
                    kid: held.key.kid().to_owned(),
                    purpose: Use::Encryption,
                    alg: *family,
                    stage,
                    published_at: held.times.published_at,
                    signs_at: held.times.signs_at,
                    retired_at,
                    gone_at: retired_at.map(|at| at + policy.keep),
                    withdrawn_at: None,
                }
            }));
            let withdrawn = self
                .decryption
                .withdrawn
                .iter()
                .filter(|own| own.family == *family);
            entries.extend(withdrawn.map(|own| {
                RingEntry::withdrawn((own.kid.clone(), *family), Use::Encryption, own.times, own.at)
            }));
        }
        entries
    }
}
