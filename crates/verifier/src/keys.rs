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
use crate::issuer::Issuer;

/// Between two fetches while keys are at hand: what a flood of made-up key names can cost the issuer.
const PAUSE: Duration = Duration::from_secs(10);

/// Between two fetches while there are none: everybody waits for the issuer to come up.
const PAUSE_WITHOUT_KEYS: Duration = Duration::from_secs(1);

/// A key set with the time until which it is fresh.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) set: KeySet,
    fresh_until: Timestamp,
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

    pub(crate) fn issuer(&self) -> &str {
        self.issuer.name()
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

    async fn fetch(self: &Arc<Self>, seen: Arc<State>, now: Timestamp) -> Outcome {
        if !seen.may_try(now) {
            return seen.held.clone();
        }
        let turn = Arc::clone(&self.turn).lock_owned().await;
        if Arc::ptr_eq(&seen, &self.state.load()) {
            // If the task dies, the state stays as it was and says what there is.
            let _ = self.start(turn, seen, now).await;
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
            drop(self.start(turn, Arc::clone(seen), now));
        }
    }

    /// Fetches in a task of its own: a request that is given up must not end what others wait for.
    fn start(
        self: &Arc<Self>,
        turn: OwnedMutexGuard<()>,
        before: Arc<State>,
        now: Timestamp,
    ) -> JoinHandle<()> {
        let keys = Arc::clone(self);
        tokio::spawn(async move {
            let state = before.after(keys.issuer.fetch().await, now);
            keys.state.store(Arc::new(state));
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

    fn after(&self, fetched: Result<(KeySet, Duration), Unavailable>, now: Timestamp) -> Self {
        let (held, failing) = match fetched {
            Ok((set, fresh)) => {
                let fresh_until = now + fresh;
                (Ok(Arc::new(Held { set, fresh_until })), false)
            }
            Err(error) => {
                let cause: &(dyn std::error::Error + 'static) = &error;
                tracing::warn!(cause, "the keys of the issuer could not be fetched");
                (self.held.clone().map_err(|_| Arc::new(error)), true)
            }
        };
        Self {
            held,
            tried: Some(now),
            failing,
        }
    }
}
