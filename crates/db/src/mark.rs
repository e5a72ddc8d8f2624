//! What transactions of this process leave behind when they commit: a number, which never falls.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::Notify;

/// Shared by all connections of one [`crate::Database`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Mark(Arc<State>);

#[derive(Debug, Default)]
struct State {
    highest: AtomicI64,
    /// Wakes those who listen on SQLite, which tells nobody by itself.
    raised: Notify,
}

impl Mark {
    pub(crate) fn highest(&self) -> i64 {
        self.0.highest.load(Ordering::SeqCst)
    }

    pub(crate) fn raise(&self, number: i64) {
        self.0.highest.fetch_max(number, Ordering::SeqCst);
        self.0.raised.notify_waiters();
    }

    pub(crate) async fn raised(&self) {
        self.0.raised.notified().await;
    }
}
