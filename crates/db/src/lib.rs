//! One database, two drivers: connect, transact, migrate, write.
//!
//! Each query of the project is one `const` in portable SQL, run by the [`run!`] macro on whichever driver
//! is behind [`Conn`]. SQLite has one writer and a few readers; PostgreSQL has one pool.

pub mod batch;
mod closing;
mod conn;
mod connect;
mod error;
mod listen;
mod mark;
mod migrate;
mod origin;
mod presence;
mod skew;
mod statements;
pub mod testing;
mod transact;

pub use batch::{Access, Batch, Batcher};
#[doc(hidden)]
pub use conn::answered;
pub use conn::{Conn, PostgresConn, SqliteConn};
pub use connect::{Database, Url};
pub use error::{Error, Result};
pub use listen::{Heard, Listener};
pub use migrate::{MIGRATIONS, Migration};
pub use transact::BoxFuture;

/// Runs one query on whichever driver is behind the connection.
///
/// ```text
/// let row = run!(conn, |c| sqlx::query_as::<_, Row>(BY_ID).bind(id).fetch_optional(c))?;
/// ```
#[macro_export]
macro_rules! run {
    ($conn:expr, |$c:ident| $query:expr) => {
        match &mut *$conn {
            $crate::Conn::Sqlite(inner) => {
                inner.count();
                let $c = &mut **inner;
                $query.await
            }
            $crate::Conn::Postgres(inner) => {
                inner.count();
                let outcome = {
                    let $c = &mut **inner;
                    $crate::answered($query).await
                };
                inner.judged(outcome)
            }
        }
    };
}

/// Runs one statement that returns no rows, and says how many it touched.
///
/// ```text
/// let touched: u64 = execute!(conn, sqlx::query(END).bind(id).bind(now.as_secs()))?;
/// ```
#[macro_export]
macro_rules! execute {
    ($conn:expr, $query:expr) => {
        match &mut *$conn {
            $crate::Conn::Sqlite(inner) => {
                inner.count();
                $query
                    .execute(&mut **inner)
                    .await
                    .map(|done| done.rows_affected())
            }
            $crate::Conn::Postgres(inner) => {
                inner.count();
                let outcome = $crate::answered($query.execute(&mut **inner)).await;
                inner.judged(outcome).map(|done| done.rows_affected())
            }
        }
    };
}
