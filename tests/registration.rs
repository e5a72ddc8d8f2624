//! Clients that register themselves: RFC 7591, RFC 7592, OpenID Connect Dynamic Client Registration 1.0.

mod bounds;
mod manage;
mod strangers;

use clients::Trust;
use clients::registrations::quota::Hours;
use db::Url;
use http::Method;
use protocol::Secret;
use registry::{Admission, Terms};
use serde_json::{Value, json};

use crate::harness::app::answer;
use crate::harness::visitor::client;
use crate::harness::world::Own;
use crate::harness::{Answer, App, World};

/// What the official suite registers, and most libraries.
fn usual() -> Value {
    json!({
        "client_name": "Notes",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "redirect_uris": ["https://app.example.com/cb"],
        "token_endpoint_auth_method": "client_secret_post",
        "contacts": ["dev@example.com"],
    })
}

/// The usual with these members besides, or instead.
fn with(members: Value) -> Value {
    let mut document = usual();
    for (name, value) in members.as_object().expect("an object") {
        document[name] = value.clone();
    }
    document
}

async fn post(world: &World, document: &Value) -> Answer {
    answer(client().post(world.at("/register")).json(document)).await
}

/// A client that registered itself, as it was told about.
#[derive(Debug)]
struct Itself(Value);

impl Itself {
    async fn new(world: &World, document: &Value) -> Self {
        let answer = post(world, document).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        Self(answer.json())
    }

    fn text(&self, name: &str) -> &str {
        self.0[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name}: {}", self.0))
    }

    fn token(&self) -> &str {
        self.text("registration_access_token")
    }

    fn app(&self) -> App {
        App {
            id: self.text("client_id").to_owned(),
            secret: self.0["client_secret"].as_str().map(Secret::from),
            redirect_uri: self.0["redirect_uris"][0].as_str().expect("a URI").to_owned(),
        }
    }

    /// A request to its own registration, with this token.
    async fn manage(&self, world: &World, method: Method, token: &str, document: Option<&Value>) -> Answer {
        let uri = world.route(self.text("registration_client_uri"));
        let request = client().request(method, uri).bearer_auth(token);
        answer(match document {
            Some(document) => request.json(document),
            None => request,
        })
        .await
    }

    async fn read(&self, world: &World, token: &str) -> Answer {
        self.manage(world, Method::GET, token, None).await
    }
}

/// On both databases, on these terms.
async fn on_terms(terms: Terms) -> [World; 2] {
    let own = |terms| Own {
        registration: Some(terms),
        ..Own::default()
    };
    let here = |url: Url| World::here_with(url, own(terms));
    [
        here(db::testing::sqlite_url()).await,
        here(db::testing::postgres_url().await).await,
    ]
}

fn open() -> Terms {
    Terms {
        admission: Admission::Open,
        hours: Hours::Free,
        ..Terms::default()
    }
}

