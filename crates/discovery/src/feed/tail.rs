//! The newest records in memory, read once for all who follow: a change costs a process one look into the database,
//! however many streams it has.
//!
//! Whoever is further behind than the tail reaches reads the rest from the database.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use db::Database;
use events::Context;
use events::changes::{SILENCE, Topic, Watcher};
use events::revocations::{self, Record, State};
use protocol::Clock;
use revocation::Evidence;
use tokio::sync::watch;
use tokio::time::sleep;

use super::lines;
use super::seats::Seats;

/// Records that are kept: some two megabytes.
const ROOM: usize = 16 * 1024;
/// Records that are read by one statement.
pub(super) const PAGE: u32 = 1000;
/// Records that a stream takes at a time.
const AT_ONCE: usize = 1000;
/// After a failed reading.
const RETRY: Duration = Duration::from_millis(250);

/// Behind any number of clones.
#[derive(Clone, Debug)]
pub struct Tail(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    db: Database,
    changes: Watcher,
    clock: Clock,
    held: Mutex<Held>,
    /// One reads for all.
    reading: tokio::sync::Mutex<()>,
    /// Rings with every change of what is held.
    bell: watch::Sender<()>,
    closed: watch::Sender<bool>,
    seats: Seats,
}

#[derive(Debug)]
struct Held {
    state: State,
    /// Every record above this number, and up to that of the state, is here.
    above: i64,
    lines: VecDeque<(i64, Bytes)>,
}

/// What follows a number.
#[derive(Debug)]
pub(super) enum Next {
    /// These lines, which is all up to this number. There may be no line, where numbers name nothing.
    Lines(Vec<(i64, Bytes)>, i64),
    /// Nothing yet.
    Nothing,
    /// More than is held: the database has it, up to this state.
    Beyond(State),
    /// Another history has begun.
    Other(String),
}

impl Tail {
    /// Begins with nothing but the number reached. To follow what changes, [`Self::follow`] has to run.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open(db: &Database, changes: Watcher, clock: Clock) -> db::Result<Self> {
        let state = revocations::state(&mut db.reader().await?).await?;
        Ok(Self(Arc::new(Inner {
            db: db.clone(),
            changes,
            clock,
            held: Mutex::new(Held::at(state)),
            reading: tokio::sync::Mutex::new(()),
            bell: watch::Sender::new(()),
            closed: watch::Sender::new(false),
            seats: Seats::default(),
        })))
    }

    /// Reads what is new as soon as it is heard of; never returns.
    pub async fn follow(self) {
        let mut changes = self.0.changes.clone();
        loop {
            let held = self.state().sequence;
            changes.differs(Topic::Revocations, held).await;
            if let Err(error) = self.catch_up().await {
                tracing::warn!(%error, "revocation records could not be read for the feed");
                sleep(RETRY).await;
            }
        }
    }

    /// Ends every stream and every wait, now and from now on: the server is about to stop.
    pub fn close(&self) {
        self.0.closed.send_replace(true);
    }

    /// Takes over what the database has now.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn catch_up(&self) -> db::Result<()> {
        let _alone = self.0.reading.lock().await;
        let mut conn = self.0.db.reader().await?;
        let now = self.0.clock.now();
        let (state, held) = (revocations::state(&mut conn).await?, self.state());
        if state.sequence < held.sequence {
            drop(conn);
            // What we have read ourselves is not there any more.
            let evidence = Evidence::Sequence(held.sequence);
            if !revocation::restored(evidence, &Context::server(), &self.0.db, now).await? {
                // A server that lags behind answered; it is not asked in a hurry.
                sleep(RETRY).await;
            }
            return Ok(());
        }
        if state.feed != held.feed {
            *self.held() = Held::at(state);
            self.0.bell.send_replace(());
            return Ok(());
        }
        let mut from = held.sequence;
        while from < state.sequence {
            let records = revocations::page(from, state.sequence, PAGE, &mut conn, now).await?;
            let is_last = records.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
            from = match records.last() {
                Some(last) if !is_last => last.sequence,
                Some(_) | None => state.sequence,
            };
            self.held().push(&records, from);
            self.0.bell.send_replace(());
        }
        Ok(())
    }

    pub(super) fn state(&self) -> State {
        self.held().state.clone()
    }

    /// What follows this number of this history.
    pub(super) fn after(&self, feed: &str, cursor: i64) -> Next {
        self.held().after(feed, cursor)
    }

    /// Whether what is held is that of now, as far as anybody in this process knows.
    fn is_current(&self) -> bool {
        let changes = &self.0.changes;
        let reached = self.held().state.sequence;
        changes.is_fresh(SILENCE)
            && reached == changes.version(Topic::Revocations)
            && reached >= self.0.db.mark()
    }

    /// The same, asking the database where that is not known. No while it is away.
    pub(super) async fn confirm(&self) -> bool {
        self.is_current() || self.0.changes.is_fresh(SILENCE) && self.catch_up().await.is_ok()
    }

    /// To be had before one looks: then no change is missed.
    pub(super) fn bell(&self) -> watch::Receiver<()> {
        self.0.bell.subscribe()
    }

    /// Returns when the server is about to stop.
    pub(super) async fn closed(&self) {
        let mut closed = self.0.closed.subscribe();
        // The sender is ours: it does not go before we do.
        let _ = closed.wait_for(|closed| *closed).await;
    }

    pub(super) fn seats(&self) -> &Seats {
        &self.0.seats
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn at(state: State) -> Self {
        Self {
            above: state.sequence,
            state,
            lines: VecDeque::new(),
        }
    }

    fn push(&mut self, records: &[Record], reached: i64) {
        let lines = records
            .iter()
            .map(|record| (record.sequence, lines::record(record)));
        self.lines.extend(lines);
        self.state.sequence = reached;
        while self.lines.len() > ROOM {
            if let Some((dropped, _)) = self.lines.pop_front() {
                self.above = dropped;
            }
        }
    }

    fn after(&self, feed: &str, cursor: i64) -> Next {
        if cursor >= self.state.sequence {
            // Also whoever has heard more than we have, from another replica.
            return match cursor == self.state.sequence && feed != self.state.feed {
                true => Next::Other(self.state.feed.clone()),
                false => Next::Nothing,
            };
        }
        if feed != self.state.feed {
            return Next::Other(self.state.feed.clone());
        }
        if cursor < self.above {
            return Next::Beyond(self.state.clone());
        }
        let first = self.lines.partition_point(|(n, _)| *n <= cursor);
        let lines: Vec<_> = self.lines.range(first..).take(AT_ONCE).cloned().collect();
        let reached = match lines.last() {
            Some((n, _)) if lines.len() == AT_ONCE => *n,
            Some(_) | None => self.state.sequence,
        };
        Next::Lines(lines, reached)
    }
}

