//! Puts the crates together: from the parts that hold state to one router.

use std::sync::Arc;

use account::{Account, Letters, Mails, NewBrowser, Outbox};
use accounts::passwords::{Hasher, HasherSettings};
use authorize::{Authorize, Objects};
use axum::Router;
use axum::middleware::from_fn_with_state;
use clients::{Authenticator, Directory, Keys, Recipients, Vault, logos};
use consent::{Consent, Recovery, Tiding, Tidings};
use db::Database;
use discovery::feed::{self, Feed, Tail};
use discovery::{Discovery, Offered};
use egress::Egress;
use events::changes::Watcher;
use issuance::{Bearer, Gate, Known};
use keyring::{Keyring, MasterKey};
use mail::{Post, Way};
use pages::{Front, Guesses, Operator, assets, errors};
use protocol::{ClientCertificates, Clock, Issuer, PushedRequests, ResponseTypes, Routes, SignUp};
use registry::{Admission, Registry, Terms};
use signals::Signals;
use token::Token;

use crate::middleware::{Cors, Shell, cors};
use crate::restores::Restores;
use crate::settings::{KeySettings, Mtls};
use crate::{fallback, health};

/// The setting that a failure to connect is about.
pub(crate) const DATABASE_URL: &str = "COUNTERSIGN_DATABASE_URL";

/// What the endpoints share. Everything in it is a handle: the state itself is in the database.
#[derive(Clone, Debug)]
pub struct Parts {
    pub issuer: Issuer,
    pub db: Database,
    pub keyring: Keyring,
    pub clients: Directory,
    /// The public keys of clients.
    pub client_keys: Keys,
    /// To whom clients point.
    pub egress: Egress,
    pub known: Known,
    /// Hears what other processes change.
    pub changes: Watcher,
    /// What ended last, for those who follow it.
    pub tail: Tail,
    /// Notices when the database is not the one that it was.
    pub restores: Restores,
    pub hasher: Hasher,
    pub clock: Clock,
    pub response_types: ResponseTypes,
    pub pushed_requests: PushedRequests,
    /// Where clients are asked for certificates.
    pub mtls: Option<Mtls>,
    /// How clients register themselves.
    pub registration: Terms,
    /// Where mail goes; none where none is sent.
    pub mail: Option<Way>,
    /// Who may make an account for themselves.
    pub sign_up: SignUp,
    /// What the pages say of the people who run this site.
    pub operator: Arc<Operator>,
}

impl Parts {
    /// Opens database and keys, making on an empty database what is missing.
    ///
    /// # Errors
    /// One line that says what the operator has to mend.
    pub async fn open(
        issuer: Issuer,
        database: &db::Url,
        keys: impl Into<KeySettings>,
        egress: Egress,
        hasher: HasherSettings,
        clock: Clock,
    ) -> Result<Self, String> {
        let connected = Database::connect(database).await;
        let db = connected.map_err(|error| format!("{DATABASE_URL}: {error}"))?;
        let applied = db.migrate().await.map_err(line)?;
        tracing::info!(applied, known = db::MIGRATIONS.len(), "the schema is up to date");
        let now = clock.now();
        let keys = keys.into();
        let folder = keys.master.folder().map(ToOwned::to_owned);
        let master = MasterKey::open(keys.master, &db, now).await.map_err(line)?;
        let keyring = Keyring::open(&db, master, keys.policy, now).await.map_err(line)?;
        let changes = Watcher::start(&db).await.map_err(line)?;
        // Before anything is remembered of it.
        let restores = Restores::open(&db, changes.clone(), folder.as_deref(), clock.clone())
            .await
            .map_err(line)?;
        let clients = Directory::open(&db, changes.clone()).await.map_err(line)?;
        let known = Known::open(&db, changes.clone()).await.map_err(line)?;
        let tail = Tail::open(&db, changes.clone(), clock.clone())
            .await
            .map_err(line)?;
        let hasher =
            Hasher::start(hasher).map_err(|error| format!("no thread for checking passwords: {error}"))?;
        Ok(Self {
            issuer,
            db,
            keyring,
            clients,
            client_keys: Keys::new(egress.clone()),
            egress,
            known,
            changes,
            tail,
            restores,
            hasher,
            clock,
            response_types: ResponseTypes::Code,
            pushed_requests: PushedRequests::default(),
            mtls: None,
            registration: Terms::default(),
            mail: None,
            sign_up: SignUp::Closed,
            operator: Arc::default(),
        })
    }

    /// The same, for apps that ask for these response types.
    #[must_use]
    pub fn admitting(self, response_types: ResponseTypes) -> Self {
        Self {
            response_types,
            ..self
        }
    }

    /// Every route, inside the outer layer.
    pub fn router(&self, shell: Shell) -> Router {
        self.routes(Routes::new(), shell).into_router()
    }

