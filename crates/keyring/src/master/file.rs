//! The files of the master key: written whole, readable by their owner only, linked into place without overwriting, and
//! on disk before anything leans on them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use seal::Key;
use zeroize::Zeroizing;

use super::Error;

pub(crate) const FILE: &str = "master.key";
/// The one that takes over.
pub(crate) const NEXT_FILE: &str = "master.next.key";

pub(super) fn decode(text: &str) -> Option<Key> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map(Zeroizing::new).ok()?;
    <[u8; 32]>::try_from(bytes.as_slice()).ok().map(Key::from_bytes)
}

pub(crate) fn read(path: &Path) -> Result<Option<Key>, Error> {
    let fail = |cause| Error::File {
        path: path.to_owned(),
        cause,
    };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(fail(cause)),
    };
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text).map_err(fail)?;
    decode(text.trim()).map(Some).ok_or_else(|| Error::Damaged {
        path: path.to_owned(),
    })
}

/// Writes a new key beside its place and links it there; if another process was first, its key is taken.
pub(crate) fn create(folder: &Path, name: &str) -> Result<Key, Error> {
    let path = &folder.join(name);
    let key = Key::random();
    match keep(folder, name, &Zeroizing::new(URL_SAFE_NO_PAD.encode(key.bytes())))? {
        true => Ok(key),
        false => read(path)?.ok_or_else(|| Error::Missing {
            path: path.to_owned(),
        }),
    }
}

/// Writes a file whole and links it into place, unless one is there already; says whether it did.
pub(crate) fn keep(folder: &Path, name: &str, text: &str) -> Result<bool, Error> {
    let path = &folder.join(name);
    let fail = |cause| Error::File {
        path: path.to_owned(),
        cause,
    };
    fs::create_dir_all(folder).map_err(fail)?;
    let temporary = folder.join(format!(".{name}.{}", protocol::random::id()));
    let written = write_private(&temporary, text);
    let linked = written.and_then(|()| fs::hard_link(&temporary, path));
    let removed = fs::remove_file(&temporary);
    match linked {
        Ok(()) => {
            removed.and_then(|()| flush(folder)).map_err(fail)?;
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(cause) => Err(fail(cause)),
    }
}

/// What was put into the folder, or renamed in it, is there after a power cut.
pub(crate) fn flush(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Readable by its owner only, and on disk when this returns.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}
