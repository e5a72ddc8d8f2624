//! How what is told to a client is protected: OpenID Connect Core §10, Dynamic Client Registration §2.
//!
//! Decides by which algorithm an ID token or a userinfo answer is signed, and to which key it is encrypted. Everything
//! that can fail about it is found out first: keys may have to be fetched, and a code that was used up for a token which
//! then cannot be encrypted would be lost to its user.

use std::sync::Arc;

use clients::{Client, Directory, Keys, Vault};
use jose::jwe::Content;
use jose::{EncryptionKey, sign_by_secret};
use keyring::{Keyring, Purpose, Seat};
use protocol::{ClientAlg, ClientId, Error, JweAlg, JweEnc, Secret, SigningAlg, Timestamp};
use serde::Serialize;

/// What is known of those who are told something. Behind any number of clones.
#[derive(Clone, Debug)]
pub struct Recipients {
    clients: Directory,
    keys: Keys,
    vault: Vault,
    pub(crate) keyring: Keyring,
}

/// How one client is told something; found before anything is written.
#[derive(Debug)]
pub struct Protection {
    signature: Option<Signature>,
    encryption: Option<(EncryptionKey, JweEnc)>,
}

#[derive(Debug)]
enum Signature {
    ByKey(SigningAlg),
    BySecret(Secret),
}

/// Opens and seals the secrets of clients with the keys of this installation.
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

impl Recipients {
    pub fn new(clients: Directory, keys: Keys, keyring: Keyring) -> Self {
        Self {
            clients,
            keys,
            vault: vault(&keyring),
            keyring,
        }
    }

    /// How the ID tokens of this client are protected.
    ///
    /// # Errors
    /// `invalid_request` when it has no key to encrypt to; when the database has to be asked, and fails.
    pub async fn id_token(&self, id: &ClientId, now: Timestamp) -> Result<Protection, Error> {
        let client = self.client(id).await?;
        let metadata = &client.metadata;
        let signature = Some(metadata.id_token_signed_response_alg);
        self.protection(&client, signature, metadata.id_token_encryption(), now)
            .await
    }

    /// How userinfo answers to this client are protected; none where they are plain.
    ///
    /// # Errors
    /// As [`Self::id_token`].
    pub async fn userinfo(&self, id: &ClientId, now: Timestamp) -> Result<Option<Protection>, Error> {
        let client = self.client(id).await?;
        let metadata = &client.metadata;
        let (signature, encryption) = (
            metadata.userinfo_signed_response_alg,
            metadata.userinfo_encryption(),
        );
        match (signature, encryption) {
            (None, None) => Ok(None),
            (signature, encryption) => self
                .protection(&client, signature, encryption, now)
                .await
                .map(Some),
        }
    }

    /// The secrets that sign ID tokens of this client: none unless they are signed so.
    pub(crate) async fn signing_secrets(&self, id: &ClientId) -> Result<Vec<Secret>, Error> {
        let client = self.clients.client(id).await?;
        let by_secret = |client: &Client| client.metadata.id_token_signed_response_alg == ClientAlg::Hs256;
        match client.is_some_and(|client| by_secret(&client)) {
            true => Ok(self.vault.open_all(&self.clients.sealed_secrets(id).await?)),
            false => Ok(Vec::new()),
        }
    }

    async fn client(&self, id: &ClientId) -> Result<Arc<Client>, Error> {
        let client = self.clients.client(id).await?;
        client.ok_or_else(crate::ended)
    }

    async fn protection(
        &self,
        client: &Client,
        signature: Option<ClientAlg>,
        encryption: Option<(JweAlg, JweEnc)>,
        now: Timestamp,
    ) -> Result<Protection, Error> {
        let signature = match signature {
            None => None,
            Some(alg) => Some(match alg.signing() {
                Some(alg) => Signature::ByKey(alg),
                None => Signature::BySecret(self.newest_secret(client).await?),
            }),
        };
        let encryption = match encryption {
            None => None,
            Some((alg, enc)) => {
                let key = self.keys.encryption_key(client, alg, now).await;
                Some((key.ok_or_else(|| no_key(alg))?, enc))
            }
        };
        Ok(Protection {
            signature,
            encryption,
        })
    }

