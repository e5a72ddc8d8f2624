//! Where the keys are: RFC 8414 §3 and RFC 7517 §5. Decides what is asked, and how much of an answer is believed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::header::{ACCEPT, CACHE_CONTROL};
use http::{HeaderMap, StatusCode};
use jws::KeySet;
use protocol::path;
use reqwest::redirect::Policy;
use serde::Deserialize;
use url::{Host, Origin, Url};

use crate::seen::{self, Digest};
use crate::{Error, FeedError, Unavailable};

const TIMEOUT: Duration = Duration::from_secs(5);
pub(crate) const MAX_BODY: usize = 64 * 1024;

/// How long keys stay fresh: as the issuer says, within bounds that neither hammer it nor outlive a revoked key.
const FRESH: std::ops::RangeInclusive<u64> = 60..=3600;
const FRESH_BY_DEFAULT: u64 = 300;

#[derive(Debug)]
pub(crate) struct Issuer {
    name: String,
    metadata: Url,
    origin: Origin,
    endpoints: ArcSwapOption<Endpoints>,
    /// The metadata is to be read again before they are used.
    doubted: AtomicBool,
    http: reqwest::Client,
}

/// What the metadata names.
#[derive(Debug)]
struct Endpoints {
    jwks: Url,
    feed: Option<String>,
    introspection: Option<String>,
}

/// An answer that was read.
struct Answer {
    headers: HeaderMap,
    body: Vec<u8>,
}

/// The keys of the issuer as they were fetched.
pub(crate) struct Fetched {
    pub(crate) set: KeySet,
    /// How long they stay fresh.
    pub(crate) fresh: Duration,
    /// SHA-256 of the bytes: equal where nothing changed.
    pub(crate) digest: Digest,
}

/// The members of RFC 8414 §2 that count here.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
    /// Ours; registered nowhere.
    revocation_feed_endpoint: Option<String>,
    introspection_endpoint: Option<String>,
}

