//! The public keys of clients: RFC 7591 §2, `jwks` and `jwks_uri`. Decides which keys a client has at this moment.
//!
//! What stands behind a URL is kept for minutes. A client that changes its keys is not made to wait for that: a
//! token which no kept key vouches for has them fetched again, a bounded number of times, since strangers can send
//! such tokens too. When the client's server does not answer, the keys it last gave still count for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use egress::Egress;
use jose::EncryptionKey;
use jws::{Alg, KeySet, Typ, Unverified, Verified};
use protocol::{JweAlg, Timestamp};
use serde_json::Value;

use crate::Client;

/// As long as this nobody asks again for keys that vouch for what comes.
const FRESH: Duration = Duration::from_secs(5 * 60);
/// And as long as this, when asking fails.
const STALE: Duration = Duration::from_secs(60 * 60);
/// Fetches of one URL in any [`WINDOW`], whatever is asked.
const MOST: u32 = 12;
const WINDOW: Duration = Duration::from_secs(60);
/// URLs whose keys are kept. Beyond it, those fetched longest ago go.
const HELD: usize = 1000;

const JWK_SET: &[&str] = &["application/json", "application/jwk-set+json"];

/// The keys of all clients, behind any number of clones.
#[derive(Clone, Debug)]
pub struct Keys(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    egress: Egress,
    places: Mutex<HashMap<String, Arc<Place>>>,
}

/// What stands behind one URL. Whoever fetches holds the lock, so that one fetches for all who wait.
#[derive(Debug, Default)]
struct Place {
    fetched_at: Mutex<Option<Timestamp>>,
    state: tokio::sync::Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    keys: Option<Held>,
    window: Option<Timestamp>,
    fetches: u32,
    /// Counts the fetches: what one caller found wanting, another may have replaced by now.
    turn: u64,
}

#[derive(Clone, Debug)]
struct Held {
    pub(crate) keys: Arc<Published>,
    fetched_at: Timestamp,
    turn: u64,
}

/// A key set of a client: what checks its signatures, and the whole of it, in which there may be keys to encrypt to.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) checking: KeySet,
    jwks: Value,
}

impl Published {
    fn read(jwks: Value) -> Result<Self, jws::Error> {
        Ok(Self {
            checking: KeySet::of_client(&jwks)?,
            jwks,
        })
    }

    fn parse(json: &[u8]) -> Result<Self, String> {
        let jwks = jws::json::object(json).map_err(|error| error.to_string())?;
        Self::read(Value::Object(jwks)).map_err(|error| error.to_string())
    }
}

/// Keys that a client has.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) keys: Arc<Published>,
    /// The fetch that brought them; none for keys that stand in the registration.
    turn: Option<u64>,
}

impl Keys {
    pub fn new(egress: Egress) -> Self {
        Self(Arc::new(Inner {
            egress,
            places: Mutex::default(),
        }))
    }

    /// Checks what a client signed: by its keys, and when they do not vouch for it, by newer ones.
    ///
    /// # Errors
    /// For our log: why no key of the client vouches for it.
    pub async fn vouch<'t>(
        &self,
        client: &Client,
        token: &'t Unverified,
        allowed: &[Alg],
        typ: Typ,
        now: Timestamp,
    ) -> Result<Verified<'t>, String> {
        let found = self.of(client, now).await;
        let found = found.ok_or_else(|| "the client's keys cannot be had".to_owned())?;
        let error = match token.verify(&found.keys.checking, allowed, typ) {
            Ok(verified) => return Ok(verified),
            Err(error) => error,
        };
        match self.newer(client, &found, now).await {
            Some(newer) => token
                .verify(&newer.keys.checking, allowed, typ)
                .map_err(|error| error.to_string()),
            None => Err(error.to_string()),
        }
    }

    /// The key to encrypt to for this client, if it has one that is meant for this algorithm.
    pub async fn encryption_key(
        &self,
        client: &Client,
        alg: JweAlg,
        now: Timestamp,
    ) -> Option<EncryptionKey> {
        if let Some(jwks) = &client.metadata.jwks {
            return EncryptionKey::choose(jwks, alg);
        }
        let found = self.of(client, now).await?;
        if let Some(key) = EncryptionKey::choose(&found.keys.jwks, alg) {
            return Some(key);
        }
        let newer = self.newer(client, &found, now).await?;
        EncryptionKey::choose(&newer.keys.jwks, alg)
    }

    /// The keys of a client. None, when it has registered none or they cannot be had.
    pub(crate) async fn of(&self, client: &Client, now: Timestamp) -> Option<Found> {
        if let Some(jwks) = &client.metadata.jwks {
            let keys = Arc::new(Published::read(jwks.clone()).ok()?);
            return Some(Found { keys, turn: None });
        }
        let url = client.metadata.jwks_uri.as_deref()?;
        let place = self.place(url);
        let mut state = place.state.lock().await;
        if let Some(held) = state.younger_than(FRESH, now) {
            return Some(held.into());
        }
        self.fetch(url, &place, &mut state, now).await;
        state.younger_than(STALE, now).map(Found::from)
    }

    /// Newer ones than those, which did not vouch for a token.
    pub(crate) async fn newer(&self, client: &Client, than: &Found, now: Timestamp) -> Option<Found> {
        let (url, turn) = (client.metadata.jwks_uri.as_deref()?, than.turn?);
        if protocol::defect("keys-never-fetched-again") {
            return None;
        }
        let place = self.place(url);
        let mut state = place.state.lock().await;
        if state.keys.as_ref().is_some_and(|held| held.turn == turn) {
            self.fetch(url, &place, &mut state, now).await;
        }
        let held = state.younger_than(STALE, now)?;
        (held.turn != turn).then(|| held.into())
    }

    async fn fetch(&self, url: &str, place: &Place, state: &mut State, now: Timestamp) {
        if !state.may_fetch(now) {
            return;
        }
        let fetched = self
            .0
            .egress
            .fetch(url, JWK_SET)
            .await
            .map_err(|error| error.to_string());
        let keys = fetched.and_then(|json| Published::parse(&json));
        match keys {
            Ok(keys) => {
                state.turn += 1;
                state.keys = Some(Held {
                    keys: Arc::new(keys),
                    fetched_at: now,
                    turn: state.turn,
                });
                *place.fetched_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
            }
            Err(reason) => tracing::info!(url, reason, "the keys of a client could not be fetched"),
        }
    }

    fn place(&self, url: &str) -> Arc<Place> {
        let mut places = self.0.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.get(url) {
            return place.clone();
        }
        if places.len() >= HELD {
            let age = |place: &Arc<Place>| *place.fetched_at.lock().unwrap_or_else(PoisonError::into_inner);
            let oldest = places.iter().min_by_key(|(_, place)| age(place));
            if let Some(oldest) = oldest.map(|(url, _)| url.clone()) {
                places.remove(&oldest);
            }
        }
        places.entry(url.to_owned()).or_default().clone()
    }
}

impl State {
    fn younger_than(&self, age: Duration, now: Timestamp) -> Option<Held> {
        let held = self.keys.as_ref()?;
        (now < held.fetched_at + age).then(|| held.clone())
    }

    /// Counts this one, when it may.
    fn may_fetch(&mut self, now: Timestamp) -> bool {
        if self.window.is_none_or(|began| now >= began + WINDOW) {
            (self.window, self.fetches) = (Some(now), 0);
        }
        self.fetches += 1;
        self.fetches <= MOST
    }
}

impl From<Held> for Found {
    fn from(held: Held) -> Self {
        Self {
            keys: held.keys,
            turn: Some(held.turn),
        }
    }
}
