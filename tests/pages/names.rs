//! C077, C078 and C097: where a page leads, what it loads and what it calls itself is never what a request says.

use http::{Method, StatusCode};
use serde_json::Value;

use super::{as_it_comes, bare, set_cookies};
use crate::harness::World;
use crate::harness::app::{VERIFIER, basic, payload};
use crate::harness::visitor::Form;
use crate::harness::world::PASSWORD;

const ELSEWHERE: [&str; 7] = [
    "https://evil.example/",
    "//evil.example",
    "/\\evil.example",
    "/%2f/evil.example",
    "javascript:alert(1)",
    "/login\r\nLocation: https://evil.example/",
    "../../evil.example",
];

#[tokio::test]
async fn c077_no_parameter_names_where_a_page_leads_back_to() {
    let world = World::sqlite().await;
    let (app, user) = (world.app().await, world.user().await);
    for place in ELSEWHERE {
        let mut visitor = world.visitor();
        let extra = [
            ("return_to", place),
            ("next", place),
            ("continue", place),
            ("resume", place),
        ];
        let begun = visitor.get(&app.url(&extra)).await;
        let location = begun.location().expect("a redirect");
        assert!(location.starts_with("/login?flow="), "{place:?}: {location}");
        let page = visitor.follow(begun).await;

        let filled = extra
            .iter()
            .fold(page.form(), |form, (name, place)| form.with(name, place));
        let filled = Form {
            action: format!(
                "/login?{}",
                url::form_urlencoded::Serializer::new(String::new())
                    .extend_pairs(extra)
                    .finish()
            ),
            ..filled
        };
        let form = filled
            .with("username", user.email.shown())
            .with("password", PASSWORD);
        let location = visitor.submit(&form).await.location().expect("a redirect");
        let flow = location.strip_prefix("/authorize?flow=");
        // Sealed, it may hold any letters; nothing else is there.
        let sealed = |flow: &str| {
            flow.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        assert!(flow.is_some_and(sealed), "{place:?}: {location}");
    }
}

#[tokio::test]
async fn c078_languages_and_files_come_from_closed_lists() {
    let world = World::sqlite().await;
    let app = world.app().await;
    let names = [
        "../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "en/../../keys/master.key",
        "/etc/passwd",
        "en\u{7}",
        "{{7*7}}",
        "xx-klingon",
        "C",
    ];
    for name in names {
        let page = world.visitor().open(&app.url(&[("ui_locales", name)])).await;
        assert_eq!(page.status, StatusCode::OK, "{name:?}: {}", page.body);
        assert!(
            page.has("<html lang=\"en\" dir=\"ltr\">") && page.has("<h1>Sign in</h1>"),
            "{name:?}"
        );
        assert!(name.len() < 5 || !page.has(name), "{name:?}: {}", page.body);
    }
    for language in ["../../etc/passwd", "xx, *;q=0", "en;q=NaN", ";;;,,,", "\u{80}"] {
        let page = bare(
            &world,
            Method::GET,
            "/nowhere",
            &[("accept-language", language)],
            String::new(),
        )
        .await;
        assert!(page.has("<html lang=\"en\""), "{language}: {}", page.body);
    }
    for name in [
        "../style.css",
        "..%2f..%2f..%2fCargo.toml",
        "%2e%2e/%2e%2e/etc/passwd",
        "....//etc/passwd",
        "style.css",
        "style-0000000000000000.css",
        "%00",
        "mark.svg%00.css",
        "..\\style.css",
        "",
    ] {
        let answer = as_it_comes(&world, &format!("/assets/{name}"), &[]).await;
        assert!(
            answer.starts_with("HTTP/1.1 404 ") || answer.starts_with("HTTP/1.1 400 "),
            "{name}: {answer}"
        );
        for leaked in ["root:", "[workspace", "--accent"] {
            assert!(!answer.contains(leaked), "{name}: {answer}");
        }
    }
}

const SPOOFED: [(&str, &str); 9] = [
    ("host", "evil.example"),
    ("forwarded", "for=127.0.0.1;host=evil.example;proto=https"),
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-server", "evil.example"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-port", "444"),
    ("x-forwarded-prefix", "/evil.example"),
    ("x-original-url", "/evil.example"),
    ("x-rewrite-url", "/evil.example"),
];

everywhere! {
    async fn c097_no_header_of_a_request_says_who_we_are(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        for path in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"] {
            let plain = bare(&world, Method::GET, path, &[], String::new()).await;
            let spoofed = bare(&world, Method::GET, path, &SPOOFED, String::new()).await;
            let document: Value = plain.json();
            assert_eq!(document["issuer"], world.issuer.as_str());
            assert_eq!(spoofed.body, plain.body, "{path}");
        }
        for path in ["/nowhere", "/login", &app.url(&[]), &app.url(&[("client_id", "nobody")])] {
            let answer = bare(&world, Method::GET, path, &SPOOFED, String::new()).await;
            let whole = format!("{:?} {}", answer.headers, answer.body);
            assert!(!whole.contains("evil") && !whole.contains(":444"), "{path}: {whole}");
            assert!(answer.location().is_none_or(|location| location.starts_with("/login?")), "{path}");
            let set = set_cookies(&answer);
            assert!(set.iter().all(|cookie| !cookie.contains("Secure") && !cookie.contains("Domain")), "{set:?}");
        }
        // The answer to the app, and the tokens, name the issuer as well.
        let mut visitor = world.visitor();
        visitor.authorize(&app.url(&[]), user.email.shown()).await;
        let cookies: Vec<String> = visitor.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let headers = [&[("cookie", cookies.as_str())], &SPOOFED[..]].concat();
        let redirect = bare(&world, Method::GET, &app.url(&[("state", "again")]), &headers, String::new()).await;
        assert_eq!(redirect.param("iss").as_deref(), Some(world.issuer.as_str()));
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("grant_type", "authorization_code"),
                ("code", &redirect.param("code").expect("a code")),
                ("redirect_uri", &app.redirect_uri),
                ("code_verifier", VERIFIER),
            ])
            .finish();
        let authorization = basic(&app.id, app.secret.as_ref().unwrap().expose());
        let headers = [
            &[("authorization", authorization.as_str()), ("content-type", "application/x-www-form-urlencoded")],
            &SPOOFED[..],
        ]
        .concat();
        let answer = bare(&world, Method::POST, "/token", &headers, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        for token in ["access_token", "id_token"] {
            let claims = payload(answer.json()[token].as_str().unwrap());
            assert_eq!(claims["iss"], world.issuer.as_str(), "{token}");
        }
    }
}
