//! What has been revoked and could still be used, in memory. Decides whether a token is among it, in nanoseconds,
//! while records come in.
//!
//! A record is kept as 64 bits of a hash under a key that this process drew, and its time: 12 bytes a slot, 16 to 20
//! a record. Readers take no lock. Records stand in [`SHARDS`] tables, of which one is renewed when it is full, so
//! that a million records are never copied at once. Of two different names one hash is possible: a token that
//! nobody revoked is refused with a chance of 10⁻¹³ at a million records, and whoever chooses names cannot raise it
//! without the key. A record is never missed.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use protocol::Timestamp;

/// A power of two.
const SHARDS: usize = 64;

/// What a record names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Subject<'a> {
    Approval(&'a str),
    Client(&'a str),
    Token(&'a str),
    Key(&'a str),
}

/// A subject, as the set knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark(u64);

/// Makes marks; one per verifier, so that those of a token can be kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marker(RandomState);

impl Marker {
    pub(crate) fn mark(&self, subject: Subject<'_>) -> Mark {
        // Zero is an empty slot.
        Mark(self.0.hash_one(subject).max(1))
    }
}

/// Everything by which a token could be revoked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks {
    pub(crate) approval: Mark,
    pub(crate) token: Mark,
    pub(crate) key: Mark,
    pub(crate) client: Mark,
    pub(crate) generation: i64,
}

pub(crate) struct Set {
    /// Approvals, tokens and keys.
    shards: Box<[Shard]>,
    /// Clients, with the generation below which their tokens are void.
    clients: Shard,
    /// Held by whoever writes.
    writing: Mutex<()>,
}

struct Shard {
    slots: ArcSwap<Slots>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    WithGenerations,
}

/// Open addressing. A slot is taken when its mark is not zero; what stands beside it was written before.
struct Slots {
    marks: Box<[AtomicU64]>,
    until: Box<[AtomicU32]>,
    /// Empty for [`Kind::Plain`].
    generations: Box<[AtomicU32]>,
    used: AtomicUsize,
}

#[derive(Clone, Copy)]
struct Entry {
    mark: u64,
    generation: u32,
    until: u32,
}

/// Where a mark stands, or would.
enum Place {
    At(usize),
    Free(usize),
    Full,
}

impl Set {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::new(Kind::Plain)).collect(),
            clients: Shard::new(Kind::WithGenerations),
            writing: Mutex::new(()),
        }
    }

    /// Whether the token with these marks has been revoked.
    pub(crate) fn covers(&self, marks: &Marks, now: Timestamp) -> bool {
        self.holds(marks.approval, now)
            || self.holds(marks.token, now)
            || self.holds(marks.key, now)
            || self
                .clients
                .find(marks.client.0)
                .is_some_and(|entry| entry.is_live(now) && generation(marks.generation) < entry.generation)
    }

    /// Whether an approval, a token or a key of this mark has been revoked.
    pub(crate) fn holds(&self, mark: Mark, now: Timestamp) -> bool {
        let entry = self.shard(mark.0).and_then(|shard| shard.find(mark.0));
        entry.is_some_and(|entry| entry.is_live(now))
    }

    /// Adds an approval, a token or a key, until then.
    pub(crate) fn insert(&self, mark: Mark, until: Timestamp, now: Timestamp) {
        let entry = Entry {
            mark: mark.0,
            generation: 0,
            until: seconds(until),
        };
        self.add(entry, Kind::Plain, now);
    }

    /// Adds a client whose tokens below this generation are void, until then.
    pub(crate) fn insert_client(&self, mark: Mark, below: i64, until: Timestamp, now: Timestamp) {
        let entry = Entry {
            mark: mark.0,
            generation: generation(below),
            until: seconds(until),
        };
        self.add(entry, Kind::WithGenerations, now);
    }

    fn add(&self, entry: Entry, kind: Kind, now: Timestamp) {
        if !entry.is_live(now) {
            return;
        }
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let shard = match kind {
            Kind::Plain => self.shard(entry.mark),
            Kind::WithGenerations => Some(&self.clients),
        };
        if let Some(shard) = shard {
            shard.insert(entry, now);
        }
    }

    /// Adds what another set holds.
    pub(crate) fn absorb(&self, other: &Self, now: Timestamp) {
        self.absorb_names(other, now);
        for entry in other.clients.slots.load().entries() {
            self.add(entry, Kind::WithGenerations, now);
        }
    }

    /// The same without its clients: their generations are counted by the issuer, and count anew after a restore.
    pub(crate) fn absorb_names(&self, other: &Self, now: Timestamp) {
        for shard in &other.shards {
            for entry in shard.slots.load().entries() {
                self.add(entry, Kind::Plain, now);
            }
        }
    }

    /// Gives back what expired records hold.
    pub(crate) fn sweep(&self, now: Timestamp) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        for shard in self.shards.iter().chain([&self.clients]) {
            shard.sweep(now);
        }
    }

    /// Records, those included that have expired and were not swept yet.
    pub(crate) fn len(&self) -> usize {
        self.every(|slots| slots.used.load(Ordering::Relaxed))
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.every(|slots| {
            size_of::<Slots>()
                + slots.marks.len() * size_of::<u64>()
                + (slots.until.len() + slots.generations.len()) * size_of::<u32>()
        })
    }

    fn every(&self, count: impl Fn(&Slots) -> usize) -> usize {
        let all = self.shards.iter().chain([&self.clients]);
        all.map(|shard| count(&shard.slots.load())).sum()
    }

    fn shard(&self, mark: u64) -> Option<&Shard> {
        // The lowest bits; the highest choose the slot.
        self.shards.get(mark as usize % SHARDS)
    }
}

