//! Opening the database, with the settings that durability and safety need.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, PgPool, Sqlite, SqliteConnection, SqlitePool};
use tokio::time::{Instant, sleep};

use crate::closing::Closing;
use crate::conn::{PostgresConn, SqliteConn};
use crate::mark::Mark;
use crate::presence::Presence;
use crate::statements::Statements;
use crate::{Conn, Error, Result};

/// How long a request waits for a connection before it is told to come back. A thousand requests at one instant
/// queue here for seconds on a slow machine, and a database that restarts is back before most have noticed.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long SQLite waits for a lock that another process (the command line) holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const BUSY_PAUSE: Duration = Duration::from_millis(10);
/// Without waiting for anybody: a command must not hold up the server beside it. Who is in the way makes it do what can
/// be done beside them.
const CHECKPOINT: [&str; 3] = [
    "PRAGMA busy_timeout = 0",
    "PRAGMA wal_checkpoint(TRUNCATE)",
    "PRAGMA busy_timeout = 5000",
];
const SQLITE_READERS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 16;
/// For batches alone: of the two kinds two each at a time, and whichever connection they come by has their statements
/// planned.
const BATCH_CONNECTIONS: u32 = 4;

/// The database, behind any number of clones.
#[derive(Clone, Debug)]
pub struct Database {
    pub(crate) pools: Pools,
    pub(crate) presence: Presence,
    pub(crate) mark: Mark,
    /// Asks those who listen to let go.
    pub(crate) closing: Closing,
    statements: Statements,
}

#[derive(Clone, Debug)]
pub(crate) enum Pools {
    /// SQLite admits one writer; more would only wait for each other.
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
    },
    Postgres {
        shared: PgPool,
        batches: PgPool,
    },
}

/// Where the database is.
#[derive(Clone, PartialEq, Eq)]
pub enum Url {
    Sqlite(PathBuf),
    /// The whole URL: it may hold a password.
    Postgres(String),
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if let Some(path) = text.strip_prefix("sqlite://") {
            return match path {
                "" | ":memory:" => Err("name a file, as in sqlite://data/countersign.db".to_owned()),
                path if path.contains('?') => Err("a SQLite URL takes no options".to_owned()),
                path => Ok(Self::Sqlite(path.into())),
            };
        }
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err("write sqlite://PATH or postgres://USER@HOST/DATABASE".to_owned());
        }
        match PgConnectOptions::from_str(text) {
            Ok(_) => Ok(Self::Postgres(text.to_owned())),
            Err(_) => Err("this is not a valid postgres:// URL".to_owned()),
        }
    }
}

impl std::fmt::Debug for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(_) => f.write_str("postgres://…"),
        }
    }
}

