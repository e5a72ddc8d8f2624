//! What seals mails at rest: a letter names a person, and may let its bearer in.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

const PURPOSE: &str = "mail";

/// The name of a key, with it.
type Named = (String, seal::Key);
/// Asks for the key of this name; without a name, for the newest.
type Ask = dyn Fn(Option<&str>) -> Option<Named> + Send + Sync;

/// What a row of the queue holds, opened.
pub type Content = Zeroizing<Vec<u8>>;

/// Seals and opens, behind any number of clones.
#[derive(Clone)]
pub struct Sealer(Arc<Ask>);

impl Sealer {
    /// By a function that gives the key of this name with it; without a name, the newest.
    pub fn new(ask: impl Fn(Option<&str>) -> Option<(String, seal::Key)> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    /// The name of the key, and what it made of this for the row of this mail.
    pub(crate) fn seal(&self, mail_id: &str, content: &[u8]) -> db::Result<(String, String)> {
        let (sealed_by, key) =
            (self.0)(None).ok_or_else(|| db::Error::Setup("no key to seal mail with".to_owned()))?;
        Ok((sealed_by, seal::seal(&key, PURPOSE, mail_id, content)))
    }

    /// None when the key is gone, or the row was tampered with, which our log tells.
    pub(crate) fn open(&self, mail_id: &str, sealed_by: &str, sealed: &str) -> Option<Content> {
        let (_, key) = (self.0)(Some(sealed_by))?;
        let opened = seal::open(&key, PURPOSE, mail_id, sealed);
        opened
            .inspect_err(|error| tracing::error!(%error, mail_id, "a mail that is to be sent"))
            .ok()
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c047_a_mail_opens_in_its_own_row_and_under_its_own_key_only() {
        let key = seal::Key::random();
        let own = key.clone();
        let sealer = Sealer::new(move |name| match name {
            None | Some("k1") => Some(("k1".to_owned(), own.clone())),
            Some(_) => None,
        });
        let (by, sealed) = sealer.seal("m1", b"to alex").unwrap();
        assert_eq!(sealer.open("m1", &by, &sealed).unwrap().as_slice(), b"to alex");
        assert!(sealer.open("m2", &by, &sealed).is_none());
        assert!(sealer.open("m1", "k2", &sealed).is_none());
        let flow = seal::seal(&key, "flow", "m1", b"to alex");
        assert!(sealer.open("m1", &by, &flow).is_none());
    }
}