#[cfg(test)]
mod tests {
    use events::revocations::Kind;
    use protocol::Timestamp;

    use super::*;

    fn records(numbers: impl Iterator<Item = i64>) -> Vec<Record> {
        let record = |sequence| Record {
            sequence,
            kind: Kind::Token,
            subject: sequence.to_string(),
            generation: None,
            until: Timestamp::from_secs(0),
        };
        numbers.map(record).collect()
    }

    fn held() -> Held {
        Held::at(State {
            feed: "G".into(),
            sequence: 10,
        })
    }

    fn numbers(next: Next) -> (Vec<i64>, i64) {
        match next {
            Next::Lines(lines, reached) => (lines.into_iter().map(|(n, _)| n).collect(), reached),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_gets_what_follows_their_own_number() {
        let mut held = held();
        assert!(matches!(held.after("G", 10), Next::Nothing));
        assert!(matches!(held.after("G", 9), Next::Beyond(_)));
        held.push(&records([12, 15].into_iter()), 17);
        assert_eq!(numbers(held.after("G", 10)), (vec![12, 15], 17));
        assert_eq!(numbers(held.after("G", 12)), (vec![15], 17));
        assert_eq!(numbers(held.after("G", 15)), (vec![], 17));
        assert!(matches!(held.after("G", 17), Next::Nothing));
        assert!(
            matches!(held.after("G", 18), Next::Nothing),
            "another replica was faster"
        );
        assert!(matches!(held.after("H", 12), Next::Other(feed) if feed == "G"));
        assert!(matches!(held.after("H", 17), Next::Other(_)));
    }

    #[test]
    fn what_is_kept_is_bounded_and_who_is_further_behind_is_sent_to_the_database() {
        let mut held = held();
        let many = i64::try_from(ROOM).unwrap() * 2;
        held.push(&records(11..=10 + many), 10 + many);
        assert_eq!(held.lines.len(), ROOM);
        let oldest = held.lines.front().unwrap().0;
        assert!(matches!(held.after("G", oldest - 2), Next::Beyond(_)));
        let (lines, reached) = numbers(held.after("G", oldest - 1));
        assert_eq!((lines.len(), lines[0]), (AT_ONCE, oldest));
        assert_eq!(reached, *lines.last().unwrap());
    }
}