impl Issuer {
    /// # Errors
    /// When the issuer is not an https URL without query and fragment (RFC 8414 §2; http on loopback names).
    pub(crate) fn new(name: String) -> Result<Self, Error> {
        let url = Url::parse(&name).map_err(|_| Error::Issuer("it is not a URL"))?;
        if !is_safe(&url) {
            return Err(Error::Issuer("it must be https, or http on a loopback name"));
        }
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
            return Err(Error::Issuer("it must have no query, fragment or user"));
        }
        Ok(Self {
            metadata: metadata_url(&url),
            http: client(&url).map_err(|_| Error::Issuer("no TLS client can be made on this machine"))?,
            origin: url.origin(),
            endpoints: ArcSwapOption::empty(),
            doubted: AtomicBool::new(false),
            name,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The keys; past caches, those of now.
    pub(crate) async fn fetch(&self, past_caches: bool) -> Result<Fetched, Unavailable> {
        let endpoints = self.endpoints().await?;
        let answer = self.read(endpoints.jwks.clone(), past_caches).await;
        if let Err(Unavailable::Status(StatusCode::NOT_FOUND)) = &answer {
            self.doubt();
        }
        let answer = answer?;
        let set = KeySet::parse(&answer.body, None)?;
        if set.is_empty() {
            return Err(Unavailable::NoKeys);
        }
        Ok(Fetched {
            set,
            fresh: freshness(&answer.headers),
            digest: seen::digest(&answer.body),
        })
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// The endpoints may have moved: what the metadata says is looked up before the next use. Whoever meets this
    /// pauses before that, so that it is not done often.
    pub(crate) fn doubt(&self) {
        self.doubted.store(true, Ordering::Release);
    }

    /// Where revocations are told. An issuer that offers none is asked again: it may be a newer one tomorrow.
    pub(crate) async fn feed_endpoint(&self) -> Result<Url, FeedError> {
        let endpoints = self.endpoints().await.map_err(Arc::new)?;
        let Some(feed) = &endpoints.feed else {
            self.doubt();
            return Err(FeedError::NotOffered);
        };
        self.own(feed).inspect_err(|_| self.doubt())
    }

    /// Where the issuer says whether a token is active.
    pub(crate) async fn introspection_endpoint(&self) -> Result<Url, FeedError> {
        let endpoints = self.endpoints().await.map_err(Arc::new)?;
        let introspection = endpoints.introspection.as_deref();
        self.own(introspection.ok_or(FeedError::NoIntrospection)?)
    }

    /// Our credentials go only to the issuer itself.
    fn own(&self, endpoint: &str) -> Result<Url, FeedError> {
        let url = Url::parse(endpoint).ok();
        url.filter(|url| is_safe(url) && url.origin() == self.origin && url.fragment().is_none())
            .ok_or(FeedError::Endpoint)
    }

    async fn endpoints(&self) -> Result<Arc<Endpoints>, Unavailable> {
        let known = self.endpoints.load_full();
        let is_doubted = self.doubted.swap(false, Ordering::AcqRel);
        if let (Some(known), false) = (&known, is_doubted) {
            return Ok(Arc::clone(known));
        }
        match (self.discover().await, known) {
            (Ok(found), _) => {
                let found = Arc::new(found);
                self.endpoints.store(Some(Arc::clone(&found)));
                Ok(found)
            }
            // A feed that is gone must not take the keys with it.
            (Err(_), Some(known)) => Ok(known),
            (Err(cause), None) => Err(cause),
        }
    }

    async fn discover(&self) -> Result<Endpoints, Unavailable> {
        let answer = self.read(self.metadata.clone(), false).await?;
        let metadata: Metadata = serde_json::from_slice(&answer.body).map_err(Unavailable::Metadata)?;
        if metadata.issuer != self.name {
            return Err(Unavailable::OtherIssuer(metadata.issuer));
        }
        let jwks = Url::parse(&metadata.jwks_uri).ok().filter(is_safe);
        Ok(Endpoints {
            jwks: jwks.ok_or(Unavailable::JwksUri)?,
            feed: metadata.revocation_feed_endpoint,
            introspection: metadata.introspection_endpoint,
        })
    }

    async fn read(&self, url: Url, past_caches: bool) -> Result<Answer, Unavailable> {
        let lost = |error: reqwest::Error| Unavailable::Http(error.into());
        let mut request = self.http.get(url).header(ACCEPT, "application/json");
        if past_caches {
            // RFC 9111 §5.2.1.4.
            request = request.header(CACHE_CONTROL, "no-cache");
        }
        let mut response = request.send().await.map_err(lost)?;
        if response.status() != StatusCode::OK {
            return Err(Unavailable::Status(response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(Unavailable::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            headers: response.headers().clone(),
            body,
        })
    }
}

/// Follows no redirect: whoever can redirect us could hand us keys.
fn client(issuer: &Url) -> reqwest::Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(Policy::none());
    match issuer.scheme() {
        "https" => builder.https_only(true),
        // Loopback needs no proxy, and no certificates, which a small machine may lack.
        _ => builder.no_proxy().tls_certs_only([]),
    }
    .build()
}

/// RFC 8414 §3.1: the well-known path stands between the host and the path of the issuer.
fn metadata_url(issuer: &Url) -> Url {
    let mut url = issuer.clone();
    let own = issuer.path().trim_end_matches('/');
    url.set_path(&format!("{}{own}", path::AUTHORIZATION_SERVER));
    url
}

fn is_safe(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    url.scheme() == "https" || url.scheme() == "http" && loopback
}

/// `max-age` of RFC 9111 §5.2.2.1, within our bounds.
fn freshness(headers: &HeaderMap) -> Duration {
    let directives = headers
        .get_all(CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let max_age = directives
        .flat_map(|value| value.split(','))
        .filter_map(|directive| directive.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("max-age"))
        .and_then(|(_, seconds)| seconds.trim().parse().ok());
    let seconds: u64 = max_age.unwrap_or(FRESH_BY_DEFAULT);
    Duration::from_secs(seconds.clamp(*FRESH.start(), *FRESH.end()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_metadata_stands_before_the_path_of_the_issuer() {
        for (issuer, expected) in [
            (
                "https://id.test",
                "https://id.test/.well-known/oauth-authorization-server",
            ),
            (
                "https://id.test/",
                "https://id.test/.well-known/oauth-authorization-server",
            ),
            (
                "https://id.test/a/b",
                "https://id.test/.well-known/oauth-authorization-server/a/b",
            ),
            (
                "https://id.test:8443/a/",
                "https://id.test:8443/.well-known/oauth-authorization-server/a",
            ),
        ] {
            assert_eq!(metadata_url(&Url::parse(issuer).unwrap()).as_str(), expected);
        }
    }

    #[test]
    fn an_issuer_is_https_or_loopback_and_nothing_else() {
        for good in [
            "https://id.test/a",
            "http://localhost:8080",
            "http://127.0.0.1",
            "http://[::1]:1",
        ] {
            assert!(Issuer::new(good.to_owned()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "id.test",
            "http://id.test",
            "http://localhost.id.test",
            "http://10.0.0.1",
            "ftp://localhost",
            "https://id.test/?a",
            "https://id.test/#a",
            "https://me@id.test/",
            "file:///etc/passwd",
        ] {
            assert!(
                matches!(Issuer::new(bad.to_owned()), Err(Error::Issuer(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn freshness_is_between_a_minute_and_an_hour() {
        for (value, seconds) in [
            ("max-age=600", 600),
            ("public, Max-Age = 600, immutable", 600),
            ("max-age=0", 60),
            ("max-age=99999999", 3600),
            ("max-age=99999999999999999999999", 300),
            ("max-age=-1", 300),
            ("s-maxage=600", 300),
            ("no-store", 300),
            ("", 300),
        ] {
            let headers = HeaderMap::from_iter([(CACHE_CONTROL, HeaderValue::from_static(value))]);
            assert_eq!(freshness(&headers), Duration::from_secs(seconds), "{value}");
        }
    }
}
