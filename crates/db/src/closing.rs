//! Letting go of a SQLite file in order: whoever listens on a connection of their own closes it before the last of ours
//! is closed, and is waited for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// Who listens looks every few milliseconds; who does not look at all is not waited for longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Behind any number of clones.
#[derive(Clone, Debug)]
pub(crate) struct Closing(Arc<watch::Sender<bool>>);

/// Held for as long as a connection is open.
#[derive(Debug)]
pub(crate) struct Open(watch::Receiver<bool>);

impl Default for Closing {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Closing {
    pub(crate) fn open(&self) -> Open {
        Open(self.0.subscribe())
    }

    /// Asks everybody, and waits until all have.
    pub(crate) async fn all_let_go(&self) {
        self.0.send_replace(true);
        if timeout(PATIENCE, self.0.closed()).await.is_err() {
            tracing::debug!("somebody still listens");
        }
    }
}

impl Open {
    /// Waits until the connection is to be closed.
    pub(crate) async fn asked_to_close(&mut self) {
        if self.0.wait_for(|closing| *closing).await.is_err() {
            // The database was dropped without being closed: so will this be.
            std::future::pending::<()>().await;
        }
    }
}
