//! The master key: seals every other key, and does nothing else. It never enters the database.
//!
//! It is made only for a database that has none. The file is written whole, flushed, and linked into place
//! without overwriting; the database then records a check value under a lock. Whatever dies in between, no
//! key is ever used whose file is not safe on disk, and two processes that start together end with one key.
//!
//! While everything is [resealed](crate::reseal) there are two, and both open; the newer one seals. A process that runs
//! meets the second one when the database names it, and looks into the folder again.

mod file;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::{Conn, Database, execute, run};
use events::{Context, Event};
use protocol::Timestamp;
use seal::{Broken, Key};
use zeroize::Zeroizing;

pub(crate) use file::{FILE, NEXT_FILE, create, flush, keep, read};

use file::decode;

/// What the setting is called, where the key is in no folder.
const SETTING: &str = "COUNTERSIGN_MASTER_KEY";
/// Of a setting: the old one and the new one.
const MOST: usize = 2;
const PURPOSE: &str = "master key check";
const CHECK: &[u8] = b"countersign master key";

/// The newest last: two are never registered in one second.
const ALL: &str = "SELECT master_key_id, check_value, created_at, retired_at FROM master_keys ORDER BY created_at, master_key_id";
const INSERT: &str = "INSERT INTO master_keys (master_key_id, check_value, created_at) VALUES ($1, $2, $3) \
    ON CONFLICT (master_key_id) DO NOTHING";
const IS_RETIRED: &str = "SELECT 1 FROM master_keys WHERE master_key_id = $1 AND retired_at IS NOT NULL";

/// The key under which every other one is sealed, behind any number of clones; two of them for a while.
#[derive(Clone, Debug)]
pub struct MasterKey(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: Source,
    held: ArcSwap<Vec<One>>,
    /// The one that seals.
    current: ArcSwap<One>,
}

/// One key, and the name by which rows know it.
#[derive(Clone, Debug)]
pub(crate) struct One {
    pub(crate) id: String,
    key: Key,
}

/// Where the master key is kept.
#[derive(Clone)]
pub enum Source {
    /// In files of this folder; the first one is made there.
    Folder(PathBuf),
    /// In a setting: one key, or two while everything is resealed.
    Setting(Setting),
    /// Nowhere, for tests.
    Memory,
}

impl Source {
    /// Where the key is kept in files.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(folder) => Some(folder),
            Self::Setting(_) | Self::Memory => None,
        }
    }
}

/// Keys that an operator has set.
#[derive(Clone)]
pub struct Setting(Vec<One>);

impl Setting {
    /// Keys of 43 characters of base64url, with spaces or line ends between them.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let keys: Option<Vec<One>> = words.iter().map(|word| decode(word).map(One::of)).collect();
        match keys {
            Some(keys) if (1..=MOST).contains(&keys.len()) => Ok(Self(keys)),
            _ => Err(
                "must be a key of 43 characters of base64url (32 random bytes), or two of them while everything is \
                 resealed"
                    .to_owned(),
            ),
        }
    }
}

impl From<&Path> for Source {
    fn from(folder: &Path) -> Self {
        Self::Folder(folder.to_owned())
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => f.debug_tuple("Folder").field(path).finish(),
            Self::Setting(setting) => setting.fmt(f),
            Self::Memory => f.write_str("Memory"),
        }
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Setting(…)")
    }
}

/// Why the master key cannot be used; each is one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Database(#[from] db::Error),
    #[error(
        "the master key {path} is missing, but the database was made with one: restore that file, or copy it from another replica"
    )]
    Missing { path: PathBuf },
    #[error("the master key {path} is not the one this database was made with: put the right one there")]
    Wrong { path: PathBuf },
    #[error(
        "the master key {path} was replaced by `countersign keys reseal`, and nothing is sealed under it any more: \
         put the new one in its place"
    )]
    Retired { path: PathBuf },
    #[error(
        "everything is being resealed, and one of the two master keys ({id}) is not at {path}: \
         put both there (master.key and master.next.key, or two keys in the setting)"
    )]
    OneOfTwo { path: PathBuf, id: String },
    #[error("the master key {path} is damaged: it has to be 43 characters of base64url")]
    Damaged { path: PathBuf },
    #[error("the master key {path} cannot be read or written: {cause}; is this the user of the server?")]
    File { path: PathBuf, cause: io::Error },
}

impl Source {
    /// What an operator calls the place.
    pub(crate) fn path(&self) -> PathBuf {
        match self {
            Self::Folder(folder) => folder.join(FILE),
            Self::Setting(_) | Self::Memory => PathBuf::from(SETTING),
        }
    }

    /// All that is there.
    fn read(&self) -> Result<Vec<One>, Error> {
        match self {
            // In this order: the next one becomes the first by being renamed.
            Self::Folder(folder) => {
                let next = read(&folder.join(NEXT_FILE));
                if next.is_err() {
                    // In a folder that is closed to us, the file that everybody has is named.
                    read(&folder.join(FILE))?;
                }
                let (next, first) = (next?, read(&folder.join(FILE))?);
                Ok(first.into_iter().chain(next).map(One::of).collect())
            }
            Self::Setting(Setting(keys)) => Ok(keys.clone()),
            Self::Memory => Ok(Vec::new()),
        }
    }
}

