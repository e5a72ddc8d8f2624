//! A stand-in for the authorization server: the endpoints that a client sees, and a script by which a test
//! makes them lie.

use std::sync::{Arc, Mutex, MutexGuard};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use aws_lc_rs::{digest, hmac};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, StatusCode};
use protocol::Timestamp;
use protocol::form::Form;
use serde_json::{Value, json};

pub(super) const CLIENT_ID: &str = "demo";
pub(super) const CLIENT_SECRET: &str = "a secret that only the two of us know";
pub(super) const ACCESS_TOKEN_SECONDS: i64 = 900;

#[derive(Clone)]
pub(super) struct Issuer(Arc<Inner>);

struct Inner {
    url: String,
    key: RsaKeyPair,
    script: Mutex<Script>,
}

/// What the endpoints say, and what they were told.
#[derive(Default)]
pub(super) struct Script {
    pub(super) down: bool,
    /// The key that signs, and the one that the key set shows.
    pub(super) kid: String,
    pub(super) published_kid: String,
    pub(super) discoveries: usize,
    /// Members laid over the ID token's; `null` removes one.
    pub(super) id_token: Value,
    /// HS256 with the client secret instead of RS256.
    pub(super) hmac: bool,
    pub(super) access_token: String,
    pub(super) userinfo_sub: Option<String>,
    pub(super) name: String,
    /// Forms that the token endpoint got.
    pub(super) redeemed: Vec<Vec<(String, String)>>,
    pub(super) refresh_ends: bool,
    /// Tokens that were revoked.
    pub(super) revoked: Vec<String>,
    /// Whether it has an end_session_endpoint.
    pub(super) ends_sessions: bool,
    pub(super) now: i64,
}

impl Issuer {
    /// Serves on a free port of the loopback address.
    pub(super) async fn serve(now: Timestamp) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = Self(Arc::new(Inner {
            url: format!("http://{}", listener.local_addr().unwrap()),
            key: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            script: Mutex::new(Script {
                kid: "first".to_owned(),
                published_kid: "first".to_owned(),
                access_token: "access".to_owned(),
                name: "Ada Lovelace".to_owned(),
                now: now.as_secs(),
                ..Script::default()
            }),
        }));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/.well-known/oauth-authorization-server", get(metadata))
            .route("/jwks", get(jwks))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .route("/revoke", post(revoke))
            .with_state(issuer.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        issuer
    }

    pub(super) fn url(&self) -> &str {
        &self.0.url
    }

    pub(super) fn script(&self) -> MutexGuard<'_, Script> {
        self.0.script.lock().unwrap()
    }

    /// An access token of RFC 9068.
    pub(super) fn access_token(&self, audience: &str, scope: &str) -> String {
        let now = self.script().now;
        let claims = json!({
            "iss": self.url(), "sub": "ada", "aud": [audience, self.url()], "client_id": CLIENT_ID,
            "iat": now, "exp": now + ACCESS_TOKEN_SECONDS, "jti": protocol::random::id(), "scope": scope,
            "approval": "approval", "client_generation": 0,
        });
        self.sign("at+jwt", &claims)
    }

    fn id_token(&self) -> String {
        let script = self.script();
        let half = |text: &str| {
            URL_SAFE_NO_PAD.encode(&digest::digest(&digest::SHA256, text.as_bytes()).as_ref()[..16])
        };
        let mut claims = json!({
            "iss": self.url(), "sub": "ada", "aud": CLIENT_ID, "iat": script.now, "exp": script.now + 3600,
            "at_hash": half(&script.access_token),
        });
        for (name, value) in script.id_token.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        claims
            .as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        drop(script);
        self.sign("JWT", &claims)
    }

    fn sign(&self, typ: &str, claims: &Value) -> String {
        let script = self.script();
        let alg = if script.hmac { "HS256" } else { "RS256" };
        let header = json!({ "alg": alg, "typ": typ, "kid": script.kid });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", part(&header), part(claims));
        let signature = if script.hmac {
            let key = hmac::Key::new(hmac::HMAC_SHA256, CLIENT_SECRET.as_bytes());
            hmac::sign(&key, input.as_bytes()).as_ref().to_vec()
        } else {
            let mut signature = vec![0; self.0.key.public_modulus_len()];
            let random = SystemRandom::new();
            self.0
                .key
                .sign(&RSA_PKCS1_SHA256, &random, input.as_bytes(), &mut signature)
                .unwrap();
            signature
        };
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

async fn metadata(State(issuer): State<Issuer>) -> Response {
    issuer.script().discoveries += 1;
    if issuer.script().down {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let url = issuer.url();
    Json(json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "userinfo_endpoint": format!("{url}/userinfo"),
        "jwks_uri": format!("{url}/jwks"),
        "revocation_endpoint": format!("{url}/revoke"),
        "end_session_endpoint": issuer.script().ends_sessions.then(|| format!("{url}/logout")),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "HS256"],
        "authorization_response_iss_parameter_supported": true,
    }))
    .into_response()
}

async fn jwks(State(issuer): State<Issuer>) -> Json<Value> {
    // In the DER of a 2048-bit key: after SEQUENCE, INTEGER and a zero for the sign.
    let modulus = &issuer.0.key.public_key().as_ref()[9..265];
    Json(json!({ "keys": [{
        "kty": "RSA", "alg": "RS256", "use": "sig", "kid": issuer.script().published_kid,
        "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB",
    }] }))
}

async fn token(State(issuer): State<Issuer>, headers: HeaderMap, Form(form): Form) -> Response {
    assert!(
        headers[http::header::AUTHORIZATION]
            .to_str()
            .unwrap()
            .starts_with("Basic ")
    );
    let names = [
        "grant_type",
        "code",
        "code_verifier",
        "redirect_uri",
        "refresh_token",
    ];
    let got = names
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), form.get(name)?.to_owned())));
    issuer.script().redeemed.push(got.collect());

    let is_refresh = form.get("refresh_token").is_some();
    if is_refresh && issuer.script().refresh_ends {
        let error = Json(json!({ "error": "invalid_grant", "error_description": "it was taken back" }));
        return (StatusCode::BAD_REQUEST, error).into_response();
    }
    let id_token = issuer.id_token();
    let script = issuer.script();
    let mut answer = json!({
        "access_token": script.access_token, "token_type": "Bearer", "expires_in": ACCESS_TOKEN_SECONDS,
        "refresh_token": format!("refresh-{}", script.redeemed.len()),
    });
    if !is_refresh && script.id_token != Value::Bool(false) {
        answer["id_token"] = id_token.into();
    }
    Json(answer).into_response()
}

async fn revoke(State(issuer): State<Issuer>, headers: HeaderMap, Form(form): Form) {
    let credentials = format!("{CLIENT_ID}:{}", CLIENT_SECRET.replace(' ', "+"));
    let expected = format!("Basic {}", STANDARD.encode(credentials));
    assert_eq!(headers[http::header::AUTHORIZATION], expected);
    let token = form.get("token").unwrap().to_owned();
    issuer.script().revoked.push(token);
}

async fn userinfo(State(issuer): State<Issuer>, headers: HeaderMap) -> Json<Value> {
    let script = issuer.script();
    assert_eq!(
        headers[http::header::AUTHORIZATION],
        format!("Bearer {}", script.access_token)
    );
    let sub = script.userinfo_sub.as_deref().unwrap_or("ada");
    Json(json!({ "sub": sub, "name": script.name, "email": "ada@example.com" }))
}
