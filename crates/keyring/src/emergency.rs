//! Keys that somebody else may know. They are withdrawn at once: out of the JWK set, believed by nobody here, told to
//! resource servers by the feed, and kept by name only so that they cannot come back. All of it is one transaction, in
//! which others take their place.

use std::time::Duration;

use db::Conn;
use events::{Context, revocations};
use jose::Family;
use protocol::{SigningAlg, Timestamp};

use crate::records::Origin;
use crate::ring::{self, Times, Turning};
use crate::{Error, Keyring, Policy, decryption, records};

/// How long resource servers are told. Who has the key gives its tokens whatever end he likes; what ends the danger is
/// that a verifier has the new JWK set, and one that was cut off for days must not miss it.
const TOLD_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What may be known to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suspect {
    /// Every key of these rings: the one that signs, those announced, and those retired, whose tokens are alive still.
    Rings(Vec<SigningAlg>, Vec<Family>),
    /// These alone, by their names.
    Keys(Vec<String>),
}

/// What an emergency came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Withdrawn {
    pub kids: Vec<String>,
}

/// Keys made before the transaction, for whichever rings need one.
struct Spare {
    signing: Vec<records::Record>,
    reading: Vec<decryption::Record>,
}

impl Keyring {
    /// Takes these keys out, for good, and has others sign at once: where only the signing key is suspect, the one that
    /// is announced already, because verifiers know it.
    ///
    /// # Errors
    /// When the database fails, or there is no key of a name.
    pub async fn withdraw(&self, suspect: Suspect, by: &Context, now: Timestamp) -> Result<Withdrawn, Error> {
        let spare = self.spare(&suspect, now).await?;
        let (policy, by) = (self.0.policy, by.clone());
        let work = self.0.db.transact(move |conn| {
            Box::pin(async move {
                let act = Act {
                    suspect,
                    policy,
                    by,
                    now,
                };
                act.run(spare, conn).await
            })
        });
        let withdrawn = work.await?;
        self.refresh().await?;
        Ok(withdrawn)
    }

    async fn spare(&self, suspect: &Suspect, now: Timestamp) -> Result<Spare, Error> {
        let mut spare = Spare {
            signing: Vec::new(),
            reading: Vec::new(),
        };
        for alg in self.algs().iter().filter(|alg| suspect.may_concern(*alg)) {
            spare.signing.push(self.new_record(alg, now, now).await?);
        }
        for family in Family::ALL
            .iter()
            .filter(|family| suspect.may_concern_family(**family))
        {
            spare
                .reading
                .push(self.new_decryption_key(*family, now, now).await?);
        }
        Ok(spare)
    }
}

impl Suspect {
    fn may_concern(&self, alg: SigningAlg) -> bool {
        match self {
            Self::Rings(algs, _) => algs.contains(&alg),
            Self::Keys(_) => true,
        }
    }

    fn may_concern_family(&self, family: Family) -> bool {
        match self {
            Self::Rings(_, families) => families.contains(&family),
            Self::Keys(_) => true,
        }
    }

    fn names(&self, kid: &str) -> bool {
        match self {
            Self::Rings(..) => true,
            Self::Keys(kids) => kids.iter().any(|own| own == kid),
        }
    }
}

/// A key of a ring, whatever it is for.
#[derive(Clone)]
struct Key {
    kid: String,
    times: Times,
}

/// What becomes of a ring.
enum Next {
    /// It goes on as it was.
    Stays,
    /// This key of it, announced already, takes over.
    Takes(Key),
    /// A new one does.
    New,
}

/// Who takes over when some of a ring are withdrawn.
fn next(ring: &[Key], gone: &[Key], now: Timestamp) -> Next {
    let times = |keys: &[Key]| keys.iter().map(|key| key.times).collect::<Vec<_>>();
    let signing = ring::signing(&times(ring), now);
    if gone.iter().all(|key| Some(key.times) != signing) {
        return Next::Stays;
    }
    let is_left = |key: &&Key| gone.iter().all(|own| own.kid != key.kid);
    let announced = ring.iter().filter(is_left).filter(|key| key.times.signs_at > now);
    match announced.min_by_key(|key| key.times) {
        Some(key) => Next::Takes(key.clone()),
        None => Next::New,
    }
}

