//! A bounded map that keeps what is asked for: two halves, of which the older one makes room.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::mem;

#[derive(Debug)]
pub(super) struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    /// Of one half.
    room: usize,
}

impl<K: Eq + Hash, V> Recent<K, V> {
    pub(super) fn new(room: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            room,
        }
    }

    /// What is asked for stays young.
    pub(super) fn get<Q>(&mut self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if let Some((key, value)) = self.old.remove_entry(key) {
            self.put(key, value);
        }
        self.young.get(key)
    }

    pub(super) fn put(&mut self, key: K, value: V) {
        if self.young.len() >= self.room {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    pub(super) fn retain(&mut self, keeps: impl Fn(&K, &V) -> bool) {
        for half in [&mut self.young, &mut self.old] {
            half.retain(|key, value| keeps(key, value));
        }
    }

    pub(super) fn clear(&mut self) {
        self.retain(|_, _| false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_what_is_not_makes_room() {
        let mut recent = Recent::new(4);
        recent.put(0, "wanted");
        for n in 1..100 {
            recent.put(n, "other");
            assert_eq!(recent.get(&0), Some(&"wanted"), "{n}");
            assert_eq!(recent.get(&n), Some(&"other"));
            assert!(recent.young.len() + recent.old.len() <= 8);
        }
        assert_eq!(recent.get(&1), None);
        recent.retain(|key, _| *key != 0);
        assert_eq!(recent.get(&0), None);
        assert_eq!(recent.get(&99), Some(&"other"));
        recent.clear();
        assert_eq!(recent.get(&99), None);
    }
}
