//! C103: what a request said is not said again, but for what is owed to the app and stands typed in a field.

use http::Method;
use url::form_urlencoded::Serializer;

use super::bare;
use crate::harness::app::{VERIFIER, basic};
use crate::harness::visitor::Form;
use crate::harness::world::PASSWORD;
use crate::harness::{Answer, World};

/// What would be markup, a template, SQL or a header line, if it were taken for more than text.
const MARK: &str = "mArK'\"><i>{{7*7}}\r\nX-Mark: 1";
const NAMES: [&str; 32] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "max_age",
    "ui_locales",
    "id_token_hint",
    "acr_values",
    "display",
    "claims",
    "request",
    "request_uri",
    "registration",
    "resource",
    "response_mode",
    "flow",
    "csrf",
    "link",
    "to",
    "decision",
    "switch",
    "grant_type",
    "code",
    "code_verifier",
    "refresh_token",
    "client_secret",
    "access_token",
    "unknown",
];

fn encoded(pairs: &[(&'static str, String)]) -> String {
    Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// Neither the text, nor any part of it that an encoding would leave as it is.
fn assert_silent(what: &str, answer: &Answer) {
    assert!(!answer.status.is_server_error(), "{what}: {}", answer.body);
    let whole = format!("{:?}\n{}", answer.headers, answer.body);
    assert!(!whole.contains("mArK"), "{what} says it again: {whole}");
    assert!(!answer.headers.contains_key("x-mark"), "{what}");
}

#[tokio::test]
async fn c103_no_answer_repeats_what_a_request_said() {
    let world = World::sqlite().await;
    let app = world.app().await;
    let form_type = ("content-type", "application/x-www-form-urlencoded");
    let authorization = basic(&app.id, app.secret.as_ref().unwrap().expose());
    for name in NAMES {
        let replaced = |mut params: Vec<(&'static str, String)>| {
            params.retain(|(own, _)| *own != name);
            params.push((name, MARK.to_owned()));
            encoded(&params)
        };
        let grant = |grant: &str| {
            vec![
                ("grant_type", grant.to_owned()),
                ("code", "x".to_owned()),
                ("refresh_token", "x".to_owned()),
                ("redirect_uri", app.redirect_uri.clone()),
                ("code_verifier", VERIFIER.to_owned()),
            ]
        };
        let (request, alone) = (replaced(app.request()), replaced(Vec::new()));
        let gets = [
            "/authorize",
            "/login",
            "/consent",
            "/recover",
            "/recover/sent",
            "/recover/password",
            "/recover/account",
            "/recover/done",
            "/verify",
            "/userinfo",
            "/jwks",
            "/token",
            "/nowhere",
            "/livez",
        ];
        for accept in ["text/html", "application/json"] {
            for (path, query) in gets
                .map(|path| (path, &alone))
                .into_iter()
                .chain([("/authorize", &request)])
            {
                let url = format!("{path}?{query}");
                let answer = bare(&world, Method::GET, &url, &[("accept", accept)], String::new()).await;
                assert_silent(&format!("GET {path} with {name} for {accept}"), &answer);
            }
            let posts = [
                ("/authorize", request.clone()),
                ("/login", alone.clone()),
                ("/consent", alone.clone()),
                ("/recover", alone.clone()),
                ("/recover/password", alone.clone()),
                ("/recover/account", alone.clone()),
                ("/verify", alone.clone()),
                ("/userinfo", alone.clone()),
                ("/token", replaced(grant("authorization_code"))),
                ("/token", replaced(grant("refresh_token"))),
            ];
            for (path, body) in posts {
                let headers = [
                    ("accept", accept),
                    form_type,
                    ("authorization", authorization.as_str()),
                ];
                let answer = bare(&world, Method::POST, path, &headers, body).await;
                assert_silent(&format!("POST {path} with {name} for {accept}"), &answer);
            }
        }
    }
}

#[tokio::test]
async fn c103_no_form_and_no_header_is_repeated_either() {
    let world = World::sqlite().await;
    let (app, user) = (world.app().await, world.user().await);
    let mut visitor = world.visitor();
    let login = visitor.open(&app.url(&[])).await;
    let filled = login
        .form()
        .with("username", user.email.shown())
        .with("password", PASSWORD);
    let consent = visitor.sign_in(&login, user.email.shown()).await;
    for (page, form) in [
        ("login", filled),
        ("consent", consent.form().with("decision", "x")),
    ] {
        for name in [
            "flow", "csrf", "password", "remember", "decision", "switch", "unknown",
        ] {
            let answer = visitor.submit(&form.clone().with(name, MARK)).await;
            assert_silent(&format!("{page} with {name}"), &answer);
        }
    }

    let text = "mArK'\"><i>{{7*7}}";
    let names = [
        "accept",
        "accept-language",
        "accept-encoding",
        "authorization",
        "content-type",
        "cookie",
        "forwarded",
        "if-none-match",
        "origin",
        "referer",
        "user-agent",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-request-id",
        "sec-fetch-site",
        "access-control-request-headers",
    ];
    let paths = [
        "/authorize",
        "/login",
        "/consent",
        "/token",
        "/userinfo",
        "/jwks",
        "/nowhere",
        "/.well-known/openid-configuration",
    ];
    for name in names {
        for path in paths {
            for method in [Method::GET, Method::POST, Method::OPTIONS] {
                let what = format!("{method} {path} with the header {name}");
                assert_silent(
                    &what,
                    &bare(&world, method, path, &[(name, text)], String::new()).await,
                );
            }
        }
    }
    for path in [
        "/mArK",
        "/assets/mArK.css",
        "/login/mArK",
        "/.well-known/mArK",
        "/%3Ci%3EmArK",
    ] {
        assert_silent(path, &bare(&world, Method::GET, path, &[], String::new()).await);
    }
}

#[tokio::test]
async fn c103_what_the_app_is_owed_goes_to_the_app_alone_and_encoded() {
    let world = World::sqlite().await;
    let (app, user) = (world.app().await, world.user().await);
    let mut visitor = world.visitor();
    let state = [("state", MARK)];
    let refused = visitor.get(&app.url(&[state[0], ("scope", "nothing")])).await;
    let begun = visitor.get(&app.url(&state)).await;
    assert_silent("the way to the sign-in page", &begun);
    let login = visitor.follow(begun).await;
    assert_silent("the sign-in page", &login);
    let consent = visitor.sign_in(&login, user.email.shown()).await;
    assert_silent("the consent page", &consent);
    let allowed = visitor.decide(&consent, "allow").await;
    for answer in [refused, allowed] {
        let location = answer.location().expect("a redirect to the app");
        assert!(location.starts_with("https://app.example.com/cb?"), "{location}");
        assert!(!location.contains(['<', '"', '\'', ' ', '{']), "{location}");
        assert_eq!(answer.param("state").as_deref(), Some(MARK));
        assert!(!answer.headers.contains_key("x-mark") && !answer.has("mArK"));
    }

    // The sender of a bad flow learns no more from JSON than from the page.
    let bad = Form {
        action: "/login".to_owned(),
        fields: vec![("flow".to_owned(), MARK.to_owned())],
    };
    assert_silent("a bad flow", &visitor.submit(&bad).await);
}
