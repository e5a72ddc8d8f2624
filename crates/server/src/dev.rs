//! `serve --dev`: a user, an app and an API to try, with no configuration and no network.

use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;

use accounts::claims::Claim;
use accounts::email::Email;
use accounts::passwords::{Password, StoredHash};
use accounts::users::{self, Draft};
use axum::Router;
use clients::{ResourceServer, Trust, resources, secrets};
use db::Conn;
use demo::{Api, App, Credentials, IssuerUrl};
use events::Context;
use mail::Way;
use protocol::{ClientId, Secret, SigningAlg, Timestamp, path};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

use crate::listener::{self, Limits};
use crate::settings::Settings;
use crate::wiring::Parts;

const CLIENT_ID: &str = "demo";
const API_NAME: &str = "Countersign demo API";
const EMAIL: &str = "alex@example.com";
/// Kept so that every start can print it: who missed it the first time need not delete the database.
const PASSWORD_FILE: &str = "demo-password";

/// The demo's servers; they end with this value.
#[derive(Debug)]
pub(crate) struct Demo {
    servers: Vec<JoinHandle<()>>,
    app: Url,
    api: Url,
    /// Of the demo user.
    password: String,
}

impl Drop for Demo {
    fn drop(&mut self) {
        for server in &self.servers {
            server.abort();
        }
    }
}

/// The three ports, taken before anything is written: a start that fails leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Ports {
    pub(crate) own: TcpListener,
    pub(crate) demo: DemoPorts,
}

/// Those of the demo.
#[derive(Debug)]
pub(crate) struct DemoPorts {
    places: Places,
    app: TcpListener,
    api: TcpListener,
}

impl Ports {
    /// # Errors
    /// One line that says which port is taken, and how to have others.
    pub(crate) async fn take(own: SocketAddr) -> Result<Self, String> {
        let places = Places::after(own)?;
        let (app, api) = (places.app, places.api);
        Ok(Self {
            own: bind(own, "the server").await?,
            demo: DemoPorts {
                app: bind(app, "the demo app").await?,
                api: bind(api, "the demo API").await?,
                places,
            },
        })
    }
}

async fn bind(address: SocketAddr, whose: &str) -> Result<TcpListener, String> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| {
        let host = SocketAddr::new(address.ip(), 9000);
        format!(
            "cannot listen on {address} for {whose}: {error}; --dev takes the port that it is given (8080) and the two \
             after it, so try others: countersign serve --dev --listen {host}"
        )
    })
}

/// Where the demo lives: on the two ports after ours.
#[derive(Debug)]
struct Places {
    app: SocketAddr,
    api: SocketAddr,
    app_url: Url,
    api_url: Url,
}

/// Registers what the demo needs, and serves it.
///
/// # Errors
/// One line for the person who started it.
pub(crate) async fn start(
    ports: DemoPorts,
    parts: &Parts,
    settings: &Settings,
    limits: Limits,
) -> Result<Demo, String> {
    let DemoPorts {
        places,
        app: for_app,
        api: for_api,
    } = ports;
    let password = ensure_user(parts, &settings.keys_dir).await?;
    let secrets = register(parts, &places).await?;

    let feed = Credentials::basic(places.api_url.as_str(), secrets.api.expose());
    let api = Api::new(parts.issuer.as_str(), &places.api_url, feed, parts.clock.clone()).map_err(line)?;
    let config = demo::Config {
        issuer: IssuerUrl::new(parts.issuer.as_str().to_owned()).map_err(line)?,
        client_id: ClientId::from(CLIENT_ID),
        client_secret: secrets.app,
        redirect_uri: places.redirect_uri()?,
        api: places.api_url.clone(),
    };
    let app = App::new(config, parts.clock.clone()).map_err(line)?;
    let servers = vec![
        serve(for_app, app.router(), limits.clone()),
        serve(for_api, api.router().map_err(line)?, limits),
    ];
    Ok(Demo {
        servers,
        app: places.app_url,
        api: places.api_url,
        password,
    })
}

fn serve(listener: TcpListener, app: Router, limits: Limits) -> JoinHandle<()> {
    tokio::spawn(listener::serve(listener, app, limits, std::future::pending()))
}

impl Places {
    fn after(own: SocketAddr) -> Result<Self, String> {
        let port = |further: u16| {
            own.port()
                .checked_add(further)
                .ok_or("--dev needs the two ports after the one it listens on")
        };
        let (app, api) = (port(1)?, port(2)?);
        let url = |port| Url::parse(&format!("http://localhost:{port}/")).map_err(line);
        Ok(Self {
            app: SocketAddr::new(own.ip(), app),
            api: SocketAddr::new(own.ip(), api),
            app_url: url(app)?,
            api_url: url(api)?,
        })
    }

    fn redirect_uri(&self) -> Result<Url, String> {
        self.app_url.join(demo::REDIRECT_PATH).map_err(line)
    }

    fn post_logout_redirect_uri(&self) -> Result<Url, String> {
        self.app_url.join(demo::POST_LOGOUT_REDIRECT_PATH).map_err(line)
    }
}

/// With what the app and the API show who they are.
#[derive(Debug)]
struct Secrets {
    app: Secret,
    /// For the revocations that concern its tokens.
    api: Secret,
}

