//! The database of an installation, opened for one command.

use db::Database;
use protocol::{Clock, Timestamp};

use super::failure::Failure;
use crate::settings::Settings;

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
        let db = Database::connect(&url).await?;
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
}
