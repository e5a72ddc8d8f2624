//! The door: who is calling one of our endpoints. Secrets are compared by the directory; an assertion is judged
//! here: RFC 7523 §3, by the keys that its client registered and the one algorithm it registered for it, or by the
//! secret that it shares with us; and so is the certificate of a connection: RFC 8705 §2.

use std::sync::Arc;

use db::Database;
use events::changes::Topic;
use jws::{Alg, Unverified, Verified};
use protocol::{ClientAuthMethod, ClientCertificate, Error, Issuer, Timestamp};

use crate::assertions::{self, Place, Use};
use crate::certificates::Authorities;
use crate::keys::Keys;
use crate::vault::Vault;
use crate::{Caller, Client, Credentials, Directory, authenticate, certificates};

/// What telling callers apart leans on.
#[derive(Clone, Debug)]
pub struct Authenticator {
    pub db: Database,
    pub clients: Directory,
    pub keys: Keys,
    /// Opens the secrets with which clients sign.
    pub vault: Vault,
    /// Whose word counts for the certificates of clients.
    pub authorities: Authorities,
    pub issuer: Issuer,
    /// Where the listener is that asks for certificates.
    pub mtls: Option<Issuer>,
}

impl Authenticator {
    /// The client that the credentials prove at this endpoint.
    ///
    /// # Errors
    /// As [`Self::identify`].
    pub async fn authenticate(
        &self,
        credentials: &Credentials,
        endpoint: &str,
        now: Timestamp,
    ) -> Result<Arc<Client>, Error> {
        authenticate::client(credentials, self.identify(credentials, endpoint, now).await?)
    }

    /// The client or resource server that the credentials prove at this endpoint, which is the path of it.
    ///
    /// # Errors
    /// `invalid_client`. What was wrong is said only to whoever proved to hold a key of the client.
    pub async fn identify(
        &self,
        credentials: &Credentials,
        endpoint: &str,
        now: Timestamp,
    ) -> Result<Caller, Error> {
        let Some(assertion) = credentials.assertion() else {
            return self.by_secret_or_certificate(credentials, now).await;
        };
        let mut named = self.named(credentials).await?;
        let mut judged = self
            .judge(assertion, signer(&named).as_deref(), endpoint, now)
            .await;
        // What memory refuses may have been registered a moment ago.
        let topic = match credentials.name_a_resource_server() {
            true => Topic::Resources,
            false => Topic::Clients,
        };
        if judged.is_err() && self.clients.hears_of_changes(topic).await? {
            named = self.named(credentials).await?;
            judged = self
                .judge(assertion, signer(&named).as_deref(), endpoint, now)
                .await;
        }
        let once = judged?;
        let claimed = self
            .db
            .transact(move |conn| Box::pin(async move { assertions::claim(&once, conn).await }));
        match (claimed.await?, named) {
            (true, Some(caller)) => Ok(caller),
            (false, _) => Err(faulty("its jti was used before")),
            (true, None) => Err(refuse("unknown client")),
        }
    }

    /// Whom the credentials name, proven or not.
    async fn named(&self, credentials: &Credentials) -> Result<Option<Caller>, Error> {
        let id = credentials.client_id();
        Ok(match credentials.name_a_resource_server() {
            true => self
                .clients
                .resource(id.as_str())
                .await?
                .map(Caller::ResourceServer),
            false => self.clients.client(id).await?.map(Caller::Client),
        })
    }

    /// What is presented is a secret or nothing; of a client that presents nothing its registration says whether the
    /// connection has to prove it.
    async fn by_secret_or_certificate(
        &self,
        credentials: &Credentials,
        now: Timestamp,
    ) -> Result<Caller, Error> {
        if !credentials.prove_nothing() {
            return self.clients.identify(credentials).await;
        }
        let caller = self.by_certificate(credentials, now).await;
        match caller {
            // What memory refuses may have been registered a moment ago.
            Err(_) if self.clients.hears_of_changes(Topic::Clients).await? => {
                self.by_certificate(credentials, now).await
            }
            caller => caller,
        }
    }

