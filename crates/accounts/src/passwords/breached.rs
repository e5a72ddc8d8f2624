//! Passwords that are known from breaches: NIST SP 800-63B §5.1.1.2. Whoever tries passwords tries these first.
//!
//! The lists that are published name passwords by their SHA-1 and are tens of gigabytes of text. A *filter* holds the
//! same in three bytes a password: a sorted table of the beginnings of those hashes, cut into buckets. It stays on disk;
//! a look-up reads one bucket. A password that is in the list is always found; one that is not is taken for such in about
//! one of 16,000 cases, and refusing that one costs somebody another idea.
//!
//! The file, numbers in network order:
//!
//! | bytes | what |
//! |---|---|
//! | 16 | `countersign-bp1` and a line feed |
//! | 1 | *b*, the bits of a hash that name its bucket: 0 to 24 |
//! | 3 *n* | the 24 bits after those, of each password, in the order of the hashes, none twice in a bucket |
//! | 8 · 2^*b* | for each bucket, how many passwords are in it and all before it; the last is *n* |
//! | 32 | SHA-256 of everything before |

mod build;

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub use build::{Built, Unbuilt, build};

use super::Password;

const MAGIC: &[u8; 16] = b"countersign-bp1\n";
const HEADER: u64 = 17;
const ENTRY: u64 = 3;
const DIGEST: u64 = 32;
const MOST_BITS: u8 = 24;
/// A filter that takes more of the passwords that nobody stole for stolen ones refuses people for nothing. Those that
/// are made here are eight times as good, or better.
const LEAST_ONE_IN: u64 = 1000;

/// A filter, behind any number of clones.
#[derive(Clone, Debug)]
pub struct Breached(Arc<Filter>);

#[derive(Debug)]
struct Filter {
    path: PathBuf,
    /// Asked by the few threads that hash.
    file: Mutex<File>,
    bits: u8,
    /// How many passwords are in each bucket and all before it.
    ends: Vec<u64>,
}

/// Why a file is no filter.
#[derive(Debug, thiserror::Error)]
pub enum BadFilter {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("is no filter: make one with `countersign passwords build-filter`")]
    Foreign,
    #[error("is damaged: make it anew with `countersign passwords build-filter`")]
    Damaged,
    #[error(
        "would refuse one of {one_in} passwords that nobody stole: make it anew with `countersign passwords build-filter`, \
         of a list that is a file"
    )]
    TooCoarse { one_in: u64 },
}

impl Breached {
    /// Opens a filter, and reads all of it once to see that it is whole.
    ///
    /// # Errors
    /// [`BadFilter`] when it is not.
    pub fn open(path: &Path) -> Result<Self, BadFilter> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut header = [0; HEADER as usize];
        let read = (&mut file).take(HEADER).read(&mut header)?;
        let (magic, bits) = (header.get(..16), header.last().copied().unwrap_or_default());
        if read < header.len() || magic != Some(MAGIC.as_slice()) {
            return Err(BadFilter::Foreign);
        }
        let index = 8u64 << bits.min(MOST_BITS);
        let entries = length
            .checked_sub(HEADER + index + DIGEST)
            .filter(|_| bits <= MOST_BITS)
            .ok_or(BadFilter::Damaged)?;
        check_digest(&mut file, length)?;
        let ends = ends(&mut file, HEADER + entries, bits)?;
        let in_order = ends.is_sorted()
            && ends
                .last()
                .is_some_and(|all| all.checked_mul(ENTRY) == Some(entries));
        if !in_order {
            return Err(BadFilter::Damaged);
        }
        // A password that is not in the list meets its bucket's passwords, each by 24 bits.
        let one_in = (1u64 << (24 + bits)) / (entries / ENTRY).max(1);
        if one_in < LEAST_ONE_IN {
            return Err(BadFilter::TooCoarse { one_in });
        }
        Ok(Self(Arc::new(Filter {
            path: path.to_owned(),
            file: Mutex::new(file),
            bits,
            ends,
        })))
    }

    /// How many passwords it holds.
    pub fn len(&self) -> u64 {
        self.0.ends.last().copied().unwrap_or_default()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the password is known. Reads a file.
    pub(super) fn contains(&self, password: &Password) -> io::Result<bool> {
        let name = Name::of(&seal::sha1(password.bytes()), self.0.bits);
        let Some(bucket) = self.0.bucket(name.bucket) else {
            return Ok(false);
        };
        let mut held =
            vec![0; usize::try_from((bucket.end - bucket.start) * ENTRY).map_err(io::Error::other)?];
        {
            let mut file = self.0.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(HEADER + bucket.start * ENTRY))?;
            file.read_exact(&mut held)
                .map_err(|error| io::Error::other(format!("{}: {error}", self.0.path.display())))?;
        }
        Ok(held.chunks_exact(ENTRY as usize).any(|entry| entry == name.entry))
    }
}

impl Filter {
    /// Which entries are in this bucket.
    fn bucket(&self, at: usize) -> Option<Range<u64>> {
        let end = *self.ends.get(at)?;
        let start = match at.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        Some(start..end)
    }
}

/// What a filter keeps of a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Name {
    bucket: usize,
    entry: [u8; 3],
}

impl Name {
    fn of(sha1: &[u8; 20], bits: u8) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = *sha1;
        let start = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let bits = u32::from(bits);
        let bucket = start.checked_shr(64 - bits).unwrap_or_default();
        let [.., x, y, z] = ((start << bits) >> 40).to_be_bytes();
        Self {
            bucket: usize::try_from(bucket).unwrap_or(usize::MAX),
            entry: [x, y, z],
        }
    }
}

/// Whether the last bytes are the digest of all before.
fn check_digest(file: &mut File, length: u64) -> Result<(), BadFilter> {
    file.seek(SeekFrom::Start(0))?;
    let mut digest = seal::Sha256::default();
    let mut rest = length - DIGEST;
    let mut buffer = vec![0; 1 << 16];
    while rest > 0 {
        let wanted = usize::try_from(rest).unwrap_or(usize::MAX).min(buffer.len());
        let Some(part) = buffer.get_mut(..wanted) else {
            return Err(BadFilter::Damaged);
        };
        file.read_exact(part)?;
        digest.update(part);
        rest -= part.len() as u64;
    }
    let mut told = [0; DIGEST as usize];
    file.read_exact(&mut told)?;
    match digest.bytes() == told {
        true => Ok(()),
        false => Err(BadFilter::Damaged),
    }
}

fn ends(file: &mut File, at: u64, bits: u8) -> io::Result<Vec<u64>> {
    file.seek(SeekFrom::Start(at))?;
    let mut reader = io::BufReader::new(file);
    let mut ends = Vec::with_capacity(1 << bits);
    for _ in 0..1u64 << bits {
        let mut number = [0; 8];
        reader.read_exact(&mut number)?;
        ends.push(u64::from_be_bytes(number));
    }
    Ok(ends)
}

#[cfg(test)]
mod tests;
