//! Clients that prove themselves by a certificate, and tokens that only its holder can use: RFC 8705.

mod assertions;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use accounts::users::User;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clients::certificates::Authorities;
use countersign::settings::Mtls;
use http::header::COOKIE;
use protocol::{Issuer, SigningAlg};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use reqwest::{Client, Identity};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::harness::app::{answer, basic, payload};
use crate::harness::process::{Process, free_port};
use crate::harness::rp::{self, Site, b64};
use crate::harness::world::{Asking, Own};
use crate::harness::{Answer, App, World, visitor};
use crate::introspection::{api, assert_active};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// An authority for certificates of clients.
struct Authority {
    issuer: rcgen::Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self {
            issuer: rcgen::Issuer::new(params, key),
            pem,
        }
    }

    /// A certificate of this name, for two days from now on.
    fn certify(&self, name: &str) -> Held {
        let key = KeyPair::generate().expect("a key");
        Held::of(
            &params(name).signed_by(&key, &self.issuer).expect("a certificate"),
            &key,
        )
    }

    fn authorities(&self) -> Authorities {
        Authorities::parse(self.pem.as_bytes()).expect("an authority")
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Example");
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.not_before = (SystemTime::now() - DAY).into();
    params.not_after = (SystemTime::now() + 2 * DAY).into();
    params
}

/// A certificate and its key.
struct Held {
    der: Vec<u8>,
    pem: String,
}

impl Held {
    fn of(certificate: &rcgen::Certificate, key: &KeyPair) -> Self {
        Self {
            der: certificate.der().to_vec(),
            pem: format!("{}{}", certificate.pem(), key.serialize_pem()),
        }
    }

    /// One that nobody vouches for.
    fn own(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        Self::of(&params(name).self_signed(&key).expect("a certificate"), &key)
    }

    /// A key set that registers it.
    fn jwks(&self) -> Value {
        json!({ "keys": [{ "kty": "EC", "use": "sig", "x5c": [STANDARD.encode(&self.der)] }] })
    }

    fn thumbprint(&self) -> Value {
        json!({ "x5t#S256": b64(seal::sha256(&self.der)) })
    }

    /// RFC 9440 §2.1.
    fn header(&self) -> String {
        format!(":{}:", STANDARD.encode(&self.der))
    }
}

/// A server with a second listener, and these authorities.
async fn asking(database: db::Url, authorities: Authorities) -> World {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address: SocketAddr = listener.local_addr().expect("bound");
    let url = format!("https://localhost:{}", address.port());
    let own = Own {
        mtls: Some(Asking {
            mtls: Mtls {
                url: Issuer::parse(&url).expect("a URL"),
                listen: Some(address),
                authorities,
            },
            listener: Some(listener),
        }),
        ..Own::default()
    };
    World::here_with(database, own).await
}

/// A server to which these proxies tell of certificates, at its one listener.
async fn told_by(proxies: &'static str, authorities: Authorities) -> World {
    let own = Own {
        mtls: Some(Asking {
            mtls: Mtls {
                url: Issuer::parse("https://mtls.example.com").expect("a URL"),
                listen: None,
                authorities,
            },
            listener: None,
        }),
        proxies: Some(proxies),
        ..Own::default()
    };
    World::here_with(db::testing::sqlite_url(), own).await
}

/// Requests with this certificate, or with none.
fn with(certificate: Option<&Held>) -> Client {
    let mut client = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tls_certs_only([rp::root()]);
    if let Some(certificate) = certificate {
        client = client
            .identity(Identity::from_pem(certificate.pem.as_bytes()).expect("a certificate and its key"));
    }
    client.build().expect("a client")
}

/// An address of the listener that asks for certificates.
async fn alias(world: &World, endpoint: &str) -> String {
    let document = world
        .visitor()
        .get("/.well-known/openid-configuration")
        .await
        .json();
    let alias = &document["mtls_endpoint_aliases"][endpoint];
    alias
        .as_str()
        .unwrap_or_else(|| panic!("no {endpoint}: {document}"))
        .to_owned()
}

/// A token request at the listener that asks for certificates.
async fn ask(world: &World, certificate: Option<&Held>, params: &[(&str, &str)]) -> Answer {
    let url = alias(world, "token_endpoint").await;
    answer(with(certificate).post(url).form(params)).await
}

