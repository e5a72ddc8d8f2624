//! The database of an installation, opened for one command.

use clients::Vault;
use db::Database;
use keyring::{Keyring, MasterKey};
use protocol::{Clock, Timestamp};

use super::failure::Failure;
use crate::settings::Settings;
use crate::wiring::DATABASE_URL;

pub(super) struct Installation {
    pub(super) settings: Settings,
    pub(super) db: Database,
    /// How many migrations that took.
    pub(super) migrated: usize,
    /// The instant of the command.
    pub(super) now: Timestamp,
}

impl Installation {
    /// Every command works on an empty database: it is made and migrated first.
    pub(super) async fn open(settings: Settings) -> Result<Self, Failure> {
        let url: db::Url = settings.database.expose().parse()?;
        let connected = Database::connect(&url).await;
        let db = connected.map_err(|error| format!("{DATABASE_URL}: {error}"))?;
        match db.migrate().await {
            Ok(migrated) => Ok(Self {
                settings,
                db,
                migrated,
                now: Clock::System.now(),
            }),
            Err(error) => {
                db.close().await;
                Err(error.into())
            }
        }
    }

    /// The keys of the installation.
    pub(super) async fn keyring(&self) -> Result<Keyring, Failure> {
        let keys = self.settings.keys.clone();
        let master = MasterKey::open(keys.master, &self.db, self.now).await?;
        Ok(Keyring::open(&self.db, master, keys.policy, self.now).await?)
    }

    /// What seals the secrets of clients. Most commands need none, and work where the master key is not.
    pub(super) async fn vault_if(&self, needed: bool) -> Result<Vault, Failure> {
        match needed {
            true => Ok(issuance::vault(&self.keyring().await?)),
            false => Ok(Vault::closed()),
        }
    }
}
