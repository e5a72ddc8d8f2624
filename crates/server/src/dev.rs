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
use demo::{Api, App, Credentials, IssuerUrl};
use events::Context;
use protocol::{ClientId, Secret, SigningAlg, path};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use url::Url;

use crate::listener::{self, Limits};
use crate::serve::bind;
use crate::settings::Settings;
use crate::wiring::Parts;

const CLIENT_ID: &str = "demo";
const EMAIL: &str = "alex@example.com";
/// Kept so that every start can print it: who missed it the first time need not delete the database.
const PASSWORD_FILE: &str = "demo-password";

/// The demo's servers; they end with this value.
#[derive(Debug)]
pub(crate) struct Demo(Vec<JoinHandle<()>>);

impl Drop for Demo {
    fn drop(&mut self) {
        for server in &self.0 {
            server.abort();
        }
    }
}

/// Where the demo lives: on the two ports after ours.
#[derive(Debug)]
struct Places {
    app: SocketAddr,
    api: SocketAddr,
    app_url: Url,
    api_url: Url,
}

/// Registers what the demo needs, serves it, and prints where to click.
///
/// # Errors
/// One line for the person who started it.
pub(crate) async fn start(parts: &Parts, settings: &Settings, limits: Limits) -> Result<Demo, String> {
    let places = Places::after(settings.listen)?;
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
        serve(places.app, app.router(), limits.clone()).await?,
        serve(places.api, api.router().map_err(line)?, limits).await?,
    ];
    announce(parts, settings, &places, &password).map_err(line)?;
    Ok(Demo(servers))
}

async fn serve(address: SocketAddr, app: Router, limits: Limits) -> Result<JoinHandle<()>, String> {
    let listener = bind(address).await?;
    Ok(tokio::spawn(listener::serve(
        listener,
        app,
        limits,
        std::future::pending(),
    )))
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
    let api = ResourceServer::define(
        places.api_url.as_str(),
        "Countersign demo API",
        SigningAlg::Es256,
        scopes,
        now,
    );
    let api = api.map_err(line)?;
    let vault = parts.vault();
    let registered = parts.db.transact(move |conn| {
        Box::pin(async move {
            let by = Context::server();
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

fn announce(parts: &Parts, settings: &Settings, places: &Places, password: &str) -> io::Result<()> {
    let issuer = parts.issuer.as_str();
    let database = settings.database.masked();
    let (app, api) = (places.app_url.as_str(), places.api_url.as_str());
    let mailbox = match settings.mail {
        Some(_) => "mail is sent by COUNTERSIGN_MAIL_SMTP_URL".to_owned(),
        None => format!("{issuer}{}", path::DEV_MAILBOX),
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
           Data         {database}, keys in {keys}\n\n  \
           Next         countersign client create --help   (stop this server with Ctrl-C)\n\n",
        version = env!("CARGO_PKG_VERSION"),
        keys = settings.keys_dir.display(),
    )?;
    out.flush()
}

fn line(error: impl std::fmt::Display) -> String {
    error.to_string()
}
