//! What the app remembers, in memory: bounded in number and in time, so that no visitor can fill it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::Timestamp;

/// Beyond it the entry that would end first makes room.
const CAPACITY: usize = 1000;

/// Values by an unguessable key, each for the same lifetime.
#[derive(Debug)]
pub(crate) struct Store<T> {
    lifetime: Duration,
    entries: Mutex<HashMap<String, Entry<T>>>,
}

#[derive(Debug)]
struct Entry<T> {
    until: Timestamp,
    value: T,
}

impl<T> Store<T> {
    pub(crate) fn new(lifetime: Duration) -> Self {
        Self {
            lifetime,
            entries: Mutex::default(),
        }
    }

    pub(crate) fn insert(&self, key: String, value: T, now: Timestamp) {
        let mut entries = self.lock();
        entries.retain(|_, entry| now < entry.until);
        if entries.len() >= CAPACITY
            && let Some(first) = entries.iter().min_by_key(|(_, entry)| entry.until)
        {
            let first = first.0.clone();
            entries.remove(&first);
        }
        let until = now + self.lifetime;
        entries.insert(key, Entry { until, value });
    }

    pub(crate) fn get(&self, key: &str, now: Timestamp) -> Option<T>
    where
        T: Clone,
    {
        let entries = self.lock();
        let entry = entries.get(key).filter(|entry| now < entry.until)?;
        Some(entry.value.clone())
    }

    /// Takes a value out, at most once, and only if `fits`.
    pub(crate) fn take(&self, key: &str, fits: impl Fn(&T) -> bool, now: Timestamp) -> Option<T> {
        let mut entries = self.lock();
        entries
            .get(key)
            .filter(|entry| now < entry.until && fits(&entry.value))?;
        entries.remove(key).map(|entry| entry.value)
    }

    pub(crate) fn remove(&self, key: &str) {
        self.lock().remove(key);
    }

    /// A panic elsewhere cannot leave the map half changed.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry<T>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000);
    const LATER: Timestamp = Timestamp::from_secs(1_060);

    #[test]
    fn a_value_is_taken_once_in_time_and_by_its_owner() {
        let store = Store::new(Duration::from_secs(60));
        store.insert("key".to_owned(), 7, NOW);
        assert_eq!(store.take("key", |_| true, LATER), None, "too late");
        assert_eq!(store.take("key", |value| *value == 8, NOW), None, "not its owner");
        assert_eq!(store.take("key", |value| *value == 7, NOW), Some(7));
        assert_eq!(store.take("key", |_| true, NOW), None, "a second time");
    }

    #[test]
    fn c066_an_expired_value_is_gone_although_nothing_cleaned_up() {
        let store = Store::new(Duration::from_secs(60));
        store.insert("key".to_owned(), 7, NOW);
        assert_eq!(store.get("key", Timestamp::from_secs(1_059)), Some(7));
        assert_eq!(store.get("key", LATER), None);
    }

    #[test]
    fn a_flood_pushes_out_the_oldest_and_grows_no_further() {
        let store = Store::new(Duration::from_secs(60));
        store.insert("oldest".to_owned(), 0, NOW);
        for n in 1..=CAPACITY {
            store.insert(n.to_string(), n, Timestamp::from_secs(1_001));
        }
        assert_eq!(store.lock().len(), CAPACITY);
        assert_eq!(store.get("oldest", NOW), None);
        assert_eq!(store.get("1", NOW), Some(1));
    }
}
