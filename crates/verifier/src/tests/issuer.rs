//! An issuer that can rotate, break, disappear, and tell of revocations.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, get, post};
use http::header::CACHE_CONTROL;
use http::{HeaderMap, StatusCode};
use jose::SigningKey;
use protocol::SigningAlg;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::revocations::{self, Revocations};
use crate::{Builder, Clock, Verifier};

pub(super) const AUDIENCE: &str = "https://api.test";
pub(super) const START: i64 = 1_800_000_000;

/// What the issuer answers with, and how often it was asked.
pub(super) struct Issuer {
    pub(super) url: String,
    pub(super) metadata: Mutex<Value>,
    pub(super) keys: Mutex<Vec<SigningKey>>,
    /// Further members of the key set.
    pub(super) odd_keys: Mutex<Vec<Value>>,
    pub(super) revocations: Revocations,
    pub(super) mood: Mutex<Mood>,
    pub(super) asked: AtomicUsize,
    /// How often past caches.
    pub(super) past_caches: AtomicUsize,
    /// The keys are no longer where they were.
    pub(super) has_moved: AtomicBool,
    pub(super) now: Arc<AtomicI64>,
}

#[derive(Clone, Copy)]
pub(super) enum Mood {
    Well,
    Failing,
    Silent,
}

impl Issuer {
    /// An issuer under a path, with one key.
    pub(super) async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/tenant", listener.local_addr().unwrap());
        let issuer = Arc::new(Self {
            metadata: Mutex::new(json!({
                "issuer": url,
                "jwks_uri": format!("{url}/jwks"),
                "revocation_feed_endpoint": format!("{url}/revocations"),
                "introspection_endpoint": format!("{url}/introspect"),
            })),
            odd_keys: Mutex::default(),
            revocations: Revocations::default(),
            keys: Mutex::new(vec![SigningKey::generate(SigningAlg::Es256).unwrap()]),
            mood: Mutex::new(Mood::Well),
            asked: AtomicUsize::new(0),
            past_caches: AtomicUsize::new(0),
            has_moved: AtomicBool::new(false),
            now: Arc::new(AtomicI64::new(START)),
            url,
        });
        let router = Router::new()
            .route("/.well-known/oauth-authorization-server/tenant", get(metadata))
            .route("/tenant/jwks", get(jwks))
            .route("/tenant/keys", get(keys))
            .route("/tenant/revocations", get(revocations::answer))
            .route("/tenant/introspect", post(revocations::introspect))
            .route("/elsewhere", any(revocations::elsewhere))
            .route("/moved", get(|| async { Redirect::to("/tenant/jwks") }))
            .route("/huge", get(|| async { " ".repeat(64 * 1024 + 1) }))
            .route("/empty", get(|| async { r#"{"keys":[]}"# }))
            .with_state(Arc::clone(&issuer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        issuer
    }

    pub(super) fn verifier(&self) -> Verifier {
        self.builder().build().unwrap()
    }

    pub(super) fn builder(&self) -> Builder {
        let clock = Clock::Manual(Arc::clone(&self.now));
        Verifier::discover(&self.url).audience(AUDIENCE).clock(clock)
    }

    /// A new key in front of the others.
    pub(super) fn rotate(&self) {
        let key = SigningKey::generate(SigningAlg::Es256).unwrap();
        self.keys.lock().unwrap().insert(0, key);
    }

    pub(super) fn token(&self, changes: &Value) -> String {
        self.sign("at+jwt", changes)
    }

    /// Signs with the first key; null removes a claim.
    pub(super) fn sign(&self, typ: &str, changes: &Value) -> String {
        let now = self.now.load(Ordering::SeqCst);
        let mut claims = json!({
            "iss": self.url, "aud": AUDIENCE, "sub": "user", "client_id": "app", "jti": "token",
            "exp": now + 900, "iat": now, "scope": "openid reports:read",
            "approval": "approval", "client_generation": 0,
        });
        claims
            .as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        claims
            .as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        self.keys.lock().unwrap()[0].sign(typ, &claims).unwrap()
    }

    pub(super) fn turn(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub(super) fn pass(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn metadata(State(issuer): State<Arc<Issuer>>) -> Response {
    answer(&issuer, |issuer| issuer.metadata.lock().unwrap().to_string()).await
}

async fn jwks(state: State<Arc<Issuer>>, headers: HeaderMap) -> Response {
    match state.0.has_moved.load(Ordering::SeqCst) {
        true => StatusCode::NOT_FOUND.into_response(),
        false => keys(state, headers).await,
    }
}

async fn keys(State(issuer): State<Arc<Issuer>>, headers: HeaderMap) -> Response {
    issuer.asked.fetch_add(1, Ordering::SeqCst);
    if headers.get(CACHE_CONTROL).is_some_and(|own| own == "no-cache") {
        issuer.past_caches.fetch_add(1, Ordering::SeqCst);
    }
    answer(&issuer, |issuer| {
        let keys = issuer.keys.lock().unwrap();
        let mut keys: Vec<Value> = keys.iter().map(SigningKey::public_jwk).collect();
        keys.extend(issuer.odd_keys.lock().unwrap().iter().cloned());
        json!({ "keys": keys }).to_string()
    })
    .await
}

async fn answer(issuer: &Issuer, body: impl Fn(&Issuer) -> String) -> Response {
    let mood = *issuer.mood.lock().unwrap();
    match mood {
        Mood::Well => ([(CACHE_CONTROL, "public, max-age=300")], body(issuer)).into_response(),
        Mood::Failing => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Mood::Silent => std::future::pending().await,
    }
}
