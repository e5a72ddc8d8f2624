//! A sealed answer of the feed: a snapshot, or the records after one. Decides whether it is whole, the issuer's, of
//! now, and what was asked for. Nothing of it counts before its last line has been checked.
//!
//! It is read as it comes, a line at a time, into a set of marks: memory holds no more than what it says.

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jws::{Alg, KeySet, Typ, Unverified};
use protocol::Timestamp;
use serde::Deserialize;

use super::error::FeedError;
use super::record::Record;
use super::set::{Marker, Set};

/// `typ` of the closing line: it can be no access token and nothing else that the issuer signs.
const TYP: Typ = Typ::Is("revocations+jwt");
const ALGORITHMS: &[Alg] = &[Alg::Es256];

/// Bytes of a line.
const MAX_LINE: usize = 4096;
/// Records of an answer: far above what an issuer can have ended in twenty minutes, and 80 MB here.
pub(crate) const MAX_RECORDS: u64 = 4_194_304;
/// Keys that an answer may withdraw, and that are looked for among those at hand.
const MAX_KEYS: usize = 64;

/// Seconds that an answer may be old: on its way, not out of somebody's drawer.
const MAX_AGE: i64 = 5 * 60;
const MAX_AHEAD: i64 = 60;

/// Where a reader stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// Another after each restore of the issuer.
    pub(crate) feed: String,
    pub(crate) n: u64,
}

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    Snapshot,
    After(Cursor),
}

/// What was accepted last; what is older is a replay.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) cursor: Cursor,
    pub(crate) sealed_at: i64,
}

/// An answer on its way.
pub(crate) struct Reader<'m> {
    marker: &'m Marker,
    asked: Asked,
    now: Timestamp,
    digest: Context,
    /// The line that has not come to its end.
    partial: Vec<u8>,
    /// The line before: only when another follows is it not the last.
    line: Option<Vec<u8>>,
    head: Option<Head>,
    set: Set,
    withdrawn: Vec<String>,
    records: u64,
    newest: u64,
}

#[derive(Debug, Deserialize)]
struct Head {
    feed: String,
    issuer: String,
    after: u64,
    sequence: u64,
}

#[derive(Deserialize)]
struct Closing {
    records: u64,
    jws: String,
}

/// What the closing line has signed.
#[derive(Deserialize)]
struct Seal {
    iss: String,
    iat: i64,
    feed: String,
    after: u64,
    sequence: u64,
    records: u64,
    digest: String,
}

/// An answer that came to its end, and is not believed yet.
pub(crate) struct Whole {
    head: Head,
    closing: Unverified,
    digest: String,
    records: u64,
    asked: Asked,
    contents: Contents,
}

/// What an answer holds.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) set: Set,
    /// The keys that it withdraws.
    pub(crate) withdrawn: Vec<String>,
}

impl<'m> Reader<'m> {
    pub(crate) fn new(asked: Asked, marker: &'m Marker, now: Timestamp) -> Self {
        let after = match &asked {
            Asked::Snapshot => 0,
            Asked::After(cursor) => cursor.n,
        };
        Self {
            marker,
            asked,
            now,
            digest: Context::new(&SHA256),
            partial: Vec::new(),
            line: None,
            head: None,
            set: Set::new(),
            withdrawn: Vec::new(),
            records: 0,
            newest: after,
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), FeedError> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.partial.len() + piece.len() > MAX_LINE {
                return Err(FeedError::Unreadable("a line is longer than 4 KiB"));
            }
            self.partial.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.partial);
                self.next(line)?;
            }
        }
        Ok(())
    }

    fn next(&mut self, line: Vec<u8>) -> Result<(), FeedError> {
        match self.line.replace(line) {
            Some(before) => self.read(&before),
            None => Ok(()),
        }
    }

    /// Reads a line that is not the last.
    fn read(&mut self, line: &[u8]) -> Result<(), FeedError> {
        self.digest.update(line);
        let Some(head) = &self.head else {
            let head: Head = serde_json::from_slice(line)
                .map_err(|_| FeedError::Unreadable("its first line is not that of a feed"))?;
            self.head = Some(head);
            return Ok(());
        };
        let record = Record::parse(line)?;
        if record.n <= self.newest || record.n > head.sequence {
            return Err(FeedError::Unreadable("its records are not in order"));
        }
        self.newest = record.n;
        self.records += 1;
        if self.records > MAX_RECORDS {
            return Err(FeedError::TooMany(MAX_RECORDS));
        }
        if let Some(kid) = record.key()
            && self.withdrawn.len() < MAX_KEYS
        {
            self.withdrawn.push(kid.to_owned());
        }
        record.enter(&self.set, self.marker, self.now);
        Ok(())
    }

    /// The answer has ended.
    pub(crate) fn end(mut self) -> Result<Whole, FeedError> {
        if !self.partial.is_empty() {
            let line = std::mem::take(&mut self.partial);
            self.next(line)?;
        }
        let (Some(head), Some(last)) = (self.head, self.line) else {
            return Err(FeedError::Unreadable("it is cut short"));
        };
        let closing: Closing = serde_json::from_slice(&last)
            .map_err(|_| FeedError::Unreadable("its last line does not close it"))?;
        if closing.records != self.records {
            return Err(FeedError::Unreadable(
                "it holds another number of records than it says",
            ));
        }
        Ok(Whole {
            head,
            closing: Unverified::parse(&closing.jws)?,
            digest: URL_SAFE_NO_PAD.encode(self.digest.finish()),
            records: self.records,
            asked: self.asked,
            contents: Contents {
                set: self.set,
                withdrawn: self.withdrawn,
            },
        })
    }
}

