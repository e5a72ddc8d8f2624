//! A stranger leaves no trace: ten thousand requests of people and programs that prove nothing add no row to any
//! table. Everything that is under way travels in the sealed flow.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use http::StatusCode;
use protocol::opaque::{self, Kind};

use crate::harness::app::{basic, userinfo};
use crate::harness::visitor::Form;
use crate::harness::wire::{Wire, get, post, request};
use crate::harness::{App, Visitor, World};

const REQUESTS: usize = 10_000;
/// Strangers at one time, each with a connection.
const STRANGERS: usize = 32;

on_both_databases! {
    async fn ten_thousand_anonymous_requests_leave_every_table_as_it_was(world: World) {
        let ground = Ground::prepare(&world).await;
        let kinds = kinds();
        let before = lasting(&world).await;

        let turn = AtomicUsize::new(0);
        let strangers = (0..STRANGERS).map(|_| stranger(&world, &ground, &kinds, &turn));
        let mut met: BTreeMap<&str, usize> = BTreeMap::new();
        for (name, count) in join_all(strangers).await.into_iter().flatten() {
            *met.entry(name).or_default() += count;
        }
        assert_eq!(met.values().sum::<usize>(), REQUESTS);
        assert_eq!(met.len(), kinds.len());
        assert_eq!(lasting(&world).await, before);

        // The measure is a good one: whoever proves who they are does leave rows.
        let redirect = world.visitor().authorize(&ground.app.url(&[]), &ground.email).await;
        let tokens = ground.app.tokens(&world, &redirect).await;
        assert_eq!(userinfo(&world, tokens.access()).await.status, 200);
        assert_ne!(lasting(&world).await, before);
    }
}

/// The rows of all tables, except that failed sign-ins are counted: in two rows (one for the account, one for all
/// names that nobody has) for each network and five minutes, which become two events. Whatever is tried, they are
/// few.
async fn lasting(world: &World) -> Vec<(String, i64)> {
    let (counted, lasting): (Vec<_>, Vec<_>) = world
        .row_counts()
        .await
        .into_iter()
        .partition(|(table, _)| ["sign_in_failures", "audit_events"].contains(&table.as_str()));
    let rows: i64 = counted.iter().map(|(_, rows)| rows).sum();
    assert!(rows < 40, "{counted:?}");
    lasting
}

/// What strangers start from.
struct Ground {
    issuer: String,
    app: App,
    email: String,
    /// The cookies of a browser that looked at the sign-in page, and that page's form.
    cookies: String,
    sign_in: Form,
    /// The path behind a POST from an app's site.
    unbound: String,
    code: String,
    refresh_token: String,
}

/// One kind of request, and what it is answered with.
struct Asked {
    name: &'static str,
    expected: u16,
    bytes: fn(&Ground, usize) -> Vec<u8>,
}

impl Ground {
    async fn prepare(world: &World) -> Self {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = world.visitor();
        let page = visitor.open(&app.url(&[])).await;
        let answer = crate::harness::app::post(world, "/authorize", &[], &app.request()).await;
        let unbound = answer.location().expect("a redirect");
        Self {
            issuer: world.issuer.clone(),
            email: user.email.shown().to_owned(),
            cookies: cookies(&visitor),
            sign_in: page.form(),
            unbound: unbound.strip_prefix(&world.issuer).unwrap_or(&unbound).to_owned(),
            // Of the right shape, and of no approval or family.
            code: opaque::encode(Kind::AuthorizationCode, &[7; 48])
                .expose()
                .to_owned(),
            refresh_token: opaque::encode(Kind::RefreshToken, &[7; 56]).expose().to_owned(),
            app,
        }
    }

    fn flow(&self) -> &str {
        self.sign_in.value("flow")
    }

    fn posted(&self, path: &str, changes: &[(&str, &str)]) -> Vec<u8> {
        let mut form = self.sign_in.clone();
        for (name, value) in changes {
            form = form.with(name, value);
        }
        let fields: Vec<(&str, &str)> = form
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        post(
            path,
            &[("origin", &self.issuer), ("cookie", &self.cookies)],
            &fields,
        )
    }

    fn token(&self, params: &[(&str, &str)]) -> Vec<u8> {
        let secret = self.app.secret.as_ref().expect("a confidential app");
        post(
            "/token",
            &[("authorization", &basic(&self.app.id, secret.expose()))],
            params,
        )
    }
}

fn cookies(visitor: &Visitor<'_>) -> String {
    let pairs = visitor
        .cookies
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join("; ")
}

