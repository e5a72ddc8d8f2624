//! Signing keys, decryption keys and purpose secrets: rings, rotation, storage, the JWK set.
//!
//! Keys live in the database, sealed under the master key, which lives outside of it and does nothing else.
//! Every replica holds the same snapshot and refreshes it when [`Keyring::follow`] hears of a newer version.

mod decryption;
mod emergency;
mod imports;
pub mod master;
mod publication;
mod records;
mod reseal;
pub mod ring;
mod rotation;
mod secrets;
mod sid;
mod snapshot;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use db::Database;
use events::Context;
use events::changes::{Topic, Versions, Watcher};
use jose::{Encrypted, Pool, Protection, Signature, SigningKey};
use protocol::{JweAlg, JweEnc, SigningAlg, SigningAlgs, Timestamp};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

pub use emergency::{Suspect, Withdrawn};
pub use jose::imported::{Unusable, read as read_keys};
pub use jose::jwe::Refused;
pub use jose::{Family, SEATS, Seat};
pub use master::MasterKey;
pub use publication::Published;
pub use reseal::Resealed;
pub use ring::{Policy, Stage};
pub use rotation::Start;
pub use secrets::{Purpose, PurposeSecret};
pub use sid::sid;
pub use snapshot::{RingEntry, Use};

use reseal::{Progress, Reseal};
use snapshot::Snapshot;

/// Rings that no installation is without: RS256 because most clients need it for ID tokens (OpenID Connect Core
/// §15.1), ES256 because its signature costs a fraction. The others are there unless an operator says otherwise, since
/// some clients ask for them. Each has keys of its own: RFC 8017 §9.1 would not have one RSA key sign by both paddings.
pub const ALWAYS: &[SigningAlg] = &[SigningAlg::Rs256, SigningAlg::Es256];

/// For how long a verifier may keep the JWK set. A key is announced for longer, and an emergency takes as long.
pub const JWKS_MAX_AGE: Duration = Duration::from_secs(5 * 60);

/// The keys of this installation.
#[derive(Clone, Debug)]
pub struct Keyring(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    db: Database,
    master: MasterKey,
    policy: Policy,
    snapshot: ArcSwap<Snapshot>,
    /// Held by whoever reads them: of two who read at a time, the one that began earlier must not end later.
    reading: Mutex<()>,
    published: ArcSwap<Published>,
    pool: Pool,
}

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Database(#[from] db::Error),
    #[error(transparent)]
    Master(#[from] master::Error),
    #[error("a stored key does not open under the master key: {0}")]
    Sealed(String),
    #[error("the master key was changed meanwhile: try again")]
    MasterKeyChanged,
    #[error(
        "COUNTERSIGN_MASTER_KEY holds one key: add a new one behind it (32 random bytes in base64url), restart every \
         server with both, and run this again"
    )]
    NoSecondKey,
    #[error("a key is not usable: {0}")]
    Key(#[from] jose::Error),
    #[error("no thread for signatures: {0}")]
    NoThread(#[from] std::io::Error),
    #[error("there is no {0} key that may sign now")]
    NoSigner(SigningAlg),
    #[error("{0} is switched off on this server (COUNTERSIGN_KEYS_ALGS)")]
    Off(SigningAlg),
    #[error("there is no key {0}: see `countersign keys list`")]
    UnknownKey(String),
    #[error("the key {kid} is here already, as {held}")]
    Duplicate { kid: String, held: String },
    #[error("the key {0} was withdrawn in an emergency, so it cannot come back: generate another one")]
    Compromised(String),
    #[error("there is no secret for {0}")]
    NoSecret(Purpose),
}

impl From<Error> for protocol::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Database(error) => error.into(),
            Error::Key(jose::Error::Busy) => Self::temporarily_unavailable(error),
            // Whoever registered for it has to choose another one; nothing here is broken.
            Error::Off(alg) => Self::unauthorized_client(format!(
                "this client or API asks for signatures by {alg}, which the operator has switched off \
                 (COUNTERSIGN_KEYS_ALGS): register another algorithm"
            )),
            other => Self::server_error(other),
        }
    }
}

