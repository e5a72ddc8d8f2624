//! Files that hold secrets and that everybody on the machine can read. They are told of and not refused: what mounts
//! secrets into a container often gives them such modes, and nobody else is there.

use std::path::{Path, PathBuf};

use crate::settings::Settings;

/// Warns of each.
pub(crate) fn warn(settings: &Settings, database: &db::Url) {
    let database = match database {
        db::Url::Sqlite(path) => Some(path.clone()),
        db::Url::Postgres(_) => None,
    };
    let key = settings
        .keys
        .master
        .folder()
        .map(|folder| folder.join("master.key"));
    let exposed = [key, database].into_iter().flatten().filter(|path| is_open(path));
    for path in exposed.collect::<Vec<PathBuf>>() {
        let path = path.display();
        tracing::warn!(%path, "every user of this machine can read this file; chmod 600 it");
    }
}

#[cfg(unix)]
fn is_open(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    let read = std::fs::metadata(path).map(|about| about.permissions().mode());
    read.is_ok_and(|mode| mode & 0o007 != 0)
}

#[cfg(not(unix))]
fn is_open(_: &Path) -> bool {
    false
}
