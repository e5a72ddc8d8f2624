//! The door: who is calling one of our endpoints. Secrets are compared by the directory; an assertion is judged
//! here: RFC 7523 §3, by the keys that its client registered and the one algorithm it registered for it.

use std::sync::Arc;

use db::Database;
use jws::{Alg, KeySet, Unverified};
use protocol::{ClientAuthMethod, Error, Issuer, Timestamp};

use crate::assertions::{self, Place, Use};
use crate::keys::Keys;
use crate::{Caller, Client, Credentials, Directory, authenticate};

/// What telling callers apart leans on.
#[derive(Clone, Debug)]
pub struct Authenticator {
    pub db: Database,
    pub clients: Directory,
    pub keys: Keys,
    pub issuer: Issuer,
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
            return self.clients.identify(credentials).await;
        };
        let mut client = self.clients.client(credentials.client_id()).await?;
        let mut judged = self.judge(assertion, client.as_deref(), endpoint, now).await;
        // What memory refuses may have been registered a moment ago.
        if judged.is_err() && self.clients.hears_of_changes().await? {
            client = self.clients.client(credentials.client_id()).await?;
            judged = self.judge(assertion, client.as_deref(), endpoint, now).await;
        }
        let once = judged?;
        let claimed = self
            .db
            .transact(move |conn| Box::pin(async move { assertions::claim(&once, conn).await }));
        match (claimed.await?, client) {
            (true, Some(client)) => Ok(Caller::Client(client)),
            (false, _) => Err(faulty("its jti was used before")),
            (true, None) => Err(refuse("unknown client")),
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
        if client.metadata.token_endpoint_auth_method != ClientAuthMethod::PrivateKeyJwt {
            return Err(refuse("the client is registered for another method"));
        }
        let place = Place {
            issuer: &self.issuer,
            endpoint,
        };
        let found = self.keys.of(client, now).await;
        let found = found.ok_or_else(|| refuse("the client's keys cannot be had"))?;
        let verdict = by_keys(assertion, client, &found.keys, place, now);
        match verdict {
            Err(Fault::Key(_)) => match self.keys.newer(client, &found, now).await {
                Some(newer) => by_keys(assertion, client, &newer.keys, place, now),
                None => verdict,
            },
            verdict => verdict,
        }
        .map_err(Error::from)
    }
}

enum Fault {
    /// No key of the client vouches for it.
    Key(jws::Error),
    /// One does, for claims that are no good.
    Claims(&'static str),
}

fn by_keys(
    assertion: &Unverified,
    client: &Client,
    keys: &KeySet,
    place: Place<'_>,
    now: Timestamp,
) -> Result<Use, Fault> {
    let pinned = client.metadata.token_endpoint_auth_signing_alg;
    let allowed = pinned.as_ref().map_or(Alg::ALL, std::slice::from_ref);
    let verified = assertion
        .verify(keys, allowed, assertions::TYP)
        .map_err(Fault::Key)?;
    assertions::judge(&verified, client, place, now).map_err(Fault::Claims)
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Key(cause) => refuse(cause.to_string()),
            Fault::Claims(fault) => faulty(fault),
        }
    }
}

/// The same for all, so that nobody learns here which clients exist and what they registered.
fn refuse(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::invalid_client(
        "client authentication failed: no such client with token_endpoint_auth_method private_key_jwt, or \
         client_assertion is not signed by a key in its jwks or behind its jwks_uri, of the right kid, alg and typ",
    )
    .because(cause)
}

fn faulty(fault: &'static str) -> Error {
    Error::invalid_client(format!(
        "client_assertion is signed by the client and no good: {fault}"
    ))
}
