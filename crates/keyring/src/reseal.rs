//! Resealing: every row gets a new master key, and the old one is retired.
//!
//! Nothing remembers how far it came but the files and the rows themselves, so whoever finds it broken off goes on from
//! there. The new key is safe on disk before the database hears of it; both open until no row names the old one; that
//! none does is looked at under the lock under which rows are made, in the transaction that retires it; and only then do
//! the files change places. Servers go on meanwhile: they hold both keys as soon as the database names the second.

use std::fs;
use std::path::{Path, PathBuf};

use db::{Conn, Database, execute, run};
use events::{Context, Event};
use protocol::Timestamp;

use crate::master::{self, FILE, MasterKey, NEXT_FILE, One, Row, Rows, Source};
use crate::{Error, decryption, records};

/// Rows resealed in one transaction.
const BATCH: i64 = 50;

const RETIRE: &str = "UPDATE master_keys SET retired_at = $2 WHERE master_key_id = $1 AND retired_at IS NULL";

/// A table that holds what is sealed under the master key.
struct Table {
    /// What its rows are sealed for; without, each of them says so itself.
    purpose: Option<&'static str>,
    /// Rows that name a key: name, sealed value, and what for.
    left: &'static str,
    replace: &'static str,
}

/// A withdrawn key has nothing left to seal, also when it is withdrawn while its batch is under way.
const TABLES: &[Table] = &[
    Table {
        purpose: Some(records::PURPOSE),
        left: "SELECT kid, sealed_private, alg FROM signing_keys \
            WHERE master_key_id = $1 AND withdrawn_at IS NULL ORDER BY kid LIMIT $2",
        replace: "UPDATE signing_keys SET sealed_private = $1, master_key_id = $2 \
            WHERE kid = $3 AND master_key_id = $4 AND withdrawn_at IS NULL",
    },
    Table {
        purpose: Some(decryption::PURPOSE),
        left: "SELECT kid, sealed_private, alg FROM decryption_keys \
            WHERE master_key_id = $1 AND withdrawn_at IS NULL ORDER BY kid LIMIT $2",
        replace: "UPDATE decryption_keys SET sealed_private = $1, master_key_id = $2 \
            WHERE kid = $3 AND master_key_id = $4 AND withdrawn_at IS NULL",
    },
    Table {
        purpose: None,
        left: "SELECT secret_id, sealed, purpose FROM purpose_secrets \
            WHERE master_key_id = $1 ORDER BY secret_id LIMIT $2",
        replace: "UPDATE purpose_secrets SET sealed = $1, master_key_id = $2 \
            WHERE secret_id = $3 AND master_key_id = $4",
    },
];

/// How far a resealing is.
enum State {
    /// There is one key, and nothing else.
    Settled,
    /// A second one is at hand, of which the database does not know.
    Prepared(One),
    /// Both are in use.
    Between { old: Row, new: One },
    /// Only the files remain to be put in order.
    Filing { folder: PathBuf, current: One },
}

/// What a resealing came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Resealed {
    /// Under which everything is sealed now.
    pub master_key_id: String,
    /// None where nothing was left to retire: a run before this one did it.
    pub retired_master_key_id: Option<String>,
    /// Rows that this run sealed anew.
    pub resealed: usize,
    /// Where the old key is kept, for backups from before.
    pub old_key_file: Option<PathBuf>,
}

/// Whether a step was the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    More,
    Done,
}

/// One resealing, from wherever the last one stopped.
#[derive(Debug)]
pub(crate) struct Reseal<'r> {
    pub(crate) master: &'r MasterKey,
    pub(crate) db: &'r Database,
    pub(crate) by: &'r Context,
    pub(crate) now: Timestamp,
    pub(crate) done: Resealed,
}

