//! One revocation, as a line of JSON. Decides what is read as one. Whatever is none is no reason to go on: a record
//! that was skipped would be a token that goes on to be accepted.

use protocol::Timestamp;
use serde::Deserialize;

use super::error::FeedError;
use super::set::{Marker, Set, Subject};

/// 9999-12-31T23:59:59Z, as for the dates of tokens.
const LATEST: i64 = 253_402_300_799;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Its place in the feed.
    pub(crate) n: u64,
    ended: Ended,
    /// The last second in which it could concern a token.
    until: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Ended {
    Approval(String),
    /// Its tokens below this generation.
    Client(String, u32),
    Token(String),
    Key(String),
}

/// Members that are not known are passed over; one that stands twice is refused.
#[derive(Deserialize)]
struct Line {
    n: u64,
    until: i64,
    approval: Option<String>,
    client: Option<String>,
    generation: Option<u32>,
    token: Option<String>,
    key: Option<String>,
}

impl Record {
    pub(crate) fn parse(line: &[u8]) -> Result<Self, FeedError> {
        let line: Line =
            serde_json::from_slice(line).map_err(|_| FeedError::Unreadable("a line is no record"))?;
        if !(0..=LATEST).contains(&line.until) {
            return Err(FeedError::Unreadable("the time of a record is no date"));
        }
        let ended = match (line.approval, line.client, line.token, line.key) {
            (Some(id), None, None, None) => Ended::Approval(id),
            (None, Some(id), None, None) => {
                let below = line
                    .generation
                    .ok_or(FeedError::Unreadable("a record of a client has no generation"))?;
                Ended::Client(id, below)
            }
            (None, None, Some(id), None) => Ended::Token(id),
            (None, None, None, Some(id)) => Ended::Key(id),
            _ => {
                return Err(FeedError::Unreadable(
                    "a record does not name one thing that is known here",
                ));
            }
        };
        Ok(Self {
            n: line.n,
            ended,
            until: Timestamp::from_secs(line.until),
        })
    }

    /// The key that is withdrawn by this record, if it is one.
    pub(crate) fn key(&self) -> Option<&str> {
        match &self.ended {
            Ended::Key(kid) => Some(kid),
            Ended::Approval(_) | Ended::Client(..) | Ended::Token(_) => None,
        }
    }

    pub(crate) fn enter(&self, set: &Set, marker: &Marker, now: Timestamp) {
        let subject = match &self.ended {
            Ended::Approval(id) => Subject::Approval(id),
            Ended::Token(id) => Subject::Token(id),
            Ended::Key(id) => Subject::Key(id),
            Ended::Client(id, below) => {
                let mark = marker.mark(Subject::Client(id));
                return set.insert_client(mark, i64::from(*below), self.until, now);
            }
        };
        set.insert(marker.mark(subject), self.until, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_kinds_are_read_and_other_members_passed_over() {
        for (line, ended) in [
            (
                r#"{"n":7,"approval":"a","until":9,"by":"x"}"#,
                Ended::Approval("a".to_owned()),
            ),
            (
                r#"{"n":7,"client":"c","generation":3,"until":9}"#,
                Ended::Client("c".to_owned(), 3),
            ),
            (r#"{"until":9,"token":"t","n":7}"#, Ended::Token("t".to_owned())),
            (
                r#"{"n":7,"key":"k","until":9,"approval":null}"#,
                Ended::Key("k".to_owned()),
            ),
        ] {
            let record = Record::parse(line.as_bytes()).unwrap();
            let expected = Record {
                n: 7,
                ended,
                until: Timestamp::from_secs(9),
            };
            assert_eq!(record, expected, "{line}");
        }
    }

    #[test]
    fn whatever_else_is_no_record() {
        for line in [
            "",
            "{}",
            "[]",
            "null",
            "{",
            r#"{"n":1,"until":9}"#,
            r#"{"n":1,"user":"u","until":9}"#,
            r#"{"n":1,"approval":"a"}"#,
            r#"{"approval":"a","until":9}"#,
            r#"{"n":1,"approval":"a","token":"t","until":9}"#,
            r#"{"n":1,"approval":7,"until":9}"#,
            r#"{"n":1,"approval":"a","approval":"b","until":9}"#,
            r#"{"n":1,"client":"c","until":9}"#,
            r#"{"n":1,"client":"c","generation":-1,"until":9}"#,
            r#"{"n":1,"client":"c","generation":4294967296,"until":9}"#,
            r#"{"n":-1,"approval":"a","until":9}"#,
            r#"{"n":1.5,"approval":"a","until":9}"#,
            r#"{"n":18446744073709551616,"approval":"a","until":9}"#,
            r#"{"n":1,"approval":"a","until":-1}"#,
            r#"{"n":1,"approval":"a","until":253402300800}"#,
            r#"{"n":1,"approval":"a","until":1e300}"#,
            r#"{"n":1,"approval":"a","until":"9"}"#,
            r#"{"n":1,"approval":"a","until":9}{"n":2,"approval":"b","until":9}"#,
            "{\"n\":1,\"approval\":\"\u{0}\",\"until\":9}",
        ] {
            assert!(Record::parse(line.as_bytes()).is_err(), "{line}");
        }
        assert!(Record::parse(b"{\"n\":1,\"approval\":\"\xff\",\"until\":9}").is_err());
    }
}
