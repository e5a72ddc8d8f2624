//! Request objects behind a URL: OpenID Connect Core §6.2. Only URLs that the client registered are asked, and an
//! answer is kept for a moment: whoever opens an address of ours must not make us ask somebody else each time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clients::Client;
use egress::Egress;
use protocol::{Error, Timestamp};

/// How long an answer is kept, and how long a failure. A client that changes what is behind a URL gives it another
/// fragment, the digest of it (§6.2), and is not kept waiting.
const KEPT: Duration = Duration::from_secs(60);
const KEPT_FAILURE: Duration = Duration::from_secs(5);
const HELD: usize = 500;
const OBJECT: &[&str] = &[
    "application/oauth-authz-req+jwt",
    "application/jwt",
    "application/jose",
    "text/plain",
    "application/octet-stream",
];

#[derive(Debug)]
pub(super) struct Fetched {
    egress: Egress,
    places: Mutex<HashMap<String, Arc<Place>>>,
}

/// What was behind one URL. Whoever fetches holds the lock, so that one fetches for all who wait.
#[derive(Debug)]
struct Place {
    made_at: Timestamp,
    held: tokio::sync::Mutex<Option<(Option<String>, Timestamp)>>,
}

impl Fetched {
    pub(super) fn new(egress: Egress) -> Self {
        Self {
            egress,
            places: Mutex::default(),
        }
    }

    /// # Errors
    /// `invalid_request_uri`: one that the client did not register, or nothing that can be had there.
    pub(super) async fn object(&self, url: &str, client: &Client, now: Timestamp) -> Result<String, Error> {
        if !client.metadata.request_uris.iter().any(|own| same(own, url)) {
            return Err(Error::invalid_request_uri(
                "request_uri is not one of the request_uris that this client registered",
            ));
        }
        let place = self.place(url, now);
        let mut held = place.held.lock().await;
        if let Some((object, until)) = &*held
            && now < *until
        {
            return object.clone().ok_or_else(nothing);
        }
        let fetched = self
            .egress
            .fetch(url, OBJECT)
            .await
            .map_err(|error| error.to_string());
        let object = fetched.and_then(|bytes| {
            let text = String::from_utf8(bytes.into()).map_err(|_| "it is no text".to_owned())?;
            Ok(text.trim_ascii().to_owned())
        });
        if let Err(reason) = &object {
            tracing::info!(
                client_id = client.id.as_str(),
                reason,
                "a request object could not be fetched"
            );
        }
        let kept = if object.is_ok() { KEPT } else { KEPT_FAILURE };
        let object = object.ok();
        *held = Some((object.clone(), now + kept));
        object.ok_or_else(nothing)
    }

    fn place(&self, url: &str, now: Timestamp) -> Arc<Place> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.get(url) {
            return place.clone();
        }
        if places.len() >= HELD {
            let oldest = places.iter().min_by_key(|(_, place)| place.made_at);
            if let Some(oldest) = oldest.map(|(url, _)| url.clone()) {
                places.remove(&oldest);
            }
        }
        let place = Arc::new(Place {
            made_at: now,
            held: tokio::sync::Mutex::default(),
        });
        places.insert(url.to_owned(), place.clone());
        place
    }
}

/// To the byte, but for the fragment: that changes with what is behind the URL, and is never sent there.
fn same(registered: &str, given: &str) -> bool {
    let without = |url: &str| url.split_once('#').map_or(url.len(), |(before, _)| before.len());
    registered.get(..without(registered)) == given.get(..without(given))
}

/// The same for all failures: who wrote the URL must not scan our network with it.
fn nothing() -> Error {
    Error::invalid_request_uri(
        "what is behind request_uri cannot be had: expected status 200, a JWT, within 5 seconds, without redirect",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registered_url_is_matched_to_the_byte_but_for_its_fragment() {
        for (given, matches) in [
            ("https://a.test/r", true),
            ("https://a.test/r#digest", true),
            ("https://a.test/r#", true),
            ("https://a.test/r/", false),
            ("https://a.test/r?x", false),
            ("https://a.test/", false),
            ("HTTPS://a.test/r", false),
            ("", false),
        ] {
            assert_eq!(same("https://a.test/r#one", given), matches, "{given}");
            assert_eq!(same("https://a.test/r", given), matches, "{given}");
        }
    }
}
