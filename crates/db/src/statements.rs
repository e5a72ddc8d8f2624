//! How many statements this process has run: what shows that two requests cost the same (C069).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The count, behind any number of clones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statements(Arc<AtomicU64>);

impl Statements {
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn counted(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
