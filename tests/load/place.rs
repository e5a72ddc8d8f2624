//! A server in this process with everything switched on, and those who call it.

use std::net::SocketAddr;
use std::path::Path;

use accounts::email::Email;
use accounts::passwords::HasherSettings;
use accounts::sessions::{self, Acr, Amr, SignIn};
use accounts::users::{self, Draft};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clients::{ResourceServer, Trust, resources};
use countersign::background::Background;
use countersign::listener::{self, Limits};
use countersign::middleware::Shell;
use countersign::settings::{Flags, Mode, Settings};
use countersign::wiring::Parts;
use db::{BoxFuture, Conn, Database};
use egress::Egress;
use events::Context;
use grants::consents::{self, Confirmed};
use keyring::{Keyring, MasterKey, Policy};
use protocol::{
    ClientId, Clock, ConsentId, FlowId, Issuer, Routes, Scope, Secret, SessionId, SigningAlg, Subject,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// Of the API whose tokens ES256 signs, and of the one whose tokens RS256 signs.
pub(crate) const APIS: [Api; 2] = [
    Api {
        identifier: "https://api.example.com/",
        alg: SigningAlg::Es256,
        scope: "read",
    },
    Api {
        identifier: "https://old-api.example.com/",
        alg: SigningAlg::Rs256,
        scope: "read-old",
    },
];
pub(crate) const REDIRECT_URI: &str = "https://app.example.com/cb";

#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) identifier: &'static str,
    pub(crate) alg: SigningAlg,
    pub(crate) scope: &'static str,
}

#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    /// The same listener around nothing but a "hello": what our layers cost is the difference.
    pub(crate) bare: SocketAddr,
    pub(crate) parts: Parts,
    pub(crate) app: Caller,
    pub(crate) machine: Caller,
    pub(crate) asking: Caller,
    pub(crate) sub: Subject,
    pub(crate) session_id: SessionId,
    pub(crate) consent_id: ConsentId,
    _background: Background,
    _folder: TempDir,
    _temporary: db::testing::Temporary,
}

/// Who proves who it is with a secret.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) id: String,
    pub(crate) authorization: String,
}

impl Place {
    pub(crate) async fn open(database: &db::Url) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let issuer = Issuer::parse(&format!("http://{address}")).expect("an issuer");
        let parts = parts(issuer, database, folder.path()).await;
        let limits = unlimited();
        serve(listener, &parts, limits.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let bare = listener.local_addr().expect("bound");
        tokio::spawn(listener::serve(
            listener,
            hello().into_router(),
            limits,
            std::future::pending(),
        ));

        for api in &APIS {
            define(api, &parts).await;
        }
        let asking = secret_of(&APIS[0], &parts).await;
        let app = register(
            json!({
                "client_name": "App",
                "redirect_uris": [REDIRECT_URI],
                "grant_types": ["authorization_code", "refresh_token"],
            }),
            &parts,
        );
        let app = app.await;
        let scopes = APIS.map(|api| api.scope).join(" ");
        let machine = json!({
            "client_name": "Machine", "grant_types": ["client_credentials"], "response_types": [],
            "redirect_uris": [], "scope": scopes,
        });
        let machine = register(machine, &parts).await;
        let (sub, session_id) = sign_in(&parts).await;
        let consent_id = allow(&sub, &app, &session_id, &parts).await;
        parts.clients.refresh().await.expect("the database");
        Self {
            _background: Background::start(&parts),
            _folder: folder,
            _temporary: db::testing::temporary(database),
            address,
            bare,
            parts,
            app,
            machine,
            asking,
            sub,
            session_id,
            consent_id,
        }
    }

    pub(crate) fn client_id(&self) -> ClientId {
        self.app.id.as_str().into()
    }

    /// The keys as a command beside the servers has them.
    pub(crate) async fn operator(&self, database: &db::Url) -> Keyring {
        let db = Database::connect(database).await.expect("the database");
        let now = self.parts.clock.now();
        let master = MasterKey::open(self._folder.path(), &db, now).await;
        let keyring = Keyring::open(&db, master.expect("the master key"), Policy::default(), now);
        keyring.await.expect("the keys")
    }

    /// One more server on the same database, as a second replica is.
    pub(crate) async fn replica(&self, database: &db::Url) -> Replica {
        let parts = parts(self.parts.issuer.clone(), database, self._folder.path()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        serve(listener, &parts, unlimited());
        Replica {
            address,
            _background: Background::start(&parts),
        }
    }
}

/// Shares the database of a [`Place`] and nothing else.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) address: SocketAddr,
    _background: Background,
}

