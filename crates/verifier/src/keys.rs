//! The issuer's keys, at hand. Decides when they are fetched again: once for many who ask, seldom for those who
//! make up key names, and never so that an issuer that is down takes the resource server with it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jws::KeySet;
use protocol::{Clock, Timestamp};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::JoinHandle;

use crate::Unavailable;
use crate::issuer::{Fetched, Issuer};
use crate::seen::Digest;

/// Between two fetches while keys are at hand: what a flood of made-up key names can cost the issuer.
const PAUSE: Duration = Duration::from_secs(10);

/// Between two fetches while there are none: everybody waits for the issuer to come up.
const PAUSE_WITHOUT_KEYS: Duration = Duration::from_secs(1);

/// Before each further look for a key set without the key that was withdrawn: a cache may hold the old one for a while.
const LOOKS_AGAIN: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

/// Keys that are remembered as withdrawn, the oldest of which are forgotten first.
const MAX_WITHDRAWN: usize = 64;

/// Why keys are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// What is at hand is too old, or nothing is.
    Stale,
    /// A key is looked for that somebody has named.
    Unknown,
    /// The issuer has withdrawn one that was at hand.
    Withdrawn,
}

/// A key set with the time until which it is fresh.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) set: KeySet,
    /// Another for each other set: what was verified by one set has to be verified again by the next.
    pub(crate) version: u64,
    fresh_until: Timestamp,
    digest: Option<Digest>,
}

pub(crate) type Outcome = Result<Arc<Held>, Arc<Unavailable>>;

#[derive(Debug)]
pub(crate) struct Keys {
    issuer: Issuer,
    state: ArcSwap<State>,
    /// Held by whoever fetches.
    turn: Arc<Mutex<()>>,
}

/// Replaced as a whole after each fetch, so that whoever waited for one sees by identity that it happened.
#[derive(Debug)]
struct State {
    held: Outcome,
    tried: Option<Timestamp>,
    /// Why the last fetch failed, if it did.
    failing: Option<Arc<Unavailable>>,
    /// Taken out of whatever is fetched: a cache may go on to give them out.
    withdrawn: Vec<String>,
    /// Whether the last set that was fetched held one of them.
    holds_withdrawn: bool,
}

impl Keys {
    pub(crate) fn new(issuer: Issuer) -> Self {
        let state = State {
            held: Err(Arc::new(Unavailable::NotAsked)),
            tried: None,
            failing: None,
            withdrawn: Vec::new(),
            holds_withdrawn: false,
        };
        Self {
            issuer,
            state: ArcSwap::from_pointee(state),
            turn: Arc::default(),
        }
    }

    pub(crate) fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The keys to judge by. Stale ones are renewed first: a key that was withdrawn must not outlive its time.
    /// Only while the issuer fails do they serve on, and nobody waits for it more than once.
    pub(crate) async fn current(self: &Arc<Self>, now: Timestamp) -> Outcome {
        let state = self.state.load_full();
        match &state.held {
            Ok(held) if now < held.fresh_until => Ok(Arc::clone(held)),
            Ok(held) if state.failing.is_some() => {
                self.fetch_behind(&state, now);
                Ok(Arc::clone(held))
            }
            _ => self.fetch(state, Reason::Stale, now).await,
        }
    }

    /// The keys after a look for one that is not among those at hand.
    ///
    /// # Errors
    /// When it is not among them then, and the issuer could not be asked: the key may be a good one.
    pub(crate) async fn newer(self: &Arc<Self>, kid: &str, now: Timestamp) -> Outcome {
        let held = self.fetch(self.state.load_full(), Reason::Unknown, now).await?;
        let state = self.state.load();
        match &state.failing {
            _ if held.set.has_kid(kid) || state.has_withdrawn(kid) => Ok(held),
            Some(cause) => Err(Arc::clone(cause)),
            None if held.set.is_empty() => Err(Arc::new(Unavailable::NoKeys)),
            None => Ok(held),
        }
    }

    /// Takes a key out of those at hand and of all that are fetched from now on, at the word of the issuer. Whether
    /// it was at hand.
    pub(crate) fn withdraw(&self, kid: &str) -> bool {
        let state = self.state.load();
        let was_at_hand = matches!(&state.held, Ok(held) if held.set.has_kid(kid));
        if was_at_hand || !state.has_withdrawn(kid) {
            self.state.rcu(|state| state.without(kid));
        }
        was_at_hand
    }

    /// Fetches the keys whenever they were fetched last, until none is among them that was withdrawn: its successor
    /// comes with the set that lacks it. Only for a reason that the issuer itself gave.
    pub(crate) async fn renew(self: &Arc<Self>, clock: &Clock) {
        let mut pauses = LOOKS_AGAIN.into_iter();
        loop {
            let turn = Arc::clone(&self.turn).lock_owned().await;
            let _ = self.start(turn, Reason::Withdrawn, clock.now()).await;
            let is_done = {
                let state = self.state.load();
                state.failing.is_none() && !state.holds_withdrawn
            };
            match pauses.next() {
                Some(pause) if !is_done => tokio::time::sleep(pause).await,
                _ => return,
            }
        }
    }