everywhere! {
    async fn a_client_registers_itself_and_people_sign_in_to_it(world: World) {
        let registered = post(&world, &usual()).await;
        assert_eq!(registered.status, 201, "{}", registered.body);
        assert_eq!(registered.header("cache-control"), Some("no-store"));
        assert_eq!(registered.header("content-type"), Some("application/json"));
        let own = Itself(registered.json());
        for (member, value) in usual().as_object().unwrap() {
            // Nobody vouches for it: what it keeps for later is not said to be in force.
            let expected = if member == "grant_types" { &json!(["authorization_code"]) } else { value };
            assert_eq!(&own.0[member], expected, "{member}");
        }
        assert_eq!(own.0["client_secret_expires_at"], 0);
        assert_eq!(own.0["require_pkce"], true);
        assert_eq!(own.0["application_type"], "web");
        let uri = format!("{}/register/{}", world.issuer, own.text("client_id"));
        assert_eq!(own.text("registration_client_uri"), uri);
        assert!(own.token().starts_with("cs_ra_") && own.text("client_secret").starts_with("cs_cs_"));

        let (app, user) = (own.app(), world.user().await);
        let page = {
            let mut visitor = world.visitor();
            let login = visitor.open(&app.url(&[])).await;
            let form = login.form().with("username", user.email.shown());
            let form = form.with("password", crate::harness::world::PASSWORD);
            let answer = visitor.submit(&form).await;
            visitor.follow(answer).await
        };
        assert!(page.has("It registered itself."), "{}", page.body);
        let changes = [("scope", "openid offline_access")];
        let redirect = world.visitor().authorize(&app.url(&changes), user.email.shown()).await;
        let tokens = app.tokens(&world, &redirect).await;
        assert_eq!(tokens.id()["sub"], user.sub.as_str());
        assert_eq!(tokens.body.get("refresh_token"), None);
    }

    async fn c058_a_registrant_chooses_neither_id_nor_secret_nor_trust_nor_what_binds_it(world: World) {
        let own = Itself::new(&world, &with(json!({
            "client_id": "admin", "client_secret": "a secret of its own wish", "trust": "trusted",
            "version": 9, "generation": 9, "client_id_issued_at": 1, "client_secret_expires_at": 1,
            "registration_access_token": "mine", "registration_client_uri": "https://a.test/",
            "require_pkce": false, "redirect_uris": ["https://app.example.com/cb"],
        }))).await;
        assert_eq!(own.text("client_id").len(), 22);
        assert!(own.text("client_secret").starts_with("cs_cs_") && own.token().starts_with("cs_ra_"));
        assert_eq!(own.0["require_pkce"], true, "what is in force is said");
        for member in ["trust", "version", "generation"] {
            assert_eq!(own.0.get(member), None, "{member}");
        }
        let answer = world.visitor().get(&own.app().url(&[("code_challenge", ""), ("code_challenge_method", "")])).await;
        assert!(answer.body.contains("code_challenge") || answer.param("error").is_some(), "{}", answer.body);

        for (document, error) in [
            (with(json!({ "grant_types": ["authorization_code", "client_credentials"] })), "invalid_client_metadata"),
            (json!({ "grant_types": ["client_credentials"], "scope": "x" }), "invalid_client_metadata"),
            (with(json!({ "software_statement": "a.b.c" })), "unapproved_software_statement"),
            (with(json!({ "response_types": ["id_token"], "grant_types": ["implicit"] })), "invalid_client_metadata"),
            (with(json!({ "redirect_uris": ["https://app.example.com/cb#x"] })), "invalid_redirect_uri"),
            (with(json!({ "redirect_uris": ["http://app.example.com/cb"] })), "invalid_redirect_uri"),
            (with(json!({ "redirect_uris": [] })), "invalid_redirect_uri"),
            (with(json!({ "token_endpoint_auth_method": "magic" })), "invalid_client_metadata"),
            (with(json!({ "initiate_login_uri": "http://app.example.com/start" })), "invalid_client_metadata"),
        ] {
            let answer = post(&world, &document).await;
            assert_eq!(answer.status, 400, "{document}: {}", answer.body);
            assert_eq!(answer.json()["error"], error, "{document}: {}", answer.body);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registration_that_is_closed_says_so_and_is_in_no_document() {
    for world in on_terms(Terms::default()).await {
        let answer = post(&world, &usual()).await;
        assert_eq!(answer.status, 403);
        assert_eq!(answer.json()["error"], "access_denied");
        let document = world
            .visitor()
            .get("/.well-known/openid-configuration")
            .await
            .json();
        assert_eq!(document.get("registration_endpoint"), None);
    }
}

async fn initial_token(world: &World, uses: u32) -> Secret {
    let now = world.now();
    let life = std::time::Duration::from_secs(60);
    let added = world.db.transact(move |conn| {
        Box::pin(async move {
            let by = events::Context::command_line();
            clients::initial_tokens::add(uses, life, &by, conn, now).await
        })
    });
    added.await.expect("a token").token
}

async fn post_with(world: &World, token: &str, document: &Value) -> Answer {
    let request = client().post(world.at("/register")).bearer_auth(token);
    answer(request.json(document)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_initial_tokens_a_client_is_registered_for_each_use() {
    let terms = Terms {
        admission: Admission::Token,
        trust: Trust::Trusted,
        ..open()
    };
    for world in on_terms(terms).await {
        let bare = post(&world, &usual()).await;
        assert_eq!(bare.status, 401);
        assert_eq!(bare.header("www-authenticate"), Some("Bearer"));
        let token = initial_token(&world, 2).await;
        let token = token.expose();
        // A mistake costs no use.
        let machine = json!({ "grant_types": ["client_credentials"], "scope": "openid" });
        for (document, status) in [
            (json!({ "redirect_uris": "x" }), 400),
            (usual(), 201),
            (machine, 201),
            (usual(), 401),
        ] {
            let answer = post_with(&world, token, &document).await;
            assert_eq!(answer.status, status, "{document}: {}", answer.body);
        }
        let late = initial_token(&world, 1).await;
        world.pass(std::time::Duration::from_secs(60));
        for wrong in [late.expose(), "x", "cs_ia_x"] {
            let answer = post_with(&world, wrong, &usual()).await;
            assert_eq!(
                (answer.status.as_u16(), &answer.json()["error"]),
                (401, &json!("invalid_token"))
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_operator_relaxes_is_relaxed_for_confidential_clients_only() {
    let terms = Terms {
        trust: Trust::Trusted,
        require_pkce: false,
        ..open()
    };
    for world in on_terms(terms).await {
        for (members, required) in [
            (json!({}), false),
            (json!({ "require_pkce": true }), true),
            (json!({ "token_endpoint_auth_method": "none" }), true),
        ] {
            let own = Itself::new(&world, &with(members.clone())).await;
            assert_eq!(own.0["require_pkce"], required, "{members}");
        }
        let own = Itself::new(&world, &usual()).await;
        assert_eq!(
            own.0["grant_types"],
            json!(["authorization_code", "refresh_token"])
        );
        let user = world.user().await;
        let tokens = own
            .app()
            .grant(&world, &user, &[("scope", "openid offline_access")])
            .await;
        assert_eq!(own.app().refresh(&world, tokens.refresh()).await.status, 200);
        // Strangers stay out of what asks nobody.
        let machine = json!({ "grant_types": ["client_credentials"], "scope": "openid" });
        assert_eq!(post(&world, &machine).await.status, 400);
    }
}
