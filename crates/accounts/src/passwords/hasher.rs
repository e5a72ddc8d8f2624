//! The hashing pool: a few threads that own their memory, behind a bounded queue.
//!
//! Decides how much of the machine sign-ins may take. One check costs 19 MiB and a dozen milliseconds by
//! design; a storm of them must neither exhaust the memory nor hold up tokens, so what does not fit is told
//! to come back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{io, thread};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use protocol::Secret;
use tokio::sync::oneshot;
use zeroize::{Zeroize as _, Zeroizing};

use super::queue::{Queue, Taken};
use super::stored::{OUTPUT_BYTES, SALT_BYTES};
use super::{About, BadPassword, Breached, Password, StoredHash, strength};

/// The pool, behind any number of clones, and what is known of passwords that many people have. Its threads end with the
/// last of them.
#[derive(Clone, Debug)]
pub struct Hasher(Arc<Pool>, Option<Breached>);

#[derive(Clone, Copy, Debug)]
pub struct HasherSettings {
    pub cost: Cost,
    /// Memory of all threads together, in KiB.
    pub memory_budget_kib: u32,
    /// How many may wait; who comes later is told to come back.
    pub queue: usize,
}

impl Default for HasherSettings {
    fn default() -> Self {
        Self {
            cost: Cost::STANDARD,
            memory_budget_kib: 256 * 1024,
            queue: 256,
        }
    }
}

/// What one Argon2id hash of ours costs; always in one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    memory_kib: u32,
    passes: u32,
}

impl Cost {
    /// The first choice of the OWASP Password Storage Cheat Sheet for servers.
    pub const STANDARD: Self = Self {
        memory_kib: 19_456,
        passes: 2,
    };
    /// The least that Argon2 defines: protects nobody, and lets a test sign in a thousand users.
    pub const LEAST: Self = Self {
        memory_kib: Params::MIN_M_COST,
        passes: 1,
    };

    pub(super) fn is_of(self, params: &Params) -> bool {
        (params.m_cost(), params.t_cost(), params.p_cost()) == (self.memory_kib, self.passes, 1)
    }

    fn params(self) -> Result<Params, Failed> {
        Params::new(self.memory_kib, self.passes, 1, Some(OUTPUT_BYTES)).map_err(|_| Failed)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Right,
    /// Right, and its hash is not what we would make today: hash it anew.
    RightButOutdated,
    Wrong,
}

/// The queue is full, or there is no memory to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are waiting to be checked")]
pub struct Overloaded;

impl From<Overloaded> for protocol::Error {
    fn from(overloaded: Overloaded) -> Self {
        Self::temporarily_unavailable(overloaded)
    }
}

/// Why a person does not get the password that they chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unchosen {
    #[error(transparent)]
    Bad(#[from] BadPassword),
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// That lasts until somebody mends it, so nobody should be told to try again in a moment.
    #[error("the list of breached passwords cannot be read")]
    Unjudged,
}

impl Hasher {
    /// # Errors
    /// When the operating system grants no thread.
    pub fn start(settings: HasherSettings) -> io::Result<Self> {
        let cores = thread::available_parallelism()?.get();
        Self::with_threads(settings.threads(cores), settings)
    }

    fn with_threads(count: usize, settings: HasherSettings) -> io::Result<Self> {
        let params = settings.cost.params().map_err(io::Error::other)?;
        let pool = Pool {
            queue: Arc::new(Queue::new(settings.queue)),
            taken: AtomicU64::new(0),
            stranger: StoredHash::argon2id(
                params,
                &protocol::random::bytes::<SALT_BYTES>(),
                &protocol::random::bytes::<OUTPUT_BYTES>(),
            ),
        };
        let large = Arc::new(Mutex::new(()));
        for number in 0..count {
            let worker = Worker {
                queue: pool.queue.clone(),
                cost: settings.cost,
                large: large.clone(),
                memory: Memory::default(),
            };
            thread::Builder::new()
                .name(format!("password-{number}"))
                .spawn(move || worker.run())?;
        }
        Ok(Self(Arc::new(pool), None))
    }

