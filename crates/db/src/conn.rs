//! A connection to whichever database is in use.

use sqlx::pool::PoolConnection;
use sqlx::{Postgres, Sqlite};

/// A pooled connection. Queries run on it through [`crate::run!`].
#[derive(Debug)]
pub enum Conn {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

impl Conn {
    /// The one of two statements that fits the database: for the few places where one form cannot serve both.
    pub fn either(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self {
            Self::Sqlite(_) => sqlite,
            Self::Postgres(_) => postgres,
        }
    }
}
