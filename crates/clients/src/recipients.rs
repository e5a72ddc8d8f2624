//! How what is told to a client is protected: OpenID Connect Core §10, Dynamic Client Registration §2.
//!
//! Decides by which algorithm an ID token, a userinfo answer or a logout token is signed, and to which key it is encrypted.
//! Keys may have to be fetched for that, so it is found out before anything is written: a code that was used up for a
//! token which then cannot be encrypted would be lost to its user.

use std::sync::Arc;

use jose::{Protection, Signature};
use protocol::{ClientAlg, ClientId, Error, JweAlg, JweEnc, Secret, Timestamp};

use crate::{Client, Directory, Keys, Vault};

/// What is known of those who are told something. Behind any number of clones.
#[derive(Clone, Debug)]
pub struct Recipients {
    pub clients: Directory,
    pub keys: Keys,
    pub vault: Vault,
}

impl Recipients {
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
    ///
    /// # Errors
    /// When the database has to be asked, and fails.
    pub async fn signing_secrets(&self, id: &ClientId) -> Result<Vec<Secret>, Error> {
        let client = self.clients.client(id).await?;
        let by_secret = |client: &Client| client.metadata.id_token_signed_response_alg == ClientAlg::Hs256;
        match client.is_some_and(|client| by_secret(&client)) {
            true => Ok(self.vault.open_all(&self.clients.sealed_secrets(id).await?)),
            false => Ok(Vec::new()),
        }
    }

    async fn client(&self, id: &ClientId) -> Result<Arc<Client>, Error> {
        let client = self.clients.client(id).await?;
        client.ok_or_else(|| Error::invalid_grant("this client has been deleted"))
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
