//! The issuer's keys, at hand. Decides when they are fetched again: once for many who ask, seldom for those who
//! make up key names, and never so that an issuer that is down takes the resource server with it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jws::KeySet;
use protocol::Timestamp;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::JoinHandle;

use crate::Unavailable;
use crate::issuer::{Fetched, Issuer};
use crate::seen::Digest;

/// Between two fetches while keys are at hand: what a flood of made-up key names can cost the issuer.
const PAUSE: Duration = Duration::from_secs(10);

/// Between two fetches while there are none: everybody waits for the issuer to come up.
const PAUSE_WITHOUT_KEYS: Duration = Duration::from_secs(1);

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
    failing: bool,
}

impl Keys {
    pub(crate) fn new(issuer: Issuer) -> Self {
        let state = State {
            held: Err(Arc::new(Unavailable::NotAsked)),
            tried: None,
            failing: false,
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
            Ok(held) if state.failing => {
                self.fetch_behind(&state, now);
                Ok(Arc::clone(held))
            }
            _ => self.fetch(state, now).await,
        }
    }

    /// The keys after a look for one that is not among those at hand.
    pub(crate) async fn newer(self: &Arc<Self>, now: Timestamp) -> Outcome {
        self.fetch(self.state.load_full(), now).await
    }

    /// Takes a key out of those at hand, at the word of the issuer. Whether it was among them.
    pub(crate) fn withdraw(&self, kid: &str) -> bool {
        let has = |state: &State| matches!(&state.held, Ok(held) if held.set.has_kid(kid));
        if !has(&self.state.load()) {
            return false;
        }
        self.state.rcu(|state| state.without(kid));
        true
    }

    /// Fetches the keys whenever they were fetched last. Only for a reason that the issuer itself gave.
    pub(crate) async fn renew(self: &Arc<Self>, now: Timestamp) {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let _ = self.start(turn, now).await;
    }

    async fn fetch(self: &Arc<Self>, seen: Arc<State>, now: Timestamp) -> Outcome {
        if !seen.may_try(now) {
            return seen.held.clone();
        }
        let turn = Arc::clone(&self.turn).lock_owned().await;
        if Arc::ptr_eq(&seen, &self.state.load()) {
            // If the task dies, the state stays as it was and says what there is.
            let _ = self.start(turn, now).await;
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
            drop(self.start(turn, now));
        }
    }

    /// Fetches in a task of its own: a request that is given up must not end what others wait for.
    fn start(self: &Arc<Self>, turn: OwnedMutexGuard<()>, now: Timestamp) -> JoinHandle<()> {
        let keys = Arc::clone(self);
        tokio::spawn(async move {
            let fetched = keys.issuer.fetch().await.map_err(Arc::new);
            // A key may have been withdrawn meanwhile: what is replaced is what there is now.
            let fetched = fetched.as_ref();
            if let Err(cause) = fetched {
                let cause: &(dyn std::error::Error + 'static) = cause;
                tracing::warn!(cause, "the keys of the issuer could not be fetched");
            }
            keys.state.rcu(|state| state.after(fetched, now));
            drop(turn);
        })
    }
}

impl State {
    fn may_try(&self, now: Timestamp) -> bool {
        let pause = if self.held.is_ok() {
            PAUSE
        } else {
            PAUSE_WITHOUT_KEYS
        };
        // A clock that was set back must not silence us until it has caught up.
        self.tried
            .is_none_or(|tried| now < tried || now.since(tried) >= pause)
    }

    fn after(&self, fetched: Result<&Fetched, &Arc<Unavailable>>, now: Timestamp) -> Self {
        let held = match fetched {
            Ok(fetched) => Ok(Arc::new(Held {
                set: fetched.set.clone(),
                version: self.version_of(&fetched.digest),
                fresh_until: now + fetched.fresh,
                digest: Some(fetched.digest),
            })),
            Err(cause) => self.held.clone().map_err(|_| Arc::clone(cause)),
        };
        Self {
            held,
            tried: Some(now),
            failing: fetched.is_err(),
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
            Arc::new(Held {
                set: held.set.without(kid),
                version: held.version + 1,
                fresh_until: held.fresh_until,
                // Equal to no set that is fetched.
                digest: None,
            })
        };
        Self {
            held: self.held.as_ref().map(less).map_err(Arc::clone),
            tried: self.tried,
            failing: self.failing,
        }
    }
}
