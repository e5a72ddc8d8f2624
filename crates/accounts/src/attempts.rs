//! How many sign-ins may fail: the coarse bound of one process, for each network and for everybody together.
//!
//! Decides before a password is looked at, so that a flood of guesses neither fills the queue of the hasher nor learns
//! more than a few answers: C070. A sign-in that succeeds gives its try back: an office behind one address is held up
//! by how many of it guess, and not by how many work there. Which account is tried is not asked here: that is counted in
//! the database, where all processes see it ([`crate::allowances`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::Timestamp;

/// Tries at once, and then in the long run.
#[derive(Clone, Copy, Debug)]
struct Rate {
    burst: f64,
    per_second: f64,
}

const OF_ONE_NETWORK: Rate = Rate {
    burst: 60.0,
    per_second: 0.5,
};
/// About as many as the hasher of a large machine could check.
const OF_ALL: Rate = Rate {
    burst: 1000.0,
    per_second: 100.0,
};
/// Networks held. The rate for everybody keeps them below this: each is forgotten when its tries have come back.
const MOST_NETWORKS: usize = 16 * 1024;

/// The bound, behind any number of clones.
#[derive(Clone, Debug)]
pub struct Attempts(Option<Arc<Mutex<Spent>>>);

/// Tries that have failed, or are under way.
#[derive(Debug, Default)]
struct Spent {
    all: Bucket,
    networks: HashMap<String, Bucket>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    spent: f64,
    at: i64,
}

/// A try that counts as failed unless it is [given back](Self::give_back).
#[derive(Debug)]
pub struct Attempt {
    of: Attempts,
    network: String,
}

/// Too many have failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    pub retry_after: Duration,
}

impl Attempts {
    pub fn limited() -> Self {
        Self(Some(Arc::default()))
    }

    /// For measurements and tests.
    pub fn unlimited() -> Self {
        Self(None)
    }

    /// Whether anything is counted at all.
    pub fn is_limited(&self) -> bool {
        self.0.is_some()
    }

    /// Counts a try from this network.
    ///
    /// # Errors
    /// [`TooMany`]: then it is not counted, or whoever keeps trying would never be let in again.
    pub fn begin(&self, network: String, now: Timestamp) -> Result<Attempt, TooMany> {
        self.with(|spent| {
            let (mut all, mut own) = (
                spent.all,
                spent.networks.get(&network).copied().unwrap_or_default(),
            );
            own.take(OF_ONE_NETWORK, now)?;
            all.take(OF_ALL, now)?;
            spent.all = all;
            if spent.networks.len() >= MOST_NETWORKS {
                spent
                    .networks
                    .retain(|_, bucket| bucket.left(OF_ONE_NETWORK, now) > 0.0);
            }
            spent.networks.insert(network.clone(), own);
            Ok(())
        })
        .unwrap_or(Ok(()))?;
        Ok(Attempt {
            of: self.clone(),
            network,
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Spent) -> T) -> Option<T> {
        let spent = self.0.as_ref()?;
        Some(work(&mut spent.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Attempt {
    /// It was right, or nobody looked at it.
    pub fn give_back(self) {
        self.of.with(|spent| {
            spent.all.give_back();
            if let Some(own) = spent.networks.get_mut(&self.network) {
                own.give_back();
            }
        });
    }
}

impl Bucket {
    fn take(&mut self, rate: Rate, now: Timestamp) -> Result<(), TooMany> {
        let spent = self.left(rate, now) + 1.0;
        if spent > rate.burst {
            let seconds = ((spent - rate.burst) / rate.per_second).ceil().max(1.0);
            return Err(TooMany {
                retry_after: Duration::from_secs_f64(seconds),
            });
        }
        // A clock that was set back gives nothing, and takes nothing.
        *self = Self {
            spent,
            at: now.as_secs(),
        };
        Ok(())
    }

    /// What has not come back by now.
    fn left(&self, rate: Rate, now: Timestamp) -> f64 {
        let passed = now.since(Timestamp::from_secs(self.at)).as_secs_f64();
        (self.spent - passed * rate.per_second).max(0.0)
    }

    fn give_back(&mut self) {
        self.spent = (self.spent - 1.0).max(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_000_000 + secs)
    }

    fn admitted(attempts: &Attempts, network: &str, tries: usize, now: Timestamp) -> usize {
        (0..tries)
            .filter(|_| attempts.begin(network.to_owned(), now).is_ok())
            .count()
    }

    #[test]
    fn c070_a_network_that_guesses_is_slowed_down_and_nobody_else_is() {
        let attempts = Attempts::limited();
        assert_eq!(admitted(&attempts, "a", 100_000, at(0)), 60);
        assert_eq!(admitted(&attempts, "b", 1, at(0)), 1);
        let refused = attempts.begin("a".to_owned(), at(0)).unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_secs(2));
        assert_eq!(admitted(&attempts, "a", 100, at(20)), 10, "refusals cost nothing");
        assert_eq!(admitted(&attempts, "a", 100, at(3600)), 60);
        assert_eq!(
            admitted(&attempts, "a", 100, at(0)),
            0,
            "a clock set back gives nothing"
        );
    }

    #[test]
    fn c070_many_networks_together_are_bounded_too_and_are_forgotten() {
        let attempts = Attempts::limited();
        let guess = |second: i64| {
            let tries = 0..20_000;
            tries
                .filter(|n| attempts.begin(format!("{second}-{n}"), at(second)).is_ok())
                .count()
        };
        assert_eq!(guess(0), 1000);
        for second in 1..200 {
            assert_eq!(guess(second), 100);
        }
        let held = attempts.with(|spent| spent.networks.len()).unwrap();
        assert!(held <= MOST_NETWORKS, "{held}");
    }

    #[test]
    fn who_signs_in_gives_the_try_back() {
        let attempts = Attempts::limited();
        for _ in 0..10_000 {
            attempts.begin("office".to_owned(), at(0)).unwrap().give_back();
        }
        assert_eq!(admitted(&Attempts::unlimited(), "a", 100_000, at(0)), 100_000);
    }
}
