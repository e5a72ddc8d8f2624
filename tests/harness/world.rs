//! A running server with a database of its own, and hands to put clients and users into it.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use accounts::claims::Claim;
use accounts::email::Email;
use accounts::passwords::{Breached, Cost, Hasher, HasherSettings, Password};
use accounts::users::{self, Draft, User};
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use clients::{Directory, ResourceServer, Trust, Vault, resources};
use countersign::background::Background;
use countersign::listener::{self, Limits, Socket};
use countersign::middleware::Shell;
use countersign::settings::{Flags, KeySettings, Mode, Mtls, Settings};
use countersign::tls::{Clients, Tls};
use countersign::wiring::Parts;
use db::Database;
use db::testing::{Temporary, temporary};
use egress::Egress;
use events::Context;
use http::header::CONTENT_TYPE;
use keyring::{Keyring, MasterKey, Policy};
use pages::Operator;
use protocol::{
    Answers, Clock, Issuer, PushedRequests, ResponseTypes, Route, Routes, Secret, SignUp, SigningAlg,
};
use registry::Terms;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::app::App;
use super::process::{Process, free_port};
use super::rp;
use super::visitor::{Visitor, client};

pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// Tests register clients over HTTP where that is what they are about.
const REGISTRATION: (&str, &str) = ("COUNTERSIGN_REGISTRATION", "open");

/// Far above what a notice takes on a loaded machine.
const HEARING: Duration = Duration::from_millis(700);

/// A server, or two of them, as a test sees it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) issuer: String,
    /// Where requests go, in turn.
    origins: Vec<String>,
    turn: AtomicUsize,
    pub(crate) db: Database,
    clock: Option<Arc<AtomicI64>>,
    hasher: Hasher,
    /// Seals secrets of clients as the server does; closed where a test does not need that.
    pub(crate) vault: Vault,
    running: Running,
    _temporary: Option<Temporary>,
}

#[derive(Debug)]
enum Running {
    Here {
        server: JoinHandle<()>,
        router: Router,
        hasher: Hasher,
        routes: Arc<[Route]>,
        keyring: Keyring,
        clients: Directory,
        _background: Option<Background>,
        _folder: TempDir,
    },
    Elsewhere {
        _replicas: Arc<Replicas>,
    },
    Alone {
        process: Process,
        _folder: TempDir,
    },
    /// The test starts its server, and ends it.
    ByTheTest,
}

/// What a server in this process has of its own, where it is not as usual.
#[derive(Debug, Default)]
pub(crate) struct Own {
    /// Without a path. Requests go to the server all the same.
    pub(crate) issuer: Option<&'static str>,
    /// An issuer behind https, which it serves itself.
    pub(crate) tls: bool,
    pub(crate) hasher: Option<HasherSettings>,
    pub(crate) response_types: Option<ResponseTypes>,
    pub(crate) pushed_requests: PushedRequests,
    pub(crate) registration: Option<Terms>,
    /// How its keys turn.
    pub(crate) policy: Option<Policy>,
    /// COUNTERSIGN_LIMITS, which is off.
    pub(crate) limits: Option<&'static str>,
    /// COUNTERSIGN_TRUSTED_PROXIES, which are none.
    pub(crate) proxies: Option<&'static str>,
    pub(crate) mtls: Option<Asking>,
    /// Where it may go; otherwise to the sites of the tests.
    pub(crate) egress: Option<egress::Settings>,
    /// Where mail goes; none is sent without.
    pub(crate) mail: Option<mail::Way>,
    /// Who may make an account; nobody without.
    pub(crate) sign_up: Option<SignUp>,
    /// What its pages say of the people who run it.
    pub(crate) operator: Operator,
    /// Passwords that nobody may choose.
    pub(crate) breached: Option<Breached>,
    /// Nothing goes on but what is asked for: no mail leaves the queue.
    pub(crate) only_requests: bool,
}

