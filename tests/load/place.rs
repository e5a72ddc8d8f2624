//! A server in this process with everything switched on, and rows to work with.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use accounts::email::Email;
use accounts::passwords::HasherSettings;
use accounts::sessions::{self, Acr, Amr, SignIn};
use accounts::users::{self, Draft};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clients::Trust;
use countersign::background::Background;
use countersign::listener::{self, Limits};
use countersign::middleware::Shell;
use countersign::settings::{Flags, Mode, Settings};
use countersign::wiring::Parts;
use egress::Egress;
use grants::consents::{self, Confirmed};
use issuance::{Approved, Approving, Gate};
use protocol::pkce::CodeChallenge;
use protocol::{ClientId, Clock, FlowId, Issuer, ResponseType, Scope, SessionId, Subject};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;

/// RFC 7636 Appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const REDIRECT_URI: &str = "https://app.example.com/cb";

#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    pub(crate) parts: Parts,
    pub(crate) authorization: String,
    gate: Gate,
    client_id: ClientId,
    sub: Subject,
    session_id: SessionId,
    minted: Arc<AtomicU64>,
    _background: Background,
    _folder: TempDir,
    _temporary: db::testing::Temporary,
}

impl Place {
    pub(crate) async fn open(database: db::Url) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let issuer = Issuer::parse(&format!("http://{address}")).expect("an issuer");
        let parts = Parts::open(
            issuer,
            &database,
            folder.path(),
            Egress::new(egress::Settings::default()).expect("a client"),
            HasherSettings::default(),
            Clock::System,
        )
        .await;
        let parts = parts.expect("the server opens");
        let environment = [("COUNTERSIGN_LIMITS".to_owned(), "off".to_owned())];
        let settings = Settings::load(Flags::default(), environment.into_iter(), None, Mode::Command);
        let settings = settings.expect("valid settings");
        let limits = Limits::new(&settings);
        let shell = Shell::new(&parts.issuer, settings.trusted_proxies, limits.clone());
        let hello = axum::Router::new().route("/hello", axum::routing::get(|| async { "hello" }));
        let app = parts.router_with(hello, shell);
        tokio::spawn(listener::serve(listener, app, limits, std::future::pending()));

        let (client_id, authorization) = register(&parts).await;
        let (sub, session_id) = sign_in(&parts).await;
        let place = Self {
            gate: Gate::new(parts.db.clone(), parts.keyring.clone(), parts.issuer.clone()),
            _background: Background::start(&parts),
            _folder: folder,
            _temporary: db::testing::temporary(&database),
            minted: Arc::new(AtomicU64::new(0)),
            address,
            parts,
            authorization,
            client_id,
            sub,
            session_id,
        };
        place.allow().await;
        place
    }

    /// A new authorization code, as the authorization endpoint would have made it.
    pub(crate) async fn code(&self) -> String {
        let now = self.parts.clock.now();
        let mut conn = self.parts.db.reader().await.expect("a reader");
        let consent = consents::of(&self.sub, &self.client_id, &mut conn).await;
        let consent = consent.expect("a read").expect("the consent");
        drop(conn);
        let approving = Approving {
            flow_id: FlowId::random(),
            client_id: self.client_id.clone(),
            client_version: 1,
            client_generation: 1,
            sub: self.sub.clone(),
            session_id: self.session_id.clone(),
            consent_id: consent.id,
            response_type: ResponseType::Code,
            scope: scope(),
            resources: Vec::new(),
            claims: Default::default(),
            beyond: Vec::new(),
            offline: true,
            auth_time: now,
            acr: Acr::Pwd.to_string(),
            amr: vec![Amr::Pwd.to_string()],
            redirect_uri: REDIRECT_URI.to_owned(),
            redirect_uri_implied: false,
            code_challenge: Some(CodeChallenge::try_from(CHALLENGE.to_owned()).expect("a challenge")),
            nonce: Some("nonce".to_owned()),
        };
        self.minted.fetch_add(1, Ordering::Relaxed);
        match self.gate.approve(approving, now).await.expect("a write") {
            Approved::Granted(granted) => granted.code().expect("a code").expose().to_owned(),
            other => panic!("no code: {other:?}"),
        }
    }

    pub(crate) fn redemption(&self, code: &str) -> Vec<u8> {
        let body = format!(
            "grant_type=authorization_code&code={code}&redirect_uri=https%3A%2F%2Fapp.example.com%2Fcb\
             &code_verifier={VERIFIER}"
        );
        super::client::post("/token", &self.authorization, &body)
    }

    async fn allow(&self) {
        let confirmed = Confirmed {
            sub: self.sub.clone(),
            client_id: self.client_id.clone(),
            client_version: 1,
            scope: scope(),
            resources: Vec::new(),
            claims: Vec::new(),
            session_id: self.session_id.clone(),
            flow_id: FlowId::random(),
        };
        let now = self.parts.clock.now();
        let work = self.parts.db.transact(move |conn| {
            Box::pin(async move { consents::record(&confirmed, &events::Context::server(), conn, now).await })
        });
        work.await.expect("a consent");
    }
}

fn scope() -> Scope {
    Scope::parse("openid profile email offline_access").expect("a scope")
}

async fn register(parts: &Parts) -> (ClientId, String) {
    let document = json!({
        "client_name": "Load",
        "redirect_uris": [REDIRECT_URI],
        "grant_types": ["authorization_code", "refresh_token"],
    });
    let now = parts.clock.now();
    let work = parts.db.transact(move |conn| {
        Box::pin(async move {
            registry::register(&document, Trust::Trusted, &events::Context::server(), conn, now).await
        })
    });
    let registered = work.await.expect("a client");
    let secret = registered.secret.expect("a secret");
    let pair = format!("{}:{}", registered.client.id, secret.expose());
    (registered.client.id, format!("Basic {}", STANDARD.encode(pair)))
}

async fn sign_in(parts: &Parts) -> (Subject, SessionId) {
    let now = parts.clock.now();
    let draft = Draft::new(Email::parse(&format!("{}@example.com", now.as_secs())).expect("an address"));
    let work = parts.db.transact(move |conn| {
        Box::pin(async move {
            let user = users::insert(draft, &events::Context::server(), conn, now)
                .await
                .expect("a user");
            let proof = SignIn {
                presented: None,
                sub: user.sub.clone(),
                epoch: user.epoch,
                persistent: true,
                user_agent: String::new(),
                flow_id: None,
                acr: Acr::Pwd,
                amr: vec![Amr::Pwd],
            };
            let signed_in = sessions::sign_in(proof, &events::Context::server(), conn, now)
                .await?
                .expect("a session");
            Ok::<_, db::Error>((user.sub, signed_in.session.session_id))
        })
    });
    work.await.expect("a session")
}