impl One {
    pub(crate) fn of(key: Key) -> Self {
        Self { id: id(&key), key }
    }

    /// Whether this is the key that the database knows by its name.
    pub(crate) fn is(&self, row: &Row) -> bool {
        let opened = seal::open(&self.key, PURPOSE, &row.id, &row.check);
        self.id == row.id && opened.is_ok_and(|plain| plain.as_slice() == CHECK)
    }

    /// As a file has it.
    pub(crate) fn encoded(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.key.bytes()))
    }

    pub(crate) fn seal(&self, purpose: &str, row: &str, plain: &[u8]) -> String {
        seal::seal(&self.key, purpose, row, plain)
    }
}

/// What the database knows of a master key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) id: String,
    check: String,
    pub(crate) created_at: Timestamp,
    retired_at: Option<Timestamp>,
}

/// Every master key that there ever was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rows(pub(crate) Vec<Row>);

impl Rows {
    pub(crate) async fn read(conn: &mut Conn) -> db::Result<Self> {
        let rows: Vec<(String, String, i64, Option<i64>)> = run!(conn, |c| sqlx::query_as(ALL).fetch_all(c))?;
        let row = |(id, check, created_at, retired_at): (_, _, _, Option<_>)| Row {
            id,
            check,
            created_at: Timestamp::from_secs(created_at),
            retired_at: retired_at.map(Timestamp::from_secs),
        };
        Ok(Self(rows.into_iter().map(row).collect()))
    }

    /// Those under which something may be sealed, the newest last.
    pub(crate) fn in_use(&self) -> impl DoubleEndedIterator<Item = &Row> {
        self.0.iter().filter(|row| row.retired_at.is_none())
    }

    pub(crate) fn knows(&self, one: &One) -> bool {
        self.0.iter().any(|row| row.id == one.id)
    }

    fn retired(&self, one: &One) -> bool {
        let mut retired = self.0.iter().filter(|row| row.retired_at.is_some());
        retired.any(|row| row.id == one.id)
    }
}

impl MasterKey {
    /// Opens the master key, making it in its folder when the database has none yet.
    ///
    /// # Errors
    /// When it is missing, wrong or unreadable: nothing may start then.
    pub async fn open(source: impl Into<Source>, db: &Database, now: Timestamp) -> Result<Self, Error> {
        let source = source.into();
        // In this order: the file is there before the database knows of it, so a process that is just starting
        // elsewhere cannot make it look missing.
        let known = Rows::read(&mut db.reader().await?).await?;
        let mut held = source.read()?;
        if held.is_empty() {
            match &source {
                Source::Folder(folder) if known.0.is_empty() => {
                    held.push(One::of(create(folder, FILE)?));
                }
                source => return Err(Error::Missing { path: source.path() }),
            }
        }
        let Some(first) = held.first().cloned() else {
            return Err(Error::Missing { path: source.path() });
        };
        let own = first.clone();
        db.transact(move |conn| {
            Box::pin(async move {
                crate::records::lock(conn).await?;
                match Rows::read(conn).await?.0.is_empty() {
                    true => register(&own, conn, now).await,
                    false => Ok(()),
                }
            })
        })
        .await?;
        // The file of a key is there before its row, and gone only after its row says so: rows first. When they change
        // meanwhile, a resealing is under way, and both are read once more.
        let mut rows = Rows::read(&mut db.reader().await?).await?;
        loop {
            held = source.read()?;
            let chosen = chosen(&held, &rows, &source);
            let newest = Rows::read(&mut db.reader().await?).await?;
            if chosen.is_ok() || newest == rows {
                return Ok(Self::with(source, held, chosen?));
            }
            rows = newest;
        }
    }

    /// A key that no file holds, for tests.
    pub fn ephemeral() -> Self {
        let one = One::of(Key::random());
        Self::with(Source::Memory, vec![one.clone()], one)
    }

    fn with(source: Source, held: Vec<One>, current: One) -> Self {
        Self(Arc::new(Inner {
            source,
            held: ArcSwap::from_pointee(held),
            current: ArcSwap::from_pointee(current),
        }))
    }

    /// Takes over a change of the master key; costs one small read when there is none.
    ///
    /// # Errors
    /// When the database fails, or names a key that is not there.
    pub(crate) async fn follow(&self, conn: &mut Conn) -> Result<(), Error> {
        if matches!(self.0.source, Source::Memory) {
            return Ok(());
        }
        let rows = Rows::read(conn).await?;
        let mut held = self.0.held.load_full();
        if rows.in_use().any(|row| held.iter().all(|one| one.id != row.id)) {
            let mut all = self.0.source.read()?;
            // What a process held it goes on to open with, wherever the file has gone.
            let kept = held.iter().filter(|one| all.iter().all(|own| own.id != one.id));
            let kept: Vec<One> = kept.cloned().collect();
            all.extend(kept);
            held = Arc::new(all);
            self.0.held.store(held.clone());
        }
        let current = chosen(&held, &rows, &self.0.source)?;
        self.0.current.store(Arc::new(current));
        Ok(())
    }

