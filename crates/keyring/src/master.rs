//! The master key: seals every other key, and does nothing else. It never enters the database.
//!
//! It is made only for a database that has none. The file is written whole, flushed, and linked into place
//! without overwriting; the database then records a check value under a lock. Whatever dies in between, no
//! key is ever used whose file is not safe on disk, and two processes that start together end with one key.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::{Conn, Database, execute, run};
use events::{Context, Event};
use protocol::Timestamp;
use seal::Key;
use zeroize::Zeroizing;

const FILE: &str = "master.key";
const PURPOSE: &str = "master key check";
const CHECK: &[u8] = b"countersign master key";

const COUNT: &str = "SELECT COUNT(*) FROM master_keys";
const BY_ID: &str = "SELECT check_value FROM master_keys WHERE master_key_id = $1";
const INSERT: &str = "INSERT INTO master_keys (master_key_id, check_value, created_at) VALUES ($1, $2, $3)";

/// The key under which every other one is sealed.
#[derive(Clone, Debug)]
pub struct MasterKey {
    id: String,
    key: Key,
}

/// Why the master key cannot be used; each is one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Database(#[from] db::Error),
    #[error("the master key {path} is missing, but the database was made with one: restore that file")]
    Missing { path: PathBuf },
    #[error("the master key {path} is not the one this database was made with: restore the right file")]
    Wrong { path: PathBuf },
    #[error("the master key {path} is damaged: it has to be 43 characters of base64url")]
    Damaged { path: PathBuf },
    #[error("the master key {path} cannot be read or written: {cause}")]
    File { path: PathBuf, cause: io::Error },
}

impl MasterKey {
    /// Opens the master key in `folder`, making it when the database has none yet.
    ///
    /// # Errors
    /// When it is missing, wrong or unreadable: nothing may start then.
    pub async fn open(folder: &Path, db: &Database, now: Timestamp) -> Result<Self, Error> {
        let path = folder.join(FILE);
        // In this order: the file is there before the database knows of it, so a process that is just starting
        // elsewhere cannot make it look missing.
        let known = count(&mut db.reader().await?).await?;
        let on_file = read(&path)?;
        let key = match on_file {
            Some(key) => key,
            None if known > 0 => return Err(Error::Missing { path }),
            None => create(folder, &path)?,
        };
        let master = Self { id: id(&key), key };
        let own = master.clone();
        let accepted = db.transact(move |conn| Box::pin(async move { own.register(conn, now).await }));
        match accepted.await? {
            true => Ok(master),
            false => Err(Error::Wrong { path }),
        }
    }

    /// A key that no file holds, for tests.
    pub fn ephemeral() -> Self {
        let key = Key::random();
        Self { id: id(&key), key }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// Records the check value of the first key; says whether this one belongs to the database.
    async fn register(&self, conn: &mut Conn, now: Timestamp) -> Result<bool, db::Error> {
        crate::records::lock(conn).await?;
        if count(conn).await? == 0 {
            let check = seal::seal(&self.key, PURPOSE, &self.id, CHECK);
            execute!(
                conn,
                sqlx::query(INSERT).bind(&self.id).bind(check).bind(now.as_secs())
            )?;
            let made = Event::MasterKeyMade {
                master_key_id: &self.id,
            };
            crate::records::changed(&made, &Context::server(), conn, now).await?;
            return Ok(true);
        }
        let row: Option<(String,)> = run!(conn, |c| sqlx::query_as(BY_ID).bind(&self.id).fetch_optional(c))?;
        let opened = row.and_then(|(check,)| seal::open(&self.key, PURPOSE, &self.id, &check).ok());
        Ok(opened.is_some_and(|plain| plain.as_slice() == CHECK))
    }
}

async fn count(conn: &mut Conn) -> db::Result<i64> {
    let (count,): (i64,) = run!(conn, |c| sqlx::query_as(COUNT).fetch_one(c))?;
    Ok(count)
}

/// Names a key without telling anything of it.
fn id(key: &Key) -> String {
    let code = seal::mac(key, &[b"id"]);
    code.iter().take(9).map(|byte| format!("{byte:02x}")).collect()
}

fn read(path: &Path) -> Result<Option<Key>, Error> {
    let fail = |cause| Error::File {
        path: path.to_owned(),
        cause,
    };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(fail(cause)),
    };
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text).map_err(fail)?;
    let bytes = URL_SAFE_NO_PAD.decode(text.trim()).map(Zeroizing::new).ok();
    let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
    bytes
        .map(|bytes| Some(Key::from_bytes(bytes)))
        .ok_or_else(|| Error::Damaged {
            path: path.to_owned(),
        })
}

/// Writes a new key beside its place and links it there; if another process was first, its key is taken.
fn create(folder: &Path, path: &Path) -> Result<Key, Error> {
    let fail = |cause| Error::File {
        path: path.to_owned(),
        cause,
    };
    fs::create_dir_all(folder).map_err(fail)?;
    let key = Key::random();
    let temporary = folder.join(format!(".{FILE}.{}", protocol::random::id()));
    let written = write_private(&temporary, &Zeroizing::new(URL_SAFE_NO_PAD.encode(key.bytes())));
    let linked = written.and_then(|()| fs::hard_link(&temporary, path));
    let removed = fs::remove_file(&temporary);
    match linked {
        Ok(()) => {
            removed
                .and_then(|()| File::open(folder)?.sync_all())
                .map_err(fail)?;
            Ok(key)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            read(path)?.ok_or_else(|| Error::Missing {
                path: path.to_owned(),
            })
        }
        Err(cause) => Err(fail(cause)),
    }
}

/// Readable by its owner only, and on disk when this returns.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    #[tokio::test]
    async fn the_key_is_made_once_and_any_other_is_refused() {
        db::testing::both(|db| async move {
            let folder = tempfile::tempdir().unwrap();
            let first = MasterKey::open(folder.path(), &db, NOW).await.unwrap();
            let again = MasterKey::open(folder.path(), &db, NOW).await.unwrap();
            assert_eq!(first.id, again.id);

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
                tokio::spawn(async move { MasterKey::open(&folder, &db, NOW).await.map(|key| key.id) })
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
        create(folder.path(), &folder.path().join(FILE)).unwrap();
        let mode = fs::metadata(folder.path().join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