    async fn fetch(self: &Arc<Self>, seen: Arc<State>, reason: Reason, now: Timestamp) -> Outcome {
        if !seen.may_try(now) {
            return seen.held.clone();
        }
        let turn = Arc::clone(&self.turn).lock_owned().await;
        if Arc::ptr_eq(&seen, &self.state.load()) {
            // If the task dies, the state stays as it was and says what there is.
            let _ = self.start(turn, reason, now).await;
        }
        self.state.load().held.clone()
    }

    fn fetch_behind(self: &Arc<Self>, seen: &Arc<State>, now: Timestamp) {
        if !seen.may_try(now) {
            return;
        }
        if let Ok(turn) = Arc::clone(&self.turn).try_lock_owned()
            && Arc::ptr_eq(seen, &self.state.load())
        {
            drop(self.start(turn, Reason::Stale, now));
        }
    }

    /// Fetches in a task of its own: a request that is given up must not end what others wait for.
    fn start(self: &Arc<Self>, turn: OwnedMutexGuard<()>, reason: Reason, now: Timestamp) -> JoinHandle<()> {
        let keys = Arc::clone(self);
        tokio::spawn(async move {
            let past_caches = reason != Reason::Stale;
            let fetched = keys.issuer.fetch(past_caches).await.map_err(Arc::new);
            // A key may have been withdrawn meanwhile: what is replaced is what there is now.
            let fetched = fetched.as_ref();
            if let Err(cause) = fetched {
                let cause: &(dyn std::error::Error + 'static) = cause;
                tracing::warn!(cause, "the keys of the issuer could not be fetched");
            }
            keys.state.rcu(|state| state.after(fetched, reason, now));
            drop(turn);
        })
    }
}

impl State {
    fn may_try(&self, now: Timestamp) -> bool {
        let pause = match &self.held {
            Ok(held) if !held.set.is_empty() => PAUSE,
            Ok(_) | Err(_) => PAUSE_WITHOUT_KEYS,
        };
        // A clock that was set back must not silence us until it has caught up.
        self.tried
            .is_none_or(|tried| now < tried || now.since(tried) >= pause)
    }

    fn has_withdrawn(&self, kid: &str) -> bool {
        self.withdrawn.iter().any(|own| own == kid)
    }

    fn after(&self, fetched: Result<&Fetched, &Arc<Unavailable>>, reason: Reason, now: Timestamp) -> Self {
        let left = |set: &KeySet| {
            let withdrawn = self.withdrawn.iter().filter(|kid| set.has_kid(kid));
            withdrawn.fold(set.clone(), |set, kid| set.without(kid))
        };
        let held = match fetched {
            Ok(fetched) => Ok(Arc::new(Held {
                set: left(&fetched.set),
                version: self.version_of(&fetched.digest),
                fresh_until: now + fetched.fresh,
                digest: Some(fetched.digest),
            })),
            Err(cause) => self.held.clone().map_err(|_| Arc::clone(cause)),
        };
        let holds_withdrawn = |set: &KeySet| self.withdrawn.iter().any(|kid| set.has_kid(kid));
        Self {
            held,
            // Whoever looks for the successor of a withdrawn key has not had their turn.
            tried: match reason {
                Reason::Withdrawn => self.tried,
                Reason::Stale | Reason::Unknown => Some(now),
            },
            failing: fetched.err().cloned(),
            withdrawn: self.withdrawn.clone(),
            holds_withdrawn: fetched.is_ok_and(|fetched| holds_withdrawn(&fetched.set)),
        }
    }

    /// The version of the set with these bytes, if it came after this state.
    fn version_of(&self, digest: &Digest) -> u64 {
        match &self.held {
            Ok(held) if held.digest.as_ref() == Some(digest) => held.version,
            Ok(held) => held.version + 1,
            Err(_) => 0,
        }
    }

    fn without(&self, kid: &str) -> Self {
        let less = |held: &Arc<Held>| {
            if !held.set.has_kid(kid) {
                return Arc::clone(held);
            }
            Arc::new(Held {
                set: held.set.without(kid),
                version: held.version + 1,
                fresh_until: held.fresh_until,
                // Equal to no set that is fetched.
                digest: None,
            })
        };
        let mut withdrawn = self.withdrawn.clone();
        withdrawn.retain(|own| own != kid);
        let too_many = (withdrawn.len() + 1).saturating_sub(MAX_WITHDRAWN);
        withdrawn.drain(..too_many);
        withdrawn.push(kid.to_owned());
        Self {
            held: self.held.as_ref().map(less).map_err(Arc::clone),
            tried: self.tried,
            failing: self.failing.clone(),
            withdrawn,
            holds_withdrawn: self.holds_withdrawn,
        }
    }
}