/// How clients are asked for certificates.
#[derive(Debug)]
pub(crate) struct Asking {
    pub(crate) mtls: Mtls,
    /// The second listener, where the server has one.
    pub(crate) listener: Option<TcpListener>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Self::Here { server, .. } = self {
            server.abort();
        }
    }
}

impl World {
    pub(crate) async fn sqlite() -> Self {
        Self::here(db::testing::sqlite_url()).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::here(db::testing::postgres_url().await).await
    }

    /// Two processes on one PostgreSQL. They are shared by the tests that run at the same time, each with users
    /// and clients of its own.
    pub(crate) async fn replicas() -> Self {
        static SHARED: Mutex<Weak<Replicas>> = Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        let replicas = match shared.upgrade() {
            Some(replicas) => replicas,
            None => {
                let replicas = Arc::new(Replicas::start().await);
                *shared = Arc::downgrade(&replicas);
                replicas
            }
        };
        drop(shared);
        Self {
            issuer: replicas.issuer.clone(),
            origins: replicas
                .ports
                .iter()
                .map(|port| format!("http://127.0.0.1:{port}"))
                .collect(),
            turn: AtomicUsize::new(0),
            db: Database::connect(&replicas.database)
                .await
                .expect("the replicas' database"),
            clock: None,
            hasher: cheap_hasher(),
            vault: replicas.vault.clone(),
            running: Running::Elsewhere { _replicas: replicas },
            _temporary: None,
        }
    }

    /// On a database that the test has made.
    pub(crate) async fn on(database: db::Url) -> Self {
        Self::here(database).await
    }

    async fn here(database: db::Url) -> Self {
        Self::here_with(database, Own::default()).await
    }

    pub(crate) async fn sqlite_with(own: Own) -> Self {
        Self::here_with(db::testing::sqlite_url(), own).await
    }

    /// One process on a SQLite file, for what only a process has: its [log](Self::log).
    pub(crate) async fn process(environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for database and keys");
        let port = free_port();
        let issuer = format!("http://127.0.0.1:{port}");
        let environment = [
            environment,
            &[("COUNTERSIGN_ISSUER", &issuer), ("COUNTERSIGN_LIMITS", "off")],
        ]
        .concat();
        let process = Process::serve(folder.path(), &[], &environment, port).await;
        Self::alone(issuer, process, folder).await
    }

    /// The same behind HTTPS, as client libraries want it.
    pub(crate) async fn https(environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for database and keys");
        let port = free_port();
        let issuer = format!("https://localhost:{port}");
        let (cert, key) = rp::files(folder.path());
        let (cert, key) = (cert.display().to_string(), key.display().to_string());
        let environment = [
            environment,
            &[
                ("COUNTERSIGN_ISSUER", &issuer),
                ("COUNTERSIGN_LIMITS", "off"),
                ("COUNTERSIGN_TLS_CERT", &cert),
                ("COUNTERSIGN_TLS_KEY", &key),
            ],
        ]
        .concat();
        let process = Process::serve_https(folder.path(), &environment, port, &client()).await;
        Self::alone(issuer, process, folder).await
    }

    async fn alone(issuer: String, process: Process, folder: TempDir) -> Self {
        let file = folder.path().join("data/countersign.db");
        let database = format!("sqlite://{}", file.display()).parse().expect("a URL");
        Self {
            origins: vec![issuer.clone()],
            issuer,
            turn: AtomicUsize::new(0),
            db: Database::connect(&database)
                .await
                .expect("the database of the process"),
            clock: None,
            hasher: cheap_hasher(),
            vault: Vault::closed(),
            running: Running::Alone {
                process,
                _folder: folder,
            },
            _temporary: None,
        }
    }

    /// The world of a server that the test itself starts on a database that it has made.
    pub(crate) async fn beside(issuer: &str, database: &db::Url) -> Self {
        Self::beside_at(issuer, issuer.to_owned(), database).await
    }

