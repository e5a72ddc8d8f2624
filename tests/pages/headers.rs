//! C094, C015 and C038: what every answer of every route says to browsers and caches, errors included.

use http::{Method, StatusCode};

use super::{as_it_comes, bare};
use crate::harness::world::{Own, PASSWORD};
use crate::harness::{Answer, World};
use crate::matrix::world_with_every_page;

const ODD_PATHS: [&str; 5] = ["/", "/nowhere", "/assets/none.css", "/login/", "//evil.example/"];
const METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::OPTIONS,
    Method::PATCH,
];
const PERSON: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// What has to be true of any answer; `what` names it in the message.
fn judge(what: &str, answer: &Answer, https: bool) {
    let header = |name: &str| answer.header(name).unwrap_or_default().to_owned();
    assert_eq!(header("x-content-type-options"), "nosniff", "{what}");
    assert_ne!(header("referrer-policy"), "", "{what}");
    assert_ne!(header("x-request-id"), "", "{what}");
    assert_eq!(header("server") + &header("x-powered-by"), "", "{what}");
    let strict = answer.header("strict-transport-security");
    assert_eq!(
        strict.is_some_and(|value| value.starts_with("max-age=31536000")),
        https,
        "{what}"
    );

    if header("content-type").starts_with("text/html") {
        judge_page(what, answer);
    }
    // What is neither a public document nor about the process itself is about somebody.
    let public = [
        "/jwks",
        "/.well-known/",
        "/livez",
        "/readyz",
        "/assets/style",
        "/assets/mark",
        "/assets/page",
    ];
    let is_about_codes = what.contains(" /errors ") && answer.status == StatusCode::OK;
    if is_about_codes {
        assert_eq!(header("cache-control"), "public, max-age=3600", "{what}");
    } else if !public.iter().any(|path| what.contains(path)) {
        assert_eq!(header("cache-control"), "no-store", "{what} {}", answer.status);
    }
}

fn judge_page(what: &str, answer: &Answer) {
    let header = |name: &str| answer.header(name).unwrap_or_default();
    let policy = header("content-security-policy");
    for directive in [
        "default-src 'none'",
        "style-src 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(
            policy.split("; ").any(|own| own == directive),
            "{what} lacks {directive}: {policy}"
        );
    }
    for weakness in ["unsafe", "*", "http:", "https:"] {
        assert!(!policy.contains(weakness), "{what}: {policy}");
    }
    assert_eq!(header("x-frame-options"), "DENY", "{what}");
    assert_eq!(header("referrer-policy"), "same-origin", "{what}");
    assert_eq!(header("x-robots-tag"), "noindex", "{what}");
    let permissions = header("permissions-policy");
    for feature in ["camera=()", "geolocation=()", "microphone=()", "payment=()"] {
        assert!(
            permissions.split(", ").any(|own| own == feature),
            "{what}: {permissions}"
        );
    }
    // Passkeys will need them.
    assert!(!permissions.contains("publickey"), "{what}: {permissions}");

    // C015: nothing is loaded from, or linked to, anywhere else.
    let html = answer.body.replace("http://www.w3.org/2000/svg", "");
    assert!(!html.contains("://"), "{what} names another host: {html}");
    for attribute in [" href=\"", " src=\"", " action=\""] {
        for link in html.split(attribute).skip(1) {
            let rooted = link.starts_with('/') && !link.starts_with("//") || link.starts_with('#');
            assert!(rooted, "{what}: {link:.60}");
        }
    }
    assert!(!html.contains(" style="), "{what}");
    // One script at most, of ours, in a file; and the policy admits none where there is none.
    let scripts: Vec<&str> = html.split("<script").skip(1).collect();
    assert!(scripts.len() < 2, "{what}");
    for script in &scripts {
        let element = script.split_inclusive("</script>").next().unwrap_or_default();
        let (file, rest) = element.split_once(".js\"").unwrap_or_default();
        assert!(file.starts_with(" src=\"/assets/page-"), "{what}: {element}");
        assert_eq!(rest, " defer></script>", "{what}: {element}");
    }
    // HEAD has the policy alone.
    if html.is_empty() {
        return;
    }
    for directive in ["script-src 'self'", "require-trusted-types-for 'script'"] {
        let admits = policy.split("; ").any(|own| own == directive);
        assert_eq!(admits, !scripts.is_empty(), "{what}: {policy}");
    }
    assert_eq!(
        policy.matches("script-src").count(),
        scripts.len(),
        "{what}: {policy}"
    );
}