impl Whole {
    /// The key that is said to have sealed it.
    pub(crate) fn kid(&self) -> Option<&str> {
        self.closing.kid()
    }

    /// What a withdrawn key says of itself counts no more than anything else of it.
    pub(crate) fn withdraws_its_own_key(&self) -> bool {
        let own = |kid: &String| Some(kid.as_str()) == self.kid();
        self.contents.withdrawn.iter().any(own)
    }

    /// Whether one of these keys sealed it, as the answer to what was asked.
    ///
    /// # Errors
    /// [`jws::Error::UnknownKey`] within [`FeedError::Seal`] when the set lacks the key; the rule that it broke.
    pub(crate) fn check(
        &self,
        keys: &KeySet,
        issuer: &str,
        held: Option<&Held>,
        now: Timestamp,
    ) -> Result<Held, FeedError> {
        let seal: Seal = self.closing.verify(keys, ALGORITHMS, TYP)?.claims()?;
        let head = &self.head;
        let refuse = |reason| Err(FeedError::Unreadable(reason));
        if seal.iss != issuer || head.issuer != issuer {
            return refuse("it is from another issuer");
        }
        if seal.digest != self.digest {
            return refuse("its digest is another than the one that was sealed");
        }
        if (&seal.feed, seal.after, seal.sequence, seal.records)
            != (&head.feed, head.after, head.sequence, self.records)
        {
            return refuse("what was sealed is another answer");
        }
        if !(1..=128).contains(&seal.feed.len()) || !seal.feed.bytes().all(|b| b.is_ascii_graphic()) {
            return refuse("the feed has no name that could be sent back");
        }
        let age = now.as_secs().saturating_sub(seal.iat);
        if !(-MAX_AHEAD..=MAX_AGE).contains(&age) {
            return refuse("it was sealed at another time");
        }
        match &self.asked {
            Asked::Snapshot if seal.after != 0 => return refuse("it is no snapshot"),
            Asked::After(cursor) if (&cursor.feed, cursor.n) != (&seal.feed, seal.after) => {
                return refuse("it is the answer to another question");
            }
            Asked::Snapshot | Asked::After(_) => {}
        }
        if held.is_some_and(|held| held.outruns(&seal)) {
            return refuse("it is older than what we hold");
        }
        Ok(Held {
            sealed_at: seal.iat,
            cursor: Cursor {
                feed: seal.feed,
                n: seal.sequence,
            },
        })
    }

    pub(crate) fn contents(self) -> Contents {
        self.contents
    }
}

impl Held {
    /// Of the same feed by its sequence; of another by the time, as far as clocks of replicas agree.
    fn outruns(&self, seal: &Seal) -> bool {
        match self.cursor.feed == seal.feed {
            true => seal.sequence < self.cursor.n,
            false => seal.iat.saturating_add(MAX_AHEAD) < self.sealed_at,
        }
    }
}