impl Reseal<'_> {
    /// Has the new key at hand: the one of a run that broke off, the second one of the setting, or one made here. With
    /// nothing else done, a folder can be copied to wherever servers run.
    ///
    /// # Errors
    /// [`Error::NoSecondKey`] when a setting holds one key only.
    pub(crate) async fn prepare(&self) -> Result<(), Error> {
        match (self.state().await?, self.master.source()) {
            (State::Settled, Source::Folder(folder)) => self.make(folder.clone()).await,
            (State::Settled, Source::Setting(_) | Source::Memory) => Err(Error::NoSecondKey),
            (State::Prepared(_) | State::Between { .. } | State::Filing { .. }, _) => Ok(()),
        }
    }

    /// Makes the next key. A file of that name whose key the database knows was left by a resealing on another machine,
    /// and holds the key in use or one that was retired; as long as another run is not done, it may be the only place of
    /// the key that everything is sealed under. So this looks again under the lock.
    pub(crate) async fn make(&self, folder: PathBuf) -> Result<(), Error> {
        let work = self.db.transact(move |conn| {
            Box::pin(async move {
                records::lock(conn).await?;
                let rows = Rows::read(conn).await?;
                let first = master::read(&folder.join(FILE))?.map(One::of);
                let mut in_use = rows.in_use();
                let is_settled = match (in_use.next(), in_use.next()) {
                    (Some(only), None) => first.is_some_and(|first| first.is(only)),
                    _ => false,
                };
                if !is_settled {
                    return Ok(());
                }
                let next = folder.join(NEXT_FILE);
                if master::read(&next)?
                    .map(One::of)
                    .is_some_and(|one| rows.knows(&one))
                {
                    fs::remove_file(&next).map_err(|cause| master::Error::File { path: next, cause })?;
                }
                master::create(&folder, NEXT_FILE)?;
                Ok::<_, Error>(())
            })
        });
        work.await
    }

    /// Does the next thing.
    pub(crate) async fn step(&mut self) -> Result<Progress, Error> {
        match self.state().await? {
            State::Settled => {
                self.done.master_key_id.clone_from(&self.master.current().id);
                return Ok(Progress::Done);
            }
            State::Prepared(new) => self.register(new).await?,
            State::Between { old, new } => match self.batch(&old, &new).await? {
                0 => self.retire(&old).await?,
                count => self.done.resealed += count,
            },
            State::Filing { folder, current } => self.file(folder, current).await?,
        }
        Ok(Progress::More)
    }

    async fn state(&self) -> Result<State, Error> {
        let mut conn = self.db.reader().await?;
        self.master.follow(&mut conn).await?;
        let rows = Rows::read(&mut conn).await?;
        drop(conn);
        let current = self.master.current();
        let mut in_use = rows.in_use();
        if let (Some(old), Some(_)) = (in_use.next(), in_use.next()) {
            return Ok(State::Between {
                old: old.clone(),
                new: (*current).clone(),
            });
        }
        if let Source::Folder(folder) = self.master.source() {
            let first = master::read(&folder.join(FILE))?.map(One::of);
            if first.is_none_or(|first| first.id != current.id) {
                return Ok(State::Filing {
                    folder: folder.clone(),
                    current: (*current).clone(),
                });
            }
        }
        let second = self.master.at_hand()?.into_iter().find(|one| !rows.knows(one));
        Ok(second.map_or(State::Settled, State::Prepared))
    }

    async fn register(&self, new: One) -> Result<(), Error> {
        let now = self.now;
        if let Source::Folder(folder) = self.master.source() {
            // Whoever made it may have died before that.
            let flushed = master::flush(folder);
            flushed.map_err(|cause| master::Error::File {
                path: folder.clone(),
                cause,
            })?;
        }
        let work = self.db.transact(move |conn| {
            Box::pin(async move {
                records::lock(conn).await?;
                // Another run may have been first, and its key may be another one.
                match Rows::read(conn).await?.in_use().count() {
                    0 | 1 => master::register(&new, conn, now).await,
                    _ => Ok(()),
                }
            })
        });
        Ok(work.await?)
    }

    /// Reseals some rows of one table; none when no row names the old key.
    async fn batch(&self, old: &Row, new: &One) -> Result<usize, Error> {
        for table in TABLES {
            let (master, old, new) = (self.master.clone(), old.id.clone(), new.clone());
            let work = self.db.transact(move |conn| {
                Box::pin(async move { reseal(table, &master, (&old, &new), conn).await })
            });
            let count = work.await?;
            if count > 0 {
                return Ok(count);
            }
        }
        Ok(0)
    }

    /// Under the lock, since a server may have sealed something under the old key after its table was done: then there
    /// is more to do.
    async fn retire(&mut self, old: &Row) -> Result<(), Error> {
        let (id, by, now) = (old.id.clone(), self.by.clone(), self.now);
        let work = self.db.transact(move |conn| {
            Box::pin(async move {
                records::lock(conn).await?;
                for table in TABLES {
                    if !left(table, &id, conn).await?.is_empty() {
                        return Ok(false);
                    }
                }
                let retired = execute!(conn, sqlx::query(RETIRE).bind(&id).bind(now.as_secs()))?;
                if retired > 0 {
                    let event = Event::MasterKeyRetired { master_key_id: &id };
                    records::changed(&event, &by, conn, now).await?;
                }
                Ok::<_, db::Error>(true)
            })
        });
        if work.await? {
            self.done.retired_master_key_id = Some(old.id.clone());
        }
        Ok(())
    }

    /// Under the lock: of two runs that rename at once, one could put a third key into the place of the one in use.
    async fn file(&mut self, folder: PathBuf, current: One) -> Result<(), Error> {
        let work = self.db.transact(move |conn| {
            Box::pin(async move {
                records::lock(conn).await?;
                let newest = Rows::read(conn).await?;
                match newest
                    .in_use()
                    .next_back()
                    .is_some_and(|row| row.id == current.id)
                {
                    true => file(&folder, &current),
                    // Another run has gone on from there.
                    false => Ok(None),
                }
            })
        });
        if let Some(kept) = work.await? {
            self.done.old_key_file = Some(kept);
        }
        Ok(())
    }
}

