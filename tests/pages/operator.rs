//! What the pages and mails say of the people who run the site: only what they configured.

use http::Method;
use pages::{Contact, Operator};
use protocol::{Answers, SignUp};
use revocation::Act;

use super::bare;
use crate::harness::html::{Element, Html};
use crate::harness::letters::world_with;
use crate::harness::world::Own;
use crate::harness::{Answer, World};

const PERSON: (&str, &str) = ("accept", "text/html");

/// All that can be configured, with characters that mean something in HTML.
pub(crate) fn everything() -> Operator {
    let page = |path: &str| Some(format!("https://www.example.com/{path}"));
    Operator {
        terms: page("terms?a=1&b=%22"),
        privacy: page("privacy"),
        help: page("help"),
        imprint: page("imprint"),
        contact: Some(Contact::Mailbox("ops@example.com".to_owned())),
    }
}

fn run_by(operator: Operator) -> Own {
    Own {
        operator,
        ..Own::default()
    }
}

/// The links of the foot, each with its words.
fn foot(answer: &Answer) -> Vec<(String, String)> {
    let html = Html::parse(&answer.body).unwrap_or_else(|fault| panic!("{fault}: {}", answer.body));
    let Some(foot) = html.all("footer").next() else {
        return Vec::new();
    };
    assert!(html.around(foot, "main").is_none());
    let links = html.inside(foot).filter(|element| element.tag == "a");
    let link = |link: &Element| {
        assert_eq!((link.get("rel"), link.get("target")), (Some("noreferrer"), None));
        (link.words(), link.get("href").expect("an address").to_owned())
    };
    links.map(link).collect()
}

async fn page(world: &World, method: Method, path: &str, body: String) -> Answer {
    let form = ("content-type", "application/x-www-form-urlencoded");
    bare(world, method, path, &[PERSON, form], body).await
}

#[tokio::test]
async fn the_foot_of_every_page_has_the_links_that_are_configured() {
    let own = Own {
        sign_up: Some(SignUp::Open),
        ..run_by(everything())
    };
    let (world, _letters) = world_with(db::testing::sqlite_url(), own).await;
    let wanted = [
        ("Help", "https://www.example.com/help"),
        ("Contact", "mailto:ops@example.com"),
        ("Terms of service", "https://www.example.com/terms?a=1&b=%22"),
        ("Privacy policy", "https://www.example.com/privacy"),
        ("Imprint", "https://www.example.com/imprint"),
    ];
    let wanted = wanted.map(|(words, address)| (words.to_owned(), address.to_owned()));
    let mut seen = 0;
    for route in world
        .routes()
        .iter()
        .filter(|route| route.answers == Answers::Pages)
    {
        let path = route.path.replace(['{', '}'], "");
        let answer = page(&world, Method::GET, &path, String::new()).await;
        if answer
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("text/html"))
        {
            seen += 1;
            assert_eq!(foot(&answer), wanted, "{path}");
        }
    }
    assert!(seen > 10, "{seen}");

    // What needs neither texts nor templates: refused before anybody knows by whom it would be answered.
    let long = format!("/authorize?state={}", "x".repeat(9_000));
    let large = "a=".to_owned() + &"x".repeat(70_000);
    let wide = "x".repeat(9_000);
    let wide = ["x-a", "x-b", "x-c", "x-d"].map(|name| (name, wide.as_str()));
    let headers = [&[PERSON][..], &wide].concat();
    for (status, answer) in [
        (404, page(&world, Method::GET, "/nowhere", String::new()).await),
        (
            405,
            page(&world, Method::POST, "/recover/sent", String::new()).await,
        ),
        (413, page(&world, Method::POST, "/login", large).await),
        (414, page(&world, Method::GET, &long, String::new()).await),
        (
            431,
            bare(&world, Method::GET, "/login", &headers, String::new()).await,
        ),
    ] {
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(foot(&answer), wanted, "{status}");
    }
}

#[tokio::test]
async fn what_is_not_configured_is_not_there() {
    let some = Operator {
        imprint: Some("http://localhost/imprint".to_owned()),
        ..Operator::default()
    };
    for (operator, wanted) in [
        (Operator::default(), vec![]),
        (
            some,
            vec![("Imprint".to_owned(), "http://localhost/imprint".to_owned())],
        ),
    ] {
        let (world, _letters) = world_with(db::testing::sqlite_url(), run_by(operator)).await;
        for path in ["/login", "/signup", "/nowhere"] {
            let answer = page(&world, Method::GET, path, String::new()).await;
            assert_eq!(foot(&answer), wanted, "{path}");
            assert!(!answer.has("You can reach them"), "{path}");
        }
        let long = format!("/authorize?state={}", "x".repeat(9_000));
        assert_eq!(
            foot(&page(&world, Method::GET, &long, String::new()).await),
            wanted
        );
    }
}