impl fmt::Debug for Set {
    /// Nobody wants to see a million of them in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Set")
            .field("records", &self.len())
            .finish_non_exhaustive()
    }
}

impl Shard {
    fn new(kind: Kind) -> Self {
        Self {
            slots: ArcSwap::from_pointee(Slots::new(0, kind)),
            kind,
        }
    }

    fn find(&self, mark: u64) -> Option<Entry> {
        let slots = self.slots.load();
        match slots.place(mark) {
            Place::At(index) => slots.entry(index),
            Place::Free(_) | Place::Full => None,
        }
    }

    fn insert(&self, entry: Entry, now: Timestamp) {
        let slots = self.slots.load();
        match slots.place(entry.mark) {
            Place::At(index) => slots.raise(index, entry, now),
            Place::Free(index) if slots.has_room() => slots.fill(index, entry),
            Place::Free(_) | Place::Full => {
                let larger = self.renewed(&slots, 1, now);
                if let Place::Free(index) = larger.place(entry.mark) {
                    larger.fill(index, entry);
                }
                self.slots.store(Arc::new(larger));
            }
        }
    }

    fn sweep(&self, now: Timestamp) {
        let slots = self.slots.load();
        let live = slots.entries().filter(|entry| entry.is_live(now)).count();
        if live * 4 < slots.used.load(Ordering::Relaxed) * 3 {
            self.slots.store(Arc::new(self.renewed(&slots, 0, now)));
        }
    }

    /// What is live, in a table that is three fifths full, with room for so many more.
    fn renewed(&self, slots: &Slots, more: usize, now: Timestamp) -> Slots {
        let live = || slots.entries().filter(|entry| entry.is_live(now));
        let expected = live().count() + more;
        let renewed = Slots::new(expected + expected * 2 / 3 + expected.min(4), self.kind);
        for entry in live() {
            if let Place::Free(index) = renewed.place(entry.mark) {
                renewed.fill(index, entry);
            }
        }
        renewed
    }
}

impl Slots {
    fn new(capacity: usize, kind: Kind) -> Self {
        let generations = match kind {
            Kind::Plain => 0,
            Kind::WithGenerations => capacity,
        };
        Self {
            marks: (0..capacity).map(|_| AtomicU64::new(0)).collect(),
            until: (0..capacity).map(|_| AtomicU32::new(0)).collect(),
            generations: (0..generations).map(|_| AtomicU32::new(0)).collect(),
            used: AtomicUsize::new(0),
        }
    }

    /// Three quarters at most are taken, so that a search is short and ends.
    fn has_room(&self) -> bool {
        (self.used.load(Ordering::Relaxed) + 1) * 4 <= self.marks.len() * 3
    }

    fn place(&self, mark: u64) -> Place {
        let capacity = self.marks.len();
        // The mark as a fraction of the table.
        let home = (u128::from(mark) * capacity as u128) >> 64;
        let Some((before, from)) = self.marks.split_at_checked(home as usize) else {
            return Place::Full;
        };
        for (steps, slot) in from.iter().chain(before).enumerate() {
            let index = home as usize + steps;
            let index = if index < capacity { index } else { index - capacity };
            match slot.load(Ordering::Acquire) {
                0 => return Place::Free(index),
                own if own == mark => return Place::At(index),
                _ => {}
            }
        }
        Place::Full
    }

    fn entry(&self, index: usize) -> Option<Entry> {
        let generation = self.generations.get(index);
        Some(Entry {
            mark: self.marks.get(index)?.load(Ordering::Acquire),
            generation: generation.map_or(0, |generation| generation.load(Ordering::Acquire)),
            until: self.until.get(index)?.load(Ordering::Acquire),
        })
    }

    fn entries(&self) -> impl Iterator<Item = Entry> {
        let all = (0..self.marks.len()).filter_map(|index| self.entry(index));
        all.filter(|entry| entry.mark != 0)
    }

    /// The same record again covers more, never less, unless what stood there has expired.
    fn raise(&self, index: usize, entry: Entry, now: Timestamp) {
        let Some(until) = self.until.get(index) else {
            return;
        };
        let expired = until.load(Ordering::Acquire) < seconds(now);
        if let Some(generation) = self.generations.get(index) {
            match expired {
                true => generation.store(entry.generation, Ordering::Release),
                false => _ = generation.fetch_max(entry.generation, Ordering::AcqRel),
            }
        }
        until.fetch_max(entry.until, Ordering::AcqRel);
    }

    /// The mark comes last: whoever sees it sees the rest.
    fn fill(&self, index: usize, entry: Entry) {
        if let Some(generation) = self.generations.get(index) {
            generation.store(entry.generation, Ordering::Release);
        }
        if let Some(until) = self.until.get(index) {
            until.store(entry.until, Ordering::Release);
        }
        if let Some(mark) = self.marks.get(index) {
            mark.store(entry.mark, Ordering::Release);
            self.used.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Entry {
    fn is_live(&self, now: Timestamp) -> bool {
        seconds(now) <= self.until
    }
}

/// Seconds since 1970, until 2106.
fn seconds(time: Timestamp) -> u32 {
    u32::try_from(time.as_secs().max(0)).unwrap_or(u32::MAX)
}

/// Records with a larger one are not read, and a token with a larger one is of no generation below.
fn generation(generation: i64) -> u32 {
    u32::try_from(generation.max(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
