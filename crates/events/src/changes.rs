//! Notices of changes, for what processes keep in memory.
//!
//! Each topic has a version, which rises in the transaction of every change. On PostgreSQL the same transaction
//! notifies whoever listens; on SQLite, where the other process is the command line, whoever watches sees that
//! the file has changed. A notice only says "look": what counts is the version, and it is looked at all the time
//! in any case, so a notice that gets lost costs a moment and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use db::{Conn, Database, Heard, Listener, execute};
use protocol::wire_enum;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::revocations;

wire_enum! {
    /// What processes keep in memory.
    pub enum Topic {
        Keys => "keys",
        Clients => "clients",
        Resources => "resources",
        /// Nothing in memory: the outbox of logout notices, for whoever sends them.
        Notices => "notices",
        /// What was found to be live. Its version is the sequence of the revocation records.
        Revocations => "revocations",
    }
}

const CHANNEL: &str = "countersign";
const BUMP: &str = "UPDATE changes SET version = version + 1 WHERE topic = $1";
/// Once per transaction: an import of ten thousand clients would else walk through ten thousand versions of the row.
const BUMP_AND_NOTIFY: &str = "WITH bumped AS (UPDATE changes SET version = version + 1 \
    WHERE topic = $1 AND xmin <> pg_current_xact_id()::xid) SELECT pg_notify('countersign', $1)";
const LOCK: &str = "SELECT version FROM changes WHERE topic = $1 FOR UPDATE";
const VERSIONS: &str = "SELECT topic, version FROM changes \
    UNION ALL SELECT 'revocations', sequence FROM revocation_counter";

/// Tells everybody, when the transaction commits, that something of this topic has changed. Holds the topic until
/// then: two who change it take turns.
///
/// # Errors
/// When the database fails.
pub async fn bump(topic: Topic, conn: &mut Conn) -> db::Result<()> {
    match topic {
        Topic::Keys | Topic::Clients | Topic::Resources | Topic::Notices => {
            let statement = conn.either(BUMP, BUMP_AND_NOTIFY);
            execute!(conn, sqlx::query(statement).bind(topic.as_str()))?;
            Ok(())
        }
        Topic::Revocations => revocations::without_record(conn).await,
    }
}

/// Holds a topic until the transaction ends, so that what is read of it cannot change.
///
/// # Errors
/// When the database fails.
pub async fn lock(topic: Topic, conn: &mut Conn) -> db::Result<()> {
    // A transaction on SQLite is the only writer already.
    if conn.is_postgres() {
        execute!(conn, sqlx::query(LOCK).bind(topic.as_str()))?;
    }
    Ok(())
}

/// The version of each topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Versions([i64; Topic::ALL.len()]);

impl Versions {
    /// # Errors
    /// When the database fails.
    pub async fn read(conn: &mut Conn) -> db::Result<Self> {
        let rows = db::run!(conn, |c| sqlx::query_as(VERSIONS).fetch_all(c))?;
        Ok(Self::of_rows(rows))
    }

    fn of_rows(rows: Vec<(String, i64)>) -> Self {
        let of = |topic: &Topic| {
            let row = rows.iter().find(|(name, _)| name == topic.as_str());
            row.map_or(0, |(_, version)| *version)
        };
        let mut versions = Self::default();
        for (slot, topic) in versions.0.iter_mut().zip(Topic::ALL) {
            *slot = of(topic);
        }
        versions
    }

    pub fn of(&self, topic: Topic) -> i64 {
        let all = Topic::ALL.iter().zip(self.0);
        all.filter(|(own, _)| **own == topic)
            .map(|(_, version)| version)
            .sum()
    }
}

/// After this long without word from the database, what is in memory is not believed.
pub const SILENCE: Duration = Duration::from_secs(1);

/// How often the versions are read when no notice comes. Well below the second after which nobody relies on what
/// is in memory.
const LOOK: Duration = Duration::from_millis(250);

/// Knows the versions, and for how long it has been without news. Its task ends with the last of its clones.
#[derive(Clone, Debug)]
pub struct Watcher {
    seen: watch::Receiver<Versions>,
    pulse: Arc<Pulse>,
}

impl Watcher {
    /// Starts watching; needs a runtime.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn start(db: &Database) -> db::Result<Self> {
        let mut listener = db.listen(CHANNEL).await?;
        let (told, seen) = watch::channel(look(&mut listener).await?);
        let watcher = Self {
            seen,
            pulse: Arc::new(Pulse::new()),
        };
        let watch = Watch {
            db: db.clone(),
            told,
            pulse: watcher.pulse.clone(),
        };
        tokio::spawn(watch.run(listener));
        Ok(watcher)
    }

    /// Whether the database was heard from within this time: else what is in memory may be of the past, and the
    /// database has to be asked.
    pub fn is_fresh(&self, within: Duration) -> bool {
        self.pulse.silence() <= within
    }

    /// The version of a topic, as last heard.
    pub fn version(&self, topic: Topic) -> i64 {
        self.seen.borrow().of(topic)
    }

    /// Waits until the version of a topic is another than `held`.
    pub async fn differs(&mut self, topic: Topic, held: i64) {
        if self.seen.wait_for(|seen| seen.of(topic) != held).await.is_err() {
            // Nobody watches any more: the runtime is about to end.
            std::future::pending::<()>().await;
        }
    }
}

async fn look(listener: &mut Listener) -> db::Result<Versions> {
    Ok(Versions::of_rows(listener.numbers(VERSIONS).await?))
}

struct Watch {
    db: Database,
    told: watch::Sender<Versions>,
    pulse: Arc<Pulse>,
}

impl Watch {
    async fn run(self, listener: Listener) {
        tokio::select! {
            () = self.told.closed() => {}
            () = self.watch(listener) => {}
        }
    }

    async fn watch(&self, first: Listener) {
        let mut listener = Some(first);
        loop {
            let heard_since = Instant::now();
            let Err(error) = self.listen(listener.take()).await;
            self.db.note_reachable(false);
            // Once for each time, however long it lasts.
            match self.pulse.silence() < heard_since.elapsed() {
                true => tracing::warn!(%error, "changes by other processes cannot be heard"),
                false => tracing::debug!(%error, "changes by other processes still cannot be heard"),
            }
            sleep(LOOK).await;
        }
    }

    /// Hears and looks, until that fails.
    async fn listen(&self, listener: Option<Listener>) -> Result<std::convert::Infallible, db::Error> {
        let mut listener = match listener {
            Some(listener) => listener,
            None => self.db.listen(CHANNEL).await?,
        };
        let mut heard = Heard::Silence;
        loop {
            let versions = look(&mut listener).await?;
            self.pulse.beat();
            self.db.note_reachable(true);
            let changed = self
                .told
                .send_if_modified(|told| std::mem::replace(told, versions) != versions);
            if changed {
                tracing::debug!(?heard, "something changed");
            }
            heard = listener.heard(LOOK).await?;
        }
    }
}

/// When the database was last heard from: milliseconds after the start, because a lock would be taken by every
/// request.
#[derive(Debug)]
struct Pulse {
    start: Instant,
    last: AtomicU64,
}

impl Pulse {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            last: AtomicU64::new(0),
        }
    }

    fn beat(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
    }

    fn silence(&self) -> Duration {
        Duration::from_millis(self.now().saturating_sub(self.last.load(Ordering::Relaxed)))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests;