    /// The same with their list, and with routes besides ours behind the same layer: what a measurement compares ours
    /// with.
    pub fn routes(&self, further: Routes, shell: Shell) -> Routes {
        let front = self.front();
        let shell = shell.run_by(self.operator.clone());
        let offered = Offered {
            registration: self.registration.admission != Admission::Closed,
            signing: self.keyring.algs(),
            response_types: self.response_types,
            pushed_requests: self.pushed_requests,
            sign_up: self.sign_up(),
            certificates: self.certificates(),
            mtls: self.mtls_url(),
        };
        let discovery = Arc::new(Discovery::new(
            &self.issuer,
            self.keyring.clone(),
            self.clock.clone(),
            &offered,
        ));
        let readable = |routes: Routes, by: Cors| {
            let routes = fallback::for_programs(routes, front.clone());
            routes.within(|routes| routes.layer(from_fn_with_state(by, cors)))
        };
        let public = |documents: Routes| readable(documents, Cors::public());

        let token = self.token();
        let authorize = self.authorize(front.clone());
        // One budget for guesses, wherever they are made (C071).
        let guesses = Guesses::new(front.clone(), shell.attempts());
        let own = authorize::router(authorize.clone())
            .merge(consent::router(Consent {
                front: front.clone(),
                hasher: self.hasher.clone(),
                guesses: guesses.clone(),
                clients: self.clients.clone(),
                recipients: self.recipients(),
                issuer: self.issuer.clone(),
                tidings: self.tidings(shell.mails()),
                recovery: match self.mail {
                    Some(_) => Recovery::Offered,
                    None => Recovery::NotOffered,
                },
                sign_up: self.sign_up(),
            }))
            .merge(account::router(Account {
                front: front.clone(),
                hasher: self.hasher.clone(),
                guesses,
                clients: self.clients.clone(),
                outbox: self.mail.as_ref().map(|_| self.outbox(shell.mails())),
                sign_up: self.sign_up(),
            }))
            .merge(self.mailbox(&front))
            .merge(readable(authorize::pushing(authorize), self.registered_origins()))
            .merge(readable(token::router(token.clone()), self.registered_origins()))
            .merge(fallback::for_programs(
                token::introspection(token)
                    .merge(feed::router(self.feed()))
                    .merge(registry::router(self.registry())),
                front.clone(),
            ))
            .merge(public(discovery::router(discovery.clone())))
            .merge(errors::router(front.site.clone()))
            .merge(assets::router())
            .merge(health::router(self.db.clone()));

        let app = match self.issuer.path() {
            "" => own.merge(account::at_home(&front)),
            path => own
                .under(path)
                .merge(public(discovery::inserted(discovery, &self.issuer)))
                .merge(account::at_the_root(&front))
                .merge(health::router(self.db.clone())),
        };
        fallback::with(app.merge(further), front).within(|app| shell.around(app))
    }

    fn front(&self) -> Front {
        let (db, keyring) = (self.db.clone(), self.keyring.clone());
        Front::new(db, keyring, self.clock.clone(), &self.issuer).run_by(self.operator.clone())
    }

    /// Where mails are queued.
    pub fn outbox(&self, mails: Mails) -> Outbox {
        Outbox::new(self.keyring.clone(), mails)
    }

    /// A mail, where any is sent.
    fn tidings(&self, mails: Mails) -> Tidings {
        let outbox = self.mail.as_ref().map(|_| self.outbox(mails));
        Tidings::new(move |session, tiding, language, conn, now| {
            let (outbox, session) = (outbox.clone(), session.clone());
            Box::pin(async move {
                let Some(outbox) = outbox else { return Ok(()) };
                match tiding {
                    Tiding::CameBack => outbox.came_back(session.email, language, conn, now).await,
                    Tiding::NewBrowser { user_agent, app } => {
                        let browser = NewBrowser { user_agent, app };
                        outbox.signed_in(&session, browser, language, conn, now).await
                    }
                    Tiding::AppStays { app } => outbox.app_stays(&session, app, language, conn, now).await,
                }
            })
        })
    }

    /// Nobody can show that an address is theirs where no mail is sent.
    fn sign_up(&self) -> SignUp {
        match (self.sign_up, &self.mail) {
            (SignUp::Open, None) => SignUp::Invitation,
            (sign_up, _) => sign_up,
        }
    }

    /// Pages with what would have been mailed, where nothing is.
    fn mailbox(&self, front: &Front) -> Routes {
        match &self.mail {
            Some(Way::Mailbox(mailbox)) => account::mailbox::router(mailbox.clone(), front.clone()),
            Some(Way::Smtp(_)) | None => Routes::new(),
        }
    }

    /// Whoever sends what is queued, and whoever composes it.
    pub(crate) fn post(&self) -> Option<(Post, Letters)> {
        let post = Post {
            db: self.db.clone(),
            sealer: self.outbox(Mails::Counted).sealer(),
            way: self.mail.clone()?,
            clock: self.clock.clone(),
        };
        let letters = Letters {
            db: self.db.clone(),
            issuer: self.issuer.clone(),
            contact: self.operator.contact.clone(),
            clock: self.clock.clone(),
        };
        Some((post, letters))
    }

