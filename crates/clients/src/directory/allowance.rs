//! How often strangers may have the database asked.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Questions per second. Far above what honest mistakes come to, far below what a database notices.
const EACH_SECOND: u32 = 50;

/// A second's worth of questions, given anew every second.
#[derive(Debug)]
pub(super) struct Allowance(Mutex<(Instant, u32)>);

impl Default for Allowance {
    fn default() -> Self {
        Self(Mutex::new((Instant::now(), EACH_SECOND)))
    }
}

impl Allowance {
    /// Whether one more is allowed.
    pub(super) fn take(&self) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0.elapsed() >= Duration::from_secs(1) {
            *state = (Instant::now(), EACH_SECOND);
        }
        match state.1.checked_sub(1) {
            Some(left) => state.1 = left,
            None => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_answered_no_until_the_second_is_over() {
        let allowance = Allowance::default();
        assert!((0..EACH_SECOND).all(|_| allowance.take()));
        assert!(!allowance.take());
        allowance.0.lock().unwrap().0 -= Duration::from_secs(1);
        assert!(allowance.take());
    }
}