/// Asks until everybody together has asked enough.
async fn stranger<'k>(
    world: &World,
    ground: &Ground,
    kinds: &'k [Asked],
    turn: &AtomicUsize,
) -> BTreeMap<&'k str, usize> {
    let mut wire = Wire::connect(world.origin()).await.expect("a connection");
    let mut met = BTreeMap::new();
    loop {
        let turn = turn.fetch_add(1, Ordering::Relaxed);
        if turn >= REQUESTS {
            return met;
        }
        let kind = &kinds[turn % kinds.len()];
        let answer = wire
            .exchange(&(kind.bytes)(ground, turn))
            .await
            .expect("an answer");
        let expected = StatusCode::from_u16(kind.expected).expect("a status");
        assert_eq!(
            answer.status, expected,
            "{}: {:?} {}",
            kind.name, answer.headers, answer.body
        );
        *met.entry(kind.name).or_default() += 1;
    }
}

fn asked(name: &'static str, expected: u16, bytes: fn(&Ground, usize) -> Vec<u8>) -> Asked {
    Asked {
        name,
        expected,
        bytes,
    }
}

#[rustfmt::skip]
fn kinds() -> Vec<Asked> {
    vec![
        asked("a new flow", 303, |g, n| get(&g.app.url(&[("state", &n.to_string())]), &[])),
        asked("a new flow, a known browser", 303, |g, _| get(&g.app.url(&[]), &[("cookie", &g.cookies)])),
        asked("an unknown browser cookie", 303, |g, _| {
            let cookie = opaque::random(Kind::Browser);
            let port = g.issuer.rsplit(':').next().expect("a port");
            get(&g.app.url(&[]), &[("cookie", &format!("cs_browser_{port}={}", cookie.expose()))])
        }),
        asked("a hint", 303, |g, n| get(&g.app.url(&[("login_hint", &format!("{n}@example.com"))]), &[])),
        asked("silently", 303, |g, _| get(&g.app.url(&[("prompt", "none")]), &[])),
        asked("at once", 303, |g, _| get(&g.app.url(&[("prompt", "login consent"), ("max_age", "0")]), &[])),
        asked("an unknown scope", 303, |g, n| get(&g.app.url(&[("scope", &format!("x{n}"))]), &[])),
        asked("without PKCE", 303, |g, _| get(&g.app.url(&[("code_challenge", "")]), &[])),
        asked("a bad max_age", 303, |g, n| get(&g.app.url(&[("max_age", &format!("-{n}"))]), &[])),
        asked("an unknown client", 400, |g, n| get(&g.app.url(&[("client_id", &n.to_string())]), &[])),
        asked("a foreign redirect", 400, |g, n| {
            get(&g.app.url(&[("redirect_uri", &format!("https://evil-{n}.example/"))]), &[])
        }),
        asked("twice the same parameter", 400, |g, _| get(&format!("{}&state=2", g.app.url(&[])), &[])),
        asked("no parameters", 400, |_, _| get("/authorize", &[])),
        asked("a posted flow", 303, |g, n| {
            post("/authorize", &[], &crate::harness::app::changed(g.app.request(), &[("nonce", &n.to_string())]))
        }),
        asked("an object that nobody signed", 303, |g, _| {
            get(&g.app.url(&[("request", "eyJhbGciOiJub25lIn0.e30.")]), &[])
        }),
        asked("a URL that nobody registered", 303, |g, n| {
            get(&g.app.url(&[("request_uri", &format!("https://{n}.example.com/"))]), &[])
        }),
        asked("a reference to nothing", 303, |g, n| {
            get(&g.app.url(&[("request_uri", &format!("urn:ietf:params:oauth:request_uri:{n}"))]), &[])
        }),
        asked("a push by nobody", 401, |g, n| {
            post("/par", &[("authorization", &basic(&g.app.id, &n.to_string()))], &g.app.request())
        }),
        asked("a posted mistake", 400, |_, n| post("/authorize", &[], &[("client_id", n.to_string())])),
        asked("an unbound flow", 303, |g, _| get(&g.unbound, &[])),
        asked("a broken flow", 400, |g, n| get(&format!("/authorize?flow={}{n}", g.flow()), &[("cookie", &g.cookies)])),

        asked("the sign-in page", 200, |g, _| get(&format!("/login?flow={}", g.flow()), &[("cookie", &g.cookies)])),
        asked("the page in another browser", 400, |g, _| get(&format!("/login?flow={}", g.flow()), &[])),
        asked("the page without a flow", 400, |_, _| get("/login", &[])),
        asked("consent without a session", 303, |g, _| {
            get(&format!("/consent?flow={}", g.flow()), &[("cookie", &g.cookies)])
        }),
        asked("consent without a flow", 400, |_, _| get("/consent", &[])),
        asked("a wrong password", 400, |g, n| {
            g.posted("/login", &[("username", &g.email), ("password", &format!("wrong {n}"))])
        }),
        asked("an unknown user", 400, |g, n| {
            g.posted("/login", &[("username", &format!("{n}@example.com")), ("password", "wrong")])
        }),
        asked("no password", 400, |g, _| g.posted("/login", &[("username", &g.email)])),
        asked("a forged form", 403, |g, _| {
            g.posted("/login", &[("csrf", "AAAA"), ("username", &g.email), ("password", "wrong")])
        }),
        asked("a cancelled sign-in", 303, |g, _| g.posted("/login", &[("decision", "cancel")])),
        asked("an answer without a session", 303, |g, _| g.posted("/consent", &[("decision", "allow")])),

        asked("an account where nobody makes one", 403, |_, n| get(&format!("/signup?flow={n}"), &[])),
        asked("a new account by a form of nobody's", 403, |g, n| {
            g.posted("/signup", &[("username", &format!("{n}@example.com"))])
        }),
        asked("a new password by a form of nobody's", 403, |g, n| {
            g.posted("/recover", &[("username", &format!("{n}@example.com"))])
        }),
        asked("a made-up link to recover", 404, |_, n| {
            let link = opaque::encode(Kind::MailedLink, &n.to_be_bytes());
            get(&format!("/recover/password?link={}", link.expose()), &[])
        }),
        asked("a page of an account", 303, |g, _| get("/account/sessions", &[("cookie", &g.cookies)])),
        asked("a form of an account", 303, |g, _| g.posted("/account/delete", &[("session", "x")])),
        asked("a made-up link", 404, |_, n| {
            let link = opaque::encode(Kind::MailedLink, &n.to_be_bytes());
            get(&format!("/signup/account?link={}", link.expose()), &[])
        }),
        asked("a logout", 200, |_, _| get("/logout", &[])),
        asked("a logout with a bad hint", 200, |g, n| {
            get(&format!("/logout?id_token_hint=x{n}&client_id={}", g.app.id), &[("cookie", &g.cookies)])
        }),
        asked("a logout to nowhere", 400, |g, n| {
            get(&format!("/logout?client_id={}&post_logout_redirect_uri=https://x{n}.test/", g.app.id), &[])
        }),
        asked("a posted logout", 303, |_, n| post("/logout", &[], &[("state", n.to_string())])),
        asked("a yes without a cookie", 403, |g, _| {
            let origin = [("origin", g.issuer.as_str())];
            post("/logout/confirm", &origin, &[("decision", "sign-out".to_owned())])
        }),

        asked("an unknown code", 400, |g, _| {
            g.token(&[("grant_type", "authorization_code"), ("code", &g.code), ("redirect_uri", &g.app.redirect_uri)])
        }),
        asked("an unknown refresh token", 400, |g, _| {
            g.token(&[("grant_type", "refresh_token"), ("refresh_token", &g.refresh_token)])
        }),
        asked("an unknown grant", 400, |g, n| g.token(&[("grant_type", &format!("urn:{n}"))])),
        asked("a wrong secret", 401, |g, n| {
            let wrong = [("authorization", basic(&g.app.id, &n.to_string()))];
            post("/token", &[(wrong[0].0, &wrong[0].1)], &[("grant_type", "refresh_token"), ("refresh_token", "x")])
        }),
        asked("an unknown program", 401, |_, n| {
            post("/token", &[], &[("grant_type", "refresh_token"), ("client_id", &n.to_string())])
        }),
        asked("no form", 400, |_, _| request("POST", "/token", &[("content-type", "application/json")], b"{}")),
        asked("a made-up access token", 401, |_, n| get("/userinfo", &[("authorization", &format!("Bearer a.{n}.c"))])),
        asked("no access token", 401, |_, _| post("/userinfo", &[], &[("access_token", "")])),

        asked("a registration that is none", 400, |_, n| {
            let body = format!("{{\"redirect_uris\": [\"http://app-{n}.example.com/\"]}}");
            request("POST", "/register", &[("content-type", "application/json")], body.as_bytes())
        }),
        asked("a made-up registration", 401, |g, n| {
            let token = opaque::encode(Kind::RegistrationAccess, &n.to_be_bytes());
            get(&format!("/register/{}", g.app.id), &[("authorization", &format!("Bearer {}", token.expose()))])
        }),

        asked("discovery", 200, |_, _| get("/.well-known/openid-configuration", &[])),
        asked("the keys", 200, |_, _| get("/jwks", &[("origin", "https://app.example.com")])),
        asked("health", 200, |_, _| get("/readyz", &[])),
        asked("nothing there", 404, |_, n| get(&format!("/{n}"), &[])),
        asked("a wrong method", 405, |_, _| request("DELETE", "/token", &[], b"")),
    ]
}
