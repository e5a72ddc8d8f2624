//! Whether the database is the one that it was: a backup that was brought back, or a standby that took over, may have
//! forgotten what was ended last (D6).
//!
//! PostgreSQL tells by its timeline. SQLite tells nothing, so beside the master key, which is not in the backup of the
//! database, a file holds how far the revocation records had come: a database that does not reach that number was
//! restored. The number is written when it is committed, so no crash makes it look so.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use db::Database;
use events::Context;
use events::changes::{SILENCE, Topic, Watcher};
use protocol::{Clock, Timestamp};
use revocation::Evidence;
use tokio::time::{MissedTickBehavior, interval};

const LOOK: Duration = Duration::from_secs(1);
/// A failover cuts connections, and is looked for then; this is the net.
const COMPARE: Duration = Duration::from_secs(30);

/// Behind any number of clones.
#[derive(Clone, Debug)]
pub struct Restores {
    db: Database,
    changes: Watcher,
    clock: Clock,
    mark: Option<Arc<Mark>>,
}

impl Restores {
    /// Compares what there is with what there was.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn open(
        db: &Database,
        changes: Watcher,
        keys_dir: Option<&Path>,
        clock: Clock,
    ) -> db::Result<Self> {
        revocation::begin_feed(db).await?;
        let is_postgres = db.reader().await?.is_postgres();
        let restores = Self {
            db: db.clone(),
            changes,
            mark: keys_dir
                .filter(|_| !is_postgres)
                .map(|folder| Arc::new(Mark::beside(folder))),
            clock,
        };
        let now = restores.clock.now();
        if let Some(seen) = restores.mark.as_ref().and_then(|mark| mark.read()) {
            restores.judge(Evidence::Sequence(seen), now).await?;
        }
        restores.compare(now).await?;
        Ok(restores)
    }

    /// Looks again whenever the database was away; never returns.
    pub(crate) async fn watch(self) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut was_away, mut compared) = (false, Instant::now());
        loop {
            ticks.tick().await;
            if !self.changes.is_fresh(SILENCE) {
                was_away = true;
                continue;
            }
            self.keep_mark();
            if was_away || compared.elapsed() >= COMPARE {
                match self.compare(self.clock.now()).await {
                    Ok(()) => (was_away, compared) = (false, Instant::now()),
                    Err(error) => tracing::debug!(%error, "the database was not asked which one it is"),
                }
            }
        }
    }

    /// Writes down how far the records have come. Some bytes, at most once a second, and when the server stops.
    pub(crate) fn keep_mark(&self) {
        if let Some(mark) = &self.mark {
            mark.raise(self.changes.version(Topic::Revocations).max(self.db.mark()));
        }
    }

    async fn compare(&self, now: Timestamp) -> db::Result<()> {
        match self.db.origin().await? {
            Some(origin) => self.judge(Evidence::Origin(origin), now).await,
            None => Ok(()),
        }
    }

    async fn judge(&self, evidence: Evidence, now: Timestamp) -> db::Result<()> {
        let by = Context::server();
        revocation::restored(evidence, &by, &self.db, now).await.map(drop)
    }
}

/// The file.
#[derive(Debug)]
struct Mark {
    path: PathBuf,
    written: AtomicI64,
}

impl Mark {
    fn beside(keys_dir: &Path) -> Self {
        Self {
            path: keys_dir.join("revocations.mark"),
            written: AtomicI64::new(0),
        }
    }

    /// None where there is none yet, or nothing that can be read.
    fn read(&self) -> Option<i64> {
        match fs::read_to_string(&self.path) {
            Ok(text) => text.trim().parse().ok(),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    self.complain(&error);
                }
                None
            }
        }
    }

    fn raise(&self, number: i64) {
        if self.written.fetch_max(number, Ordering::Relaxed) >= number {
            return;
        }
        if let Err(error) = self.write(number) {
            self.complain(&error);
        }
    }

    /// Whole or not at all. Not flushed: after a power failure an older number is there, which says less.
    fn write(&self, number: i64) -> io::Result<()> {
        let temporary = self.path.with_extension("mark.new");
        fs::write(&temporary, format!("{number}\n"))?;
        fs::rename(&temporary, &self.path)
    }

    fn complain(&self, error: &io::Error) {
        let path = self.path.display();
        tracing::warn!(%path, %error, "that the database is restored to an older state may go unnoticed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_rises_and_what_cannot_be_read_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let mark = Mark::beside(folder.path());
        assert_eq!(mark.read(), None);
        for (number, kept) in [(0, None), (5, Some(5)), (3, Some(5)), (8, Some(8))] {
            mark.raise(number);
            assert_eq!(mark.read(), kept);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        fs::write(&mark.path, "x").unwrap();
        assert_eq!(mark.read(), None);
    }
}
