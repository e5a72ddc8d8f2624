//! The pages as text: their contract with people, drivers and screen readers.

mod sign_in;
mod sign_out;

use std::time::Duration;

use accounts::attempts::TooMany;
use http::HeaderMap;
use pages::Site;

use super::*;

const EVIL: &str = "\"><script>alert(1)</script>{{ 7 }}&amp;";

fn shell() -> Shell {
    Site::new("https://example.com/auth").shell(&HeaderMap::new(), None, "r1")
}

fn login(app: Option<&str>, who: Who, faults: &[LoginFault]) -> String {
    login_linking(app, who, faults, Links::default())
}

fn login_linking(app: Option<&str>, who: Who, faults: &[LoginFault], links: Links) -> String {
    let app = app.map(|name| App {
        links,
        ..self::app(name, Trust::Trusted, "https://a.test/cb")
    });
    login_to(app, who, faults)
}

fn login_to(app: Option<App>, who: Who, faults: &[LoginFault]) -> String {
    login_view(app, who, faults).render().unwrap()
}

fn login_view(app: Option<App>, who: Who, faults: &[LoginFault]) -> Login {
    let (flow, csrf) = ("sealed".to_owned(), "token".to_owned());
    Login {
        shell: shell(),
        flow,
        csrf,
        app,
        lead: None,
        who,
        remember: false,
        faults: faults.to_vec(),
        forgot: None,
        create: None,
    }
}

#[test]
fn c054_a_picture_comes_from_us_and_says_nothing_to_a_screen_reader() {
    let logo = "/auth/logos/0123456789abcdef0123456789abcdef.png";
    let shop = || App {
        logo: Some(logo.to_owned()),
        ..app("Shop", Trust::Trusted, "https://shop.test/cb")
    };
    let consent = consent_to(shop(), Vec::new(), Vec::new());
    for html in [login_to(Some(shop()), anyone(""), &[]), consent] {
        let image = format!("<img class=\"app-logo\" src=\"{logo}\" alt=\"\" width=\"48\" height=\"48\">");
        assert_eq!(html.matches("<img").count(), 1, "{html}");
        assert!(html.contains(&image), "{html}");
    }
}

fn anyone(typed: &str) -> Who {
    Who::Anyone {
        typed: typed.to_owned(),
    }
}

fn person(name: Option<&str>) -> Person {
    Person {
        name: name.map(str::to_owned),
        email: "alex@example.com".to_owned(),
    }
}

fn app(name: &str, trust: Trust, redirect_uri: &str) -> App {
    App {
        name: name.to_owned(),
        logo: None,
        trust,
        destination: Destination::of(redirect_uri),
        links: Links::default(),
    }
}

fn consent(name: &str, trust: Trust, redirect_uri: &str, fresh: Vec<Group>, already: Vec<Group>) -> String {
    consent_to(app(name, trust, redirect_uri), fresh, already)
}

fn consent_to(app: App, fresh: Vec<Group>, already: Vec<Group>) -> String {
    let (flow, csrf) = ("sealed".to_owned(), "token".to_owned());
    let person = person(Some("Alex Doe"));
    Consent {
        shell: shell(),
        flow,
        csrf,
        app,
        person,
        fresh,
        already,
    }
    .render()
    .unwrap()
}

fn choose(name: &str, trust: Trust, people: Vec<Person>) -> String {
    let account = |(n, person): (usize, Person)| Account {
        value: format!("account-{n}"),
        person,
    };
    Choose {
        shell: shell(),
        flow: "sealed".to_owned(),
        csrf: "token".to_owned(),
        app: app(name, trust, "https://shop.test/cb"),
        accounts: people.into_iter().enumerate().map(account).collect(),
    }
    .render()
    .unwrap()
}

fn sign_out(app: Option<&str>, uri: Option<&str>, people: Vec<Person>) -> String {
    SignOut {
        shell: shell(),
        flow: "sealed".to_owned(),
        csrf: "token".to_owned(),
        app: app.map(str::to_owned),
        destination: uri.map(Destination::of),
        people,
    }
    .render()
    .unwrap()
}

fn own(value: Option<&str>) -> Vec<Group> {
    let value = value.map(str::to_owned);
    let permissions = vec![
        Permission::OpenId,
        Permission::Profile { name: value.clone() },
        Permission::Email { email: value.clone() },
        Permission::Address {
            address: value.clone(),
        },
        Permission::Phone { phone: value },
        Permission::OfflineAccess,
    ];
    vec![Group {
        api: None,
        permissions,
    }]
}

fn api(text: &str) -> Vec<Group> {
    vec![Group {
        api: Some(text.to_owned()),
        permissions: vec![Permission::Api {
            text: text.to_owned(),
        }],
    }]
}

fn held(seconds: u64) -> Held {
    Held::Account(TooMany {
        retry_after: Duration::from_secs(seconds),
    })
}

fn every_page(word: &str) -> Vec<String> {
    use LoginFault::{Busy, PasswordMissing, UsernameMissing, Wrong};
    let uri = "http://127.0.0.1:3000/cb";
    vec![
        login(Some(word), anyone(""), &[]),
        choose(word, Trust::Unverified, vec![person(Some(word)), person(None)]),
        login(None, anyone(word), &[Wrong]),
        login(Some(word), anyone(word), &[UsernameMissing, PasswordMissing]),
        login(Some(word), anyone(word), &[Busy]),
        login(Some(word), anyone(word), &[LoginFault::TooMany(held(600))]),
        login(Some(word), Who::Known(person(Some(word))), &[Wrong]),
        login(Some(word), Who::Known(person(None)), &[PasswordMissing]),
        consent(word, Trust::Unverified, uri, own(Some(word)), vec![]),
        consent(
            word,
            Trust::Trusted,
            "https://app.example.com/cb",
            api(word),
            own(None),
        ),
        consent(word, Trust::Trusted, "com.example.app:/cb", vec![], api(word)),
        sign_out(Some(word), None, vec![person(Some(word))]),
        sign_out(Some(word), Some(uri), vec![person(Some(word)), person(None)]),
    ]
}