async fn parts(issuer: Issuer, database: &db::Url, keys: &Path) -> Parts {
    let egress = Egress::new(egress::Settings::default()).expect("a client");
    let hasher = HasherSettings::default();
    let parts = Parts::open(issuer, database, keys, egress, hasher, Clock::System).await;
    parts.expect("the server opens")
}

fn serve(listener: TcpListener, parts: &Parts, limits: Limits) {
    let shell = Shell::new(&parts.issuer, Default::default(), limits.clone());
    let app = parts.routes(hello(), shell).into_router();
    tokio::spawn(listener::serve(listener, app, limits, std::future::pending()));
}

/// One client asks more than any client may.
fn unlimited() -> Limits {
    let environment = [("COUNTERSIGN_LIMITS".to_owned(), "off".to_owned())];
    let settings = Settings::load(Flags::default(), environment.into_iter(), None, Mode::Command);
    Limits::new(&settings.expect("valid settings"))
}

fn hello() -> Routes {
    Routes::new().route("/hello", get(|| async { "hello" }))
}

/// All that the user may ever allow.
fn scope() -> Scope {
    Scope::parse("openid profile email offline_access read read-old").expect("a scope")
}

async fn write<T, W>(parts: &Parts, work: W) -> T
where
    T: Send + 'static,
    W: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T, protocol::Error>> + Send + 'static,
{
    parts.db.transact(work).await.expect("a write")
}

async fn define(api: &Api, parts: &Parts) {
    let scopes = [(api.scope.to_owned(), "Read your reports".to_owned())].into();
    let own = ResourceServer::define(api.identifier, "Reports", api.alg, scopes, parts.clock.now());
    let own = own.expect("valid");
    let defined = write(parts, move |conn| {
        Box::pin(async move { resources::insert(&own, &Context::server(), conn).await })
    });
    defined.await;
}

async fn secret_of(api: &Api, parts: &Parts) -> Caller {
    let (identifier, now) = (api.identifier, parts.clock.now());
    let added = write(parts, move |conn| {
        Box::pin(async move { resources::secrets::add(identifier, &Context::server(), conn, now).await })
    });
    Caller::new(identifier, &added.await.secret)
}

async fn register(document: Value, parts: &Parts) -> Caller {
    let (now, vault) = (parts.clock.now(), parts.vault());
    let registered = write(parts, move |conn| {
        Box::pin(async move {
            registry::register(&document, Trust::Trusted, &vault, &Context::server(), conn, now).await
        })
    });
    let registered = registered.await;
    Caller::new(
        registered.client.id.as_str(),
        &registered.secret.expect("a secret"),
    )
}

async fn sign_in(parts: &Parts) -> (Subject, SessionId) {
    let now = parts.clock.now();
    let draft = Draft::new(Email::parse("load@example.com").expect("an address"));
    let signed_in = write(parts, move |conn| {
        Box::pin(async move {
            let user = users::insert(draft, &Context::server(), conn, now).await;
            let user = user.expect("a user");
            let proof = SignIn {
                presented: None,
                device: None,
                sub: user.sub.clone(),
                epoch: user.epoch,
                persistent: true,
                user_agent: String::new(),
                flow_id: None,
                flow_cookie: None,
                acr: Acr::Pwd,
                amr: vec![Amr::Pwd],
            };
            let signed_in = sessions::sign_in(proof, &Context::server(), conn, now).await?;
            Ok((user.sub, signed_in.expect("a session").session.session_id))
        })
    });
    signed_in.await
}

async fn allow(sub: &Subject, app: &Caller, session_id: &SessionId, parts: &Parts) -> ConsentId {
    let (sub, client_id) = (sub.clone(), ClientId::from(app.id.as_str()));
    let confirmed = Confirmed {
        sub: sub.clone(),
        client_id: client_id.clone(),
        client_version: 1,
        scope: scope(),
        resources: APIS.map(|api| api.identifier.to_owned()).to_vec(),
        claims: Vec::new(),
        session_id: session_id.clone(),
        flow_id: FlowId::random(),
    };
    let now = parts.clock.now();
    let allowed = write(parts, move |conn| {
        Box::pin(async move {
            consents::record(&confirmed, &Context::server(), conn, now).await?;
            let consent = consents::of(&sub, &client_id, conn).await?;
            Ok(consent.expect("the consent").id)
        })
    });
    allowed.await
}

impl Caller {
    /// RFC 6749 §2.3.1: both halves are form-urlencoded.
    fn new(id: &str, secret: &Secret) -> Self {
        let encoded = id.replace(':', "%3A").replace('/', "%2F");
        let pair = format!("{encoded}:{}", secret.expose());
        Self {
            id: id.to_owned(),
            authorization: format!("Basic {}", STANDARD.encode(pair)),
        }
    }
}