/// The new key takes the place of the old one, in one step; the old one is kept under its name, because backups from
/// before open with nothing else. Says where.
fn file(folder: &Path, current: &One) -> Result<Option<PathBuf>, Error> {
    let (next, first) = (folder.join(NEXT_FILE), folder.join(FILE));
    let is_current = |key: &Option<One>| key.as_ref().is_some_and(|one| one.id == current.id);
    let old = master::read(&first)?.map(One::of);
    if is_current(&old) {
        return Ok(None);
    }
    if !is_current(&master::read(&next)?.map(One::of)) {
        return Err(master::Error::Missing { path: next }.into());
    }
    let mut kept = None;
    if let Some(old) = old {
        let name = format!("master.{}.old.key", old.id);
        master::keep(folder, &name, &old.encoded())?;
        kept = Some(folder.join(name));
    }
    match fs::rename(&next, &first).and_then(|()| master::flush(folder)) {
        Ok(()) => Ok(kept),
        Err(cause) => Err(master::Error::File { path: first, cause }.into()),
    }
}

/// Name, sealed value, and what for.
type Left = (String, String, String);

async fn left(table: &Table, id: &str, conn: &mut Conn) -> db::Result<Vec<Left>> {
    let rows = run!(conn, |c| sqlx::query_as(table.left)
        .bind(id)
        .bind(BATCH)
        .fetch_all(c))?;
    Ok(rows)
}

async fn reseal(
    table: &Table,
    master: &MasterKey,
    (old, new): (&str, &One),
    conn: &mut Conn,
) -> Result<usize, Error> {
    let rows = left(table, old, conn).await?;
    for (name, sealed, said) in &rows {
        let purpose = table.purpose.unwrap_or(said);
        let plain = master
            .open_by(old, (purpose, name), sealed)
            .map_err(|_| Error::Sealed(format!("{purpose} {name}")))?;
        let sealed = new.seal(purpose, name, &plain);
        execute!(
            conn,
            sqlx::query(table.replace)
                .bind(&sealed)
                .bind(&new.id)
                .bind(name)
                .bind(old)
        )
        .map_err(db::Error::from)?;
    }
    Ok(rows.len())
}
