//! The key under which secrets of clients rest that have to be read again.
//!
//! A digest proves that somebody knows a secret; what a secret has signed, or is to sign, needs the secret itself.
//! Such secrets are sealed under a purpose secret of the keyring, bound to their row. The keyring stands on this floor
//! too, so `server` connects the two.

use std::fmt;
use std::sync::Arc;

use jws::{Typ, Unverified, Verified};
use protocol::{Error, Secret};

/// What a secret is sealed for.
const PURPOSE: &str = "client secret";

/// A key, and the name by which rows know it.
pub(crate) type Named = (String, seal::Key);

/// Asks for the key of this name; without a name, for the newest.
type Ask = dyn Fn(Option<&str>) -> Option<Named> + Send + Sync;

/// Seals and opens, behind any number of clones.
#[derive(Clone)]
pub struct Vault(Arc<Ask>);

/// A secret at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    pub(crate) secret_id: String,
    pub(crate) sealed_by: String,
    pub(crate) sealed: String,
}

impl Vault {
    /// By a function that gives the key of this name with it; without a name, the newest.
    pub fn new(ask: impl Fn(Option<&str>) -> Option<(String, seal::Key)> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    /// For those who have no keys, and handle no client that would need one.
    pub fn closed() -> Self {
        Self::new(|_| None)
    }

    /// # Errors
    /// `server_error` when there is no key.
    pub(crate) fn seal(&self, secret_id: &str, secret: &Secret) -> Result<Sealed, Error> {
        let (sealed_by, key) =
            (self.0)(None).ok_or_else(|| Error::server_error("no key to seal a client's secret with"))?;
        Ok(Sealed {
            sealed: seal::seal(&key, PURPOSE, secret_id, secret.expose().as_bytes()),
            secret_id: secret_id.to_owned(),
            sealed_by,
        })
    }

    /// The secret; none when the key is gone, or the row was tampered with, which our log tells.
    pub fn open(&self, sealed: &Sealed) -> Option<Secret> {
        let (_, key) = (self.0)(Some(&sealed.sealed_by))?;
        match seal::open(&key, PURPOSE, &sealed.secret_id, &sealed.sealed) {
            Ok(plain) => String::from_utf8(plain.to_vec()).ok().map(Secret::new),
            Err(error) => {
                tracing::error!(%error, secret_id = sealed.secret_id, "a client's secret");
                None
            }
        }
    }

    /// What one of these secrets has signed, by HS256. Any of them: two work at once, so that one can be replaced in
    /// peace.
    ///
    /// # Errors
    /// When none of them did.
    pub(crate) fn vouch<'t>(
        &self,
        token: &'t Unverified,
        sealed: &[Sealed],
        typ: Typ,
    ) -> Result<Verified<'t>, jws::Error> {
        let secrets = self.open_all(sealed);
        token.verify_by_secret(secrets.iter().map(|own| own.expose().as_bytes()), typ)
    }

    /// All that can be opened, oldest first.
    pub fn open_all(&self, sealed: &[Sealed]) -> Vec<Secret> {
        sealed.iter().filter_map(|one| self.open(one)).collect()
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c047_a_secret_opens_in_its_own_row_under_the_key_that_sealed_it() {
        let key = seal::Key::random();
        let vault = Vault::new(move |name| match name {
            None | Some("1") => Some(("1".to_owned(), key.clone())),
            Some(_) => None,
        });
        let sealed = vault.seal("row", &"canary".into()).unwrap();
        assert_eq!(vault.open(&sealed), Some("canary".into()));
        assert!(!format!("{sealed:?} {vault:?}").contains("canary"));
        let moved = Sealed {
            secret_id: "other".to_owned(),
            ..sealed.clone()
        };
        let renamed = Sealed {
            sealed_by: "2".to_owned(),
            ..sealed.clone()
        };
        for swapped in [&moved, &renamed] {
            assert_eq!(vault.open(swapped), None);
        }
        assert_eq!(vault.open_all(&[moved, sealed]), ["canary".into()]);
        assert!(Vault::closed().seal("row", &"canary".into()).is_err());
    }
}
