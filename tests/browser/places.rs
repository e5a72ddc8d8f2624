//! The demo app beside a server: the real `serve --dev`, or the same app and API beside a server in this process.

use std::path::Path;
use std::time::Duration;

use clients::{ResourceServer, resources};
use demo::{Api, Config, Credentials, IssuerUrl};
use protocol::{ClientId, Clock, SigningAlg};
use serde_json::json;
use tokio::time::{Instant, sleep};
use url::Url;

use crate::harness::World;
use crate::harness::browser::Browser;
use crate::harness::process::{Process, free_port};
use crate::harness::site;
use crate::harness::world::PASSWORD;

/// Where to click, and as whom.
#[derive(Debug)]
pub(super) struct Demo {
    pub(super) app: String,
    pub(super) email: String,
    pub(super) password: String,
}

/// `countersign serve --dev` in a folder.
#[derive(Debug)]
pub(super) struct Dev {
    pub(super) demo: Demo,
    pub(super) process: Process,
}

impl Dev {
    /// Without any configuration but the port: several tests cannot all have 8080.
    pub(super) async fn serve(folder: &Path, port: u16) -> Self {
        let process = Process::serve(folder, &["--dev"], &[], port).await;
        let deadline = Instant::now() + Duration::from_secs(10);
        // The last line of what it prints.
        while !process.stdout().contains("Next ") {
            assert!(Instant::now() < deadline, "it prints: {}", process.stdout());
            sleep(Duration::from_millis(10)).await;
        }
        let printed = process.stdout();
        let after = |label: &str| {
            let line = printed
                .lines()
                .find_map(|line| line.trim_start().strip_prefix(label));
            let words = line.unwrap_or_else(|| panic!("no line \"{label}\" in {printed}"));
            words.split_whitespace().next().expect("a value").to_owned()
        };
        let demo = Demo {
            app: after("Try it"),
            email: after("Sign in as"),
            password: after("Password"),
        };
        Self { demo, process }
    }
}

/// A port for `serve --dev`: the app and the API live on the two after it.
pub(super) fn three_free_ports() -> u16 {
    loop {
        let ports = [free_port(), free_port(), free_port()];
        if ports[1] == ports[0] + 1 && ports[2] == ports[0] + 2 {
            return ports[0];
        }
    }
}

impl Demo {
    /// Serves app and API until the runtime of the test ends, and registers them and a user.
    pub(super) async fn beside(world: &World) -> Self {
        let ((app_place, app), (api_place, api)) = (site::bind().await, site::bind().await);
        let callback = format!("{app}{}", demo::REDIRECT_PATH);
        let client = world
            .app_with(json!({
                "client_name": demo::CLIENT_NAME,
                "redirect_uris": [callback],
                "post_logout_redirect_uris": [format!("{app}{}", demo::POST_LOGOUT_REDIRECT_PATH)],
                "token_endpoint_auth_method": "client_secret_basic",
            }))
            .await;
        let api = Url::parse(&api).expect("a URL");
        let credentials = define(&api, world).await;

        let config = Config {
            issuer: IssuerUrl::new(world.issuer.clone()).expect("an issuer"),
            client_id: ClientId::from(client.id.as_str()),
            client_secret: client.secret.expect("a confidential client"),
            redirect_uri: Url::parse(&callback).expect("a URL"),
            api: api.clone(),
        };
        site::serve_on(
            app_place,
            demo::App::new(config, Clock::System).expect("an app").router(),
        );
        site::serve_on(
            api_place,
            Api::new(&world.issuer, &api, credentials, Clock::System)
                .expect("an API")
                .router()
                .expect("a router"),
        );
        let user = world.user().await;
        Self {
            app: format!("{app}/"),
            email: user.email.shown().to_owned(),
            password: PASSWORD.to_owned(),
        }
    }

    pub(super) async fn click_sign_in(&self, browser: &Browser) {
        browser.goto(&self.app).await;
        browser.click("sign-in").await;
    }

    pub(super) async fn fill_in(&self, browser: &Browser) {
        browser.type_into("username", &self.email).await;
        browser.type_into("password", &self.password).await;
    }

    /// To the page that greets by name.
    pub(super) async fn sign_in(&self, browser: &Browser) {
        self.click_sign_in(browser).await;
        self.fill_in(browser).await;
        browser.click("login-submit").await;
        browser.click("consent-allow").await;
        self.is_signed_in(browser).await;
    }

    pub(super) async fn is_signed_in(&self, browser: &Browser) {
        assert_eq!(browser.text_of("#signed-in-as").await, "Alex Example");
        assert_eq!(browser.url().await.as_str(), self.app);
    }
}

/// The demo app as it would stand beside this server, for what it routes.
pub(crate) async fn demo_app(world: &World) -> demo::App {
    let place = Url::parse("http://localhost:1/").expect("a URL");
    let config = Config {
        issuer: IssuerUrl::new(world.issuer.clone()).expect("an issuer"),
        client_id: ClientId::from("demo"),
        client_secret: protocol::Secret::from("x"),
        redirect_uri: place.clone(),
        api: place,
    };
    demo::App::new(config, Clock::System).expect("an app")
}

async fn define(api: &Url, world: &World) -> Credentials {
    let scopes = [(demo::API_SCOPE.to_owned(), demo::API_SCOPE_TEXT.to_owned())].into();
    let resource = ResourceServer::define(
        api.as_str(),
        "Countersign demo API",
        SigningAlg::Es256,
        scopes,
        world.now(),
    );
    let resource = resource.expect("a valid resource server");
    let inserted = world.db.transact(move |conn| {
        Box::pin(async move { resources::insert(&resource, &events::Context::server(), conn).await })
    });
    inserted.await.expect("a new resource server");
    let (identifier, by, now) = (api.to_string(), events::Context::server(), world.now());
    let added = world.db.transact(move |conn| {
        Box::pin(async move { resources::secrets::add(&identifier, &by, conn, now).await })
    });
    let secret = added.await.expect("room for a secret").secret;
    Credentials::basic(api.as_str(), secret.expose())
}