/// Nothing is behind it: a client that is let in is told so.
fn nothing(app: &App) -> [(&'static str, &str); 3] {
    [
        ("client_id", &app.id),
        ("grant_type", "refresh_token"),
        ("refresh_token", "none"),
    ]
}

async fn is_let_in(world: &World, certificate: &Held, app: &App) {
    ask(world, Some(certificate), &nothing(app))
        .await
        .assert_refusal(400, "invalid_grant");
}

/// What a client that is not let in is told.
async fn is_refused(world: &World, certificate: Option<&Held>, app: &App) -> String {
    let answer = ask(world, certificate, &nothing(app)).await;
    answer.assert_refusal(401, "invalid_client");
    answer.body
}

const DN: &str = "CN=app,O=Example";

async fn named(world: &World) -> App {
    let metadata =
        json!({ "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": DN });
    world.app_with(metadata).await
}

async fn registered(world: &World, certificate: &Held, more: Value) -> App {
    let mut metadata =
        json!({ "token_endpoint_auth_method": "self_signed_tls_client_auth", "jwks": certificate.jwks() });
    for (name, value) in more.as_object().expect("an object") {
        metadata[name] = value.clone();
    }
    world.app_with(metadata).await
}

/// Redeems a code for this user where certificates are asked for.
async fn redeem(world: &World, app: &App, user: &User, certificate: Option<&Held>) -> Answer {
    let changes = [("scope", "openid offline_access")];
    let code = app.code(world, user, &changes).await;
    let mut params = app.exchanging(&code);
    params.push(("client_id", app.id.clone()));
    let url = alias(world, "token_endpoint").await;
    answer(with(certificate).post(url).form(&params)).await
}

async fn refresh(world: &World, app: &App, token: &str, certificate: Option<&Held>) -> Answer {
    let params = [
        ("client_id", app.id.as_str()),
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
    ];
    ask(world, certificate, &params).await
}

async fn userinfo(world: &World, token: &str, certificate: Option<&Held>) -> Answer {
    let url = alias(world, "userinfo_endpoint").await;
    answer(with(certificate).get(url).bearer_auth(token)).await
}

fn text(answer: &Answer, member: &str) -> String {
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()[member]
        .as_str()
        .unwrap_or_else(|| panic!("no {member}: {}", answer.body))
        .to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c035_an_authority_vouches_for_the_name_that_the_client_registered() {
    let (authority, foreign) = (Authority::new(), Authority::new());
    let world = asking(db::testing::sqlite_url(), authority.authorities()).await;
    let (app, certificate) = (named(&world).await, authority.certify("app"));
    is_let_in(&world, &certificate, &app).await;

    let mut texts = Vec::new();
    for other in [
        Some(authority.certify("App")),
        Some(foreign.certify("app")),
        Some(Held::own("app")),
        None,
    ] {
        texts.push(is_refused(&world, other.as_ref(), &app).await);
    }
    let unknown = App {
        id: "unknown".to_owned(),
        ..app.clone()
    };
    texts.push(is_refused(&world, Some(&certificate), &unknown).await);
    texts.push(is_refused(&world, Some(&certificate), &world.app().await).await);
    texts.dedup();
    assert_eq!(
        texts.len(),
        1,
        "a stranger learns which clients there are: {texts:?}"
    );

    // Where nobody asks for it, there is none, whatever a header says.
    let params: Vec<_> = nothing(&app)
        .map(|(name, value)| (name, value.to_owned()))
        .to_vec();
    let plain = app.token(&world, params.clone()).await;
    plain.assert_refusal(401, "invalid_client");
    let request = visitor::client().post(world.at("/token")).form(&params);
    let spoofed = answer(request.header("client-cert", certificate.header())).await;
    spoofed.assert_refusal(401, "invalid_client");
    // Nor is a secret another way in.
    let guessed = App {
        secret: Some("guess".into()),
        ..app.clone()
    };
    guessed
        .token(&world, params)
        .await
        .assert_refusal(401, "invalid_client");
    // It ends on its day, on the same connection as well.
    is_let_in(&world, &certificate, &app).await;
    world.pass(3 * DAY);
    is_refused(&world, Some(&certificate), &app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c035_a_certificate_of_its_own_counts_where_the_client_registered_it() {
    let world = asking(db::testing::sqlite_url(), Authorities::default()).await;
    let (certificate, other) = (Held::own("app"), Held::own("app"));
    let app = registered(&world, &certificate, json!({})).await;
    is_let_in(&world, &certificate, &app).await;
    is_refused(&world, Some(&other), &app).await;
    is_refused(&world, None, &app).await;

    // Behind a URL it is found at once when it is changed.
    let site = Site::open().await;
    let jwks_uri = site.put("/jwks", "application/json", certificate.jwks().to_string());
    let behind = registered(
        &world,
        &certificate,
        json!({ "jwks": null, "jwks_uri": jwks_uri }),
    )
    .await;
    is_let_in(&world, &certificate, &behind).await;
    is_refused(&world, Some(&other), &behind).await;
    site.put("/jwks", "application/json", other.jwks().to_string());
    is_let_in(&world, &other, &behind).await;
    is_refused(&world, Some(&certificate), &behind).await;

    // Nobody vouches for certificates here.
    is_refused(&world, Some(&certificate), &named(&world).await).await;
    world.pass(3 * DAY);
    is_refused(&world, Some(&certificate), &app).await;
}

async fn bound_tokens(world: World) {
    let user = world.user().await;
    let (certificate, other) = (Held::own("app"), Held::own("app"));
    let bound = json!({ "tls_client_certificate_bound_access_tokens": true });
    let app = registered(&world, &certificate, bound).await;

    let tokens = redeem(&world, &app, &user, Some(&certificate)).await;
    let access = text(&tokens, "access_token");
    assert_eq!(payload(&access)["cnf"], certificate.thumbprint());
    assert_eq!(tokens.json()["token_type"], "Bearer");

    // Only who holds the certificate can use it (C036).
    assert_eq!(userinfo(&world, &access, Some(&certificate)).await.status, 200);
    for stranger in [
        userinfo(&world, &access, Some(&other)).await,
        userinfo(&world, &access, None).await,
    ] {
        assert_eq!(
            (stranger.status.as_u16(), &stranger.json()["error"]),
            (401, &json!("invalid_token"))
        );
    }
    let plain = crate::harness::app::userinfo(&world, &access).await;
    assert_eq!(
        (plain.status.as_u16(), &plain.json()["error"]),
        (401, &json!("invalid_token"))
    );
    let spoofed = visitor::client().get(world.at("/userinfo")).bearer_auth(&access);
    let spoofed = answer(spoofed.header("client-cert", certificate.header())).await;
    assert_eq!(spoofed.status, 401, "{}", spoofed.body);

    // Whoever may ask about it is told what to ask for.
    let params = [("client_id", app.id.as_str()), ("token", &access)];
    let url = alias(&world, "introspection_endpoint").await;
    let about = answer(with(Some(&certificate)).post(url).form(&params)).await;
    assert_eq!(assert_active(&about)["cnf"], certificate.thumbprint());

    // A client that authenticates may change its certificate; what it gets then is bound to the new one.
    let newest = text(&tokens, "refresh_token");
    let refreshed = refresh(&world, &app, &newest, Some(&certificate)).await;
    assert_eq!(
        payload(&text(&refreshed, "access_token"))["cnf"],
        certificate.thumbprint()
    );

    // Given back, it ends.
    let url = alias(&world, "revocation_endpoint").await;
    let given_back = answer(with(Some(&certificate)).post(url).form(&params)).await;
    assert_eq!(given_back.status, 200, "{}", given_back.body);
    assert_eq!(userinfo(&world, &access, Some(&certificate)).await.status, 401);
}

async fn bound_refresh_tokens(world: World) {
    let user = world.user().await;
    let (certificate, other) = (Held::own("device"), Held::own("device"));
    let metadata = json!({
        "token_endpoint_auth_method": "none", "tls_client_certificate_bound_access_tokens": true,
    });
    let app = world.app_with(metadata).await;
    let bare = redeem(&world, &app, &user, None).await;
    bare.assert_refusal(400, "invalid_request");
    let tokens = redeem(&world, &app, &user, Some(&certificate)).await;
    assert_eq!(
        payload(&text(&tokens, "access_token"))["cnf"],
        certificate.thumbprint()
    );
    let first = text(&tokens, "refresh_token");
    for (thief, error) in [(Some(&other), "invalid_grant"), (None, "invalid_request")] {
        refresh(&world, &app, &first, thief)
            .await
            .assert_refusal(400, error);
    }
    let second = text(
        &refresh(&world, &app, &first, Some(&certificate)).await,
        "refresh_token",
    );
    // An answer that was lost long ago: only the holder can have asked.
    world.pass(Duration::from_secs(600));
    let again = refresh(&world, &app, &first, Some(&certificate)).await;
    assert_eq!(text(&again, "refresh_token"), second);
    refresh(&world, &app, &second, Some(&other))
        .await
        .assert_refusal(400, "invalid_grant");
    assert_eq!(
        refresh(&world, &app, &second, Some(&certificate)).await.status,
        200
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c036_a_token_that_is_bound_is_worth_nothing_without_the_certificate() {
    for url in [db::testing::sqlite_url(), db::testing::postgres_url().await] {
        bound_tokens(asking(url, Authorities::default()).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refresh_tokens_of_public_clients_are_bound_like_their_access_tokens() {
    for url in [db::testing::sqlite_url(), db::testing::postgres_url().await] {
        bound_refresh_tokens(asking(url, Authorities::default()).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_registered_for_bound_tokens_gets_no_others() {
    let world = asking(db::testing::sqlite_url(), Authorities::default()).await;
    let (user, certificate) = (world.user().await, Held::own("app"));
    let app = world
        .app_with(json!({ "tls_client_certificate_bound_access_tokens": true }))
        .await;
    // Refused before the code is used up.
    let code = app.code(&world, &user, &[]).await;
    let mut params = app.exchanging(&code);
    app.token(&world, params.clone())
        .await
        .assert_refusal(400, "invalid_request");
    params.push(("client_id", app.id.clone()));
    let secret = app.secret.as_ref().expect("a secret").expose();
    let request = with(Some(&certificate)).post(alias(&world, "token_endpoint").await);
    let tokens = answer(
        request
            .header("authorization", basic(&app.id, secret))
            .form(&params),
    )
    .await;
    assert_eq!(
        payload(&text(&tokens, "access_token"))["cnf"],
        certificate.thumbprint()
    );

    // A certificate alone binds nothing: the client may call APIs that know of none.
    let own = registered(&world, &certificate, json!({})).await;
    let tokens = redeem(&world, &own, &user, Some(&certificate)).await;
    let access = text(&tokens, "access_token");
    assert_eq!(payload(&access).get("cnf"), None);
    assert_eq!(crate::harness::app::userinfo(&world, &access).await.status, 200);

    // A machine's tokens are bound as well.
    let (api, scope) = api(&world, SigningAlg::Es256).await;
    let machine = registered(
        &world,
        &certificate,
        json!({
            "tls_client_certificate_bound_access_tokens": true, "grant_types": ["client_credentials"],
            "response_types": [], "redirect_uris": [], "scope": scope,
        }),
    )
    .await;
    let params = [
        ("client_id", machine.id.as_str()),
        ("grant_type", "client_credentials"),
        ("resource", &api.identifier),
        ("scope", &scope),
    ];
    let answer = ask(&world, Some(&certificate), &params).await;
    assert_eq!(
        payload(&text(&answer, "access_token"))["cnf"],
        certificate.thumbprint()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c035_a_header_counts_from_a_listed_proxy_only() {
    let authority = Authority::new();
    let certificate = authority.certify("app");
    for (proxies, listed) in [("127.0.0.1", true), ("10.0.0.1", false)] {
        let world = told_by(proxies, authority.authorities()).await;
        let app = named(&world).await;
        let tell = async |headers: &[(&'static str, &str)]| {
            let mut request = visitor::client().post(world.at("/token")).form(&nothing(&app));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            answer(request).await
        };
        let own = certificate.header();
        let told = tell(&[("client-cert", &own)]).await;
        match listed {
            true => told.assert_refusal(400, "invalid_grant"),
            false => told.assert_refusal(401, "invalid_client"),
        }
        tell(&[]).await.assert_refusal(401, "invalid_client");
        let strange = Authority::new().certify("app").header();
        tell(&[("client-cert", &strange)])
            .await
            .assert_refusal(401, "invalid_client");
        for garbage in ["x", "::", ":AAAA:, :AAAA:"] {
            let told = tell(&[("client-cert", garbage)]).await;
            match listed {
                true => told.assert_refusal_of_anybody(400, "invalid_request"),
                false => told.assert_refusal(401, "invalid_client"),
            }
        }
        // Bytes that are no certificate are nobody's.
        tell(&[("client-cert", ":AAAA:")])
            .await
            .assert_refusal(401, "invalid_client");
    }
}

impl Answer {
    /// Refused before any endpoint saw the request.
    fn assert_refusal_of_anybody(&self, status: u16, error: &str) {
        assert_eq!(
            (self.status.as_u16(), &self.json()["error"]),
            (status, &json!(error)),
            "{}",
            self.body
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c035_of_a_header_and_a_handshake_the_handshake_counts() {
    let authority = Authority::new();
    let world = asking(db::testing::sqlite_url(), authority.authorities()).await;
    let (app, certificate, other) = (
        named(&world).await,
        authority.certify("app"),
        authority.certify("other"),
    );
    let url = alias(&world, "token_endpoint").await;
    for (shown, told, status) in [
        (Some(&certificate), &other, 400),
        (Some(&other), &certificate, 401),
        (None, &certificate, 401),
    ] {
        let request = with(shown).post(&url).form(&nothing(&app));
        let answer = answer(request.header("client-cert", told.header())).await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_certificates_are_asked_for_there_is_no_page_and_no_cookie_counts() {
    let world = asking(db::testing::sqlite_url(), Authorities::default()).await;
    let (app, user) = (world.app().await, world.user().await);
    let (visitor, tokens) = app.sign_in(&world, &user, &[]).await;
    let cookies: Vec<String> = visitor
        .cookies
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let token = alias(&world, "token_endpoint").await;
    let origin = token.trim_end_matches("/token");
    for path in [
        app.url(&[("prompt", "none")]).as_str(),
        "/login",
        "/consent",
        "/logout",
        "/register",
        "/jwks",
        "/.well-known/openid-configuration",
        "/livez",
        "/",
    ] {
        let request = with(None)
            .get(format!("{origin}{path}"))
            .header(COOKIE, cookies.join("; "));
        let answer = answer(request).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
        assert_eq!(answer.header("set-cookie"), None);
    }
    // Without a certificate, a client that needs none is served.
    let secret = app.secret.as_ref().expect("a secret").expose();
    for (endpoint, member) in [
        ("introspection_endpoint", "token"),
        ("revocation_endpoint", "token"),
    ] {
        let request = with(None)
            .post(alias(&world, endpoint).await)
            .form(&[(member, tokens.access())]);
        let answer = answer(request.header("authorization", basic(&app.id, secret))).await;
        assert_eq!(answer.status, 200, "{endpoint}: {}", answer.body);
    }
    let wrong = answer(with(None).get(&token)).await;
    assert_eq!(wrong.status, 405, "{}", wrong.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_metadata_names_what_is_there() {
    let secrets = [
        "client_secret_basic",
        "client_secret_post",
        "client_secret_jwt",
        "private_key_jwt",
    ];
    let document = async |world: &World| {
        world
            .visitor()
            .get("/.well-known/openid-configuration")
            .await
            .json()
    };
    let (issued, own) = ("tls_client_auth", "self_signed_tls_client_auth");

    let without = document(&World::sqlite().await).await;
    assert_eq!(without.get("mtls_endpoint_aliases"), None);
    assert_eq!(without.get("tls_client_certificate_bound_access_tokens"), None);
    for (world, further) in [
        (World::sqlite().await, &[][..]),
        (
            asking(db::testing::sqlite_url(), Authorities::default()).await,
            &[own],
        ),
        (
            told_by("127.0.0.1", Authority::new().authorities()).await,
            &[issued, own],
        ),
    ] {
        let document = document(&world).await;
        for (endpoint, open) in [("token", true), ("revocation", true), ("introspection", false)] {
            let mut expected = [&secrets[..], further].concat();
            expected.extend(open.then_some("none"));
            let mut told: Vec<&str> = document[format!("{endpoint}_endpoint_auth_methods_supported")]
                .as_array()
                .expect("an array")
                .iter()
                .filter_map(Value::as_str)
                .collect();
            expected.sort_unstable();
            told.sort_unstable();
            assert_eq!(told, expected, "{endpoint}");
        }
        if !further.is_empty() {
            assert_eq!(document["tls_client_certificate_bound_access_tokens"], true);
            let aliases = document["mtls_endpoint_aliases"].as_object().expect("aliases");
            for (name, alias) in aliases {
                assert!(document.get(name).is_some(), "{name}");
                assert!(alias.as_str().expect("a URL").starts_with("https://"), "{alias}");
            }
            assert_eq!(aliases.len(), 5);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apps_register_themselves_for_certificates_where_there_are_any() {
    let certificate = Held::own("app");
    let base = |method: &str| json!({ "redirect_uris": ["https://app.example.com/cb"], "token_endpoint_auth_method": method });
    let mut own = base("self_signed_tls_client_auth");
    own["jwks"] = certificate.jwks();
    let mut issued = base("tls_client_auth");
    issued["tls_client_auth_san_dns"] = json!("app.example.com");
    let mut bound = base("client_secret_basic");
    bound["tls_client_certificate_bound_access_tokens"] = json!(true);
    for (world, admitted) in [
        (World::sqlite().await, [false, false, false]),
        (
            asking(db::testing::sqlite_url(), Authorities::default()).await,
            [true, false, true],
        ),
        (
            asking(db::testing::sqlite_url(), Authority::new().authorities()).await,
            [true, true, true],
        ),
    ] {
        for (document, admitted) in [&own, &issued, &bound].into_iter().zip(admitted) {
            let answer = answer(visitor::client().post(world.at("/register")).json(document)).await;
            match admitted {
                true => {
                    assert_eq!(answer.status, 201, "{}", answer.body);
                    let told = answer.json();
                    for (member, value) in document.as_object().unwrap() {
                        assert_eq!(&told[member], value, "{member}");
                    }
                    let has_secret = document["token_endpoint_auth_method"] == "client_secret_basic";
                    assert_eq!(told.get("client_secret").is_some(), has_secret);
                }
                false => answer.assert_refusal_of_anybody(400, "invalid_client_metadata"),
            }
        }
    }
}

/// As an operator starts it.
#[tokio::test]
async fn a_server_listens_at_both_addresses_and_stops_at_once() {
    let (folder, authority) = (tempfile::tempdir().expect("a folder"), Authority::new());
    let (port, second) = (free_port(), free_port());
    let (cert, key) = rp::files(folder.path());
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, &authority.pem).expect("a file");
    let (issuer, url, listen) = (
        format!("https://localhost:{port}"),
        format!("https://localhost:{second}/mtls"),
        format!("127.0.0.1:{second}"),
    );
    let environment = [
        ("COUNTERSIGN_ISSUER", issuer.as_str()),
        ("COUNTERSIGN_TLS_CERT", cert.to_str().expect("text")),
        ("COUNTERSIGN_TLS_KEY", key.to_str().expect("text")),
        ("COUNTERSIGN_MTLS_LISTEN", &listen),
        ("COUNTERSIGN_MTLS_URL", &url),
        ("COUNTERSIGN_MTLS_ROOTS", roots.to_str().expect("text")),
    ];
    let mut server = Process::serve_https(folder.path(), &environment, port, &with(None)).await;
    let document = with(None).get(format!("{issuer}/.well-known/openid-configuration"));
    let token = answer(document).await.json()["mtls_endpoint_aliases"]["token_endpoint"].clone();
    assert_eq!(token, format!("{url}/token"));
    let certificate = authority.certify("app");
    let params = [("client_id", "unknown"), ("grant_type", "refresh_token")];
    let request = with(Some(&certificate))
        .post(token.as_str().expect("a URL"))
        .form(&params);
    answer(request).await.assert_refusal(401, "invalid_client");
    assert!(server.terminate().await.success(), "{}", server.stderr());
}
