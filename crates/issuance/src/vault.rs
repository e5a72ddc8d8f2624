//! Where the keys of this installation meet the secrets of clients that are read again.

use clients::Vault;
use keyring::{Keyring, Purpose};

/// Opens and seals them.
pub fn vault(keyring: &Keyring) -> Vault {
    let keyring = keyring.clone();
    Vault::new(move |name| {
        let found = match name {
            None => keyring.secret(Purpose::ClientSecret).ok(),
            Some(id) => keyring.secret_by_id(Purpose::ClientSecret, id),
        };
        found.map(|secret| (secret.id, secret.key))
    })
}