    fn authorize(&self, front: Front) -> Arc<Authorize> {
        Arc::new(Authorize {
            front,
            gate: self.gate(),
            clients: self.clients.clone(),
            recipients: self.recipients(),
            authenticator: self.authenticator(),
            objects: self.objects(),
            issuer: self.issuer.clone(),
            response_types: self.response_types,
            pushed_requests: self.pushed_requests,
            sign_up: self.sign_up(),
        })
    }

    fn objects(&self) -> Objects {
        let (egress, keyring) = (self.egress.clone(), self.keyring.clone());
        Objects::new(self.recipients(), egress, keyring, self.issuer.clone())
    }

    /// What is served where clients are asked for certificates: what programs call. No page is there, so no cookie
    /// counts.
    pub fn mtls_router(&self, url: &Issuer, shell: Shell) -> Router {
        let front = self.front();
        let shell = shell.run_by(self.operator.clone());
        let token = self.token();
        let pushing = authorize::pushing(self.authorize(front.clone()));
        let programs = token::router(token.clone())
            .merge(pushing)
            .merge(token::introspection(token));
        let own = fallback::for_programs(programs, front.clone());
        let app = fallback::with(own.under(url.path()), front);
        shell.around(app.into_router())
    }

    fn gate(&self) -> Gate {
        let (db, keyring) = (self.db.clone(), self.keyring.clone());
        let (known, issuer) = (self.known.clone(), self.issuer.clone());
        Gate::new(db, keyring, self.recipients(), known, issuer)
    }

    fn recipients(&self) -> Recipients {
        Recipients {
            clients: self.clients.clone(),
            keys: self.client_keys.clone(),
            vault: self.vault(),
        }
    }

    /// Seals the secrets of clients that sign with them.
    pub fn vault(&self) -> Vault {
        issuance::vault(&self.keyring)
    }

    fn registry(&self) -> Registry {
        Registry {
            db: self.db.clone(),
            issuer: self.issuer.clone(),
            terms: Terms {
                signing: self.keyring.algs(),
                response_types: self.response_types,
                certificates: self.certificates(),
                ..self.registration
            },
            vault: self.vault(),
            egress: self.egress.clone(),
            clock: self.clock.clone(),
        }
    }

    fn token(&self) -> Arc<Token> {
        Arc::new(Token {
            db: self.db.clone(),
            clients: self.clients.clone(),
            authenticator: self.authenticator(),
            gate: self.gate(),
            bearer: self.bearer(),
            recipients: self.recipients(),
            clock: self.clock.clone(),
        })
    }

    fn feed(&self) -> Arc<Feed> {
        Arc::new(Feed {
            db: self.db.clone(),
            tail: self.tail.clone(),
            keyring: self.keyring.clone(),
            clients: self.clients.clone(),
            authenticator: self.authenticator(),
            bearer: self.bearer(),
            issuer: self.issuer.clone(),
            clock: self.clock.clone(),
        })
    }

    /// Whoever tells clients of a logout.
    pub(crate) fn signals(&self) -> Signals {
        Signals {
            db: self.db.clone(),
            keyring: self.keyring.clone(),
            clients: self.clients.clone(),
            recipients: self.recipients(),
            egress: self.egress.apart(),
            issuer: self.issuer.clone(),
            clock: self.clock.clone(),
        }
    }

    /// Whoever fetches the pictures of clients.
    pub(crate) fn logos(&self) -> logos::Fetcher {
        logos::Fetcher {
            db: self.db.clone(),
            egress: self.egress.apart(),
            clock: self.clock.clone(),
        }
    }

    fn authenticator(&self) -> Authenticator {
        Authenticator {
            db: self.db.clone(),
            clients: self.clients.clone(),
            keys: self.client_keys.clone(),
            vault: self.vault(),
            authorities: self
                .mtls
                .as_ref()
                .map(|mtls| mtls.authorities.clone())
                .unwrap_or_default(),
            issuer: self.issuer.clone(),
            mtls: self.mtls_url(),
        }
    }

    fn mtls_url(&self) -> Option<Issuer> {
        self.mtls.as_ref().map(|mtls| mtls.url.clone())
    }

    fn certificates(&self) -> ClientCertificates {
        self.mtls.as_ref().map(Mtls::certificates).unwrap_or_default()
    }

    fn bearer(&self) -> Bearer {
        let (db, keyring) = (self.db.clone(), self.keyring.clone());
        Bearer::new(db, keyring, self.known.clone(), self.issuer.clone())
    }

    /// Browser apps call from the origins of registered redirect URIs.
    fn registered_origins(&self) -> Cors {
        let clients = self.clients.clone();
        Cors::registered(move |origin| {
            let clients = clients.clone();
            async move { clients.admits_origin(&origin).await }
        })
    }
}

fn line(error: impl std::fmt::Display) -> String {
    error.to_string()
}
