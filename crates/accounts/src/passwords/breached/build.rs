//! Makes a filter of a list, line by line, in as little memory for a billion passwords as for ten.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};

use super::{DIGEST, ENTRY, HEADER, MAGIC, MOST_BITS, Name};

/// How many passwords a bucket is to hold at most, about: what a look-up reads, and how rare a false alarm is.
const IN_A_BUCKET: u64 = 1024;
/// A line of the list: a hash, a colon, a count, and the end of the line. Some leave the count away.
const LINE: u64 = 44;
/// No line of a list is longer.
const LONGEST_LINE: u64 = 256;

/// What was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Built {
    /// Passwords in the filter.
    pub passwords: u64,
    /// Lines that were left out, because too few people had that password.
    pub left_out: u64,
    /// Of the file.
    pub bytes: u64,
    /// One of so many passwords that are not in the list is taken for one that is.
    pub false_one_in: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum Unbuilt {
    #[error("{path}: {error}")]
    Io { path: PathBuf, error: io::Error },
    #[error(
        "{path}: is no file; how long the list is says how the filter is laid out, so a pipe does not do"
    )]
    NoFile { path: PathBuf },
    #[error(
        "{path}, line {line}: has to be the SHA-1 of a password in 40 hexadecimal digits, alone or with a colon and a count after it"
    )]
    NoHash { path: PathBuf, line: u64 },
    #[error(
        "{path}, line {line}: comes before the line above it; take the list that is ordered by hash, or sort it (LC_ALL=C sort)"
    )]
    OutOfOrder { path: PathBuf, line: u64 },
}

/// Makes the filter `to` of the list `from`, of the passwords that were met at least so often. The file is there when all
/// of it is.
///
/// # Errors
/// When the list is none, or a file cannot be read or written.
pub fn build(from: &Path, to: &Path, at_least: u64) -> Result<Built, Unbuilt> {
    let reading = |error| Unbuilt::Io {
        path: from.to_owned(),
        error,
    };
    let list = File::open(from).map_err(reading)?;
    let about = list.metadata().map_err(reading)?;
    // A pipe has no length: the filter would have one bucket, and take nearly every password for a known one.
    if !about.is_file() {
        return Err(Unbuilt::NoFile {
            path: from.to_owned(),
        });
    }
    let bits = bits(about.len());
    let mut unfinished = to.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    let writing = |error| Unbuilt::Io {
        path: unfinished.clone(),
        error,
    };
    let file = File::create(&unfinished).map_err(writing)?;
    let mut table = Table::begin(BufWriter::new(file), bits).map_err(writing)?;
    let mut left_out = 0;
    let made = lines(BufReader::new(list), from, |sha1, count| {
        match count.is_some_and(|count| count < at_least) {
            true => left_out += 1,
            false => table.add(&Name::of(sha1, bits)).map_err(writing)?,
        }
        Ok(())
    });
    let finished = made.and_then(|()| table.end().map_err(writing));
    let (passwords, file) = match finished {
        Ok(finished) => finished,
        Err(unbuilt) => {
            // Half of one is of no use; if it stays, its name says what it is.
            let _ = fs::remove_file(&unfinished);
            return Err(unbuilt);
        }
    };
    file.sync_all().map_err(writing)?;
    fs::rename(&unfinished, to).map_err(writing)?;
    let buckets = 1u64 << bits;
    Ok(Built {
        passwords,
        left_out,
        bytes: HEADER + passwords * ENTRY + 8 * buckets + DIGEST,
        // A password that is not in the list meets its bucket's passwords, each by 24 bits.
        false_one_in: (buckets << 24) / passwords.max(1),
    })
}

/// How many bits name a bucket, for a list of this length.
fn bits(length: u64) -> u8 {
    let buckets = (length / LINE / IN_A_BUCKET).max(1);
    u8::try_from(buckets.next_power_of_two().ilog2())
        .unwrap_or(MOST_BITS)
        .min(MOST_BITS)
}

/// Calls `each` for the hash and the count of every line.
fn lines(
    mut list: impl BufRead,
    path: &Path,
    mut each: impl FnMut(&[u8; 20], Option<u64>) -> Result<(), Unbuilt>,
) -> Result<(), Unbuilt> {
    let (mut text, mut line, mut before) = (Vec::new(), 0, None);
    loop {
        text.clear();
        line += 1;
        let read = (&mut list).take(LONGEST_LINE).read_until(b'\n', &mut text);
        let read = read.map_err(|error| Unbuilt::Io {
            path: path.to_owned(),
            error,
        })?;
        if read == 0 {
            return Ok(());
        }
        let Some((sha1, count)) = entry(text.trim_ascii_end()) else {
            return Err(Unbuilt::NoHash {
                path: path.to_owned(),
                line,
            });
        };
        if before.is_some_and(|before| sha1 < before) {
            return Err(Unbuilt::OutOfOrder {
                path: path.to_owned(),
                line,
            });
        }
        before = Some(sha1);
        each(&sha1, count)?;
    }
}

/// `40 hexadecimal digits` or `40 hexadecimal digits:count`.
fn entry(line: &[u8]) -> Option<([u8; 20], Option<u64>)> {
    let (hex, rest) = line.split_at_checked(40)?;
    let mut sha1 = [0; 20];
    for (byte, pair) in sha1.iter_mut().zip(hex.chunks_exact(2)) {
        let digit = |at: usize| char::from(*pair.get(at)?).to_digit(16);
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    let count = match rest.split_first() {
        None => None,
        Some((b':', count)) => Some(std::str::from_utf8(count).ok()?.parse().ok()?),
        Some(_) => return None,
    };
    Some((sha1, count))
}

/// The table as it is written: entries, then the ends of the buckets, then the digest.
struct Table<W> {
    to: W,
    digest: seal::Sha256,
    ends: Vec<u64>,
    count: u64,
    last: Option<Name>,
    buckets: usize,
}

impl<W: Write> Table<W> {
    fn begin(to: W, bits: u8) -> io::Result<Self> {
        let mut table = Self {
            to,
            digest: seal::Sha256::default(),
            ends: Vec::new(),
            count: 0,
            last: None,
            buckets: 1 << bits,
        };
        table.write(MAGIC)?;
        table.write(&[bits])?;
        Ok(table)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.to.write_all(bytes)
    }

    /// The next in order. One that looks like the one before is not written again.
    fn add(&mut self, name: &Name) -> io::Result<()> {
        if self.last == Some(*name) {
            return Ok(());
        }
        self.last = Some(*name);
        while self.ends.len() < name.bucket {
            self.ends.push(self.count);
        }
        self.count += 1;
        self.write(&name.entry)
    }
}

impl Table<BufWriter<File>> {
    /// How many there are, and the file, whole.
    fn end(mut self) -> io::Result<(u64, File)> {
        self.ends.resize(self.buckets, self.count);
        for end in std::mem::take(&mut self.ends) {
            self.write(&end.to_be_bytes())?;
        }
        let digest = self.digest.bytes();
        self.to.write_all(&digest)?;
        Ok((self.count, self.to.into_inner()?))
    }
}