    /// The same, with requests going to this origin.
    pub(crate) async fn beside_at(issuer: &str, origin: String, database: &db::Url) -> Self {
        Self {
            origins: vec![origin],
            issuer: issuer.to_owned(),
            turn: AtomicUsize::new(0),
            db: Database::connect(database)
                .await
                .expect("the database of the server"),
            clock: None,
            hasher: cheap_hasher(),
            vault: Vault::closed(),
            running: Running::ByTheTest,
            _temporary: None,
        }
    }

    /// How many passwords the server in this process has looked at, or hashed.
    pub(crate) fn hashes(&self) -> u64 {
        match &self.running {
            Running::Here { hasher, .. } => hasher.taken(),
            Running::Elsewhere { .. } | Running::Alone { .. } | Running::ByTheTest => {
                panic!("only a server in this process shows its hasher")
            }
        }
    }

    /// What the process logged so far.
    pub(crate) fn log(&self) -> String {
        match &self.running {
            Running::Alone { process, .. } => process.stderr(),
            Running::Here { .. } | Running::Elsewhere { .. } | Running::ByTheTest => {
                panic!("only a process alone has a log")
            }
        }
    }

    /// The most memory that the process ever held, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        match &self.running {
            Running::Alone { process, .. } => process.peak_memory(),
            Running::Here { .. } | Running::Elsewhere { .. } | Running::ByTheTest => {
                panic!("only a process alone has memory of its own")
            }
        }
    }

    pub(crate) async fn here_with(database: db::Url, own: Own) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the keys");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (origin, tls) = match own.tls {
            true => {
                let (cert, key) = rp::files(folder.path());
                let tls = Tls::load(&cert, &key, Clients::NotAsked).expect("a certificate");
                (format!("https://localhost:{}", address.port()), Some(tls))
            }
            false => (format!("http://{address}"), None),
        };
        let start = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970")
            .as_secs();
        let clock = Arc::new(AtomicI64::new(
            i64::try_from(start).expect("before the year 292277026596"),
        ));
        let issuer = own.issuer.unwrap_or(&origin);
        let issuer = Issuer::parse(issuer).expect("an issuer");
        let mut parts = Parts::open(
            issuer,
            &database,
            KeySettings {
                policy: own.policy.unwrap_or_default(),
                ..KeySettings::from(folder.path())
            },
            Egress::new(own.egress.unwrap_or_else(rp::egress)).expect("a client"),
            own.hasher.unwrap_or_else(cheap),
            Clock::Manual(clock.clone()),
        )
        .await
        .expect("the server opens")
        .admitting(own.response_types.unwrap_or(ResponseTypes::Code));
        let environment = [
            ("COUNTERSIGN_LIMITS", own.limits.unwrap_or("off")),
            ("COUNTERSIGN_TRUSTED_PROXIES", own.proxies.unwrap_or("none")),
            REGISTRATION,
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings = Settings::load(Flags::default(), environment.into_iter(), None, Mode::Command);
        let settings = settings.expect("valid settings");
        parts.registration = own.registration.unwrap_or(settings.registration);
        parts.pushed_requests = own.pushed_requests;
        parts.mail = own.mail;
        parts.operator = own.operator.into();
        parts.sign_up = own.sign_up.unwrap_or(SignUp::Closed);
        if let Some(breached) = own.breached {
            parts.hasher = parts.hasher.refusing(breached);
        }
        let limits = Limits::new(&settings);
        let mut shell = Shell::new(&parts.issuer, settings.trusted_proxies.clone(), limits.clone());
        if let Some(Asking { mtls, listener }) = own.mtls {
            shell = shell.told_of_certificates_by(mtls.told_by());
            let url = mtls.url.clone();
            parts.mtls = Some(mtls);
            if let Some(listener) = listener {
                let (cert, key) = rp::files(folder.path());
                let tls = Tls::load(&cert, &key, Clients::Asked).expect("a certificate");
                let (socket, router) = (
                    Socket::new(listener, Some(tls)),
                    parts.mtls_router(&url, shell.clone()),
                );
                tokio::spawn(listener::serve(
                    socket,
                    router,
                    limits.clone(),
                    std::future::pending(),
                ));
            }
        }
        let routes = parts.routes(Routes::new(), shell);
        let list: Arc<[Route]> = routes.list().into();
        let app = routes
            .into_router()
            .layer(from_fn_with_state(list.clone(), as_listed));
        Self {
            issuer: parts.issuer.as_str().to_owned(),
            origins: vec![origin],
            turn: AtomicUsize::new(0),
            db: parts.db.clone(),
            clock: Some(clock),
            // That of the server may be one that takes nothing.
            hasher: cheap_hasher(),
            vault: parts.vault(),
            running: Running::Here {
                _background: (!own.only_requests).then(|| Background::start(&parts)),
                keyring: parts.keyring.clone(),
                hasher: parts.hasher.clone(),
                router: app.clone(),
                routes: list,
                clients: parts.clients.clone(),
                server: tokio::spawn(listener::serve(
                    Socket::new(listener, tls),
                    app,
                    limits,
                    std::future::pending(),
                )),
                _folder: folder,
            },
            _temporary: Some(temporary(&database)),
        }
    }

    /// Everything that the server in this process routes.
    pub(crate) fn routes(&self) -> &[Route] {
        match &self.running {
            Running::Here { routes, .. } => routes,
            Running::Elsewhere { .. } | Running::Alone { .. } | Running::ByTheTest => {
                panic!("only a server in this process shows its routes")
            }
        }
    }

    /// Where the next request goes. Of two processes it is the other one than the last time.
    pub(crate) fn origin(&self) -> &str {
        &self.origins[self.turn.fetch_add(1, Ordering::Relaxed) % self.origins.len()]
    }

    /// An address of the issuer as the next request should use it.
    pub(crate) fn route(&self, url: &str) -> String {
        match url.strip_prefix(self.issuer.as_str()) {
            Some(rest) => format!("{}{rest}", self.origin()),
            None => url.to_owned(),
        }
    }

    /// A path of ours.
    pub(crate) fn at(&self, path: &str) -> String {
        self.route(&format!("{}{path}", self.issuer))
    }

    /// Lets time pass, for the server in this process.
    pub(crate) fn pass(&self, time: Duration) {
        let clock = self
            .clock
            .as_ref()
            .expect("only a server in this process has a clock to move");
        clock.fetch_add(
            i64::try_from(time.as_secs()).expect("a sane time"),
            Ordering::SeqCst,
        );
    }

    /// Sets the clock of the server in this process by so many seconds, forward or back.
    pub(crate) fn step(&self, seconds: i64) {
        let clock = self
            .clock
            .as_ref()
            .expect("only a server in this process has a clock to set");
        clock.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Everything that the server in this process answers with, behind its connections.
    pub(crate) fn router(&self) -> Router {
        match &self.running {
            Running::Here { router, .. } => router.clone(),
            Running::Elsewhere { .. } | Running::Alone { .. } | Running::ByTheTest => {
                panic!("only a server in this process can be called without a connection")
            }
        }
    }

    /// The keys of the server in this process.
    pub(crate) fn keyring(&self) -> &Keyring {
        match &self.running {
            Running::Here { keyring, .. } => keyring,
            Running::Elsewhere { .. } | Running::Alone { .. } | Running::ByTheTest => {
                panic!("only a server in this process shows its keys")
            }
        }
    }

    /// Waits until every server has heard of what was changed behind its back: clients, resource servers, keys.
    pub(crate) async fn heard(&self) {
        match &self.running {
            Running::Here { clients, keyring, .. } => {
                clients.refresh().await.expect("the database");
                keyring.refresh().await.expect("the database");
            }
            // A notice takes some milliseconds; a process cannot be asked whether it came.
            Running::Elsewhere { .. } | Running::Alone { .. } | Running::ByTheTest => {
                tokio::time::sleep(HEARING).await;
            }
        }
    }

    /// An act that one process answered is known to it; the others hear of it.
    pub(crate) async fn heard_elsewhere(&self) {
        match &self.running {
            Running::Here { .. } => {}
            Running::Elsewhere { .. } | Running::Alone { .. } | Running::ByTheTest => self.heard().await,
        }
    }

    pub(crate) fn now(&self) -> protocol::Timestamp {
        match &self.clock {
            Some(clock) => Clock::Manual(clock.clone()).now(),
            None => Clock::System.now(),
        }
    }

    /// A user that nobody else has, with a name and [`PASSWORD`].
    pub(crate) async fn user(&self) -> User {
        self.user_with(|_| ()).await
    }

    pub(crate) async fn user_with(&self, change: impl FnOnce(&mut Draft)) -> User {
        let email = format!(
            "alex-{}@example.com",
            protocol::random::id().to_lowercase().replace(['_', '-'], "x")
        );
        let mut draft = Draft::new(Email::parse(&email).expect("an address"));
        draft.email_verified = Some(true);
        draft
            .claims
            .set(Claim::Name, "Alex Example".into())
            .expect("a name");
        let password = Password::chosen(&Secret::from(PASSWORD)).expect("a good password");
        draft.password_hash = Some(self.hasher.hash(password).await.expect("an idle hasher"));
        change(&mut draft);
        let now = self.now();
        let inserted = self.db.transact(move |conn| {
            Box::pin(async move { users::insert(draft, &Context::server(), conn, now).await })
        });
        inserted.await.expect("a new user")
    }

    /// A third-party app, registered with this metadata over the usual.
    pub(crate) async fn app_with(&self, metadata: Value) -> App {
        let mut document = json!({
            "client_name": "Test app",
            "redirect_uris": ["https://app.example.com/cb"],
            "grant_types": ["authorization_code", "refresh_token"],
        });
        for (name, value) in metadata.as_object().expect("an object") {
            document[name] = value.clone();
        }
        let (now, vault) = (self.now(), self.vault.clone());
        let registered = self.db.transact(move |conn| {
            Box::pin(async move {
                registry::register(&document, Trust::Trusted, &vault, &Context::server(), conn, now).await
            })
        });
        App::new(registered.await.expect("a valid client"))
    }

    /// A confidential app.
    pub(crate) async fn app(&self) -> App {
        self.app_with(json!({})).await
    }

    /// A public app: no secret.
    pub(crate) async fn public_app(&self) -> App {
        self.app_with(json!({ "token_endpoint_auth_method": "none" }))
            .await
    }

    /// A resource server with one scope. Both names are nobody else's.
    pub(crate) async fn resource(&self, alg: SigningAlg) -> ResourceServer {
        let id = protocol::random::id();
        let scopes = [(format!("read-{id}"), "Read your reports".to_owned())].into();
        let identifier = format!("https://api-{}.example.com/", id.to_lowercase().replace('_', "-"));
        let resource =
            ResourceServer::define(&identifier, "Reports API", alg, scopes, self.now()).expect("valid");
        let own = resource.clone();
        let inserted = self.db.transact(move |conn| {
            Box::pin(async move { resources::insert(&own, &Context::server(), conn).await })
        });
        inserted.await.expect("a new resource server");
        resource
    }

    /// The resource server as one who asks: its identifier and a new secret.
    pub(crate) async fn asking(&self, resource: &ResourceServer) -> App {
        let (identifier, now) = (resource.identifier.clone(), self.now());
        let added = self.db.transact(move |conn| {
            Box::pin(async move { resources::secrets::add(&identifier, &Context::server(), conn, now).await })
        });
        App {
            id: resource.identifier.clone(),
            secret: Some(added.await.expect("room for a secret").secret),
            redirect_uri: String::new(),
        }
    }

    /// A client that acts for itself, within this scope.
    pub(crate) async fn machine(&self, scope: &str) -> App {
        let metadata = json!({
            "grant_types": ["client_credentials"], "response_types": [], "redirect_uris": [], "scope": scope,
        });
        self.app_with(metadata).await
    }

    /// A person with an empty browser.
    pub(crate) fn visitor(&self) -> Visitor<'_> {
        Visitor::new(self)
    }

    /// Another window of that person's browser, with what is in it so far.
    pub(crate) fn visitor_of(&self, other: &Visitor<'_>) -> Visitor<'_> {
        let mut twin = self.visitor();
        twin.cookies.clone_from(&other.cookies);
        twin
    }

    /// How many rows each table has.
    pub(crate) async fn row_counts(&self) -> Vec<(String, i64)> {
        let mut conn = self.db.reader().await.expect("a connection");
        let list = conn.either(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
            "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename",
        );
        let tables: Vec<(String,)> =
            db::run!(&mut conn, |c| sqlx::query_as(list).fetch_all(c)).expect("the tables");
        let mut counts = Vec::new();
        for (table,) in tables {
            let count = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
            let (rows,): (i64,) =
                db::run!(&mut conn, |c| sqlx::query_as(count).fetch_one(c)).expect("a count");
            counts.push((table, rows));
        }
        counts
    }
}

