//! Clients and resource servers in memory, so that requests are told from whom they come without a statement.
//!
//! Decides when memory may be believed. What it knows is at most as old as the last notice; when there has been
//! no word from the database for a second, the database is asked instead (D6). A no counts only when it is one of
//! now: a client, a secret or an origin registered a moment ago works at once, and since a wrong secret costs as
//! much as an unknown client, the time tells nobody which clients exist. Whether memory is that of now is asked
//! once for all who wait, so that strangers who make up names do not wear out the database. Every write looks at
//! the client once more in its own guard.

mod latest;
mod snapshot;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use db::Database;
use events::changes::{SILENCE, Topic, Versions, Watcher};
use jws::{Typ, Unverified, Verified};
use protocol::{ClientId, Error};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use crate::{
    Caller, Client, Credentials, ResourceServer, Sealed, Vault, authenticate, origins, records, resources,
    secrets,
};
use latest::Latest;
use snapshot::Snapshot;

/// The directory, behind any number of clones.
#[derive(Clone, Debug)]
pub struct Directory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    db: Database,
    changes: Watcher,
    held: ArcSwap<Snapshot>,
    /// One reads for all.
    reading: Mutex<()>,
    latest: Latest<Versions>,
}

impl Directory {
    /// Reads everything. To follow what changes, [`Self::follow`] has to run.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open(db: &Database, changes: Watcher) -> db::Result<Self> {
        let snapshot = Snapshot::default().brought_up(&mut db.reader().await?).await?;
        Ok(Self(Arc::new(Inner {
            db: db.clone(),
            changes,
            held: ArcSwap::from_pointee(snapshot),
            reading: Mutex::new(()),
            latest: Latest::default(),
        })))
    }

    /// # Errors
    /// When the database has to be asked, and fails.
    pub async fn client(&self, id: &ClientId) -> db::Result<Option<Arc<Client>>> {
        if self.is_fresh() {
            let held = self.0.held.load_full();
            if let Some(entry) = held.client(id) {
                return Ok(Some(entry.record.clone()));
            }
            if self.is_current(&held, Topic::Clients).await? {
                return Ok(None);
            }
        }
        let client = records::by_id(id, &mut self.0.db.reader().await?).await?;
        Ok(client.map(Arc::new))
    }

    /// The secrets of a client that can be read again, oldest first: as new as the client that [`Self::client`] knows.
    ///
    /// # Errors
    /// When the database has to be asked, and fails.
    pub async fn sealed_secrets(&self, id: &ClientId) -> db::Result<Vec<Sealed>> {
        if self.is_fresh()
            && let Some(entry) = self.0.held.load_full().client(id)
        {
            return Ok(entry.sealed.clone());
        }
        secrets::sealed(id, &mut self.0.db.reader().await?).await
    }

    /// Checks what this client signed with a secret that it shares with us. What none in memory has signed may be by
    /// one that was made a moment ago.
    ///
    /// # Errors
    /// When the database has to be asked, and fails; within, why none of the secrets vouches for it.
    pub async fn vouch<'t>(
        &self,
        id: &ClientId,
        token: &'t Unverified,
        vault: &Vault,
        typ: Typ,
    ) -> db::Result<Result<Verified<'t>, jws::Error>> {
        let verdict = vault.vouch(token, &self.sealed_secrets(id).await?, typ);
        if verdict.is_ok() || !self.hears_of_changes(Topic::Clients).await? {
            return Ok(verdict);
        }
        Ok(vault.vouch(token, &self.sealed_secrets(id).await?, typ))
    }

    /// The client that the credentials prove.
    ///
    /// # Errors
    /// As [`Self::identify`].
    pub async fn authenticate(&self, credentials: &Credentials) -> Result<Arc<Client>, Error> {
        authenticate::client(credentials, self.identify(credentials).await?)
    }

    /// The client or resource server that the credentials prove.
    ///
    /// # Errors
    /// `invalid_client`, the same whatever was wrong; when the database has to be asked, and fails.
    pub async fn identify(&self, credentials: &Credentials) -> Result<Caller, Error> {
        if self.is_fresh() {
            let held = self.0.held.load_full();
            let topic = match credentials.name_a_resource_server() {
                true => Topic::Resources,
                false => Topic::Clients,
            };
            let (caller, digests) = held.caller(credentials);
            let proven = authenticate::prove(credentials, caller, digests);
            if proven.is_ok() || self.is_current(&held, topic).await? {
                return proven;
            }
        }
        let mut conn = self.0.db.reader().await?;
        authenticate::identify(credentials, &mut conn).await
    }

    /// # Errors
    /// When the database has to be asked, and fails.
    pub async fn resource(&self, identifier: &str) -> db::Result<Option<Arc<ResourceServer>>> {
        if self.is_fresh() {
            let held = self.0.held.load_full();
            if let Some(entry) = held.resource(identifier) {
                return Ok(Some(entry.record.clone()));
            }
            if self.is_current(&held, Topic::Resources).await? {
                return Ok(None);
            }
        }
        let resource = resources::by_identifier(identifier, &mut self.0.db.reader().await?).await?;
        Ok(resource.map(Arc::new))
    }

    /// Whether some client has a redirect URI of this origin. While the database is away, nobody new has.
    pub async fn admits_origin(&self, origin: &str) -> bool {
        let held = self.0.held.load_full();
        if held.has_origin(origin) {
            return true;
        }
        let asked = async {
            if self.is_current(&held, Topic::Clients).await? {
                return Ok(false);
            }
            origins::is_registered(origin, &mut self.0.db.reader().await?).await
        };
        asked.await.unwrap_or(false)
    }

    /// Takes over what has changed. Costs one small read when nothing did.
    ///
    /// # Errors
    /// When the database fails; what is held stays.
    pub async fn refresh(&self) -> db::Result<()> {
        let _alone = self.0.reading.lock().await;
        let held = self.0.held.load_full();
        let fresh = held.brought_up(&mut self.0.db.reader().await?).await?;
        self.0.held.store(Arc::new(fresh));
        Ok(())
    }

    /// Whether there was something of this topic that memory did not have, and now has.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn hears_of_changes(&self, topic: Topic) -> db::Result<bool> {
        let held = self.0.held.load_full();
        if self.is_current(&held, topic).await? {
            return Ok(false);
        }
        self.refresh().await?;
        Ok(true)
    }

    /// Takes over every change as soon as it is heard of; never returns. A registry that changes all the time is
    /// read with pauses, so that it takes a fraction of one core.
    pub async fn follow(self) {
        let mut changes = self.0.changes.clone();
        let mut others = changes.clone();
        loop {
            let held = self.0.held.load_full();
            tokio::select! {
                () = changes.differs(Topic::Clients, held.version(Topic::Clients)) => {}
                () = others.differs(Topic::Resources, held.version(Topic::Resources)) => {}
            }
            let began = Instant::now();
            if let Err(error) = self.refresh().await {
                tracing::warn!(%error, "clients and resource servers could not be read");
                sleep(SILENCE).await;
            }
            sleep(PAUSE.max(began.elapsed() * 4)).await;
        }
    }

    /// Whether this is what the database holds of this topic now.
    async fn is_current(&self, held: &Snapshot, topic: Topic) -> db::Result<bool> {
        let reading = async || Versions::read(&mut self.0.db.reader().await?).await;
        let now = self.0.latest.read(reading).await?;
        Ok(now.of(topic) == held.version(topic))
    }

    fn is_fresh(&self) -> bool {
        self.0.changes.is_fresh(SILENCE)
    }
}

/// Between two readings, at the least.
const PAUSE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests;