/// An address for each route, with a name in it that nothing has.
fn paths(world: &World) -> Vec<String> {
    let routed = world.routes().iter().map(|route| {
        let parts = route.path.split('/');
        let parts = parts.map(|part| if part.starts_with('{') { "none" } else { part });
        parts.collect::<Vec<_>>().join("/")
    });
    routed.chain(ODD_PATHS.map(str::to_owned)).collect()
}

async fn scan(world: &World, https: bool) {
    for path in paths(world) {
        let mut taken = 0;
        for method in METHODS {
            for reader in [PERSON, ("accept", "application/json")] {
                let what = format!("{method} {path} {reader:?}");
                let answer = bare(world, method.clone(), &path, &[reader, FORM], String::new()).await;
                judge(&what, &answer, https);
                assert!(!answer.status.is_server_error(), "{what}: {}", answer.status);
                taken += usize::from(answer.status != StatusCode::METHOD_NOT_ALLOWED);
                if answer.status == StatusCode::METHOD_NOT_ALLOWED {
                    // RFC 9110 §15.5.6.
                    assert!(answer.headers.contains_key("allow"), "{what}");
                }
            }
        }
        assert!(taken > 0, "{path} takes no method");
    }
    let large = "a=".to_owned() + &"x".repeat(70_000);
    let long = format!("/authorize?state={}", "x".repeat(9_000));
    let wide = "x".repeat(9_000);
    let wide: Vec<(&str, &str)> = ["x-a", "x-b", "x-c", "x-d"]
        .map(|name| (name, wide.as_str()))
        .to_vec();
    for reader in [PERSON, ("accept", "*/*")] {
        let too_large = [
            (Method::POST, "/login", vec![reader, FORM], large.clone(), 413),
            (Method::POST, "/token", vec![reader, FORM], large.clone(), 413),
            (Method::GET, &*long, vec![reader], String::new(), 414),
            (
                Method::GET,
                "/login",
                [vec![reader], wide.clone()].concat(),
                String::new(),
                431,
            ),
        ];
        for (method, path, headers, body, status) in too_large {
            let what = format!("{method} {path:.20} {reader:?} {status}");
            let answer = bare(world, method, path, &headers, body).await;
            assert_eq!(answer.status.as_u16(), status, "{what}");
            judge(&what, &answer, https);
        }
    }
}

#[tokio::test]
async fn c094_every_answer_of_every_route_carries_its_headers() {
    scan(&world_with_every_page().await, false).await;
}

#[tokio::test]
async fn pages_of_the_account_stand_apart_from_whoever_opened_them_and_no_other_does() {
    let world = world_with_every_page().await;
    let mut apart = 0;
    for path in paths(&world) {
        let answer = bare(&world, Method::GET, &path, &[PERSON, FORM], String::new()).await;
        // An app that opened sign-in, consent or sign-out as a pop-up has to hear of its end.
        let is_of_account = path == "/account" || path.starts_with("/account/");
        let wanted = is_of_account.then_some("same-origin");
        assert_eq!(answer.header("cross-origin-opener-policy"), wanted, "{path}");
        apart += usize::from(is_of_account);
    }
    assert!(apart > 10, "{apart}");

    let (app, user) = (world.app().await, world.user().await);
    let mut visitor = world.visitor();
    let login = visitor.open(&app.url(&[])).await;
    let signed_in = visitor
        .submit(
            &login
                .form()
                .with("username", user.email.shown())
                .with("password", PASSWORD),
        )
        .await;
    let consent = visitor.follow(signed_in.clone()).await;
    let home = visitor.open("/account").await;
    assert!(home.has("<h1>Your account</h1>"), "{}", home.body);
    for (answer, wanted) in [
        (&login, None),
        (&signed_in, None),
        (&consent, None),
        (&home, Some("same-origin")),
    ] {
        assert_eq!(
            answer.header("cross-origin-opener-policy"),
            wanted,
            "{}",
            answer.body
        );
    }
}

