//! Whether the database can be reached, as far as this process knows.
//!
//! Decides which pooled connections are still worth handing out, and how long a request waits for one. The pool
//! alone would let every request wait its full time for a server that is known to be gone.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// A database that restarts is back before most have noticed: for so long requests wait for it.
const GRACE: Duration = Duration::from_secs(2);

/// Shared by all connections of one [`crate::Database`].
#[derive(Clone, Debug)]
pub(crate) struct Presence(Arc<State>);

#[derive(Debug)]
struct State {
    /// Since when nobody can reach it.
    away: watch::Sender<Option<Instant>>,
    /// When a connection was last found broken.
    broken: Mutex<Option<Instant>>,
}

impl Presence {
    pub(crate) fn new() -> Self {
        Self(Arc::new(State {
            away: watch::Sender::new(None),
            broken: Mutex::new(None),
        }))
    }

    pub(crate) fn broke(&self) {
        *self.0.broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a connection of this age was made after the last one broke. What cut one off (a restart, a
    /// failover) has cut off the others as well, and each would cost a request to find out.
    pub(crate) fn trusts(&self, age: Duration) -> bool {
        let broken = *self.0.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.is_none_or(|broken| broken.elapsed() > age)
    }

    pub(crate) fn note(&self, reachable: bool) {
        self.0.away.send_if_modified(|away| {
            let before = *away;
            *away = match reachable {
                true => None,
                false => Some(before.unwrap_or_else(Instant::now)),
            };
            before.is_some() == reachable
        });
    }

    /// Returns when the database has been away for longer than a restart takes.
    pub(crate) async fn gone(&self) {
        self.gone_for(GRACE).await;
    }

    async fn gone_for(&self, grace: Duration) {
        let mut away = self.0.away.subscribe();
        loop {
            let since = *away.borrow_and_update();
            let outlived = async {
                match since {
                    Some(since) => tokio::time::sleep_until((since + grace).into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = outlived => return,
                changed = away.changed() => if changed.is_err() { return },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_short_absence_is_waited_out_and_a_long_one_is_not() {
        let (presence, grace, moment) = (
            Presence::new(),
            Duration::from_millis(80),
            Duration::from_millis(20),
        );
        let gone = |within| tokio::time::timeout(within, presence.gone_for(grace));
        assert!(gone(grace * 2).await.is_err(), "it is there");
        presence.note(false);
        assert!(gone(moment).await.is_err(), "it may be back in a moment");
        presence.note(false);
        assert!(gone(grace * 100).await.is_ok());
        assert!(gone(moment).await.is_ok(), "by now nobody waits");
        presence.note(true);
        assert!(gone(grace * 2).await.is_err());
    }

    #[test]
    fn connections_older_than_the_last_break_are_not_trusted() {
        let presence = Presence::new();
        assert!(presence.trusts(Duration::from_secs(3600)));
        presence.broke();
        assert!(!presence.trusts(Duration::from_secs(3600)));
        std::thread::sleep(Duration::from_millis(2));
        assert!(presence.trusts(Duration::ZERO));
    }
}
