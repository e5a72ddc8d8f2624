//! What an app has on its side: keys to sign with, and a site behind https for what servers fetch from it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::response::IntoResponse as _;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// The certificate of every site here, and of servers that show one; who is under test trusts the authority behind
/// it and finds `localhost` at home. Both are as strict readers want them (RFC 5280 §4.2.1).
struct Identity {
    root: String,
    certificate: CertificateDer<'static>,
    pem: String,
    key: Vec<u8>,
    key_pem: String,
}

static IDENTITY: LazyLock<Identity> = LazyLock::new(|| {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "Authority of the tests");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate().expect("a key");
    let root = params.self_signed(&key).expect("a certificate").pem();
    let authority = Issuer::new(params, key);

    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.signed_by(&key, &authority).expect("a certificate");
    Identity {
        root,
        certificate: certificate.der().clone(),
        pem: certificate.pem(),
        key: key.serialize_der(),
        key_pem: key.serialize_pem(),
    }
});

/// The authority, for whoever asks a server that shows the certificate.
pub(crate) fn root() -> reqwest::Certificate {
    reqwest::Certificate::from_pem(IDENTITY.root.as_bytes()).expect("a certificate")
}

/// The certificate and its key as files in this folder, for a server that shows it.
pub(crate) fn files(folder: &Path) -> (PathBuf, PathBuf) {
    let (cert, key) = (folder.join("server.pem"), folder.join("server-key.pem"));
    std::fs::write(&cert, &IDENTITY.pem).expect("a file for the certificate");
    std::fs::write(&key, &IDENTITY.key_pem).expect("a file for the key");
    (cert, key)
}

/// How a server under test reaches these sites.
pub(crate) fn egress() -> egress::Settings {
    egress::Settings {
        private_hosts: ["localhost".to_owned()].into(),
        extra_roots: IDENTITY.root.clone().into_bytes(),
    }
}

/// The authority as a file in this folder, for a program in a process of its own.
pub(crate) fn root_file(folder: &Path) -> String {
    let file = folder.join("root.pem");
    std::fs::write(&file, &IDENTITY.root).expect("a file for the certificate");
    file.display().to_string()
}

/// What a site gives: a content type and a body for each path; 404 for others.
type Documents = Arc<Mutex<HashMap<String, (&'static str, Vec<u8>)>>>;

/// A site of an app, at `https://localhost` on a port of its own.
#[derive(Debug)]
pub(crate) struct Site {
    origin: String,
    documents: Documents,
    asked: Arc<Mutex<Vec<String>>>,
    posted: Arc<Mutex<Vec<Posted>>>,
}

/// What came by POST, to whatever path.
#[derive(Clone, Debug)]
pub(crate) struct Posted {
    pub(crate) path: String,
    pub(crate) content_type: String,
    pub(crate) body: String,
}

impl Site {
    pub(crate) async fn open() -> Self {
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(IDENTITY.key.clone()));
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![IDENTITY.certificate.clone()], private)
            .expect("a certificate and its key");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let (documents, asked) = (Documents::default(), Arc::<Mutex<Vec<String>>>::default());
        let posted = Arc::<Mutex<Vec<Posted>>>::default();
        let router = router(documents.clone(), asked.clone(), posted.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, service) = (acceptor.clone(), TowerToHyperService::new(router.clone()));
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                        let _ = served.await;
                    }
                });
            }
        });
        Self {
            origin: format!("https://localhost:{port}"),
            documents,
            asked,
            posted,
        }
    }

    /// The URL of a document, from now on.
    pub(crate) fn put(&self, path: &str, content_type: &'static str, body: impl Into<Vec<u8>>) -> String {
        let mut documents = self.documents.lock().expect("not poisoned");
        documents.insert(path.to_owned(), (content_type, body.into()));
        format!("{}{path}", self.origin)
    }

    pub(crate) fn take_away(&self, path: &str) {
        self.documents.lock().expect("not poisoned").remove(path);
    }

    /// What came by POST so far.
    pub(crate) fn posted(&self) -> Vec<Posted> {
        self.posted.lock().expect("not poisoned").clone()
    }

    /// Waits until so much came by POST.
    pub(crate) async fn await_posted(&self, count: usize) -> Vec<Posted> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let posted = self.posted();
            if posted.len() >= count {
                return posted;
            }
            assert!(Instant::now() < deadline, "{count} of {posted:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// How often anything was fetched.
    pub(crate) fn asked(&self) -> usize {
        self.asked.lock().expect("not poisoned").len()
    }
}

