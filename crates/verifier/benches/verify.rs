//! What it costs a resource server to look at a token: `cargo bench -p countersign-verifier`. For each algorithm the
//! bare check of the signature, a token never seen before (cold) and one seen before (warm), with so many live
//! revocations at hand, taken from a feed over a real connection. One element is one token of one core.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot be made has to fail")]
#![allow(clippy::print_stdout, reason = "the figures that are no times")]

use std::convert::Infallible;
use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_verifier::{Algorithm, Clock, Credentials, Verifier};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::{FutureExt as _, stream};
use jose::SigningKey;
use jws::VerifyingKey;
use protocol::{ApprovalId, SigningAlg};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const AUDIENCE: &str = "https://api.example.com/";
const REVOCATIONS: [usize; 3] = [0, 10_000, 1_000_000];

struct Issuer {
    url: String,
    keys: Vec<SigningKey>,
    records: usize,
}

impl Issuer {
    async fn start(records: usize) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let keys = SigningAlg::ALL
            .iter()
            .map(|alg| SigningKey::generate(*alg).unwrap());
        let issuer = Arc::new(Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            keys: keys.collect(),
            records,
        });
        let router = Router::new()
            .route("/.well-known/oauth-authorization-server", get(metadata))
            .route("/jwks", get(jwks))
            .route("/revocations", get(revocations))
            .with_state(Arc::clone(&issuer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        issuer
    }

    fn key(&self, alg: SigningAlg) -> &SigningKey {
        self.keys.iter().find(|key| key.alg() == alg).unwrap()
    }

    fn token(&self, alg: SigningAlg) -> String {
        let now = Clock::System.now().as_secs();
        let claims = json!({
            "iss": self.url, "sub": "3q2-7wAAAAAAAAAAAAAAAA", "aud": AUDIENCE, "exp": now + 7200, "iat": now,
            "jti": "AAAAAAAAAAAAAAAAAAAAAA", "client_id": "BBBBBBBBBBBBBBBBBBBBBB", "scope": "read write",
            "approval": "CCCCCCCCCCCCCCCCCCCCCC", "client_generation": 1, "auth_time": now,
            "acr": "urn:countersign:pwd",
        });
        self.key(alg).sign("at+jwt", &claims).unwrap()
    }

    /// As many ended approvals, sealed.
    fn snapshot(&self) -> String {
        let (now, records) = (Clock::System.now().as_secs(), self.records);
        let mut text =
            json!({ "feed": "F", "issuer": self.url, "after": 0, "sequence": records }).to_string();
        text.push('\n');
        for n in 1..=records {
            let approval = ApprovalId::random();
            writeln!(
                text,
                r#"{{"n":{n},"approval":"{approval}","until":{}}}"#,
                now + 7200
            )
            .unwrap();
        }
        let seal = json!({
            "iss": self.url, "iat": now, "feed": "F", "after": 0, "sequence": records, "records": records,
            "digest": URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes())),
        });
        let jws = self
            .key(SigningAlg::Es256)
            .sign("revocations+jwt", &seal)
            .unwrap();
        writeln!(text, "{}", json!({ "records": records, "jws": jws })).unwrap();
        text
    }
}

async fn metadata(State(issuer): State<Arc<Issuer>>) -> String {
    let url = &issuer.url;
    json!({
        "issuer": url, "jwks_uri": format!("{url}/jwks"), "revocation_feed_endpoint": format!("{url}/revocations"),
    })
    .to_string()
}

async fn jwks(State(issuer): State<Arc<Issuer>>) -> impl IntoResponse {
    let keys: Vec<Value> = issuer.keys.iter().map(SigningKey::public_jwk).collect();
    (
        [(CACHE_CONTROL, "max-age=3600")],
        json!({ "keys": keys }).to_string(),
    )
}

async fn revocations(State(issuer): State<Arc<Issuer>>, headers: HeaderMap) -> Response {
    if headers
        .get(ACCEPT)
        .is_none_or(|accept| accept != "text/event-stream")
    {
        return issuer.snapshot().into_response();
    }
    let beat = format!(
        "event: beat\nid: F.{0}\ndata: {{\"sequence\":{0}}}\n\n",
        issuer.records
    );
    let beats = stream::unfold((beat, Duration::ZERO), |(beat, pause)| async move {
        tokio::time::sleep(pause).await;
        let bytes = Ok::<_, Infallible>(Bytes::from(beat.clone()));
        Some((bytes, (beat, Duration::from_secs(5))))
    });
    ([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(beats)).into_response()
}

fn verify(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let _inside = runtime.enter();
    for records in REVOCATIONS {
        let issuer = runtime.block_on(Issuer::start(records));
        let before = resident();
        let discover = || {
            let feed = Credentials::basic(AUDIENCE, "secret");
            Verifier::discover(&issuer.url)
                .audience(AUDIENCE)
                .revocation_feed(feed)
        };
        let warm = runtime.block_on(discover().into_future()).unwrap();
        let status = warm.feed().unwrap();
        assert_eq!(status.records, records);
        println!(
            "{records} revocations: {} bytes ({:.1} a record); the process grew by {} KiB while it took them in",
            status.bytes,
            status.bytes as f64 / records.max(1) as f64,
            resident().saturating_sub(before),
        );
        let cold = runtime.block_on(discover().remember(0).into_future()).unwrap();
        for alg in SigningAlg::ALL {
            let token = issuer.token(*alg);
            let mut group = criterion.benchmark_group(format!("{alg}/{records}"));
            group
                .throughput(Throughput::Elements(1))
                .measurement_time(Duration::from_secs(3));
            let (message, signature) = token.rsplit_once('.').unwrap();
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            let key = VerifyingKey::from_jwk(&issuer.key(*alg).public_jwk(), None).unwrap();
            assert_eq!(key.alg(), Algorithm::from(*alg));
            group.bench_function("bare", |bencher| {
                bencher.iter(|| key.verify(black_box(message.as_bytes()), &signature).unwrap());
            });
            for (name, verifier) in [("cold", &cold), ("warm", &warm)] {
                group.bench_function(name, |bencher| {
                    bencher.iter(|| {
                        verifier
                            .verify(black_box(&token))
                            .now_or_never()
                            .unwrap()
                            .unwrap()
                    });
                });
            }
            group.finish();
        }
    }
}

/// Memory of this process in KiB.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}

criterion_group!(tokens, verify);
criterion_main!(tokens);
