//! What goes on without a request: keys turn, other processes' changes are taken over, clients are told
//! of logouts, their pictures are fetched, mail is sent, what is past is deleted.
//!
//! Nothing depends on the deleting: whether something has expired is decided when it is used.

use std::time::{Duration, Instant};

use db::Database;
use protocol::Timestamp;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::wiring::Parts;

const TIDY: Duration = Duration::from_secs(60);
/// Rows deleted at once, so that no deletion holds the writer for long.
const BATCH: u32 = 1000;
/// Of revocation records: small rows that nothing hangs from.
const REVOCATIONS: u32 = 10_000;
/// The same holds for what strangers have spent.
const ALLOWANCES: u32 = 10_000;
/// What takes a transaction each. More than can register themselves in the same time.
const FEW: u32 = 200;
/// What is past is deleted so much later: a clock that was set wrong for a while must not cost what lives, nor the
/// records of what was revoked (C110).
const AFTERWARDS: Duration = Duration::from_secs(2 * 60 * 60);
/// A step of the clock by more than this, or such a difference from the database server's, is told to the operator.
/// In seconds.
const STEP: i64 = 30;

/// Tasks that end with this value.
#[derive(Debug)]
pub struct Background(Vec<JoinHandle<()>>);

impl Background {
    pub fn start(parts: &Parts) -> Self {
        Self(vec![
            tokio::spawn(parts.keyring.clone().follow(parts.changes.clone())),
            tokio::spawn(parts.clients.clone().follow()),
            tokio::spawn(parts.known.clone().follow()),
            tokio::spawn(parts.tail.clone().follow()),
            tokio::spawn(parts.restores.clone().watch()),
            tokio::spawn(parts.signals().run(parts.changes.clone())),
            tokio::spawn(parts.logos().run(parts.changes.clone())),
            tokio::spawn(tidy(parts.clone())),
            tokio::spawn(send_mail(parts.clone())),
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

async fn send_mail(parts: Parts) {
    if let Some((post, letters)) = parts.post() {
        let compose = |content| {
            let letters = letters.clone();
            async move { letters.letter(content).await }
        };
        post.run(compose).await;
    }
}

async fn tidy(parts: Parts) {
    let mut ticks = interval(TIDY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = (parts.clock.now(), Instant::now());
    loop {
        ticks.tick().await;
        let now = parts.clock.now();
        if let Some(seconds) = step(before, (now, Instant::now())) {
            tracing::error!(
                seconds,
                "the clock of this machine was set: tokens live too long or too short"
            );
        }
        before = (now, Instant::now());
        match parts.db.skew(parts.clock.now()).await {
            Ok(Some(seconds)) if seconds.abs() > STEP => {
                tracing::error!(
                    seconds,
                    "the clock of this machine is ahead of the database server's, or behind it where this is negative"
                );
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "the database server was not asked for its time"),
        }
        if let Err(error) = parts.keyring.maintain(now).await {
            tracing::warn!(%error, "the key rings could not be looked after");
        }
        if let Err(error) = revocation::expire_unused(FEW, &parts.db, now).await {
            tracing::warn!(%error, "clients that nobody uses could not be deleted");
        }
        if let Err(error) = revocation::delete_overdue(FEW, &parts.db, now - AFTERWARDS, now).await {
            tracing::warn!(%error, "accounts that their people want deleted could not be");
        }
        if let Err(error) = forget(&parts.db, now).await {
            tracing::warn!(%error, "expired rows could not be deleted");
        }
    }
}

/// By how many seconds the clock was set between two instants, if it was: it should have gone on as time has.
fn step((then, since): (Timestamp, Instant), (now, at): (Timestamp, Instant)) -> Option<i64> {
    let passed = i64::try_from(at.duration_since(since).as_secs()).unwrap_or(i64::MAX);
    let step = now
        .as_secs()
        .saturating_sub(then.as_secs())
        .saturating_sub(passed);
    (step.saturating_abs() > STEP).then_some(step)
}

/// Deletes what is past, a batch of each kind.
///
/// # Errors
/// When the database fails.
pub async fn forget(db: &Database, now: Timestamp) -> db::Result<()> {
    let past = now - AFTERWARDS;
    forget_revocations(db, past).await?;
    forget_allowances(db, past).await?;
    let work = db.transact(move |conn| {
        Box::pin(async move {
            revocation::remember_clients(conn, past).await?;
            revocation::remember_use(conn, past).await?;
            let approvals = grants::approvals::forget(conn, past).await?;
            let assertions = clients::assertions::forget(BATCH, conn, past).await?;
            let pushed = grants::pushed::forget(BATCH, conn, past).await?;
            let browsers = accounts::sessions::sweep(BATCH, conn, past).await?;
            let devices = accounts::sessions::forget_devices(BATCH, conn, past).await?;
            let events = events::audit::sweep(BATCH, conn, past).await?;
            let tokens = clients::initial_tokens::sweep(BATCH, conn, past).await?;
            let counts = clients::registrations::quota::sweep(BATCH, conn, past).await?;
            let links = accounts::links::sweep(BATCH, conn, past).await?;
            let former = accounts::former_addresses::sweep(BATCH, conn, past).await?;
            let sign_ups = accounts::sign_ups::sweep(BATCH, conn, past).await?;
            let invitations = accounts::invitations::sweep(BATCH, conn, past).await?;
            // Not deleted but told: these become events.
            events::sign_ins::settle(BATCH, conn, now).await?;
            Ok::<_, db::Error>((
                approvals,
                assertions + pushed + links + former + sign_ups + invitations,
                browsers + devices,
                events,
                tokens + counts,
            ))
        })
    });
    let (approvals, used_up, browsers, events, registration) = work.await?;
    if approvals + used_up + browsers + events + registration > 0 {
        tracing::debug!(
            approvals,
            used_up,
            browsers,
            events,
            registration,
            "expired rows were deleted"
        );
    }
    Ok(())
}

/// After an act that ended a great many things there are more at once than of anything else.
async fn forget_revocations(db: &Database, past: Timestamp) -> db::Result<()> {
    let mut all = 0;
    loop {
        let forgotten = db.transact(move |conn| {
            Box::pin(async move { events::revocations::forget(REVOCATIONS, conn, past).await })
        });
        let forgotten = forgotten.await?;
        all += forgotten;
        if forgotten < u64::from(REVOCATIONS) {
            break;
        }
    }
    if all > 0 {
        tracing::debug!(
            all,
            "revocation records that concern no token any more were deleted"
        );
    }
    Ok(())
}

/// Whoever guesses at many names leaves a row for each, and many more than other rows come.
async fn forget_allowances(db: &Database, past: Timestamp) -> db::Result<()> {
    loop {
        let forgotten = db.transact(move |conn| {
            Box::pin(async move { accounts::allowances::sweep(ALLOWANCES, conn, past).await })
        });
        if forgotten.await? < u64::from(ALLOWANCES) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c110_a_clock_that_was_set_is_noticed_and_one_that_goes_on_is_not() {
        let (then, since) = (Timestamp::from_secs(1_000_000), Instant::now());
        let after = |seconds: i64, passed: u64| {
            let now = Timestamp::from_secs(then.as_secs() + seconds);
            step((then, since), (now, since + Duration::from_secs(passed)))
        };
        assert_eq!(after(60, 60), None);
        assert_eq!(after(90, 60), None);
        assert_eq!(after(3660, 60), Some(3600));
        assert_eq!(after(-3540, 60), Some(-3600));
        assert_eq!(after(600, 600), None, "a machine that slept");
    }
}
