//! What a command reads besides its arguments: records from a file, a password from stdin.

use std::fs;
use std::io::{self, BufRead};
use std::path::Path;

use protocol::Secret;
use serde_json::Value;
use zeroize::Zeroizing;

use super::failure::Failure;

/// The records of a file that holds one, or an array of them.
#[derive(Clone, Debug)]
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
        Self::parse(&text).map_err(|fault| named(&format_args!("this is not JSON: {fault}")))
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

    /// Does the same to each record; a failure names its index. The first failures are told all together: whoever has a
    /// file of thousands should not have to ask for each.
    pub(super) fn each<T>(&self, read: impl Fn(&Value) -> Result<T, Failure>) -> Result<Vec<T>, Failure> {
        let mut done = Vec::with_capacity(self.all.len());
        let mut failures = Vec::new();
        for (at, record) in self.all.iter().enumerate() {
            match read(record) {
                Ok(one) => done.push(one),
                Err(failure) => failures.push(self.at(at, failure)),
            }
            if failures.len() == TOLD_AT_ONCE {
                break;
            }
        }
        match failures.is_empty() {
            true => Ok(done),
            false => Err(Failure::all(failures)),
        }
    }

    pub(super) fn at(&self, index: usize, failure: Failure) -> Failure {
        match self.is_array {
            true => failure.at(format_args!("[{index}]")),
            false => failure,
        }
    }
}

/// Failures; behind so many there is mostly one cause.
const TOLD_AT_ONCE: usize = 20;
/// More than any password has.
const LONGEST_LINE: u64 = 4096;

/// One line from stdin, without its end.
pub(super) fn password(stdin: impl BufRead) -> Result<Secret, Failure> {
    let mut line = Zeroizing::new(String::new());
    stdin.take(LONGEST_LINE).read_line(&mut line)?;
    let text = line.strip_suffix('\n').unwrap_or(&line);
    let text = text.strip_suffix('\r').unwrap_or(text);
    Ok(Secret::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_one_line_without_its_end() {
        for good in [
            "correct horse",
            "correct horse\n",
            "correct horse\r\n",
            "correct horse\nnot me",
        ] {
            assert_eq!(
                password(good.as_bytes()).unwrap().expose(),
                "correct horse",
                "{good:?}"
            );
        }
        assert_eq!(password("12345678 \n".as_bytes()).unwrap().expose(), "12345678 ");
        let long = "x".repeat(10_000);
        assert!(password(long.as_bytes()).unwrap().expose().len() < long.len());
        assert!(password(&b"correct \xff horse"[..]).is_err());
    }

    #[test]
    fn records_are_one_object_or_an_array_and_a_failure_in_an_array_names_its_index() {
        let refuse = |record: &Value| match record.as_i64() {
            Some(7) => Err(Failure::from("no seven")),
            _ => Ok(record.clone()),
        };
        let one = Records::parse("7").unwrap();
        assert_eq!(one.each(refuse).unwrap_err().lines(), ["no seven"]);
        let many = Records::parse("[1, 7]").unwrap();
        assert_eq!(many.each(refuse).unwrap_err().lines(), ["[1]: no seven"]);
        let worse = Records::parse("[7, 1, 7]").unwrap();
        assert_eq!(
            worse.each(refuse).unwrap_err().lines(),
            ["[0]: no seven", "[2]: no seven"]
        );
        let worst = Records::parse(&format!("[{}7]", "7,".repeat(100))).unwrap();
        assert_eq!(worst.each(refuse).unwrap_err().lines().len(), TOLD_AT_ONCE);
        assert_eq!(Records::parse("[]").unwrap().each(refuse), Ok(vec![]));
        assert!(Records::parse("[1,]").is_err());
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let failure = Records::read(Path::new("none.json")).unwrap_err();
        assert!(failure.lines().concat().starts_with("none.json: "), "{failure:?}");
    }
}