#[test]
fn c015_no_page_holds_script_inline_style_or_another_host() {
    for html in every_page("App") {
        let html = html.replace(&shell().script().0, "");
        for part in ["<script", "<style", " style=", "javascript:", "{ $", "://"] {
            let html = html.replace("http://www.w3.org/2000/svg", "");
            assert!(!html.contains(part), "{part} in {html}");
        }
        let is_handler = |rest: &str| {
            let name = rest.split_once('=').map_or("", |(name, _)| name);
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase())
        };
        assert!(!html.split(" on").skip(1).any(is_handler), "{html}");
        for attribute in [" href=\"", " action=\"", " src=\""] {
            for link in html.split(attribute).skip(1) {
                assert!(link.starts_with("/auth/") || link.starts_with('#'), "{link:.60}");
            }
        }
    }
}

#[test]
fn every_page_has_one_main_one_heading_and_its_language() {
    for html in every_page("App") {
        for once in ["<main>", "<h1", "<title>", "<html lang=\"en\" dir=\"ltr\">"] {
            assert_eq!(html.matches(once).count(), 1, "{once} in {html}");
        }
        assert!(html.contains(" – Countersign</title>"), "{html}");
    }
}

#[test]
fn what_others_wrote_is_shown_as_text() {
    for html in every_page(EVIL) {
        let html = html.replace(&shell().script().0, "");
        assert!(!html.contains("<script") && !html.contains("=\"\">"), "{html}");
        let escaped = ["&lt;script&gt;alert(1)", "&#60;script&#62;alert(1)"];
        assert!(escaped.iter().any(|text| html.contains(text)), "{html}");
    }
}

#[test]
fn allow_and_dont_allow_are_equal_and_neither_is_pressed_by_itself() {
    let html = consent(
        "App",
        Trust::Trusted,
        "https://app.example.com/cb",
        own(Some("Ada")),
        vec![],
    );
    let button = |id: &str, value: &str, text: &str| {
        format!(
            "<button class=\"button\" id=\"{id}\" type=\"submit\" name=\"decision\" value=\"{value}\">{text}</button>"
        )
    };
    assert!(
        html.contains(&button("consent-allow", "allow", "Allow")),
        "{html}"
    );
    assert!(
        html.contains(&button("consent-deny", "deny", "Don't allow")),
        "{html}"
    );
    assert!(html.contains("<h1 tabindex=\"-1\" autofocus>") && html.matches("autofocus").count() == 1);
}

#[test]
fn consent_says_who_asks_for_what_and_where_it_leads() {
    let html = consent(
        "App",
        Trust::Trusted,
        "https://app.example.com/cb",
        own(Some("Ada")),
        vec![],
    );
    for part in [
        "You'll go to <bdi>app.example.com</bdi>",
        "See your email address: <bdi>Ada</bdi>",
        "Keep this access when you're not using the app, until you remove it.",
        "This app hasn't published a privacy policy.",
        "You can remove its access at any time",
    ] {
        assert!(html.contains(part), "{part} is missing in {html}");
    }
    assert!(!html.contains("Already allowed") && !html.contains("notice-caution"));

    let links = Links::of(&Metadata {
        policy_uri: Some("https://app.example.com/privacy".to_owned()),
        ..Metadata::default()
    });
    let with_policy = App {
        links,
        ..app("App", Trust::Trusted, "https://app.example.com/cb")
    };
    let html = consent_to(with_policy, own(None), vec![]);
    assert!(
        html.contains("Privacy policy at") && !html.contains("hasn't published"),
        "{html}"
    );

    let html = consent(
        "App",
        Trust::Unverified,
        "http://[::1]:3000/cb",
        api("Notes"),
        own(None),
    );
    for part in [
        "We haven't checked this app. It registered itself.",
        "Name set by the app at <bdi>[::1]:3000</bdi>",
        "This gives access to a program on this computer. Only continue if you just started it.",
        "At <bdi>Notes</bdi>",
        "<summary>Already allowed</summary>",
        "See your phone number. You haven't added one.",
    ] {
        assert!(html.contains(part), "{part} is missing in {html}");
    }
}

#[test]
fn a_redirect_uri_tells_where_it_leads() {
    let here = |text: &str| Destination::ThisComputer(text.to_owned());
    for (uri, destination) in [
        (
            "https://app.example.com/cb",
            Destination::Host("app.example.com".to_owned()),
        ),
        (
            "https://app.example.com:8443/cb",
            Destination::Host("app.example.com:8443".to_owned()),
        ),
        (
            "https://localhost.example.com/cb",
            Destination::Host("localhost.example.com".to_owned()),
        ),
        ("http://localhost:3000/cb", here("localhost:3000")),
        ("http://127.0.0.1/cb", here("127.0.0.1")),
        ("https://[::1]:3000/cb", here("[::1]:3000")),
        (
            "com.example.app:/cb",
            Destination::App("com.example.app".to_owned()),
        ),
    ] {
        assert_eq!(Destination::of(uri), destination, "{uri}");
    }
}