    pub(crate) fn source(&self) -> &Source {
        &self.0.source
    }

    /// The one that seals.
    pub(crate) fn current(&self) -> Arc<One> {
        self.0.current.load_full()
    }

    /// Opens what was sealed under the key of this name.
    pub(crate) fn open_by(
        &self,
        id: &str,
        (purpose, row): (&str, &str),
        sealed: &str,
    ) -> Result<Zeroizing<Vec<u8>>, Broken> {
        let held = self.0.held.load();
        let one = held.iter().find(|one| one.id == id).ok_or(Broken)?;
        seal::open(&one.key, purpose, row, sealed)
    }

    /// All that is at its place now.
    pub(crate) fn at_hand(&self) -> Result<Vec<One>, Error> {
        self.0.source.read()
    }
}

/// The key that seals. All that the database has in use have to be there, or something will not open.
fn chosen(held: &[One], rows: &Rows, source: &Source) -> Result<One, Error> {
    let path = || source.path();
    let of = |row: &Row| held.iter().find(|one| one.is(row));
    let Some(current) = rows.in_use().rev().find_map(of) else {
        return Err(match held.iter().any(|one| rows.retired(one)) {
            true => Error::Retired { path: path() },
            false => Error::Wrong { path: path() },
        });
    };
    match rows.in_use().find(|row| of(row).is_none()) {
        Some(row) => Err(Error::OneOfTwo {
            path: path(),
            id: row.id.clone(),
        }),
        None => Ok(current.clone()),
    }
}

/// Records the check value of a key. From then on it seals.
pub(crate) async fn register(one: &One, conn: &mut Conn, now: Timestamp) -> db::Result<()> {
    let newest = Rows::read(conn).await?.0.last().map(|row| row.created_at);
    let free = newest.map_or(now, |newest| now.max(newest + std::time::Duration::from_secs(1)));
    let check = one.seal(PURPOSE, &one.id, CHECK);
    let insert = execute!(
        conn,
        sqlx::query(INSERT).bind(&one.id).bind(check).bind(free.as_secs())
    )?;
    if insert == 0 {
        return Ok(());
    }
    let made = Event::MasterKeyMade {
        master_key_id: &one.id,
    };
    crate::records::changed(&made, &Context::server(), conn, now).await
}

/// Whether something that was sealed under this key a moment ago comes too late.
pub(crate) async fn is_retired(id: &str, conn: &mut Conn) -> db::Result<bool> {
    let row: Option<(i32,)> = run!(conn, |c| sqlx::query_as(IS_RETIRED).bind(id).fetch_optional(c))?;
    Ok(row.is_some())
}

/// Names a key without telling anything of it.
fn id(key: &Key) -> String {
    let code = seal::mac(key, &[b"id"]);
    code.iter().take(9).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    #[tokio::test]
    async fn the_key_is_made_once_and_any_other_is_refused() {
        db::testing::both(|db| async move {
            let folder = tempfile::tempdir().unwrap();
            let first = MasterKey::open(folder.path(), &db, NOW).await.unwrap();
            let again = MasterKey::open(folder.path(), &db, NOW).await.unwrap();
            assert_eq!(first.current().id, again.current().id);

            let elsewhere = tempfile::tempdir().unwrap();
            let missing = MasterKey::open(elsewhere.path(), &db, NOW).await.unwrap_err();
            assert!(matches!(missing, Error::Missing { .. }), "{missing}");
            assert!(!elsewhere.path().join(FILE).exists());

            fs::write(
                elsewhere.path().join(FILE),
                URL_SAFE_NO_PAD.encode(Key::random().bytes()),
            )
            .unwrap();
            let wrong = MasterKey::open(elsewhere.path(), &db, NOW).await.unwrap_err();
            assert!(matches!(wrong, Error::Wrong { .. }), "{wrong}");

            fs::write(elsewhere.path().join(FILE), "short").unwrap();
            let damaged = MasterKey::open(elsewhere.path(), &db, NOW).await.unwrap_err();
            assert!(matches!(damaged, Error::Damaged { .. }), "{damaged}");
        })
        .await;
    }

    #[tokio::test]
    async fn processes_that_start_together_share_one_key() {
        db::testing::both(|db| async move {
            let folder = tempfile::tempdir().unwrap();
            let starts = (0..8).map(|_| {
                let (db, folder) = (db.clone(), folder.path().to_owned());
                tokio::spawn(async move {
                    MasterKey::open(folder.as_path(), &db, NOW)
                        .await
                        .map(|key| key.current().id.clone())
                })
            });
            let mut ids = Vec::new();
            for start in starts.collect::<Vec<_>>() {
                ids.push(start.await.unwrap().unwrap());
            }
            ids.dedup();
            assert_eq!(ids.len(), 1);
            assert_eq!(
                fs::read_dir(folder.path()).unwrap().count(),
                1,
                "no temporary file is left"
            );
        })
        .await;
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn only_its_owner_can_read_the_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        create(folder.path(), FILE).unwrap();
        let mode = fs::metadata(folder.path().join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