#[tokio::test]
async fn who_is_sent_to_the_people_who_run_the_site_is_told_how_to_reach_them() {
    const MAILBOX: &str = "You can reach them at <a href=\"mailto:ops@example.com\" rel=\"noreferrer\"><bdi>ops@example.com</bdi></a>.";
    const PAGE: &str = "You can reach them at <a href=\"https://help.example.com/x?a=1&amp;b=2\" rel=\"noreferrer\"><bdi>help.example.com</bdi></a>.";
    let page_of = Contact::Page("https://help.example.com/x?a=1&b=2".to_owned());
    for (contact, said) in [
        (
            Some(Contact::Mailbox("ops@example.com".to_owned())),
            Some(MAILBOX),
        ),
        (Some(page_of), Some(PAGE)),
        (None, None),
    ] {
        let operator = Operator {
            contact,
            ..Operator::default()
        };
        // No mail is sent here.
        let world = World::sqlite_with(run_by(operator)).await;
        for (path, words) in [
            ("/recover", "Ask the people who run it"),
            ("/signup", "make the accounts"),
            ("/login", ""),
        ] {
            let answer = page(&world, Method::GET, path, String::new()).await;
            assert!(answer.has(words), "{path}: {}", answer.body);
            let told = said.filter(|_| !words.is_empty());
            assert_eq!(
                answer.has("You can reach them"),
                told.is_some(),
                "{path}: {}",
                answer.body
            );
            assert!(
                told.is_none_or(|said| answer.has(said)),
                "{path}: {}",
                answer.body
            );
        }
        let user = world.user().await;
        let mut visitor = world.visitor();
        let login = visitor.open("/account/email").await;
        let answer = visitor.sign_in(&login, user.email.shown()).await;
        assert!(answer.has("Ask the people who run it"), "{}", answer.body);
        assert!(said.is_none_or(|said| answer.has(said)), "{}", answer.body);
    }
}

#[tokio::test]
async fn an_app_is_reported_to_whoever_runs_the_site() {
    let mailed = |app: &str| format!("mailto:ops@example.com?subject={app}");
    for (contact, told) in [
        (Some(Contact::Mailbox("ops@example.com".to_owned())), 1),
        (Some(Contact::Page("https://help.example.com/".to_owned())), 2),
        (None, 0),
    ] {
        let operator = Operator {
            contact,
            ..Operator::default()
        };
        let world = World::sqlite_with(run_by(operator)).await;
        let (app, user) = (world.app().await, world.user().await);
        app.grant(&world, &user, &[]).await;
        let mut visitor = world.visitor();
        let login = visitor.open("/account/apps").await;
        let list = visitor.sign_in(&login, user.email.shown()).await;
        let html = Html::parse(&list.body).expect("a page");
        let link = html
            .by_class("row-app")
            .next()
            .and_then(|row| row.get("href"))
            .expect("an app");
        let one = visitor.open(link).await;
        let html = Html::parse(&one.body).expect("a page");
        let report = html
            .by_id("app-report")
            .map(|link| link.get("href").expect("an address").to_owned());
        let wanted = match told {
            0 => None,
            1 => Some(mailed(&app.id)),
            _ => Some("https://help.example.com/".to_owned()),
        };
        assert_eq!(report, wanted, "{}", one.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_sends_somebody_to_them_says_how_to_reach_them() {
    for (operator, told) in [(everything(), true), (Operator::default(), false)] {
        let own = Own {
            sign_up: Some(SignUp::Open),
            ..run_by(operator)
        };
        let (world, letters) = world_with(db::testing::sqlite_url(), own).await;
        let user = world.user().await;
        let address = user.email.shown();
        world.end(Act::DisableUser(user.sub.clone())).await;
        let mut visitor = world.visitor();
        let form = visitor.open("/signup").await.form().with("username", address);
        visitor.submit(&form).await;
        let letter = letters.newest(address, 1).await.letter;
        assert!(letter.text.contains("It is turned off."), "{}", letter.text);
        let said = "You can reach them at ops@example.com.";
        for text in [&letter.text, &letter.html] {
            assert_eq!(text.contains(said), told, "{text}");
        }
    }
}