#[tokio::test]
async fn c094_with_https_every_answer_demands_https_for_a_year() {
    let own = Own {
        issuer: Some("https://id.example.com"),
        ..Own::default()
    };
    scan(&World::sqlite_with(own).await, true).await;
}

#[tokio::test]
async fn c094_c015_the_pages_and_redirects_of_a_flow_carry_their_headers() {
    let world = World::sqlite().await;
    let (app, user) = (world.app().await, world.user().await);
    let mut visitor = world.visitor();
    let begun = visitor.get(&app.url(&[])).await;
    let login = visitor.follow(begun.clone()).await;
    let form = login.form().with("username", user.email.shown());
    let wrong = visitor.submit(&form.clone().with("password", "wrong")).await;
    let signed_in = visitor.submit(&form.with("password", PASSWORD)).await;
    let consent = visitor.follow(signed_in.clone()).await;
    let allowed = visitor.submit(&consent.form().with("decision", "allow")).await;
    let redirect = visitor.follow(allowed.clone()).await;

    for (what, answer, status) in [
        ("begun", &begun, 303),
        ("the sign-in page", &login, 200),
        ("the sign-in page with an error", &wrong, 400),
        ("signed in", &signed_in, 303),
        ("the consent page", &consent, 200),
        ("allowed", &allowed, 303),
        ("the redirect to the app", &redirect, 303),
    ] {
        assert_eq!(answer.status.as_u16(), status, "{what}");
        judge(what, answer, false);
    }
    // Their forms may end at an app, and browsers apply form-action to every redirect that follows.
    for page in [&login, &wrong, &consent] {
        let policy = page.header("content-security-policy").unwrap();
        assert!(!policy.contains("form-action"), "{policy}");
    }
    let location = redirect.location().unwrap();
    assert!(location.starts_with("https://app.example.com/cb?"), "{location}");
    let query: Vec<_> = url::Url::parse(&location)
        .unwrap()
        .query_pairs()
        .map(|(name, _)| name.into_owned())
        .collect();
    assert_eq!(query, ["code", "state", "iss"], "no query of ours goes along");
}

#[tokio::test]
async fn the_files_that_pages_load_are_kept_for_ever_and_nothing_else_is() {
    let world = World::sqlite().await;
    let page = world.visitor().get("/nowhere").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(page.has("Page not found"));
    let assets: Vec<&str> = page
        .body
        .split('"')
        .filter(|text| text.starts_with("/assets/"))
        .collect();
    assert_eq!(assets.len(), 3, "{assets:?}");
    let kinds = [
        "image/svg+xml",
        "text/css; charset=utf-8",
        "text/javascript; charset=utf-8",
    ];
    for (asset, kind) in assets.iter().zip(kinds) {
        let answer = bare(&world, Method::GET, asset, &[], String::new()).await;
        assert_eq!(answer.status, StatusCode::OK, "{asset}");
        judge(asset, &answer, false);
        assert_eq!(answer.header("content-type"), Some(kind));
        assert_eq!(
            answer.header("cache-control"),
            Some("public, max-age=31536000, immutable")
        );
    }
}

#[tokio::test]
async fn the_sign_in_page_with_all_it_loads_is_less_than_30_kilobytes_on_the_wire() {
    let world = World::sqlite().await;
    let mut visitor = world.visitor();
    let page = visitor.open(&world.app().await.url(&[])).await;
    let (name, value) = visitor.cookies.first_key_value().unwrap();
    let cookie = format!("{name}={value}");

    let document = format!("/login?flow={}", page.form().value("flow"));
    let assets = page.body.split('"').filter(|text| text.starts_with("/assets/"));
    assert_eq!(assets.clone().count(), 3, "{}", page.body);
    let mut total = 0;
    for (path, holds) in assets
        .zip(["<svg", "--accent", "dataset.show"])
        .chain([(document.as_str(), "login-submit")])
    {
        let whole = as_it_comes(&world, path, &[("cookie", &cookie)]).await;
        assert!(whole.contains(holds), "{path}: {whole}");
        total += whole.len();
    }
    assert!(total < 30_000, "{total} bytes");
}