    async fn by_certificate(&self, credentials: &Credentials, now: Timestamp) -> Result<Caller, Error> {
        let client = self.clients.client(credentials.client_id()).await?;
        let Some(client) = client else {
            return self.clients.identify(credentials).await;
        };
        let proven = match client.metadata.token_endpoint_auth_method {
            ClientAuthMethod::TlsClientAuth => match credentials.certificate() {
                None => Err(NO_CERTIFICATE.to_owned()),
                Some(own) => certificates::by_authority(own, &client.metadata, &self.authorities, now),
            },
            ClientAuthMethod::SelfSignedTlsClientAuth => match credentials.certificate() {
                None => Err(NO_CERTIFICATE.to_owned()),
                Some(own) => self.by_registration(own, &client, now).await,
            },
            ClientAuthMethod::ClientSecretBasic
            | ClientAuthMethod::ClientSecretPost
            | ClientAuthMethod::ClientSecretJwt
            | ClientAuthMethod::PrivateKeyJwt
            | ClientAuthMethod::None => return self.clients.identify(credentials).await,
        };
        match proven {
            Ok(()) => Ok(Caller::Client(client)),
            Err(fault) => Err(authenticate::refuse(credentials, fault)),
        }
    }

    async fn by_registration(
        &self,
        certificate: &ClientCertificate,
        client: &Client,
        now: Timestamp,
    ) -> Result<(), String> {
        let found = self.keys.of(client, now).await;
        let found = found.ok_or("the client's keys cannot be had")?;
        let verdict = certificates::by_registration(certificate, &found.keys.checking, now);
        if verdict.is_ok() || found.keys.checking.has_certificate(certificate.leaf()) {
            return verdict;
        }
        match self.keys.newer(client, &found, now).await {
            Some(newer) => certificates::by_registration(certificate, &newer.keys.checking, now),
            None => verdict,
        }
    }

    async fn judge(
        &self,
        assertion: &Unverified,
        client: Option<&Client>,
        endpoint: &str,
        now: Timestamp,
    ) -> Result<Use, Error> {
        let client = client.ok_or_else(|| refuse("unknown client"))?;
        let place = Place {
            issuer: &self.issuer,
            mtls: self.mtls.as_ref(),
            endpoint,
        };
        let verified = match client.metadata.token_endpoint_auth_method {
            ClientAuthMethod::PrivateKeyJwt => {
                let pinned = client.metadata.token_endpoint_auth_signing_alg;
                let pinned = pinned.and_then(|alg| alg.signing()).map(Alg::from);
                let allowed = pinned.as_ref().map_or(Alg::ALL, std::slice::from_ref);
                let vouched = self
                    .keys
                    .vouch(client, assertion, allowed, assertions::TYP, now)
                    .await;
                vouched.map_err(refuse)?
            }
            ClientAuthMethod::ClientSecretJwt => self.by_secret(assertion, client).await?,
            ClientAuthMethod::ClientSecretBasic
            | ClientAuthMethod::ClientSecretPost
            | ClientAuthMethod::TlsClientAuth
            | ClientAuthMethod::SelfSignedTlsClientAuth
            | ClientAuthMethod::None => {
                return Err(refuse("the client is registered for another method"));
            }
        };
        assertions::judge(&verified, client, place, now).map_err(faulty)
    }

    async fn by_secret<'a>(&self, assertion: &'a Unverified, client: &Client) -> Result<Verified<'a>, Error> {
        let vouched = self
            .clients
            .vouch(&client.id, assertion, &self.vault, assertions::TYP);
        vouched.await?.map_err(|error| refuse(error.to_string()))
    }
}

/// As which client an assertion is judged.
fn signer(caller: &Option<Caller>) -> Option<Arc<Client>> {
    match caller.as_ref()? {
        Caller::Client(client) => Some(client.clone()),
        Caller::ResourceServer(api) => Some(Arc::new(api.signer())),
    }
}

const NO_CERTIFICATE: &str = "the connection has no certificate";

/// The same for all, so that nobody learns here which clients exist and what they registered.
fn refuse(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::invalid_client(
        "client authentication failed: no such client with token_endpoint_auth_method private_key_jwt or \
         client_secret_jwt, or client_assertion is not signed by a key in its jwks or behind its jwks_uri, or by its \
         client_secret (HS256), with the right kid, alg and typ",
    )
    .because(cause)
}

fn faulty(fault: &'static str) -> Error {
    Error::invalid_client(format!(
        "client_assertion is signed by the client and no good: {fault}"
    ))
}
