//! Good requests to bend: one of every kind, with credentials that are alive.

use serde_json::{Map, Value, json};

use crate::harness::app::{VERIFIER, address, basic};
use crate::harness::rp::Key;
use crate::harness::visitor::Form;
use crate::harness::world::PASSWORD;
use crate::harness::{Visitor, World};

/// A request whose every part can still be changed. Names and values are encoded where they go.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) form: Option<Vec<(String, String)>>,
}

const OFFLINE: &[(&str, &str)] = &[("scope", "openid profile email offline_access")];

/// One good request of every kind.
pub(super) async fn ground(world: &World) -> Vec<Draft> {
    let (app, public, user) = (world.app().await, world.public_app().await, world.user().await);
    let mut visitor = world.visitor();
    let redirect = visitor.authorize(&app.url(OFFLINE), user.email.shown()).await;
    let tokens = app.tokens(world, &redirect).await;
    let fresh = visitor.authorize(&app.url(OFFLINE), user.email.shown()).await;
    let code = fresh.param("code").expect("a code");

    let mut stranger = world.visitor();
    let login = stranger.open(&app.url(&[])).await.form();
    let consent = visitor.open(&public.url(OFFLINE)).await.form();
    // Their session may end; nobody else's does.
    let (mut leaver, leaving) = app.sign_in(world, &user, &[]).await;
    let leave = leaver.open("/logout").await.form();
    let logout = owned(&[
        ("id_token_hint", leaving.text("id_token")),
        ("client_id", &app.id),
        ("state", "s"),
    ]);
    let id_token = tokens.text("id_token");
    let secret = app.secret.as_ref().expect("a confidential app").expose();
    let credentials = ("authorization", basic(&app.id, secret));
    let bearer = ("authorization", format!("Bearer {}", tokens.access()));
    let (request, silent) = (app.request(), [("prompt", "none".to_owned())]);
    let hinted = [
        ("id_token_hint", id_token.to_owned()),
        ("max_age", "1".to_owned()),
    ];
    let also = |more: &[(&'static str, String)]| [&request[..], more].concat();
    let redeem = |code: &str| {
        owned(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &app.redirect_uri),
            ("code_verifier", VERIFIER),
        ])
    };
    let refresh = owned(&[
        ("grant_type", "refresh_token"),
        ("refresh_token", tokens.refresh()),
    ]);
    let posted = owned(&[
        ("grant_type", "refresh_token"),
        ("refresh_token", tokens.refresh()),
        ("client_id", &app.id),
        ("client_secret", secret),
    ]);

    let key = Key::new("ES256");
    let signing = world.app_with(json!({ "jwks": key.jwks() })).await;
    let claims: Map<String, Value> = signing
        .request()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect();
    let object = [("request", key.sign(&Value::Object(claims)))];
    let signed = [&signing.request()[..], &object].concat();
    let signer = signing.secret.as_ref().expect("a confidential app").expose();
    let pushed = app.call(world, "/par", request.clone()).await.json();
    let reference = owned(&[
        ("client_id", &app.id),
        (
            "request_uri",
            pushed["request_uri"].as_str().expect("a reference"),
        ),
    ]);
    let mut led = world.visitor();
    let by_reference = led.open(&address(&reference)).await.form();

    let mut drafts = vec![
        Draft::get("/authorize", &signed).with(&cookies(&visitor)),
        Draft::get("/authorize", &reference).with(&cookies(&visitor)),
        Draft::get("/login", &flow(&by_reference)).with(&cookies(&led)),
        Draft::post("/par", &request).with(&credentials),
        Draft::post("/par", &public.request()),
        Draft::post("/par", &object).with(&("authorization", basic(&signing.id, signer))),
        Draft::get("/authorize", &request),
        Draft::get("/authorize", &also(&silent)).with(&cookies(&visitor)),
        Draft::get("/authorize", &also(&hinted)).with(&cookies(&visitor)),
        Draft::get("/authorize", &public.request()).with(&cookies(&visitor)),
        Draft::post("/authorize", &request),
        Draft::get("/authorize", &flow(&login)).with(&cookies(&stranger)),
        Draft::get("/login", &flow(&login)).with(&cookies(&stranger)),
        Draft::get("/consent", &flow(&consent)).with(&cookies(&visitor)),
        Draft::get("/logout", &logout).with(&cookies(&leaver)),
        Draft::post("/logout", &logout),
        Draft::get("/logout", &flow(&leave)).with(&cookies(&leaver)),
        Draft::get("/logout/confirm", &flow(&leave)).with(&cookies(&leaver)),
        Draft::post("/token", &redeem(&code)).with(&credentials),
        Draft::post("/token", &refresh).with(&credentials),
        Draft::post("/token", &posted),
        Draft::get("/userinfo", &[]).with(&bearer),
        Draft::post("/userinfo", &owned(&[("access_token", tokens.access())])),
        Draft::get("/jwks", &[]),
        Draft::get("/.well-known/openid-configuration", &[]),
        Draft::get("/.well-known/oauth-authorization-server", &[]),
        Draft::get("/livez", &[]),
        Draft::get("/readyz", &[]),
    ];
    let sign_in = login
        .clone()
        .with("username", user.email.shown())
        .with("password", PASSWORD);
    let origin = ("origin", world.issuer.clone());
    let allow = consent.clone().with("decision", "allow");
    let forms = [
        ("/login", sign_in, cookies(&stranger)),
        ("/login", login.with("decision", "cancel"), cookies(&stranger)),
        ("/consent", allow, cookies(&visitor)),
        ("/consent", consent.with("decision", "deny"), cookies(&visitor)),
        (
            "/logout/confirm",
            leave.clone().with("decision", "stay"),
            cookies(&leaver),
        ),
        (
            "/logout/confirm",
            leave.with("decision", "sign-out"),
            cookies(&leaver),
        ),
    ];
    for (path, form, cookies) in forms {
        let mut draft = Draft::post(path, &[]).with(&cookies).with(&origin);
        draft.form = Some(form.fields);
        drafts.push(draft);
    }
    drafts
}

impl Draft {
    pub(super) fn get(path: &str, query: &[(&'static str, String)]) -> Self {
        Self {
            method: "GET",
            path: path.to_owned(),
            query: pairs(query),
            headers: Vec::new(),
            form: None,
        }
    }

    pub(super) fn post(path: &str, form: &[(&'static str, String)]) -> Self {
        let kind = ("content-type", "application/x-www-form-urlencoded".to_owned());
        let draft = Self {
            method: "POST",
            form: Some(pairs(form)),
            ..Self::get(path, &[])
        };
        draft.with(&kind)
    }

    pub(super) fn with(mut self, (name, value): &(&'static str, String)) -> Self {
        self.headers
            .push(((*name).to_owned(), value.clone().into_bytes()));
        self
    }
}

pub(super) fn cookies(visitor: &Visitor<'_>) -> (&'static str, String) {
    let pairs = visitor
        .cookies
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    ("cookie", pairs.collect::<Vec<_>>().join("; "))
}

fn flow(form: &Form) -> [(&'static str, String); 1] {
    [("flow", form.value("flow").to_owned())]
}

fn owned(params: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    params
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect()
}

fn pairs(params: &[(&'static str, String)]) -> Vec<(String, String)> {
    params
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}
