//! What was found to be live a moment ago, kept in memory so that a token costs no statement each time it is shown.
//!
//! Decides when that may be believed (D6). A finding holds until the first moment at which it could end by itself,
//! and every act that ends something raises the sequence of the revocation records in its own transaction: whoever
//! is behind that sequence, or has heard nothing for a second, asks the database. An act of this process is seen
//! before it is answered, one of another when its notice comes. Only what is live is kept; a token that was refused
//! is judged anew each time.

mod recent;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use db::Database;
use events::changes::{SILENCE, Topic, Versions, Watcher};
use events::revocations::{self, Kind, Record};
use keyring::Published;
use protocol::access_token::Claims;
use protocol::{ApprovalId, ClientId, Timestamp};
use tokio::time::sleep;

use recent::Recent;

/// Of each kind, at the most twice as many: some megabytes.
const ROOM: usize = 8 * 1024;
/// Records that are looked at one by one; after more of them at once everything is forgotten instead.
const MANY: usize = 1_000;
/// After a failed reading.
const RETRY: Duration = Duration::from_millis(250);

/// What this process remembers, behind any number of clones.
#[derive(Clone, Debug)]
pub struct Known(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    db: Database,
    changes: Watcher,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    /// Everything that ended up to this number of the sequence has been forgotten.
    sequence: i64,
    tokens: Recent<[u8; 32], Found>,
    standing: Recent<ClientId, Standing>,
}

/// A token that was found to be good.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) claims: Arc<Claims>,
    /// The keys by which it was judged: by others it may not be good.
    pub(crate) published: Arc<Published>,
    /// From then on the database has to be asked again.
    pub(crate) until: Timestamp,
}

/// The approval of a client that acts for itself.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) id: ApprovalId,
    pub(crate) client_generation: i64,
    pub(crate) created_at: Timestamp,
}

/// The state before the database was asked: what it then says is kept only if nothing has ended meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before(i64);

impl Known {
    /// Knows nothing yet. To keep up with what ends, [`Self::follow`] has to run; without it nothing is believed
    /// after the first end.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open(db: &Database, changes: Watcher) -> db::Result<Self> {
        let versions = Versions::read(&mut db.reader().await?).await?;
        Ok(Self(Arc::new(Inner {
            db: db.clone(),
            changes,
            held: Mutex::new(Held {
                sequence: versions.of(Topic::Revocations),
                tokens: Recent::new(ROOM),
                standing: Recent::new(ROOM),
            }),
        })))
    }

    /// Forgets what has ended as soon as it is heard of; never returns.
    pub async fn follow(self) {
        let mut changes = self.0.changes.clone();
        loop {
            let Before(held) = self.before();
            changes.differs(Topic::Revocations, held).await;
            if let Err(error) = self.catch_up().await {
                tracing::warn!(%error, "revocation records could not be read");
                sleep(RETRY).await;
            }
        }
    }

    async fn catch_up(&self) -> db::Result<()> {
        let mut conn = self.0.db.reader().await?;
        let last = Versions::read(&mut conn).await?.of(Topic::Revocations);
        let Before(held) = self.before();
        let records = revocations::since(held, last, MANY, &mut conn).await?;
        self.held().forget(records, last);
        Ok(())
    }

    pub(crate) fn before(&self) -> Before {
        Before(self.held().sequence)
    }

    /// The claims of a token that was judged good, if they still are.
    pub(crate) fn token(
        &self,
        digest: &[u8; 32],
        published: &Arc<Published>,
        now: Timestamp,
    ) -> Option<Arc<Claims>> {
        let mut held = self.current()?;
        let found = held.tokens.get(digest)?;
        (now < found.until && Arc::ptr_eq(&found.published, published)).then(|| found.claims.clone())
    }

    pub(crate) fn keep_token(&self, digest: [u8; 32], found: Found, before: Before) {
        let mut held = self.held();
        if held.sequence == before.0 {
            held.tokens.put(digest, found);
        }
    }

    /// The standing approval of a client at this generation, if it was found and has not ended.
    pub(crate) fn standing(&self, client: &ClientId, generation: i64) -> Option<Standing> {
        let mut held = self.current()?;
        let standing = held.standing.get(client)?;
        (standing.client_generation == generation).then(|| standing.clone())
    }

    pub(crate) fn keep_standing(&self, client: ClientId, standing: Standing, before: Before) {
        let mut held = self.held();
        if held.sequence == before.0 {
            held.standing.put(client, standing);
        }
    }

    /// What is held, while it is that of now as far as anybody in this process knows.
    fn current(&self) -> Option<MutexGuard<'_, Held>> {
        let changes = &self.0.changes;
        let held = self.held();
        let is_current = changes.is_fresh(SILENCE)
            && held.sequence == changes.version(Topic::Revocations)
            && held.sequence >= self.0.db.mark();
        is_current.then_some(held)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Forgets what these records name, or, where they are not known, everything.
    fn forget(&mut self, records: Option<Vec<Record>>, last: i64) {
        match records {
            Some(records) => {
                let ended = Ended::of(&records);
                self.tokens.retain(|_, found| !ended.covers(&found.claims));
                self.standing
                    .retain(|client, standing| !ended.covers_standing(client, standing));
            }
            None => {
                self.tokens.clear();
                self.standing.clear();
            }
        }
        self.sequence = last;
    }
}

/// What has ended, to be looked up.
struct Ended<'r> {
    approvals: HashSet<&'r str>,
    tokens: HashSet<&'r str>,
    clients: Vec<(&'r str, i64)>,
    /// Of a withdrawn key it is not known which tokens it signed: any of them.
    by_key: bool,
}

impl<'r> Ended<'r> {
    fn of(records: &'r [Record]) -> Self {
        let named = |kind: Kind| records.iter().filter(move |record| record.kind == kind);
        let subjects = |kind| named(kind).map(|record| record.subject.as_str()).collect();
        Self {
            approvals: subjects(Kind::Approval),
            tokens: subjects(Kind::Token),
            clients: named(Kind::Client)
                .map(|record| (record.subject.as_str(), record.generation.unwrap_or(i64::MAX)))
                .collect(),
            by_key: named(Kind::Key).next().is_some(),
        }
    }

    fn covers(&self, claims: &Claims) -> bool {
        self.by_key
            || self.approvals.contains(claims.approval.as_str())
            || self.tokens.contains(claims.jti.as_str())
            || self.covers_client(&claims.client_id, claims.client_generation)
    }

    fn covers_standing(&self, client: &ClientId, standing: &Standing) -> bool {
        self.approvals.contains(standing.id.as_str())
            || self.covers_client(client, standing.client_generation)
    }

    fn covers_client(&self, id: &ClientId, generation: i64) -> bool {
        let mut clients = self.clients.iter();
        clients.any(|(client, smaller_than)| *client == id.as_str() && generation < *smaller_than)
    }
}

#[cfg(test)]
mod tests;