impl Database {
    /// Opens the database; SQLite's file and folder are made when missing. The schema is not touched.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn connect(url: &Url) -> Result<Self> {
        match url {
            Url::Sqlite(path) => sqlite(path).await,
            Url::Postgres(url) => postgres(url).await,
        }
    }

    /// The file, where it is one.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        match &self.pools {
            Pools::Sqlite { writer, .. } => Some(writer.connect_options().get_filename().to_owned()),
            Pools::Postgres { .. } => None,
        }
    }

    /// A connection for reading. On SQLite it cannot write.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when none becomes free in time.
    pub async fn reader(&self) -> Result<Conn> {
        match &self.pools {
            Pools::Sqlite { readers, .. } => Ok(self.sqlite(readers.acquire().await?)),
            Pools::Postgres { shared, .. } => self.acquire(shared).await,
        }
    }

    pub(crate) async fn writer(&self) -> Result<Conn> {
        match &self.pools {
            Pools::Sqlite { writer, .. } => Ok(self.sqlite(writer.acquire().await?)),
            Pools::Postgres { shared, .. } => self.acquire(shared).await,
        }
    }

    /// The same for a batch.
    pub(crate) async fn batch_reader(&self) -> Result<Conn> {
        match &self.pools {
            Pools::Sqlite { .. } => self.reader().await,
            Pools::Postgres { batches, .. } => self.acquire(batches).await,
        }
    }

    /// Batches of one kind that run side by side. PostgreSQL carries one out while another waits for the disk; on
    /// SQLite the second would wait for the first.
    pub(crate) fn batches_at_once(&self) -> usize {
        match &self.pools {
            Pools::Sqlite { .. } => 1,
            Pools::Postgres { .. } => 2,
        }
    }

    pub(crate) async fn batch_writer(&self) -> Result<Conn> {
        match &self.pools {
            Pools::Sqlite { .. } => self.writer().await,
            Pools::Postgres { batches, .. } => self.acquire(batches).await,
        }
    }

    async fn acquire(&self, pool: &PgPool) -> Result<Conn> {
        tokio::select! {
            biased;
            conn = pool.acquire() => {
                let (presence, statements) = (self.presence.clone(), self.statements.clone());
                Ok(Conn::Postgres(PostgresConn::new(conn?, presence, statements)))
            }
            () = self.presence.gone() => Err(Error::Away),
        }
    }

    fn sqlite(&self, conn: PoolConnection<Sqlite>) -> Conn {
        Conn::Sqlite(SqliteConn::new(conn, self.statements.clone()))
    }

    /// How many statements this process has run so far on connections of this database, the ends of transactions among
    /// them.
    pub fn statements(&self) -> u64 {
        self.statements.counted()
    }

    /// Says whether the database answers, by somebody who asks it all the time. While it has not for some
    /// seconds, requests are told so at once instead of waiting for a connection.
    pub fn note_reachable(&self, reachable: bool) {
        self.presence.note(reachable);
    }

    /// The highest number that a transaction of this process left when it committed ([`Conn::leave_mark`]). It is
    /// raised before the transaction is answered: who compares what it remembers with this never contradicts an
    /// answer that the same process gave.
    pub fn mark(&self) -> i64 {
        self.mark.highest()
    }

    /// The same for a process that ends: whoever listens lets go first, so that on SQLite nothing stands beside the file.
    pub async fn leave(&self) {
        self.closing.all_let_go().await;
        self.close().await;
    }

    /// Closes every connection but those that listen. On SQLite everything is in the one file then, unless another
    /// process has it open: who copies that file alone has all of it.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { writer, readers } => {
                readers.close().await;
                // A log that stayed would be played on top of whatever file stands there at the next start, a backup
                // for one. SQLite removes it with the last connection, if that one is closed and not cut off.
                if let Err(error) = checkpoint(writer).await {
                    tracing::debug!(%error, "the write-ahead log stays");
                }
                writer.close().await;
            }
            Pools::Postgres { shared, batches } => {
                shared.close().await;
                batches.close().await;
            }
        }
    }
}

async fn checkpoint(writer: &SqlitePool) -> sqlx::Result<()> {
    let mut conn = writer.acquire().await?;
    for statement in CHECKPOINT {
        sqlx::query(statement).execute(&mut *conn).await?;
    }
    Ok(())
}

async fn sqlite(path: &Path) -> Result<Database> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| {
            Error::Setup(format!("the folder {} cannot be made: {error}", folder.display()))
        })?;
    }
    // synchronous=FULL: a commit that we acknowledged survives a power cut (NORMAL may lose the last ones in WAL).
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging();
    let pool = |size| {
        SqlitePoolOptions::new()
            .max_connections(size)
            .min_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
    };
    make_private(path);
    // Held until the pools have theirs: whoever closes the last connection of a file locks out who opens one.
    let first = first(&options).await.map_err(|error| unopened(path, error))?;
    let writer = pool(1).connect_with(options.clone()).await?;
    let readers = pool(SQLITE_READERS)
        .connect_with(options.pragma("query_only", "ON"))
        .await?;
    first.close().await?;
    Ok(Database {
        pools: Pools::Sqlite { writer, readers },
        presence: Presence::new(),
        mark: Mark::default(),
        closing: Closing::default(),
        statements: Statements::default(),
    })
}