impl Keyring {
    /// Loads the keys; on an empty database the first ones are made, exactly once across replicas.
    ///
    /// # Errors
    /// When the database fails or a stored key does not open.
    pub async fn open(
        db: &Database,
        master: MasterKey,
        policy: Policy,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let snapshot = Arc::new(Snapshot::default());
        let published = Published::of(&snapshot, &policy, now);
        let keyring = Self(Arc::new(Inner {
            db: db.clone(),
            master,
            policy,
            snapshot: ArcSwap::new(snapshot),
            reading: Mutex::default(),
            published: ArcSwap::from_pointee(published),
            pool: Pool::start()?,
        }));
        keyring.ensure_secrets(now).await?;
        keyring.maintain(now).await?;
        keyring.reload().await?;
        Ok(keyring)
    }

    /// Has a new master key at hand, and does nothing else: it can be copied to wherever servers run.
    ///
    /// # Errors
    /// When it cannot be written, or a setting names one key only.
    pub async fn prepare_reseal(&self, by: &Context, now: Timestamp) -> Result<(), Error> {
        self.reseal_by(by, now).prepare().await
    }

    /// Seals every row under a new master key and retires the old one. Goes on where an earlier run stopped.
    ///
    /// # Errors
    /// When the database fails or a key is not at hand; then it may be run again.
    pub async fn reseal(&self, by: &Context, now: Timestamp) -> Result<Resealed, Error> {
        let mut run = self.reseal_by(by, now);
        run.prepare().await?;
        while run.step().await? == Progress::More {}
        let done = run.done;
        self.reload().await?;
        Ok(done)
    }

    fn reseal_by<'r>(&'r self, by: &'r Context, now: Timestamp) -> Reseal<'r> {
        Reseal {
            master: &self.0.master,
            db: &self.0.db,
            by,
            now,
            done: Resealed::default(),
        }
    }

    /// Takes over what another process changed. Costs one small read when nothing did.
    ///
    /// # Errors
    /// When the database fails; the keys held stay in use.
    pub async fn refresh(&self) -> Result<(), Error> {
        let versions = Versions::read(&mut self.0.db.reader().await?).await?;
        if versions.of(Topic::Keys) != self.0.snapshot.load().version {
            self.reload().await?;
        }
        Ok(())
    }

