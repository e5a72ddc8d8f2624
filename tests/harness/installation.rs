//! An installation as an operator has it: a folder, a database, and servers in processes of their own that can be
//! started, ended, killed and started again.

use db::testing::{Temporary, temporary};
use tempfile::TempDir;

use super::World;
use super::process::{self, Ended, Process, free_port};
use super::rp;

#[derive(Debug)]
pub(crate) struct Installation {
    /// Where the servers run; the keys are in it.
    pub(crate) folder: TempDir,
    pub(crate) database: db::Url,
    pub(crate) issuer: String,
    pub(crate) port: u16,
    database_url: String,
    /// What vouches for the sites of apps.
    root: String,
    /// Gone with the installation, if it was made for a test.
    _temporary: Temporary,
}

impl Installation {
    /// Nothing has run on it yet.
    pub(crate) fn on(database: db::Url) -> Self {
        let port = free_port();
        let folder = tempfile::tempdir().expect("a folder for the keys");
        Self {
            root: rp::root_file(folder.path()),
            folder,
            issuer: format!("http://127.0.0.1:{port}"),
            port,
            database_url: match &database {
                db::Url::Sqlite(path) => format!("sqlite://{}", path.display()),
                db::Url::Postgres(url) => url.clone(),
            },
            _temporary: temporary(&database),
            database,
        }
    }

    /// The server at the issuer's address, once it is ready.
    pub(crate) async fn start(&self) -> Process {
        self.start_at(self.port).await
    }

    /// A server at this port of 127.0.0.1, once it is ready.
    pub(crate) async fn start_at(&self, port: u16) -> Process {
        Process::serve(self.folder.path(), &[], &self.environment(), port).await
    }

    /// A command that has begun.
    pub(crate) fn begin(&self, arguments: &[&str]) -> Process {
        Process::spawn(self.folder.path(), arguments, &self.environment(), "")
    }

    /// A command, run to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        process::run(self.folder.path(), arguments, &self.environment(), "").await
    }

    /// Its users, clients and rows. The server has to have run once.
    pub(crate) async fn world(&self) -> World {
        World::beside(&self.issuer, &self.database).await
    }

    fn environment(&self) -> [(&str, &str); 5] {
        [
            ("COUNTERSIGN_ISSUER", &self.issuer),
            ("COUNTERSIGN_DATABASE_URL", &self.database_url),
            ("COUNTERSIGN_EGRESS_ALLOW_PRIVATE", "localhost"),
            ("COUNTERSIGN_EGRESS_CA", &self.root),
            ("COUNTERSIGN_LIMITS", "off"),
        ]
    }
}
