//! Request objects behind a URL: OpenID Connect Core §6.2. Only URLs that the client registered are asked, and an
//! answer is kept for a moment: whoever opens an address of ours must not make us ask somebody else each time.
//!
//! A client that changes what is behind a URL gives the URL another fragment, and is not kept waiting. Fragments can
//! be made up by anybody, so a URL is asked a bounded number of times, whatever they say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clients::Client;
use egress::Egress;
use protocol::{Error, Timestamp};

/// How long an answer is kept, and how long a failure.
const KEPT: Duration = Duration::from_secs(60);
const KEPT_FAILURE: Duration = Duration::from_secs(5);
/// Fetches of one URL in any [`WINDOW`].
const MOST: u32 = 60;
const WINDOW: Duration = Duration::from_secs(60);
/// URLs of which an answer is kept. Beyond it, those first asked go.
const HELD: usize = 500;
/// Bytes of an object.
const MAX_OBJECT: usize = 16 * 1024;
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
    state: tokio::sync::Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: Option<Held>,
    window: Option<Timestamp>,
    fetches: u32,
}

#[derive(Debug)]
struct Held {
    /// None, when there was nothing to be had.
    object: Option<String>,
    /// Which the URL had then.
    fragment: String,
    until: Timestamp,
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
        let (url, fragment) = parts(url);
        if !client.metadata.request_uris.iter().any(|own| parts(own).0 == url) {
            return Err(Error::invalid_request_uri(
                "request_uri is not one of the request_uris that this client registered",
            ));
        }
        let place = self.place(url, now);
        let mut state = place.state.lock().await;
        if let Some(held) = state.held.as_ref().filter(|held| held.answers(fragment, now)) {
            return held.object.clone().ok_or_else(nothing);
        }
        if !state.may_fetch(now) {
            return Err(nothing());
        }
        let object = self.fetch(url, client).await;
        let kept = if object.is_some() { KEPT } else { KEPT_FAILURE };
        state.held = Some(Held {
            object: object.clone(),
            fragment: fragment.to_owned(),
            until: now + kept,
        });
        object.ok_or_else(nothing)
    }

    async fn fetch(&self, url: &str, client: &Client) -> Option<String> {
        let fetched = self.egress.fetch(url, OBJECT).await;
        let object = fetched.map_err(|error| error.to_string()).and_then(|bytes| {
            let text = str::from_utf8(&bytes).map_err(|_| "it is no text".to_owned())?;
            match text.trim_ascii() {
                text if text.len() > MAX_OBJECT => Err("it is larger than 16 KiB".to_owned()),
                text => Ok(text.to_owned()),
            }
        });
        if let Err(reason) = &object {
            let client_id = client.id.as_str();
            tracing::info!(client_id, url, reason, "a request object could not be fetched");
        }
        object.ok()
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
            state: tokio::sync::Mutex::default(),
        });
        places.insert(url.to_owned(), place.clone());
        place
    }
}

impl State {
    /// Counts this one, when it may.
    fn may_fetch(&mut self, now: Timestamp) -> bool {
        if self.window.is_none_or(|began| now >= began + WINDOW) {
            (self.window, self.fetches) = (Some(now), 0);
        }
        self.fetches += 1;
        self.fetches <= MOST
    }
}

impl Held {
    /// A fragment that is the digest of what is kept names it, whichever it had before.
    fn answers(&self, fragment: &str, now: Timestamp) -> bool {
        now < self.until
            && self
                .object
                .as_ref()
                .is_none_or(|object| self.fragment == fragment || seal::digest(object) == fragment)
    }
}

/// The URL as it is asked and registered, to the byte, and its fragment, which changes with what is behind it.
fn parts(url: &str) -> (&str, &str) {
    url.split_once('#').unwrap_or((url, ""))
}

/// The same for all failures: who wrote the URL must not scan our network with it.
fn nothing() -> Error {
    Error::invalid_request_uri(
        "what is behind request_uri cannot be had: expected status 200, a JWT of at most 16 KiB, within 5 seconds, \
         without redirect",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

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
            for registered in ["https://a.test/r#one", "https://a.test/r"] {
                assert_eq!(parts(registered).0 == parts(given).0, matches, "{given}");
            }
        }
    }

    #[test]
    fn what_is_kept_answers_for_its_fragment_and_its_digest_for_a_minute() {
        let held = |object: Option<&str>| Held {
            object: object.map(str::to_owned),
            fragment: "one".to_owned(),
            until: NOW + KEPT,
        };
        for (object, fragment, answers) in [
            (Some("a.b.c"), "one", true),
            (Some("a.b.c"), &seal::digest("a.b.c"), true),
            (Some("a.b.c"), "two", false),
            (Some("a.b.c"), "", false),
            (None, "two", true),
        ] {
            assert_eq!(
                held(object).answers(fragment, NOW),
                answers,
                "{object:?} {fragment}"
            );
            assert!(!held(object).answers(fragment, NOW + KEPT));
        }
    }

    #[test]
    fn c050_made_up_fragments_make_us_ask_a_bounded_number_of_times() {
        let mut state = State::default();
        let asked = (0..1000).filter(|_| state.may_fetch(NOW)).count();
        assert_eq!(asked, 60);
        assert!(!state.may_fetch(NOW + Duration::from_secs(59)));
        assert!(state.may_fetch(NOW + WINDOW));
    }
}
