//! The settings of the contract, as an operator gives them to the real binary: what each does, and what is without it.
//! That a value is well formed is tested where it is read; certificates, TLS and proxies have tests of their own.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::app::{answer, post};
use crate::harness::process::{Process, free_port, run};
use crate::harness::rp::{self, Key, Site, asserted, assertion};
use crate::harness::visitor::client;
use crate::harness::{Answer, App, World};

/// A server with nothing set but where it is, and this.
struct Server {
    world: World,
    folder: TempDir,
    _process: Process,
}

impl Server {
    async fn with(settings: &[(&str, &str)]) -> Self {
        let (folder, port) = (tempfile::tempdir().expect("a folder"), free_port());
        let issuer = format!("http://127.0.0.1:{port}");
        let settings = [&[("COUNTERSIGN_ISSUER", issuer.as_str())], settings].concat();
        let process = Process::serve(folder.path(), &[], &settings, port).await;
        let file = folder.path().join("data/countersign.db");
        let database = format!("sqlite://{}", file.display()).parse().expect("a URL");
        Self {
            world: World::beside(&issuer, &database).await,
            folder,
            _process: process,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    async fn metadata(&self) -> Value {
        let document = self
            .world
            .visitor()
            .get("/.well-known/openid-configuration")
            .await;
        document.json()
    }

    async fn register(&self, more: Value) -> Answer {
        let mut document = json!({
            "redirect_uris": ["https://app.example.com/cb"], "grant_types": ["authorization_code", "refresh_token"],
        });
        for (name, value) in more.as_object().expect("an object") {
            document[name] = value.clone();
        }
        answer(client().post(self.world.at("/register")).json(&document)).await
    }

    async fn registered(&self, more: Value) -> Value {
        let answer = self.register(more).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.json()
    }

    /// Whether a client is let in by an assertion for this audience.
    async fn admits(&self, client_id: &str, key: &Key, aud: &str) -> bool {
        let claims = assertion(client_id, aud, self.world.now().as_secs(), &json!({}));
        let mut params = asserted(key.sign(&claims)).to_vec();
        params.push(("grant_type", "refresh_token".to_owned()));
        params.push(("refresh_token", "none".to_owned()));
        let answer = post(&self.world, "/token", &[], &params).await;
        match answer.json()["error"].as_str() {
            Some("invalid_grant") => true,
            Some("invalid_client") => false,
            _ => panic!("{}", answer.body),
        }
    }
}

fn app(registered: &Value) -> App {
    App {
        id: registered["client_id"].as_str().expect("an id").to_owned(),
        secret: registered["client_secret"].as_str().map(Into::into),
        redirect_uri: "https://app.example.com/cb".to_owned(),
    }
}

const OPEN: (&str, &str) = ("COUNTERSIGN_REGISTRATION", "open");
const PLAIN: [(&str, &str); 2] = [("code_challenge", ""), ("code_challenge_method", "")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_an_issuer_alone_everything_is_as_the_contract_says() {
    let server = Server::with(&[]).await;
    for file in ["data/countersign.db", "keys/master.key"] {
        assert!(server.path().join(file).exists(), "{file}");
    }
    let metadata = server.metadata().await;
    for absent in ["registration_endpoint", "mtls_endpoint_aliases"] {
        assert_eq!(metadata.get(absent), None);
    }
    assert_eq!(metadata["response_types_supported"], json!(["code"]));
    assert_eq!(metadata["require_pushed_authorization_requests"], false);
    assert_eq!(server.register(json!({})).await.status, 403);

    // Nothing is fetched from private addresses, whatever an app has registered.
    let (site, key) = (Site::open().await, Key::new("ES256"));
    let jwks_uri = site.put("/jwks", "application/json", key.jwks().to_string());
    let metadata = json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": jwks_uri });
    let app = server.world.app_with(metadata).await;
    server.world.heard().await;
    assert!(!server.admits(&app.id, &key, &server.world.issuer).await);
    assert_eq!(site.asked(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registration_that_is_open_is_for_strangers_who_are_bound_to_everything() {
    let server = Server::with(&[OPEN]).await;
    let issuer = server.world.issuer.clone();
    assert_eq!(
        server.metadata().await["registration_endpoint"],
        format!("{issuer}/register")
    );
    let key = Key::new("ES256");
    let own = server
        .registered(json!({
            "token_endpoint_auth_method": "private_key_jwt", "jwks": key.jwks(),
            "require_pkce": false, "assertion_audience": "compatible",
        }))
        .await;
    assert_eq!(own["require_pkce"], true);
    assert_eq!(
        own["grant_types"],
        json!(["authorization_code"]),
        "no refresh tokens for strangers"
    );
    assert_eq!(own.get("assertion_audience"), None, "the issuer alone");
    let id = own["client_id"].as_str().expect("an id");
    assert!(server.admits(id, &key, &issuer).await);
    assert!(!server.admits(id, &key, &format!("{issuer}/token")).await);
    let refused = server.world.visitor().open(&app(&own).url(&PLAIN)).await;
    assert!(refused.has("id=\"leave\""), "unverified: {}", refused.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_of_those_who_register_themselves_holds_for_them() {
    let server = Server::with(&[
        OPEN,
        ("COUNTERSIGN_REGISTRATION_TRUST", "trusted"),
        ("COUNTERSIGN_REGISTRATION_REQUIRE_PKCE", "false"),
        ("COUNTERSIGN_REGISTRATION_ASSERTION_AUDIENCE", "compatible"),
    ])
    .await;
    let (issuer, key) = (server.world.issuer.clone(), Key::new("ES256"));
    let keyed = json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": key.jwks() });
    let own = server.registered(keyed.clone()).await;
    assert_eq!(own["grant_types"], json!(["authorization_code", "refresh_token"]));
    assert_eq!(own["require_pkce"], false);
    assert_eq!(own["assertion_audience"], "compatible");
    let id = own["client_id"].as_str().expect("an id");
    for aud in [&issuer, &format!("{issuer}/token")] {
        assert!(server.admits(id, &key, aud).await, "{aud}");
    }
    let page = server.world.visitor().open(&app(&own).url(&PLAIN)).await;
    assert!(page.asks_to_sign_in(), "{}", page.body);

    // Whoever wants to be stricter with itself is.
    let mut strict = keyed;
    strict["assertion_audience"] = json!("issuer");
    strict["require_pkce"] = json!(true);
    let own = server.registered(strict).await;
    assert_eq!(own["require_pkce"], true);
    let id = own["client_id"].as_str().expect("an id");
    assert!(server.admits(id, &key, &issuer).await);
    assert!(!server.admits(id, &key, &format!("{issuer}/token")).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registration_by_token_wants_one_that_the_operator_made() {
    let server = Server::with(&[("COUNTERSIGN_REGISTRATION", "token")]).await;
    assert_eq!(server.register(json!({})).await.status, 401);
    let made = run(server.path(), &["client", "token", "create", "--json"], &[], "").await;
    assert_eq!(made.code, Some(0), "{made:?}");
    let made: Value = serde_json::from_str(&made.stdout).expect("JSON");
    let token = made["initial_access_token"].as_str().expect("a token");
    let document = json!({ "redirect_uris": ["https://app.example.com/cb"] });
    for status in [201, 401] {
        let request = client().post(server.world.at("/register")).bearer_auth(token);
        assert_eq!(answer(request.json(&document)).await.status, status);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_on_until_they_are_turned_off() {
    const MOST: usize = 30;
    for (settings, last) in [(&[OPEN][..], 429), (&[OPEN, ("COUNTERSIGN_LIMITS", "off")], 201)] {
        let server = Server::with(settings).await;
        for _ in 0..MOST {
            server.registered(json!({})).await;
        }
        assert_eq!(server.register(json!({})).await.status, last, "{settings:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn response_types_and_pushed_requests_are_as_they_are_set() {
    let server = Server::with(&[
        OPEN,
        ("COUNTERSIGN_RESPONSE_TYPES", "all"),
        ("COUNTERSIGN_REQUIRE_PUSHED_AUTHORIZATION_REQUESTS", "true"),
    ])
    .await;
    let metadata = server.metadata().await;
    assert_eq!(
        metadata["response_types_supported"].as_array().map(Vec::len),
        Some(6)
    );
    assert_eq!(metadata["require_pushed_authorization_requests"], true);
    let own = server
        .registered(json!({ "grant_types": ["implicit"], "response_types": ["id_token"] }))
        .await;
    assert_eq!(own["response_types"], json!(["id_token"]));

    let app = server.world.app().await;
    server.world.heard().await;
    let bare = server.world.visitor().open(&app.url(&[])).await;
    bare.assert_error("invalid_request");
    let secret = app.secret.as_ref().expect("a secret").expose().to_owned();
    let mut params = app.request();
    params.push(("client_secret", secret));
    let pushed = post(&server.world, "/par", &[], &params).await;
    assert_eq!(pushed.status, 201, "{}", pushed.body);
    let reference = pushed.json()["request_uri"]
        .as_str()
        .expect("a reference")
        .to_owned();
    let url = app.url(&[("request_uri", &reference)]);
    assert!(server.world.visitor().open(&url).await.asks_to_sign_in());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_host_is_asked_where_it_is_named_and_its_certificate_is_trusted() {
    let (site, key, folder) = (
        Site::open().await,
        Key::new("ES256"),
        tempfile::tempdir().expect("a folder"),
    );
    let root = rp::root_file(folder.path());
    let (named, trusted) = (
        ("COUNTERSIGN_EGRESS_ALLOW_PRIVATE", "localhost"),
        ("COUNTERSIGN_EGRESS_CA", root.as_str()),
    );
    let jwks_uri = site.put("/jwks", "application/json", key.jwks().to_string());
    for (settings, asked) in [(&[named][..], 0), (&[trusted], 0), (&[named, trusted], 1)] {
        let server = Server::with(settings).await;
        let metadata = json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": jwks_uri });
        let app = server.world.app_with(metadata).await;
        server.world.heard().await;
        let let_in = server.admits(&app.id, &key, &server.world.issuer).await;
        assert_eq!((let_in, site.asked()), (asked == 1, asked), "{settings:?}");
    }
}