    /// The same, refusing passwords that are in this list to whoever chooses one.
    #[must_use]
    pub fn refusing(self, breached: Breached) -> Self {
        Self(self.0, Some(breached))
    }

    /// Checks a password. Without a stored hash (no such user, or one without a password) the same work is
    /// done against a hash of nothing, and the answer is [`Outcome::Wrong`]: the time taken tells nobody who
    /// has an account.
    ///
    /// # Errors
    /// [`Overloaded`], at once, when too many are waiting.
    pub async fn verify(
        &self,
        stored: Option<&StoredHash>,
        password: Password,
    ) -> Result<Outcome, Overloaded> {
        let against = stored.unwrap_or(&self.0.stranger).clone();
        let outcome = self
            .ask(|reply| Job::Verify {
                against,
                password,
                reply,
            })
            .await?;
        match stored {
            Some(_) => Ok(outcome),
            None => Ok(Outcome::Wrong),
        }
    }

    /// The hash of a password that somebody chooses, for themselves or for another: none that is too short or too long,
    /// that would soon be guessed, or that is known from a breach. Lengths are judged at once, the rest in the pool.
    ///
    /// # Errors
    /// [`Unchosen`], which says why not.
    pub async fn choose(&self, text: &Secret, about: About) -> Result<StoredHash, Unchosen> {
        let password = Password::chosen(text)?;
        let breached = self.1.clone();
        let judged = self.ask(|reply| Job::Choose {
            password,
            about,
            breached,
            reply,
        });
        judged.await?
    }

    /// Hashes a password that is not chosen now, at our own cost, with a new salt.
    ///
    /// # Errors
    /// [`Overloaded`], at once, when too many are waiting.
    pub async fn hash(&self, password: Password) -> Result<StoredHash, Overloaded> {
        self.ask(|reply| Job::Hash { password, reply }).await
    }

    /// How many passwords were looked at or hashed so far, or are about to be.
    pub fn taken(&self) -> u64 {
        self.0.taken.load(Ordering::Relaxed)
    }

    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> Result<T, Overloaded> {
        let (reply, answer) = oneshot::channel();
        if !self.0.queue.offer(job(reply)) {
            return Err(Overloaded);
        }
        self.0.taken.fetch_add(1, Ordering::Relaxed);
        answer.await.map_err(|_| Overloaded)
    }
}

impl HasherSettings {
    /// As many as there are cores and memory for, and at least one.
    fn threads(&self, cores: usize) -> usize {
        let affordable = self.memory_budget_kib / self.cost.memory_kib;
        cores
            .min(usize::try_from(affordable).unwrap_or(usize::MAX))
            .max(1)
    }
}

#[derive(Debug)]
struct Pool {
    queue: Arc<Queue<Job>>,
    taken: AtomicU64,
    /// Random bytes in the form of a hash: what a stranger's password is checked against.
    stranger: StoredHash,
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.close();
    }
}

#[derive(Debug)]
enum Job {
    Verify {
        against: StoredHash,
        password: Password,
        reply: oneshot::Sender<Outcome>,
    },
    Hash {
        password: Password,
        reply: oneshot::Sender<StoredHash>,
    },
    Choose {
        password: Password,
        about: About,
        breached: Option<Breached>,
        reply: oneshot::Sender<Result<StoredHash, Unchosen>>,
    },
}

struct Worker {
    queue: Arc<Queue<Job>>,
    cost: Cost,
    /// Held while a hash needs more memory than our own do: one such at a time in the whole pool, so that
    /// imported hashes cannot multiply the memory budget.
    large: Arc<Mutex<()>>,
    memory: Memory,
}

/// After this long without work a thread wipes its memory and gives it back.
const IDLE: Duration = Duration::from_secs(10);