    async fn newest_secret(&self, client: &Client) -> Result<Secret, Error> {
        let sealed = self.clients.sealed_secrets(&client.id).await?;
        let newest = sealed.last().and_then(|newest| self.vault.open(newest));
        newest
            .ok_or_else(|| Error::server_error("a client whose tokens its secret signs has no readable one"))
    }
}

fn no_key(alg: JweAlg) -> Error {
    Error::invalid_request(format!(
        "this client has registered that what it is told is encrypted by {alg}, and neither its jwks nor what is \
         behind its jwks_uri holds a key for that: RSA of 2048 bits or more, or EC on P-256, with use enc or none"
    ))
}

impl Protection {
    /// The algorithm for whose signature there has to be room; none where no key of ours signs.
    pub fn alg(&self) -> Option<SigningAlg> {
        match self.signature {
            Some(Signature::ByKey(alg)) => Some(alg),
            Some(Signature::BySecret(_)) | None => None,
        }
    }

    /// The token that says this to the client, protected as it registered: signed, then encrypted (RFC 7519 §11.2).
    ///
    /// # Errors
    /// When the ring has no key, or the seat is none for it.
    pub async fn token(
        &self,
        claims: &impl Serialize,
        keyring: &Keyring,
        seat: &Seat,
        now: Timestamp,
    ) -> Result<String, Error> {
        let signed = match &self.signature {
            Some(Signature::ByKey(alg)) => Some(keyring.sign(*alg, (TYP, claims), seat, now).await?),
            Some(Signature::BySecret(secret)) => {
                let signed = sign_by_secret(TYP, claims, secret.expose().as_bytes());
                Some(signed.map_err(Error::server_error)?)
            }
            None => None,
        };
        let Some((key, enc)) = &self.encryption else {
            return signed.ok_or_else(|| Error::server_error("nothing protects this token"));
        };
        let encrypted = match signed {
            Some(signed) => key.encrypt(*enc, Content::SignedJwt, signed.as_bytes()),
            None => {
                let plain = serde_json::to_vec(claims).map_err(Error::server_error)?;
                key.encrypt(*enc, Content::Claims, &plain)
            }
        };
        encrypted.map_err(Error::server_error)
    }

    /// Which hash `at_hash` and `c_hash` of such a token are halves of: OpenID Connect Core §3.1.3.6 has that of its
    /// algorithm, which for EdDSA is the one within Ed25519 (RFC 8032 §5.1).
    pub(crate) fn half_hash(&self, text: &str) -> Vec<u8> {
        match self.alg() {
            Some(SigningAlg::EdDsa) => left_half(&seal::sha512(text.as_bytes())),
            Some(SigningAlg::Rs256 | SigningAlg::Ps256 | SigningAlg::Es256) | None => {
                left_half(&seal::sha256(text.as_bytes()))
            }
        }
    }
}

const TYP: &str = "JWT";

fn left_half(digest: &[u8]) -> Vec<u8> {
    let (left, _) = digest.split_at(digest.len() / 2);
    left.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_an_access_token_is_the_left_half_of_the_digest_of_its_algorithm() {
        let half = |signature| {
            let protection = Protection {
                signature: Some(signature),
                encryption: None,
            };
            let bytes = protection.half_hash("abc");
            bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        let sha256 = "ba7816bf8f01cfea414140de5dae2223";
        for alg in [SigningAlg::Rs256, SigningAlg::Ps256, SigningAlg::Es256] {
            assert_eq!(half(Signature::ByKey(alg)), sha256);
        }
        assert_eq!(half(Signature::BySecret("secret".into())), sha256);
        assert_eq!(
            half(Signature::ByKey(SigningAlg::EdDsa)),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        );
    }
}
