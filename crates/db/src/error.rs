//! What can go wrong between us and the database.

/// A failure of the database, sorted by what a caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Away, overloaded, full or read-only: the same call may succeed later.
    #[error("the database is not available: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// Known to be away: nobody waits for it.
    #[error("the database has been away for some seconds")]
    Away,
    /// A unique constraint spoke.
    #[error("already there: {0}")]
    Conflict(#[source] sqlx::Error),
    /// A row that our own code cannot have written.
    #[error("a stored row makes no sense: {0}")]
    Corrupt(String),
    #[error("the database refused a statement: {0}")]
    Refused(#[source] sqlx::Error),
    /// Too much is waiting to be written.
    #[error("too many writes are waiting")]
    Overloaded,
    #[error("{0}")]
    Setup(String),
    /// The failure of a batch, told to each of those who were in it.
    #[error("{0}")]
    Shared(String, Passing),
}

/// Whether the same call may succeed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passing {
    Yes,
    No,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict(_))
    }

    /// Whether it waited for somebody else's locks in vain.
    pub(crate) fn is_contention(&self) -> bool {
        let (Self::Unavailable(error) | Self::Refused(error)) = self else {
            return false;
        };
        let sqlx::Error::Database(error) = error else {
            return false;
        };
        error
            .code()
            .is_some_and(|code| CONTENDED.contains(&&*code) || code == LOCKED_OUT)
    }

    /// Whether SQLite says that the file cannot be written.
    pub(crate) fn is_read_only(&self) -> bool {
        let Self::Unavailable(sqlx::Error::Database(error)) = self else {
            return false;
        };
        let code = error.code().and_then(|code| code.parse::<i32>().ok());
        // PostgreSQL's codes have five characters, and may be digits alone.
        error.code().is_some_and(|code| code.len() < 5) && code.is_some_and(|code| code & 0xff == 8)
    }

    fn passing(&self) -> Passing {
        match self {
            Self::Unavailable(_) | Self::Away | Self::Overloaded => Passing::Yes,
            Self::Shared(_, passing) => *passing,
            Self::Conflict(_) | Self::Corrupt(_) | Self::Refused(_) | Self::Setup(_) => Passing::No,
        }
    }

    /// Whether the next statement would fail the same way: the database cannot be reached, is full, or is
    /// read-only.
    pub(crate) fn concerns_all(&self) -> bool {
        match self {
            Self::Away | Self::Overloaded => true,
            Self::Unavailable(sqlx::Error::Database(error)) => !error
                .code()
                .is_some_and(|code| CONTENDED.contains(&&*code) || code == TOOK_TOO_LONG),
            Self::Unavailable(_) => true,
            Self::Conflict(_) | Self::Corrupt(_) | Self::Refused(_) | Self::Setup(_) | Self::Shared(..) => {
                false
            }
        }
    }

    /// The same failure for one more of those whom it concerns.
    pub fn again(&self) -> Self {
        match self {
            Self::Corrupt(what) => Self::Corrupt(what.clone()),
            other => Self::Shared(other.to_string(), other.passing()),
        }
    }

    /// A stored value that does not parse.
    pub fn corrupt(what: impl std::fmt::Display) -> Self {
        Self::Corrupt(what.to_string())
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            // Half an answer, of a server that was killed while it spoke.
            | sqlx::Error::Protocol(_)
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error),
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::Corrupt(error.to_string()),
            sqlx::Error::Database(database) if database.is_unique_violation() => Self::Conflict(error),
            sqlx::Error::Database(database) if passing(database.code().as_deref()) => {
                Self::Unavailable(error)
            }
            _ => Self::Refused(error),
        }
    }
}

/// Whether a database says by this code that it cannot just now.
///
/// PostgreSQL, by SQLSTATE class or code: 08 connection, 53 resources, 57 operator intervention, 40001 and 40P01
/// conflicts, 25006 a demoted primary, 25P03 and 25P04 a transaction that was ended. SQLite, by primary result code: 5 BUSY, 6 LOCKED, 8 READONLY, 10 IOERR,
/// 13 FULL, 14 CANTOPEN.
fn passing(code: Option<&str>) -> bool {
    let Some(code) = code else { return false };
    if code.len() == 5 {
        return ["08", "53", "57"].iter().any(|class| code.starts_with(class))
            || CONTENDED.contains(&code)
            || IDLED.contains(&code)
            || code == READ_ONLY;
    }
    code.parse::<i32>()
        .is_ok_and(|code| [5, 6, 8, 10, 13, 14].contains(&(code & 0xff)))
}

/// Whether SQLite says that somebody else holds the file just now.
pub(crate) fn is_locked(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(database) = error else {
        return false;
    };
    let code = database.code().and_then(|code| code.parse::<i32>().ok());
    code.is_some_and(|code| [5, 6].contains(&(code & 0xff)))
}

const CONTENDED: [&str; 2] = ["40001", "40P01"];
const LOCKED_OUT: &str = "55P03";
const TOOK_TOO_LONG: &str = "57014";
const READ_ONLY: &str = "25006";
/// In a transaction, and so it was ended: on a machine that stood still for a while it is nobody's fault.
const IDLED: [&str; 2] = ["25P03", "25P04"];

/// Whether PostgreSQL has cut the connection, or answers as a server that no longer takes writes: 57P0x the server
/// or an operator ended it, 25P03 and 25P04 it idled or took too long in a transaction.
pub(crate) fn is_broken(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
            true
        }
        sqlx::Error::Database(database) => database.code().is_some_and(|code| {
            ["08", "57P0"].iter().any(|class| code.starts_with(class))
                || IDLED.contains(&&*code)
                || code == READ_ONLY
        }),
        _ => false,
    }
}

impl From<Error> for protocol::Error {
    fn from(error: Error) -> Self {
        match error.passing() {
            Passing::Yes => Self::temporarily_unavailable(error),
            Passing::No => Self::server_error(error),
        }
    }
}
