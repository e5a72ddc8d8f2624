//! What goes on without a request: keys turn, other processes' changes are taken over, what is past is deleted.
//!
//! Nothing depends on the deleting: whether something has expired is decided when it is used.

use std::time::Duration;

use protocol::Timestamp;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::wiring::Parts;

const TIDY: Duration = Duration::from_secs(60);
/// Rows deleted at once, so that no deletion holds the writer for long.
const BATCH: u32 = 1000;
/// What takes a transaction each. More than can register themselves in the same time.
const FEW: u32 = 200;

/// Tasks that end with this value.
#[derive(Debug)]
pub struct Background(Vec<JoinHandle<()>>);

impl Background {
    pub fn start(parts: &Parts) -> Self {
        Self(vec![
            tokio::spawn(parts.keyring.clone().follow(parts.changes.clone())),
            tokio::spawn(parts.clients.clone().follow()),
            tokio::spawn(tidy(parts.clone())),
        ])
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

async fn tidy(parts: Parts) {
    let mut ticks = interval(TIDY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = parts.clock.now();
        if let Err(error) = parts.keyring.maintain(now).await {
            tracing::warn!(%error, "the key rings could not be looked after");
        }
        if let Err(error) = revocation::expire_unused(FEW, &parts.db, now).await {
            tracing::warn!(%error, "clients that nobody uses could not be deleted");
        }
        if let Err(error) = forget(&parts, now).await {
            tracing::warn!(%error, "expired rows could not be deleted");
        }
    }
}

async fn forget(parts: &Parts, now: Timestamp) -> db::Result<()> {
    let work = parts.db.transact(move |conn| {
        Box::pin(async move {
            let revocations = events::revocations::forget(conn, now).await?;
            revocation::remember_clients(conn, now).await?;
            let approvals = grants::approvals::forget(conn, now).await?;
            let assertions = clients::assertions::forget(BATCH, conn, now).await?;
            let browsers = accounts::sessions::sweep(BATCH, conn, now).await?;
            let events = events::audit::sweep(BATCH, conn, now).await?;
            let tokens = clients::initial_tokens::sweep(BATCH, conn, now).await?;
            let counts = clients::registrations::quota::sweep(BATCH, conn, now).await?;
            // Not deleted but told: these become events.
            events::sign_ins::settle(BATCH, conn, now).await?;
            Ok::<_, db::Error>((
                revocations,
                approvals,
                assertions,
                browsers,
                events,
                tokens + counts,
            ))
        })
    });
    let (revocations, approvals, assertions, browsers, events, registration) = work.await?;
    if revocations + approvals + assertions + browsers + events + registration > 0 {
        tracing::debug!(
            revocations,
            approvals,
            assertions,
            browsers,
            events,
            registration,
            "expired rows were deleted"
        );
    }
    Ok(())
}
