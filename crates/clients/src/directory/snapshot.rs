//! What the directory holds, at one version of each topic.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use db::Conn;
use events::changes::{Topic, Versions};
use protocol::ClientId;

use crate::{Caller, Client, Credentials, ResourceServer, Sealed, origins, records, resources, secrets};

/// A version that the database cannot have.
const NEVER: i64 = -1;

#[derive(Debug, Default)]
pub(super) struct Snapshot {
    clients: Held<Clients>,
    resources: Held<HashMap<String, Entry<ResourceServer>>>,
}

#[derive(Debug)]
struct Held<T> {
    version: i64,
    what: Arc<T>,
}

impl<T: Default> Default for Held<T> {
    fn default() -> Self {
        Self {
            version: NEVER,
            what: Arc::default(),
        }
    }
}

impl<T> Clone for Held<T> {
    fn clone(&self) -> Self {
        Self {
            version: self.version,
            what: self.what.clone(),
        }
    }
}

#[derive(Debug, Default)]
struct Clients {
    by_id: HashMap<ClientId, Entry<Client>>,
    origins: HashSet<String>,
}

#[derive(Debug)]
pub(super) struct Entry<T> {
    pub(super) record: Arc<T>,
    /// Of its secrets.
    pub(super) digests: Vec<String>,
    /// Those that can be read again, oldest first.
    pub(super) sealed: Vec<Sealed>,
}

impl Snapshot {
    /// The state of now: what has not changed is taken along, what has is read.
    pub(super) async fn brought_up(&self, conn: &mut Conn) -> db::Result<Self> {
        // The versions first: what changes while we read is read again the next time.
        let versions = Versions::read(conn).await?;
        let mut new = Self {
            clients: self.clients.clone(),
            resources: self.resources.clone(),
        };
        let version = versions.of(Topic::Clients);
        if version != self.clients.version {
            let what = Arc::new(read_clients(conn).await?);
            new.clients = Held { version, what };
        }
        let version = versions.of(Topic::Resources);
        if version != self.resources.version {
            let what = Arc::new(read_resources(conn).await?);
            new.resources = Held { version, what };
        }
        Ok(new)
    }

    pub(super) fn client(&self, id: &ClientId) -> Option<&Entry<Client>> {
        self.clients.what.by_id.get(id)
    }

    pub(super) fn resource(&self, identifier: &str) -> Option<&Entry<ResourceServer>> {
        self.resources.what.get(identifier)
    }

    /// Whom the credentials name, with the digests to compare.
    pub(super) fn caller(&self, credentials: &Credentials) -> (Option<Caller>, &[String]) {
        let id = credentials.client_id();
        let (caller, digests) = if credentials.name_a_resource_server() {
            let entry = self.resource(id.as_str());
            entry
                .map(|entry| (Caller::ResourceServer(entry.record.clone()), &entry.digests))
                .unzip()
        } else {
            let entry = self.client(id);
            entry
                .map(|entry| (Caller::Client(entry.record.clone()), &entry.digests))
                .unzip()
        };
        (caller, digests.map_or(&[], Vec::as_slice))
    }

    pub(super) fn has_origin(&self, origin: &str) -> bool {
        self.clients.what.origins.contains(origin)
    }

    /// The version at which a topic is held.
    pub(super) fn version(&self, topic: Topic) -> i64 {
        match topic {
            Topic::Clients => self.clients.version,
            Topic::Resources => self.resources.version,
            Topic::Keys | Topic::Notices | Topic::Revocations => NEVER,
        }
    }
}

async fn read_clients(conn: &mut Conn) -> db::Result<Clients> {
    let mut by_id: HashMap<ClientId, Entry<Client>> = HashMap::new();
    for client in records::list(conn).await? {
        let entry = Entry {
            record: Arc::new(client),
            digests: Vec::new(),
            sealed: Vec::new(),
        };
        by_id.insert(entry.record.id.clone(), entry);
    }
    for (client_id, digest) in secrets::all_digests(conn).await? {
        // One of a client that was deleted or made in between belongs to the next version.
        if let Some(entry) = by_id.get_mut(&ClientId::from(client_id)) {
            entry.digests.push(digest);
        }
    }
    for (client_id, sealed) in secrets::all_sealed(conn).await? {
        if let Some(entry) = by_id.get_mut(&ClientId::from(client_id)) {
            entry.sealed.push(sealed);
        }
    }
    let origins = origins::all(conn).await?.into_iter().map(|(origin,)| origin);
    Ok(Clients {
        by_id,
        origins: origins.collect(),
    })
}

async fn read_resources(conn: &mut Conn) -> db::Result<HashMap<String, Entry<ResourceServer>>> {
    let mut all: HashMap<String, Entry<ResourceServer>> = HashMap::new();
    for resource in resources::list(conn).await? {
        let entry = Entry {
            record: Arc::new(resource),
            digests: Vec::new(),
            sealed: Vec::new(),
        };
        all.insert(entry.record.identifier.clone(), entry);
    }
    for (identifier, digest) in resources::secrets::all_digests(conn).await? {
        if let Some(entry) = all.get_mut(&identifier) {
            entry.digests.push(digest);
        }
    }
    Ok(all)
}