impl Worker {
    fn run(mut self) {
        loop {
            let patience = (!self.memory.is_empty()).then_some(IDLE);
            match self.queue.take(patience) {
                Taken::Work(job) => self.answer(job),
                Taken::Idle => self.memory.release(),
                Taken::Closed => return,
            }
        }
    }

    /// An asker who has gone is not worth the work.
    fn answer(&mut self, job: Job) {
        match job {
            Job::Verify {
                against,
                password,
                reply,
            } if !reply.is_closed() => match self.verify(&against, password.bytes()) {
                Ok(outcome) => drop(reply.send(outcome)),
                Err(failed) => tracing::error!(%failed, "a password was not checked"),
            },
            Job::Hash { password, reply } if !reply.is_closed() => match self.hash(password.bytes()) {
                Ok(hash) => drop(reply.send(hash)),
                Err(failed) => tracing::error!(%failed, "a password was not hashed"),
            },
            Job::Choose {
                password,
                about,
                breached,
                reply,
            } if !reply.is_closed() => match self.choose(&password, &about, breached.as_ref()) {
                Ok(judged) => drop(reply.send(judged)),
                Err(Failed) => tracing::error!("a password was neither judged nor hashed"),
            },
            Job::Verify { .. } | Job::Hash { .. } | Job::Choose { .. } => {}
        }
    }

    fn choose(
        &mut self,
        password: &Password,
        about: &About,
        breached: Option<&Breached>,
    ) -> Result<Result<StoredHash, Unchosen>, Failed> {
        if let Some(weakness) = strength::weakness(password, about) {
            return Ok(Err(BadPassword::Weak(weakness).into()));
        }
        if let Some(breached) = breached {
            match breached.contains(password) {
                Ok(false) => {}
                Ok(true) => return Ok(Err(BadPassword::Breached.into())),
                Err(error) => {
                    tracing::error!(%error, "the list of breached passwords cannot be read");
                    return Ok(Err(Unchosen::Unjudged));
                }
            }
        }
        self.hash(password.bytes()).map(Ok)
    }

    fn verify(&mut self, against: &StoredHash, password: &[u8]) -> Result<Outcome, Failed> {
        let large = against.memory_kib() > self.cost.memory_kib;
        let right = if large {
            let _alone = self.large.lock().unwrap_or_else(PoisonError::into_inner);
            against.matches(password, &mut Memory::default())?
        } else {
            against.matches(password, &mut self.memory)?
        };
        Ok(match right {
            false => Outcome::Wrong,
            true if against.is_outdated(password, self.cost) => Outcome::RightButOutdated,
            true => Outcome::Right,
        })
    }

    fn hash(&mut self, password: &[u8]) -> Result<StoredHash, Failed> {
        let salt = protocol::random::bytes::<SALT_BYTES>();
        let mut output = Zeroizing::new([0; OUTPUT_BYTES]);
        let params = self.cost.params()?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        self.memory
            .fill(&argon2, &params, password, &salt, &mut *output)?;
        Ok(StoredHash::argon2id(params, &salt, &*output))
    }
}

/// No memory, or parameters that Argon2 does not define.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no memory for it")]
pub(super) struct Failed;

/// The blocks Argon2 works on: kept from hash to hash, wiped when given back.
#[derive(Default)]
pub(super) struct Memory(Vec<Block>);

impl Memory {
    /// Computes the hash of `password` into `output`.
    pub(super) fn fill(
        &mut self,
        argon2: &Argon2<'_>,
        params: &Params,
        password: &[u8],
        salt: &[u8],
        output: &mut [u8],
    ) -> Result<(), Failed> {
        let missing = params.block_count().saturating_sub(self.0.len());
        self.0.try_reserve_exact(missing).map_err(|_| Failed)?;
        self.0.resize(self.0.len() + missing, Block::new());
        argon2
            .hash_password_into_with_memory(password, salt, output, self.0.as_mut_slice())
            .map_err(|_| Failed)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn release(&mut self) {
        for block in &mut self.0 {
            block.as_mut().zeroize();
        }
        self.0 = Vec::new();
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests;