/// Holds every answer of every test against the list of routes: a path that is not in it, or a page where the list has
/// none, ends the test.
async fn as_listed(State(list): State<Arc<[Route]>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let answer = next.run(request).await;
    if let Some(path) = path {
        let route = list.iter().find(|route| route.path == path.as_str());
        let route = route.unwrap_or_else(|| panic!("{path:?} is routed and not in the list"));
        let kind = answer.headers().get(CONTENT_TYPE);
        let is_page = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        assert!(
            !is_page || !answer.status().is_success() || route.answers == Answers::Pages,
            "{path:?} answers a page, and is not listed as one"
        );
    }
    answer
}

/// Two server processes that share one PostgreSQL and the folder of the master key.
#[derive(Debug)]
struct Replicas {
    issuer: String,
    ports: [u16; 2],
    database: db::Url,
    vault: Vault,
    _processes: [Process; 2],
    _temporary: Temporary,
    _folder: TempDir,
}

impl Replicas {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the keys");
        let database = db::testing::postgres_url().await;
        let url = match &database {
            db::Url::Postgres(url) => url.clone(),
            db::Url::Sqlite(_) => panic!("two processes need PostgreSQL"),
        };
        let ports = [free_port(), free_port()];
        let issuer = format!("http://localhost:{}", ports[0]);
        let root = rp::root_file(folder.path());
        let environment = [
            ("COUNTERSIGN_ISSUER", issuer.as_str()),
            ("COUNTERSIGN_DATABASE_URL", url.as_str()),
            ("COUNTERSIGN_EGRESS_ALLOW_PRIVATE", "localhost"),
            ("COUNTERSIGN_EGRESS_CA", root.as_str()),
            ("COUNTERSIGN_LIMITS", "off"),
            ("COUNTERSIGN_SIGN_UP", "invitation"),
            REGISTRATION,
        ];
        let (first, second) = tokio::join!(
            Process::serve(folder.path(), &[], &environment, ports[0]),
            Process::serve(folder.path(), &[], &environment, ports[1]),
        );
        let db = Database::connect(&database)
            .await
            .expect("the replicas' database");
        let now = Clock::System.now();
        let master = MasterKey::open(folder.path().join("keys").as_path(), &db, now).await;
        let keyring = Keyring::open(&db, master.expect("the master key"), Policy::default(), now).await;
        Self {
            vault: issuance::vault(&keyring.expect("the keys")),
            ports,
            _temporary: temporary(&database),
            database,
            _processes: [first, second],
            _folder: folder,
            issuer,
        }
    }
}

fn cheap() -> HasherSettings {
    HasherSettings {
        cost: Cost::LEAST,
        ..HasherSettings::default()
    }
}

fn cheap_hasher() -> Hasher {
    Hasher::start(cheap()).expect("threads")
}
