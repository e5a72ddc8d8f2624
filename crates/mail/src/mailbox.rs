//! A mailbox in memory, in place of a mail server: for trying things out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::Timestamp;

use crate::Letter;

/// The newest are kept.
const MOST: usize = 50;

/// Letters that would have been sent, behind any number of clones.
#[derive(Clone, Debug, Default)]
pub struct Mailbox(Arc<Mutex<VecDeque<Delivered>>>);

/// A letter in the mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Of the row it was; a copy has the same.
    pub mail_id: String,
    pub letter: Letter,
    pub at: Timestamp,
}

impl Mailbox {
    /// The newest first.
    pub fn letters(&self) -> Vec<Delivered> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().rev().cloned().collect()
    }

    pub(crate) fn deliver(&self, delivered: Delivered) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= MOST {
            held.pop_front();
        }
        held.push_back(delivered);
    }
}
