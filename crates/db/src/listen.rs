//! Hearing that another connection has committed, in this process or another: NOTIFY on PostgreSQL, `PRAGMA
//! data_version` on SQLite, on a connection outside of the pool.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions as _, Connection as _, PgPool};
use tokio::time::{Instant, sleep, timeout};

use crate::closing::Open;
use crate::connect::Pools;
use crate::mark::Mark;
use crate::presence::Presence;
use crate::{Database, Error, Result};

/// How often SQLite is looked at; the pragma reads one number from shared memory.
const LOOK: Duration = Duration::from_millis(25);
/// A server that takes longer to answer is treated as away.
const PATIENCE: Duration = Duration::from_secs(1);

/// A connection that listens.
#[derive(Debug)]
pub struct Listener {
    ear: Ear,
    opened: Instant,
    presence: Presence,
    mark: Mark,
}

#[derive(Debug)]
enum Ear {
    Sqlite {
        /// None once the process leaves.
        conn: Option<(SqliteConnection, Open)>,
        version: i64,
    },
    Postgres(PgListener),
}

/// What came in the time given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Something was committed.
    Notice,
    Silence,
}

const DATA_VERSION: &str = "PRAGMA data_version";

impl Database {
    /// Opens a connection that hears what is sent to `channel`; on SQLite there are no channels, and it hears of
    /// every commit.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn listen(&self, channel: &str) -> Result<Listener> {
        let opened = Instant::now();
        let ear = match &self.pools {
            Pools::Sqlite { readers, .. } => {
                let open = self.closing.open();
                let mut conn = readers.connect_options().as_ref().clone().connect().await?;
                let version = data_version(&mut conn).await?;
                let conn = Some((conn, open));
                Ear::Sqlite { conn, version }
            }
            Pools::Postgres { shared, .. } => Ear::Postgres(in_time(listener(shared, channel)).await?),
        };
        Ok(Listener {
            ear,
            opened,
            presence: self.presence.clone(),
            mark: self.mark.clone(),
        })
    }
}

async fn listener(pool: &PgPool, channel: &str) -> sqlx::Result<PgListener> {
    let options = pool.connect_options().as_ref().clone();
    let own = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(PATIENCE)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(options.application_name("countersign listener"));
    let mut listener = PgListener::connect_with(&own).await?;
    // Who listens has to read again what may have changed meanwhile, so a lost connection is an error.
    listener.eager_reconnect(false);
    listener.listen(channel).await?;
    Ok(listener)
}

impl Listener {
    /// Waits for a commit, at most `patience`; on SQLite for ever once the process leaves.
    ///
    /// # Errors
    /// When the connection is lost: open another, and read again.
    pub async fn heard(&mut self, patience: Duration) -> Result<Heard> {
        // It may still answer where the others found a server that is none any more.
        if !self.presence.trusts(self.opened.elapsed()) {
            return Err(cut_off());
        }
        match &mut self.ear {
            Ear::Postgres(listener) => match timeout(patience, listener.try_recv()).await {
                Err(_) => Ok(Heard::Silence),
                Ok(Ok(Some(_))) => Ok(Heard::Notice),
                Ok(Ok(None)) => Err(cut_off()),
                Ok(Err(error)) => Err(error.into()),
            },
            Ear::Sqlite { conn: held, version } => {
                let until = Instant::now() + patience;
                while let Some((conn, open)) = held {
                    let now = data_version(conn).await?;
                    if std::mem::replace(version, now) != now {
                        return Ok(Heard::Notice);
                    }
                    if Instant::now() >= until {
                        return Ok(Heard::Silence);
                    }
                    tokio::select! {
                        () = self.mark.raised() => {}
                        () = sleep(LOOK) => {}
                        () = open.asked_to_close() => let_go(held).await,
                    }
                }
                // Nothing will come any more, and nothing is wrong: this process is about to end.
                std::future::pending().await
            }
        }
    }

    /// Reads names with numbers, on the connection that listens: an answer proves that it still does.
    ///
    /// # Errors
    /// When the database fails, or does not answer in time.
    pub async fn numbers(&mut self, query: &'static str) -> Result<Vec<(String, i64)>> {
        in_time(async {
            match &mut self.ear {
                Ear::Sqlite {
                    conn: Some((conn, _)),
                    ..
                } => sqlx::query_as(query).fetch_all(conn).await,
                Ear::Sqlite { conn: None, .. } => Err(sqlx::Error::PoolClosed),
                Ear::Postgres(listener) => sqlx::query_as(query).fetch_all(listener).await,
            }
        })
        .await
    }
}

async fn in_time<T>(work: impl Future<Output = sqlx::Result<T>>) -> Result<T> {
    match timeout(PATIENCE, work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(Error::Unavailable(sqlx::Error::PoolTimedOut)),
    }
}

/// Closes a connection, and says so after that.
async fn let_go(held: &mut Option<(SqliteConnection, Open)>) {
    if let Some((conn, open)) = held.take() {
        if let Err(error) = conn.close().await {
            tracing::debug!(%error, "the connection that listens was not closed in order");
        }
        drop(open);
    }
}

fn cut_off() -> Error {
    let cause = std::io::Error::new(std::io::ErrorKind::ConnectionAborted, "the listener was cut off");
    Error::Unavailable(sqlx::Error::Io(cause))
}

async fn data_version(conn: &mut SqliteConnection) -> sqlx::Result<i64> {
    let (version,): (i64,) = sqlx::query_as(DATA_VERSION).fetch_one(conn).await?;
    Ok(version)
}
