//! A connection to whichever database is in use.

use std::io;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres, Sqlite, SqliteConnection};
use tokio::time::timeout;

use crate::error::is_broken;
use crate::presence::Presence;
use crate::statements::Statements;

/// A pooled connection. Queries run on it through [`crate::run!`].
#[derive(Debug)]
pub enum Conn {
    Sqlite(SqliteConn),
    Postgres(PostgresConn),
}

/// A connection to SQLite.
#[derive(Debug)]
pub struct SqliteConn {
    inner: PoolConnection<Sqlite>,
    statements: Statements,
    mark: Option<i64>,
}

/// A connection to PostgreSQL, which knows when it is of no use any more.
#[derive(Debug)]
pub struct PostgresConn {
    inner: PoolConnection<Postgres>,
    presence: Presence,
    statements: Statements,
    broken: bool,
    mark: Option<i64>,
}

/// PostgreSQL itself gives up on a statement after half of this: whoever has heard nothing for so long has lost it,
/// and over a network that swallows everything would wait for a quarter of an hour.
const LOST: Duration = Duration::from_secs(10);

/// What a statement came to, or that nobody answers.
#[doc(hidden)]
pub async fn answered<T>(statement: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    match timeout(LOST, statement).await {
        Ok(outcome) => outcome,
        Err(_) => Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())),
    }
}

impl Conn {
    /// The one of two statements that fits the database: for the few places where one form cannot serve both.
    pub fn either(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self {
            Self::Sqlite(_) => sqlite,
            Self::Postgres(_) => postgres,
        }
    }

    pub fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// Whether nothing can be said on it any more. It closes when it is dropped.
    pub(crate) fn is_broken(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(conn) => conn.broken,
        }
    }

    /// Has the transaction raise [`crate::Database::mark`] to this number when it commits.
    pub fn leave_mark(&mut self, number: i64) {
        let mark = self.mark();
        *mark = (*mark).max(Some(number));
    }

    pub(crate) fn mark(&mut self) -> &mut Option<i64> {
        match self {
            Self::Sqlite(conn) => &mut conn.mark,
            Self::Postgres(conn) => &mut conn.mark,
        }
    }

    /// Closes it instead of giving it back.
    pub(crate) async fn discard(self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(conn) => conn.inner.close().await,
            Self::Postgres(conn) => conn.inner.close().await,
        }
    }
}

impl SqliteConn {
    pub(crate) fn new(inner: PoolConnection<Sqlite>, statements: Statements) -> Self {
        Self {
            inner,
            statements,
            mark: None,
        }
    }

    #[doc(hidden)]
    pub fn count(&self) {
        self.statements.count();
    }
}

impl Deref for SqliteConn {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.inner
    }
}

impl DerefMut for SqliteConn {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.inner
    }
}

impl PostgresConn {
    pub(crate) fn new(inner: PoolConnection<Postgres>, presence: Presence, statements: Statements) -> Self {
        Self {
            inner,
            presence,
            statements,
            broken: false,
            mark: None,
        }
    }

    #[doc(hidden)]
    pub fn count(&self) {
        self.statements.count();
    }

    /// Looks at what a statement came to: a connection that was cut, or that leads to a server which has become
    /// read-only, is closed and not handed to the next request; nor is any other that is as old.
    #[doc(hidden)]
    pub fn judged<T>(&mut self, outcome: sqlx::Result<T>) -> sqlx::Result<T> {
        if let Err(error) = &outcome
            && is_broken(error)
        {
            self.inner.close_on_drop();
            self.broken = true;
            self.presence.broke();
        }
        outcome
    }
}

impl Deref for PostgresConn {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.inner
    }
}

impl DerefMut for PostgresConn {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.inner
    }
}