struct Act {
    suspect: Suspect,
    policy: Policy,
    by: Context,
    now: Timestamp,
}

impl Act {
    async fn run(&self, spare: Spare, conn: &mut Conn) -> Result<Withdrawn, Error> {
        records::lock(conn).await?;
        let signing = records::all(conn).await?;
        let reading = decryption::names(conn).await?;
        if let Suspect::Keys(kids) = &self.suspect {
            let is_known = |kid: &&String| {
                signing.iter().any(|own| own.kid == **kid) || reading.iter().any(|own| own.kid == **kid)
            };
            if let Some(unknown) = kids.iter().find(|kid| !is_known(kid)) {
                return Err(Error::UnknownKey(unknown.clone()));
            }
        }
        let mut withdrawn = Withdrawn::default();
        for alg in SigningAlg::ALL
            .iter()
            .filter(|alg| self.suspect.may_concern(**alg))
        {
            let live = signing
                .iter()
                .filter(|own| own.alg == *alg && own.withdrawn_at.is_none());
            let ring = live.map(|own| Key {
                kid: own.kid.clone(),
                times: own.times,
            });
            let fresh = spare.signing.iter().find(|own| own.alg == *alg);
            let gone = self.signing_ring(*alg, ring.collect(), fresh, conn).await?;
            withdrawn.kids.extend(gone);
        }
        let signed_by = withdrawn.kids.len();
        for family in Family::ALL
            .iter()
            .filter(|family| self.suspect.may_concern_family(**family))
        {
            let live = reading.iter().filter(|own| own.family == *family);
            let ring = live.filter(|own| !own.withdrawn).map(|own| Key {
                kid: own.kid.clone(),
                times: own.times,
            });
            let fresh = spare.reading.iter().find(|own| own.family == *family);
            let gone = self.reading_ring(*family, ring.collect(), fresh, conn).await?;
            withdrawn.kids.extend(gone);
        }
        // The counter of the feed last of all: whoever has seen a number has seen what it tells of.
        for kid in withdrawn.kids.iter().take(signed_by) {
            revocations::key_withdrawn(kid, self.now + TOLD_FOR, conn).await?;
        }
        Ok(withdrawn)
    }

    async fn signing_ring(
        &self,
        alg: SigningAlg,
        ring: Vec<Key>,
        fresh: Option<&records::Record>,
        conn: &mut Conn,
    ) -> Result<Vec<String>, Error> {
        let (by, now) = (&self.by, self.now);
        let gone = self.gone(&ring);
        for key in &gone {
            records::withdraw((&key.kid, alg), by, conn, now).await?;
        }
        match (self.policy.turning(alg), next(&ring, &gone, now), fresh) {
            (Turning::Off, _, _) | (_, Next::Stays, _) | (_, Next::New, None) => {}
            (Turning::On, Next::Takes(key), _) => {
                records::sign_from((&key.kid, alg), now, by, conn, now).await?;
            }
            (Turning::On, Next::New, Some(fresh)) => {
                records::insert((fresh, Origin::Made), by, conn, now).await?;
            }
        }
        Ok(gone.into_iter().map(|key| key.kid).collect())
    }

    async fn reading_ring(
        &self,
        family: Family,
        ring: Vec<Key>,
        fresh: Option<&decryption::Record>,
        conn: &mut Conn,
    ) -> Result<Vec<String>, Error> {
        let (by, now) = (&self.by, self.now);
        let gone = self.gone(&ring);
        for key in &gone {
            decryption::withdraw((&key.kid, family), by, conn, now).await?;
        }
        match (next(&ring, &gone, now), fresh) {
            (Next::Stays, _) | (Next::New, None) => {}
            (Next::Takes(key), _) => {
                decryption::use_from((&key.kid, family), now, by, conn, now).await?;
            }
            (Next::New, Some(fresh)) => decryption::insert(fresh, by, conn, now).await?,
        }
        Ok(gone.into_iter().map(|key| key.kid).collect())
    }

    fn gone(&self, ring: &[Key]) -> Vec<Key> {
        let gone = ring.iter().filter(|key| self.suspect.names(&key.kid));
        gone.cloned().collect()
    }
}