/// The demo's client and its API, with new secrets at every start (the old ones go).
async fn register(parts: &Parts, places: &Places) -> Result<Secrets, String> {
    let document = json!({
        "client_id": CLIENT_ID,
        "client_name": demo::CLIENT_NAME,
        "redirect_uris": [places.redirect_uri()?.as_str()],
        "post_logout_redirect_uris": [places.post_logout_redirect_uri()?.as_str()],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "client_secret_basic",
    });
    let now = parts.clock.now();
    let scopes = [(demo::API_SCOPE.to_owned(), demo::API_SCOPE_TEXT.to_owned())].into();
    let api = ResourceServer::define(places.api_url.as_str(), API_NAME, SigningAlg::Es256, scopes, now);
    let api = api.map_err(line)?;
    let vault = parts.vault();
    let registered = parts.db.transact(move |conn| {
        Box::pin(async move {
            let by = Context::server();
            follow_the_port(&api, &by, conn, now).await?;
            if resources::by_identifier(&api.identifier, conn).await?.is_none() {
                resources::insert(&api, &by, conn).await?;
            }
            for old in resources::secrets::list(&api.identifier, conn).await? {
                resources::secrets::delete(&api.identifier, &old.secret_id, &by, conn, now).await?;
            }
            let for_api = resources::secrets::add(&api.identifier, &by, conn, now).await?;
            let id = ClientId::from(CLIENT_ID);
            registry::import(&document, Trust::Trusted, &vault, &by, conn, now).await?;
            secrets::delete_all(&id, &by, conn, now).await?;
            let for_app = secrets::add(&id, &vault, &by, conn, now).await?;
            Ok::<_, protocol::Error>(Secrets {
                app: for_app.secret,
                api: for_api.secret,
            })
        })
    });
    registered.await.map_err(line)
}

/// Deletes the demo API of another port: its scope can belong to one API only.
async fn follow_the_port(
    api: &ResourceServer,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<(), protocol::Error> {
    for other in resources::list(conn).await? {
        let is_demo = other.name == API_NAME && other.scopes.contains_key(demo::API_SCOPE);
        if is_demo && other.identifier != api.identifier {
            resources::delete(&other.identifier, by, conn, now).await?;
        }
    }
    Ok(())
}

/// The demo user and the password, made at the first start.
async fn ensure_user(parts: &Parts, keys_dir: &Path) -> Result<String, String> {
    let email = Email::parse(EMAIL).map_err(line)?;
    let file = keys_dir.join(PASSWORD_FILE);
    let known = users::by_email(&email, &mut parts.db.reader().await.map_err(line)?)
        .await
        .map_err(line)?;
    if known.is_some() {
        let kept = fs::read_to_string(&file).map(|text| text.trim().to_owned());
        return Ok(kept.unwrap_or_else(|_| "(printed at the first start)".to_owned()));
    }
    let password = protocol::random::id();
    let chosen = Password::chosen(&Secret::from(password.as_str())).map_err(line)?;
    let hash = parts.hasher.hash(chosen).await.map_err(line)?;
    let draft = demo_user(email, hash)?;
    let now = parts.clock.now();
    let inserted = parts.db.transact(move |conn| {
        Box::pin(async move { users::insert(draft, &Context::server(), conn, now).await })
    });
    inserted.await.map_err(line)?;
    fs::write(&file, format!("{password}\n")).map_err(line)?;
    Ok(password)
}

fn demo_user(email: Email, hash: StoredHash) -> Result<Draft, String> {
    let mut draft = Draft::new(email);
    draft.email_verified = Some(true);
    draft.password_hash = Some(hash);
    let claims: [(Claim, Value); 5] = [
        (Claim::Name, "Alex Example".into()),
        (Claim::GivenName, "Alex".into()),
        (Claim::FamilyName, "Example".into()),
        (Claim::Locale, "en".into()),
        (Claim::Zoneinfo, "Europe/Zurich".into()),
    ];
    for (claim, value) in claims {
        draft.claims.set(claim, value).map_err(line)?;
    }
    Ok(draft)
}

impl Demo {
    /// Prints where to click.
    pub(crate) fn announce(&self, parts: &Parts, settings: &Settings) -> io::Result<()> {
        let issuer = parts.issuer.as_str();
        let database = settings.database.masked();
        let (app, api, password) = (self.app.as_str(), self.api.as_str(), &self.password);
        let mailbox = match mailbox(parts) {
            None => "mail is sent by COUNTERSIGN_MAIL_SMTP_URL".to_owned(),
            Some(mailbox) => mailbox,
        };
        let mut out = io::stdout().lock();
        write!(
            out,
            "\n  Countersign {version}, development mode: this machine only, not for production\n\n  \
               Try it       {app}   click \"Sign in with Countersign\"\n  \
               Sign in as   {EMAIL}\n  \
               Password     {password}\n\n  \
               Issuer       {issuer}\n  \
               Discovery    {issuer}/.well-known/openid-configuration\n  \
               Demo API     {api}\n  \
               Mailbox      {mailbox}\n  \
               Data         {database}, keys in {keys}\n  \
               Other ports  --listen 127.0.0.1:9000 (the demo app and API are on the two after it)\n\n  \
               Next         countersign client create --help   (stop this server with Ctrl-C)\n\n",
            version = env!("CARGO_PKG_VERSION"),
            keys = settings.keys_dir.display(),
        )?;
        out.flush()
    }

    /// The same for programs.
    pub(crate) fn members(&self, parts: &Parts) -> Map<String, Value> {
        let all = [
            ("demo_app", Some(self.app.to_string())),
            ("demo_api", Some(self.api.to_string())),
            ("email", Some(EMAIL.to_owned())),
            ("password", Some(self.password.clone())),
            ("mailbox", mailbox(parts)),
        ];
        let known = all
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
        known.collect()
    }
}

/// Where mail is shown, if it is not sent.
fn mailbox(parts: &Parts) -> Option<String> {
    let is_shown = matches!(parts.mail, Some(Way::Mailbox(_)));
    is_shown.then(|| format!("{}{}", parts.issuer.as_str(), path::DEV_MAILBOX))
}

fn line(error: impl std::fmt::Display) -> String {
    error.to_string()
}
