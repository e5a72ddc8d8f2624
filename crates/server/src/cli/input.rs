//! What a command reads besides its arguments: records from a file, a password from stdin.

use std::fs;
use std::io::{self, BufRead, Read as _};
use std::path::Path;

use accounts::passwords::Password;
use protocol::Secret;
use serde_json::Value;

use super::failure::Failure;

/// The records of a file that holds one, or an array of them.
#[derive(Debug)]
pub(super) struct Records {
    pub(super) all: Vec<Value>,
    /// An array is answered by an array.
    pub(super) is_array: bool,
}

impl Records {
    /// Reads a file of JSON; `-` is stdin.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let read = match path == Path::new("-") {
            true => io::read_to_string(io::stdin().lock()),
            false => fs::read_to_string(path),
        };
        let named = |fault: &dyn std::fmt::Display| Failure::from(fault.to_string()).at(path.display());
        let text = read.map_err(|fault| named(&fault))?;
        Self::parse(&text).map_err(|fault| named(&fault))
    }

    fn parse(text: &str) -> serde_json::Result<Self> {
        Ok(match serde_json::from_str(text)? {
            Value::Array(all) => Self { all, is_array: true },
            one => Self {
                all: vec![one],
                is_array: false,
            },
        })
    }

    /// Does the same to each record; a failure names its index.
    pub(super) fn each<T>(&self, read: impl Fn(&Value) -> Result<T, Failure>) -> Result<Vec<T>, Failure> {
        let read_at = |(at, record)| read(record).map_err(|failure| self.at(at, failure));
        self.all.iter().enumerate().map(read_at).collect()
    }

    pub(super) fn at(&self, index: usize, failure: Failure) -> Failure {
        match self.is_array {
            true => failure.at(format_args!("[{index}]")),
            false => failure,
        }
    }
}

/// More than any password has.
const LONGEST_LINE: u64 = 4096;

/// One line from stdin, without its end.
pub(super) fn password(stdin: impl BufRead) -> Result<Password, Failure> {
    let mut line = Secret::new(String::new()).expose().to_owned();
    stdin.take(LONGEST_LINE).read_line(&mut line)?;
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    Ok(Password::chosen(&Secret::new(line))?)
}