    /// Takes over every change as soon as it is heard of; never returns.
    pub async fn follow(self, mut changes: Watcher) {
        loop {
            let held = self.0.snapshot.load().version;
            changes.differs(Topic::Keys, held).await;
            // The keys held stay good until they can be read.
            if let Err(error) = self.refresh().await {
                tracing::warn!(%error, "the keys could not be read");
                tokio::time::sleep(RETRY).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The key that signs with this algorithm now.
    ///
    /// # Errors
    /// [`Error::NoSigner`] when its ring is empty, [`Error::Off`] when it is off.
    pub fn signer(&self, alg: SigningAlg, now: Timestamp) -> Result<Arc<SigningKey>, Error> {
        self.require(alg)?;
        self.0
            .snapshot
            .load()
            .signer(alg, now)
            .ok_or(Error::NoSigner(alg))
    }

    /// Room for signatures with these algorithms: to be taken before anything is claimed that a signature is to
    /// answer for.
    ///
    /// # Errors
    /// At once, when too many are waiting, or a ring is off.
    pub fn seat(&self, algs: &[SigningAlg]) -> Result<Seat, Error> {
        for alg in algs {
            self.require(*alg)?;
        }
        Ok(self.0.pool.seat(algs)?)
    }

    /// A compact JWS by the key that signs with this algorithm now.
    ///
    /// # Errors
    /// [`Error::NoSigner`] when its ring is empty.
    pub async fn sign(
        &self,
        alg: SigningAlg,
        (typ, claims): (&'static str, &impl serde::Serialize),
        seat: &Seat,
        now: Timestamp,
    ) -> Result<String, Error> {
        let key = self.signer(alg, now)?;
        Ok(self.0.pool.sign(&key, typ, claims, seat).await?)
    }

    /// A token that says this to one reader, protected as it registered. Its `typ` is `JWT` unless a specification
    /// names another.
    ///
    /// # Errors
    /// As [`Self::sign`].
    pub async fn tell(
        &self,
        (typ, claims): (&'static str, &impl serde::Serialize),
        protection: &Protection,
        seat: &Seat,
        now: Timestamp,
    ) -> Result<String, Error> {
        let signed = match &protection.signature {
            Some(Signature::ByKey(alg)) => Some(self.sign(*alg, (typ, claims), seat, now).await?),
            Some(Signature::BySecret(secret)) => {
                Some(jose::sign_by_secret(typ, claims, secret.expose().as_bytes())?)
            }
            None => None,
        };
        Ok(protection.finish(signed, claims)?)
    }

    /// The content of a token that was encrypted to a key of ours, by the algorithms that its sender registered. Whether
    /// that is a signed token is for the caller to look at.
    ///
    /// # Errors
    /// When too many are waiting; within, why the token is refused.
    pub async fn decrypt(
        &self,
        token: &str,
        registered: (JweAlg, JweEnc),
        now: Timestamp,
    ) -> Result<Result<Zeroizing<Vec<u8>>, Refused>, Error> {
        let token = match Encrypted::parse(token) {
            Ok(token) if (token.alg(), token.enc()) == registered => Arc::new(token),
            Ok(_) => return Ok(Err(Refused::Algorithm)),
            Err(refused) => return Ok(Err(refused)),
        };
        let held = self.0.snapshot.load_full();
        let mut outcome = Err(Refused::UnknownKey);
        for key in decryption::fitting(&token, &held.decryption.held, &self.0.policy, now) {
            outcome = self.0.pool.decrypt(&key, &token).await?;
            if outcome.is_ok() {
                break;
            }
        }
        Ok(outcome)
    }

    /// The algorithms by which this installation signs.
    pub fn algs(&self) -> SigningAlgs {
        self.0.policy.algs
    }

    fn require(&self, alg: SigningAlg) -> Result<(), Error> {
        match self.algs().contains(alg) {
            true => Ok(()),
            false => Err(Error::Off(alg)),
        }
    }

    /// The newest secret for a purpose.
    ///
    /// # Errors
    /// [`Error::NoSecret`] when it was never made.
    pub fn secret(&self, purpose: Purpose) -> Result<PurposeSecret, Error> {
        self.0
            .snapshot
            .load()
            .secret(purpose)
            .ok_or(Error::NoSecret(purpose))
    }

    /// The secret that a row names.
    pub fn secret_by_id(&self, purpose: Purpose, id: &str) -> Option<PurposeSecret> {
        self.0.snapshot.load().secret_by_id(purpose, id)
    }

    /// The published JWK set, and the same keys ready for checking signatures.
    pub fn published(&self, now: Timestamp) -> Arc<Published> {
        let (held, snapshot) = (self.0.published.load_full(), self.0.snapshot.load_full());
        if held.is_current(&snapshot, now) {
            return held;
        }
        let fresh = Arc::new(Published::of(&snapshot, &self.0.policy, now));
        self.0.published.store(fresh.clone());
        fresh
    }

    /// Every key that signs, did or will, with its stage, for people.
    pub fn calendar(&self, now: Timestamp) -> Vec<RingEntry> {
        self.0.snapshot.load().calendar(&self.0.policy, now)
    }

    /// The same of the keys to which clients encrypt.
    pub fn decryption_calendar(&self, now: Timestamp) -> Vec<RingEntry<Family>> {
        self.0.snapshot.load().decryption_calendar(&self.0.policy, now)
    }

    async fn reload(&self) -> Result<(), Error> {
        let _alone = self.0.reading.lock().await;
        match Snapshot::load(&self.0.db, &self.0.master).await {
            Ok(snapshot) => {
                self.0.snapshot.store(Arc::new(snapshot));
                Ok(())
            }
            Err(Error::Database(error)) => Err(error.into()),
            // Who cannot open what is new, for want of the second master key, goes on with what it holds, but must not
            // go on to believe what was withdrawn.
            Err(error) => {
                let withdrawn = records::withdrawn(&mut self.0.db.reader().await?).await?;
                if let Some(rest) = self.0.snapshot.load().without(&withdrawn) {
                    self.0.snapshot.store(Arc::new(rest));
                }
                Err(error)
            }
        }
    }

    async fn ensure_secrets(&self, now: Timestamp) -> Result<(), Error> {
        let master = self.0.master.clone();
        self.0
            .db
            .transact(move |conn| Box::pin(secrets::ensure(master, conn, now)))
            .await
    }
}

/// Between two readings: a notice may be behind what was read already.
const PAUSE: Duration = Duration::from_millis(20);
const RETRY: Duration = Duration::from_secs(1);

/// Longest life of a token that we sign; verifiers need a retired key for as long.
pub const LONGEST_TOKEN_LIFE: Duration = Duration::from_secs(60 * 60);

#[cfg(test)]
mod tests;