/// Far above what anybody takes to be told.
const PATIENCE: Duration = Duration::from_secs(30);

fn router(documents: Documents, asked: Arc<Mutex<Vec<String>>>, posted: Arc<Mutex<Vec<Posted>>>) -> Router {
    Router::new().fallback(async move |request: Request| {
        let path = request.uri().path().to_owned();
        asked.lock().expect("not poisoned").push(path.clone());
        if request.method() == Method::POST {
            let content_type = request.headers().get(CONTENT_TYPE);
            let content_type = content_type.and_then(|value| value.to_str().ok());
            let content_type = content_type.unwrap_or_default().to_owned();
            let body = to_bytes(request.into_body(), usize::MAX).await.expect("a body");
            posted.lock().expect("not poisoned").push(Posted {
                path: path.clone(),
                content_type,
                body: String::from_utf8(body.to_vec()).expect("text"),
            });
        }
        let found = documents.lock().expect("not poisoned").get(&path).cloned();
        match found {
            Some((content_type, body)) => ([(CONTENT_TYPE, content_type)], body).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        }
    })
}

/// A key of an app.
pub(crate) struct Key {
    pub(crate) kid: String,
    pub(crate) alg: &'static str,
    pair: Pair,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Key {
    pub(crate) fn new(alg: &'static str) -> Self {
        let pair = match alg {
            "RS256" | "PS256" => Pair::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"))),
            "ES256" => Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key")),
            "EdDSA" => Pair::Ed(Ed25519KeyPair::generate().expect("a key")),
            other => panic!("no such algorithm: {other}"),
        };
        Self {
            kid: protocol::random::id(),
            alg,
            pair,
        }
    }

    /// The public key.
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            // Out of the DER of a 2048-bit key: SEQUENCE, INTEGER, and a zero for the sign stand before it.
            Pair::Rsa(pair) => {
                json!({ "kty": "RSA", "n": b64(&pair.public_key().as_ref()[9..265]), "e": "AQAB" })
            }
            Pair::Ec(pair) => {
                let point = pair.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..]) })
            }
            Pair::Ed(pair) => json!({ "kty": "OKP", "crv": "Ed25519", "x": b64(pair.public_key().as_ref()) }),
        };
        jwk["kid"] = json!(self.kid);
        jwk["alg"] = json!(self.alg);
        jwk["use"] = json!("sig");
        jwk
    }

    /// The private key of an RSA pair (PKCS #8), for a program that signs for itself.
    pub(crate) fn pem(&self) -> String {
        let Pair::Rsa(pair) = &self.pair else {
            panic!("only RSA keys are given away");
        };
        let der: Pkcs8V1Der<'static> = pair.as_der().expect("a key");
        let encoded = STANDARD.encode(der.as_ref());
        format!("-----BEGIN PRIVATE KEY-----\n{encoded}\n-----END PRIVATE KEY-----\n")
    }

    pub(crate) fn jwks(&self) -> Value {
        json!({ "keys": [self.jwk()] })
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_as(&json!({ "alg": self.alg, "kid": self.kid }), claims)
    }

    /// Under any header.
    pub(crate) fn sign_as(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        let signature = self.signature(message.as_bytes());
        format!("{message}.{}", b64(signature))
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let encoding: &'static dyn RsaEncoding = match self.alg {
                    "PS256" => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message, &mut signature)
                    .expect("a signature");
                signature
            }
            Pair::Ec(pair) => pair
                .sign(&random, message)
                .expect("a signature")
                .as_ref()
                .to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

/// The claims of a client assertion as they should be, with these changed; null takes one away.
pub(crate) fn assertion(client_id: &str, aud: &str, now: i64, changes: &Value) -> Value {
    let mut claims = json!({
        "iss": client_id, "sub": client_id, "aud": aud, "jti": protocol::random::id(),
        "iat": now, "nbf": now, "exp": now + 60,
    });
    let members = claims.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => members.remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
    claims
}

/// By HS256: RFC 7518 §3.2.
pub(crate) fn sign_by_secret(claims: &Value, secret: impl AsRef<[u8]>) -> String {
    let message = format!("{}.{}", b64(r#"{"alg":"HS256"}"#), b64(claims.to_string()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_ref());
    format!("{message}.{}", b64(hmac::sign(&key, message.as_bytes())))
}

/// RFC 7523 §2.2.
pub(crate) fn asserted(assertion: String) -> [(&'static str, String); 2] {
    [
        (
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned(),
        ),
        ("client_assertion", assertion),
    ]
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
