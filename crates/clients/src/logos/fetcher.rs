//! Fetches the pictures that were registered, one after the other.
//!
//! Decides when a picture is fetched, how often that is tried, and when it is given up: an app is shown without one
//! then, until another URL is registered.

use std::time::Duration;

use db::Database;
use egress::Egress;
use events::changes::{Topic, Watcher};
use protocol::{Clock, Timestamp};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::picture::{self, redrawn};
use super::{Wanted, again, is_due, settle, take};

/// What fetching leans on.
#[derive(Clone, Debug)]
pub struct Fetcher {
    pub db: Database,
    pub egress: Egress,
    pub clock: Clock,
}

const TYPES: &[&str] = &["image/png", "image/jpeg", "image/webp"];
/// How often it is looked whether a further try is due.
const LOOK: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_secs(60);
/// With pauses that double, within about eight hours.
const MOST_TRIES: i64 = 10;

/// After so many tries that failed, how long until the next; `None` where there is none.
fn pause(tries: i64) -> Option<Duration> {
    let doubled = u32::try_from(tries.saturating_sub(1)).unwrap_or_default();
    (tries < MOST_TRIES).then(|| FIRST_PAUSE * 2_u32.saturating_pow(doubled))
}

impl Fetcher {
    /// Fetches what is due as soon as it is; never returns.
    pub async fn run(self, mut changes: Watcher) {
        let mut is_away = false;
        loop {
            let seen = changes.version(Topic::Clients);
            match self.fetch_next().await {
                Ok(true) => continue,
                Ok(false) => is_away = false,
                // Once for each time, however long it lasts.
                Err(error) if std::mem::replace(&mut is_away, true) => {
                    tracing::debug!(%error, "pictures of clients still could not be looked after");
                }
                Err(error) => tracing::warn!(%error, "pictures of clients could not be looked after"),
            }
            tokio::select! {
                () = changes.differs(Topic::Clients, seen) => {}
                () = sleep(LOOK) => {}
            }
        }
    }

    /// Whether there was one to fetch.
    async fn fetch_next(&self) -> db::Result<bool> {
        let now = self.clock.now();
        if !is_due(&mut self.db.reader().await?, now).await? {
            return Ok(false);
        }
        let taken = self
            .db
            .transact(move |conn| Box::pin(async move { take(conn, now).await }));
        let Some(wanted) = taken.await? else {
            return Ok(false);
        };
        let fetched = self.fetch(&wanted).await;
        self.note(wanted, fetched, now).await?;
        Ok(true)
    }

    async fn note(&self, wanted: Wanted, fetched: Option<Vec<u8>>, now: Timestamp) -> db::Result<()> {
        let next = pause(wanted.tries);
        let noted = self.db.transact(move |conn| {
            Box::pin(async move {
                match (fetched, next) {
                    (None, Some(pause)) => again(&wanted, now + pause, conn).await,
                    (picture, _) => settle(&wanted, picture.as_deref(), conn).await,
                }
            })
        });
        noted.await
    }

    async fn fetch(&self, wanted: &Wanted) -> Option<Vec<u8>> {
        let client_id = &wanted.client_id;
        let bytes = match self.egress.fetch(&wanted.logo_uri, TYPES).await {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::info!(%client_id, %error, "a client's picture could not be fetched");
                return None;
            }
        };
        // Decoding takes its time. One that stumbles over what it was given counts as one that refused it.
        let redrawn = spawn_blocking(move || redrawn(&bytes)).await;
        match redrawn.unwrap_or(Err(picture::Fault::Broken)) {
            Ok(picture) => Some(picture),
            Err(fault) => {
                tracing::info!(%client_id, %fault, "a client's picture was refused");
                None
            }
        }
    }
}