/// Makes a file that is missing, for its owner's eyes only: it holds addresses and hashes of passwords. SQLite gives
/// the files beside it the same mode.
///
/// It is made elsewhere and linked into place: closing a file that SQLite has open in this process as well would take
/// its locks away. Where that cannot be done SQLite makes the file, and says what is wrong if it cannot either.
fn make_private(path: &Path) {
    if path.exists() {
        return;
    }
    let temporary = path.with_extension(format!("new-{}", protocol::random::id()));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let made = options.open(&temporary).map(drop);
    if let Err(error) = made.and_then(|()| std::fs::hard_link(&temporary, path)) {
        // Somebody else may have been first.
        tracing::debug!(%error, "the database file is left to SQLite to make");
    }
    let _ = std::fs::remove_file(&temporary);
}

fn unopened(path: &Path, error: impl std::fmt::Display) -> Error {
    let path = path.display();
    Error::Setup(format!(
        "{path} cannot be opened: {error}; is this the folder of the server, and its user?"
    ))
}

/// The connection that turns a new file to WAL.
///
/// Of several processes that do so at once (commands of a script on an empty database) each has begun to read what
/// another wants to lock. SQLite tells one of them at once that the file is locked, since waiting would help nobody,
/// and its busy timeout is not asked. It looks again instead: by then the file is turned.
async fn first(options: &SqliteConnectOptions) -> Result<SqliteConnection> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match options.connect().await {
            Err(error) if crate::error::is_locked(&error) && Instant::now() < deadline => {
                sleep(BUSY_PAUSE).await;
            }
            opened => return Ok(opened?),
        }
    }
}

async fn postgres(url: &str) -> Result<Database> {
    // The statement timeout keeps one slow query from holding a connection; the bound on idle transactions keeps
    // a replica that died mid-way from holding row locks. A page that is not the next one costs what it does on a
    // solid-state disk or in memory: at PostgreSQL's default, which is for disks that turn, batches read whole tables
    // of some ten thousand rows instead of the rows they name, and take five times as long.
    let options = PgConnectOptions::from_str(url)?
        .application_name("countersign")
        .options([
            ("statement_timeout", "5s"),
            ("idle_in_transaction_session_timeout", "10s"),
            ("synchronous_commit", "on"),
            ("default_transaction_isolation", "read committed"),
            ("random_page_cost", "1.1"),
            ("jit", "off"),
        ])
        .disable_statement_logging();
    let presence = Presence::new();
    let pool = |size| {
        let own = presence.clone();
        PgPoolOptions::new()
            .max_connections(size)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(move |_, of| {
                let trusted = own.trusts(of.age);
                Box::pin(async move { Ok(trusted) })
            })
    };
    let shared = match pool(POSTGRES_CONNECTIONS).connect_with(options.clone()).await {
        Ok(shared) => shared,
        // It waited for a server that may just be starting, and no longer knows what was wrong.
        Err(sqlx::Error::PoolTimedOut) => {
            options.connect().await.map_err(explained)?;
            return Err(sqlx::Error::PoolTimedOut.into());
        }
        Err(error) => return Err(explained(error)),
    };
    // A plan for the very rows of a batch is no better than one for any, and takes as long as carrying it out. It is made
    // once, perhaps when the tables are empty; but a batch finds its rows by their keys, however many others there are.
    let options = options.options([
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
    ]);
    let batches = pool(BATCH_CONNECTIONS).connect_lazy_with(options);
    Ok(Database {
        pools: Pools::Postgres { shared, batches },
        presence,
        mark: Mark::default(),
        closing: Closing::default(),
        statements: Statements::default(),
    })
}

/// What an operator can mend, without the line of PostgreSQL's source that said it.
fn explained(error: sqlx::Error) -> Error {
    let sqlx::Error::Database(said) = &error else {
        return error.into();
    };
    let advice = match said.code().as_deref() {
        Some("3D000") => "; make it with createdb",
        Some("28000" | "28P01") => "; look at the user and the password in the URL",
        _ => return error.into(),
    };
    Error::Setup(format!("{}{advice}", said.message()))
}

#[cfg(test)]
mod tests;
