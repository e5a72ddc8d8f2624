//! The one guarded client for URLs that others supplied: key sets, request objects, who is to hear of a logout.
//!
//! Decides which of their servers we talk to, and how much of an answer we take. Whoever registers a client
//! chooses these URLs, so each could point into the operator's own network (server-side request forgery): only
//! https is spoken, every address of the host is checked, and the connection goes to an address that was
//! checked, not to what the name means a moment later. No redirect is followed, no proxy asked, nothing kept.
//!
//! The reasons in [`Error`] are for our log. Whoever supplied the URL is told one thing for all of them, or
//! they could scan our network through us.

mod address;
mod names;
#[cfg(test)]
mod tests;
pub mod url;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use ::url::Url;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use reqwest::{Certificate, Client, Response, redirect};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use names::{Lookup, Names};

/// For everything: waiting for a place, the name, the connection, the answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer.
pub const MAX_BODY: usize = 64 * 1024;
/// Exchanges at the same time, and of these with one host: nobody makes us a flood, nor keeps others waiting.
pub const AT_ONCE: usize = 32;
pub const AT_ONCE_PER_HOST: usize = 4;

/// What the operator says.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Hosts that may have private addresses, and any port.
    pub private_hosts: BTreeSet<String>,
    /// Certificates in PEM that are trusted besides those of the system.
    pub extra_roots: Vec<u8>,
}

/// The client, behind any number of clones.
#[derive(Clone, Debug)]
pub struct Egress(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    private_hosts: Arc<BTreeSet<String>>,
    places: Arc<Semaphore>,
    hosts: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// Why there is no answer. For our log only.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the URL is refused: {0}")]
    Url(&'static str),
    #[error("its host has an address that is not on the public internet")]
    Address,
    #[error("nothing within 5 seconds")]
    Timeout,
    #[error("no exchange: {0}")]
    Exchange(String),
    #[error("the status is {0}, not 200")]
    Status(StatusCode),
    #[error("the content type is not one of those expected")]
    ContentType,
    #[error("the answer is larger than 64 KiB")]
    TooLarge,
}

impl Egress {
    /// # Errors
    /// When the extra certificates cannot be read.
    pub fn new(settings: Settings) -> Result<Self, String> {
        Self::with(settings, Lookup::System)
    }

    fn with(settings: Settings, lookup: Lookup) -> Result<Self, String> {
        let roots = Certificate::from_pem_bundle(&settings.extra_roots)
            .map_err(|error| format!("no certificates in PEM: {error}"))?;
        let private_hosts = Arc::new(settings.private_hosts);
        let names = Arc::new(Names::new(private_hosts.clone(), lookup));
        let builder = || {
            Client::builder()
                .https_only(true)
                .redirect(redirect::Policy::none())
                .no_proxy()
                .referer(false)
                // A connection that is kept is one that somebody else decides about.
                .pool_max_idle_per_host(0)
                .dns_resolver(names.clone())
        };
        let client = builder().tls_certs_merge(roots.clone()).build();
        // A machine without certificates of its own can do everything else; what it fetches then has to be
        // signed under the extra ones.
        let client = client.or_else(|error| {
            tracing::warn!(%error, "the certificates that this system trusts could not be loaded");
            builder().tls_certs_only(roots).build()
        });
        Ok(Self(Arc::new(Inner {
            client: client.map_err(|error| format!("no https client: {error}"))?,
            private_hosts,
            places: Arc::new(Semaphore::new(AT_ONCE)),
            hosts: Mutex::default(),
        })))
    }

    /// The answer to a GET: status 200, of one of these content types, at most [`MAX_BODY`] bytes.
    ///
    /// # Errors
    /// For our log only; to whoever supplied the URL all of them are the same.
    pub async fn fetch(&self, url: &str, content_types: &[&str]) -> Result<Bytes, Error> {
        let url = self.checked(url)?;
        let exchange = async {
            let _places = self.wait_for_place(&url).await?;
            let request = self
                .0
                .client
                .get(url.clone())
                .header(ACCEPT, content_types.join(", "));
            read(request.send().await.map_err(failure)?, content_types).await
        };
        timeout(TIMEOUT, exchange).await.unwrap_or(Err(Error::Timeout))
    }

    /// The status of the answer to a POST. What else it says is not read.
    ///
    /// # Errors
    /// For our log only, when there is no answer.
    pub async fn post(
        &self,
        url: &str,
        content_type: &'static str,
        body: String,
    ) -> Result<StatusCode, Error> {
        let url = self.checked(url)?;
        let exchange = async {
            let _places = self.wait_for_place(&url).await?;
            let request = self.0.client.post(url.clone());
            let request = request.header(CONTENT_TYPE, content_type).body(body);
            Ok(request.send().await.map_err(failure)?.status())
        };
        timeout(TIMEOUT, exchange).await.unwrap_or(Err(Error::Timeout))
    }

    /// The same client with places of its own: a crowd that waits for those keeps nobody waiting for these.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self(Arc::new(Inner {
            client: self.0.client.clone(),
            private_hosts: self.0.private_hosts.clone(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
            hosts: Mutex::default(),
        }))
    }

    fn checked(&self, url: &str) -> Result<Url, Error> {
        let url = url::parse(url).map_err(Error::Url)?;
        url::check_host(&url, &self.0.private_hosts)?;
        Ok(url)
    }

    /// One of the places at the host, then one of all: who waits for a slow host takes no place from others.
    async fn wait_for_place(&self, url: &Url) -> Result<[OwnedSemaphorePermit; 2], Error> {
        let closed = |_| Error::Exchange("closed".to_owned());
        let host = self.places_at(url.host_str().unwrap_or_default());
        let at_host = host.acquire_owned().await.map_err(closed)?;
        let of_all = self.0.places.clone().acquire_owned().await.map_err(closed)?;
        Ok([at_host, of_all])
    }

    fn places_at(&self, host: &str) -> Arc<Semaphore> {
        let mut hosts = self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = hosts.get(host).and_then(Weak::upgrade) {
            return places;
        }
        hosts.retain(|_, places| places.strong_count() > 0);
        let places = Arc::new(Semaphore::new(AT_ONCE_PER_HOST));
        hosts.insert(host.to_owned(), Arc::downgrade(&places));
        places
    }
}

async fn read(mut response: Response, content_types: &[&str]) -> Result<Bytes, Error> {
    if response.status() != StatusCode::OK {
        return Err(Error::Status(response.status()));
    }
    if !is_of(response.headers(), content_types) {
        return Err(Error::ContentType);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failure)? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(Error::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}

/// Parameters of the type do not count.
fn is_of(headers: &HeaderMap, content_types: &[&str]) -> bool {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = given.and_then(|text| text.split(';').next()).map(str::trim);
    essence.is_some_and(|essence| {
        content_types
            .iter()
            .any(|wanted| wanted.eq_ignore_ascii_case(essence))
    })
}

/// What reqwest says is in its sources; whether a name was refused stands there too.
fn failure(error: reqwest::Error) -> Error {
    let mut text = String::new();
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(current) = cause {
        if current.is::<names::Refused>() {
            return Error::Address;
        }
        text = current.to_string();
        cause = current.source();
    }
    Error::Exchange(text)
}
