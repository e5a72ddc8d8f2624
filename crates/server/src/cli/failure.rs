//! Why a command did not do what it was asked for: one line for each thing to mend.

use std::fmt;
use std::io::{self, Write};

use protocol::ErrorCode;

use crate::logging::escaped;
use crate::settings::Mistake;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure(Vec<String>);

impl Failure {
    /// Says whom or what the lines are about, as in `[2]: email: is missing`.
    pub(super) fn at(self, place: impl fmt::Display) -> Self {
        Self(self.0.iter().map(|line| format!("{place}: {line}")).collect())
    }

    /// Several at once.
    pub(super) fn all(failures: Vec<Self>) -> Self {
        Self(failures.into_iter().flat_map(|Self(lines)| lines).collect())
    }

    pub(super) fn report(&self, stderr: &mut impl Write) {
        for line in &self.0 {
            // There is no other place left to say it.
            let _ = writeln!(stderr, "error: {}", escaped(line));
        }
    }

    #[cfg(test)]
    pub(super) fn lines(&self) -> &[String] {
        &self.0
    }
}

impl From<String> for Failure {
    fn from(line: String) -> Self {
        Self(vec![line])
    }
}

impl From<&str> for Failure {
    fn from(line: &str) -> Self {
        line.to_owned().into()
    }
}

impl From<Vec<Mistake>> for Failure {
    fn from(mistakes: Vec<Mistake>) -> Self {
        Self(mistakes.iter().map(ToString::to_string).collect())
    }
}

impl From<protocol::Error> for Failure {
    /// The operator is told what a client would not be: the cause of our own failures.
    fn from(error: protocol::Error) -> Self {
        match (error.code(), error.cause()) {
            (ErrorCode::ServerError | ErrorCode::TemporarilyUnavailable, Some(cause)) => {
                cause.to_string().into()
            }
            _ => error.description().into(),
        }
    }
}

macro_rules! said_by {
    ($($error:ty),+ $(,)?) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                error.to_string().into()
            }
        }
    )+};
}

said_by!(
    accounts::claims::BadClaim,
    accounts::email::BadEmail,
    accounts::passwords::BadPassword,
    accounts::passwords::Unchosen,
    accounts::passwords::breached::Unbuilt,
    accounts::passwords::Overloaded,
    accounts::users::Error,
    Mistake,
    db::Error,
    io::Error,
    keyring::Error,
    keyring::master::Error,
);
