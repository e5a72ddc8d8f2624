//! C087 and C102: whatever is sent to whatever route, by somebody who is signed in or not, the answer is no failure of
//! ours, and says nothing of the inside of the program or of another person.

use std::collections::BTreeSet;
use std::time::Duration;

use http::Method;
use http::header::COOKIE;
use protocol::Answers;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::harness::app::answer;
use crate::harness::html::{Element, Html};
use crate::harness::visitor::client;
use crate::harness::world::PASSWORD;
use crate::harness::{Answer, Visitor, World};
use crate::matrix::{world_with_every_page, world_with_every_page_on};

/// As they stand in a query or a form.
const ODD: [&str; 11] = [
    "",
    "%00",
    "a%00b",
    "%ff%fe",
    "%C3%28",
    "%0d%0aX-Odd:%201",
    "%27%20OR%201=1--%20",
    "..%2f..%2f..%2fetc%2fpasswd",
    "%3Cscript%3E%7B%7B7*7%7D%7D",
    "99999999999999999999",
    "%F3%A0%80%81%E2%80%AE%F0%9F%98%80",
];
/// Of queries that no form sends.
const NAMES: [&str; 8] = [
    "flow",
    "link",
    "before",
    "other",
    "switch",
    "client_id",
    "state",
    "id_token_hint",
];
const PERSON: &str = "text/html,application/xhtml+xml,*/*;q=0.8";
/// What only the inside of a program knows.
const INNER: [&str; 9] = [
    "panicked",
    "SELECT ",
    "INSERT ",
    "UPDATE ",
    "sqlx",
    "sqlite",
    "postgres",
    ".rs:",
    "stack backtrace",
];
const NEIGHBOUR: &str = "Unmistakable Neighbour";

struct Scan<'w> {
    world: &'w World,
    neighbour: String,
    count: usize,
}

impl Scan<'_> {
    async fn send(
        &mut self,
        method: Method,
        path: &str,
        cookies: &str,
        accept: &str,
        body: String,
    ) -> Answer {
        let mut request = client()
            .request(method.clone(), self.world.at(path))
            .header("accept", accept)
            .header("origin", &self.world.issuer)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.clone());
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies);
        }
        let answer = answer(request).await;
        let what = format!("{method} {path:.200} {body:.200}");
        assert!(
            !answer.status.is_server_error(),
            "{what}: {} {}",
            answer.status,
            answer.body
        );
        for inner in INNER.iter().chain([&NEIGHBOUR, &self.neighbour.as_str()]) {
            assert!(
                !answer.body.contains(inner),
                "{what} tells {inner}: {}",
                answer.body
            );
        }
        assert!(!answer.headers.contains_key("x-odd"), "{what}");
        self.count += 1;
        answer
    }
}

fn cookies(visitor: &Visitor<'_>) -> String {
    let pairs = visitor.cookies.iter();
    let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("; ")
}

/// The addresses of a route: its own, or one for each odd value.
fn addresses(route: &str) -> Vec<String> {
    let Some((before, after)) = route.split_once('{') else {
        return vec![route.to_owned()];
    };
    let after = after.split_once('}').expect("an end").1;
    ODD.map(|odd| format!("{before}{odd}{after}")).to_vec()
}

async fn signed_in<'w>(world: &'w World, email: &str) -> Visitor<'w> {
    let mut visitor = world.visitor();
    let login = visitor.open("/account").await;
    visitor.sign_in(&login, email).await;
    visitor
}

async fn neighbourhood(world: &World) -> (Scan<'_>, String) {
    let neighbour = world
        .user_with(|draft| {
            let named = draft.claims.set(accounts::claims::Claim::Name, json!(NEIGHBOUR));
            named.expect("a name");
        })
        .await;
    let mut other = world.visitor();
    other
        .authorize(&world.app().await.url(&[]), neighbour.email.shown())
        .await;
    let user = world.user().await;
    let scan = Scan {
        world,
        neighbour: neighbour.email.shown().to_owned(),
        count: 0,
    };
    (scan, user.email.shown().to_owned())
}

async fn every_route_takes_odd_queries(world: &World) {
    let (mut scan, email) = neighbourhood(world).await;
    let person = cookies(&signed_in(world, &email).await);
    let routes: Vec<String> = world.routes().iter().map(|route| route.path.clone()).collect();
    for path in routes.iter().flat_map(|route| addresses(route)) {
        let large = "x".repeat(6_000);
        for odd in ODD.iter().chain([&large.as_str()]) {
            let all: Vec<String> = NAMES.iter().map(|name| format!("{name}={odd}")).collect();
            let query = all.join("&");
            for cookies in [person.as_str(), ""] {
                let get = format!("{path}?flow={odd}");
                scan.send(Method::GET, &get, cookies, PERSON, String::new()).await;
                scan.send(Method::POST, &path, cookies, PERSON, query.clone())
                    .await;
            }
        }
        // Repeated, without a value, without a name, and as a program would.
        for query in ["flow=a&flow=b", "link", "=x&&", "%ff=1"] {
            let get = format!("{path}?{query}");
            scan.send(Method::GET, &get, &person, "application/json", String::new())
                .await;
            scan.send(Method::POST, &path, &person, "application/json", query.to_owned())
                .await;
        }
    }
    assert!(scan.count > 2_000, "{}", scan.count);
}

/// What a form sends, with the place of each field that can be changed.
fn forms(page: &Html) -> Vec<(String, Vec<(String, String)>)> {
    let mut forms = Vec::new();
    for form in page.all("form") {
        let value = |element: &Element| {
            let name = element.get("name")?.to_owned();
            Some((name, element.get("value").unwrap_or_default().to_owned()))
        };
        let inside = page.inside(form);
        let mut fields: Vec<(String, String)> =
            inside.filter(|it| it.tag == "input").filter_map(value).collect();
        fields.extend(page.inside(form).filter(|it| it.tag == "button").find_map(value));
        for (name, value) in &mut fields {
            if name == "password" || name == "current" {
                PASSWORD.clone_into(value);
            }
        }
        forms.push((form.get("action").expect("an action").to_owned(), fields));
    }
    forms
}

async fn every_field_of_every_form_takes_odd_values(world: &World) {
    let (mut scan, email) = neighbourhood(world).await;
    let app = world.app().await;
    let pages = world
        .routes()
        .iter()
        .filter(|route| route.answers == Answers::Pages);
    let mut openings: Vec<String> = pages.map(|route| route.path.clone()).collect();
    openings.push(app.url(&[]));
    openings.push(app.url(&[("prompt", "login")]));
    openings.push(app.url(&[("prompt", "select_account")]));
    let mut met = BTreeSet::new();
    for opening in openings.iter().filter(|path| !path.contains('{')) {
        for is_known in [true, false] {
            let mut visitor = match is_known {
                true => signed_in(world, &email).await,
                false => world.visitor(),
            };
            let page = visitor.open(opening).await;
            let Ok(page) = Html::parse(&page.body) else {
                continue;
            };
            for (action, fields) in forms(&page) {
                for at in 0..fields.len() {
                    for odd in ODD {
                        let (changed, _) = &fields[at];
                        // Whoever is right signs in, or out: the rest is then about nobody.
                        let body = fields.iter().map(|(name, value)| match name == changed {
                            true => format!("{name}={odd}"),
                            false => format!("{name}={}", encoded(value)),
                        });
                        let body = body.collect::<Vec<_>>().join("&");
                        let own = cookies(&visitor);
                        scan.send(Method::POST, &action, &own, PERSON, body).await;
                        met.insert(format!("{action} {changed}"));
                    }
                }
            }
        }
    }
    for field in [
        "/login username",
        "/consent decision",
        "/account/profile birthdate",
        "/account/email email",
        "/account/password password",
        "/account/delete email",
        "/recover username",
        "/signup username",
    ] {
        assert!(met.contains(field), "{field} is not among {met:?}");
    }
}

fn encoded(value: &str) -> String {
    url::form_urlencoded::byte_serialize(value.as_bytes()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c102_every_route_takes_odd_queries_on_sqlite() {
    every_route_takes_odd_queries(&world_with_every_page().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c102_every_route_takes_odd_queries_on_postgres() {
    every_route_takes_odd_queries(&world_with_every_page_on(db::testing::postgres_url().await).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c102_every_field_of_every_form_takes_odd_values_on_sqlite() {
    every_field_of_every_form_takes_odd_values(&world_with_every_page().await).await;
}

/// A NUL is no text for PostgreSQL.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c102_every_field_of_every_form_takes_odd_values_on_postgres() {
    let world = world_with_every_page_on(db::testing::postgres_url().await).await;
    every_field_of_every_form_takes_odd_values(&world).await;
}

/// A person is shown a page by whoever refuses: with the request's name, the same as in the header.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_refused_is_told_on_a_page_with_the_name_of_the_request() {
    let world = world_with_every_page().await;
    let (large, wide) = ("x".repeat(70_000), "x".repeat(9_000));
    let form = ("content-type", "application/x-www-form-urlencoded");
    let long = format!("/login?flow={wide}");
    let wide = [("x-a", &*wide), ("x-b", &*wide), ("x-c", &*wide), ("x-d", &*wide)];
    for (method, path, headers, body, status) in [
        (Method::GET, "/nowhere", &[][..], "", 404),
        (Method::PUT, "/login", &[form][..], "", 405),
        (Method::POST, "/recover", &[form], &*large, 413),
        (Method::GET, &long, &[], "", 414),
        (Method::GET, "/recover", &wide, "", 431),
        (
            Method::POST,
            "/recover",
            &[("content-type", "application/json")],
            "{}",
            403,
        ),
        (
            Method::POST,
            "/recover",
            &[("origin", &world.issuer), ("content-type", "text/plain")],
            "a",
            400,
        ),
    ] {
        let what = format!("{method} {path:.40} {status}");
        let person = [&[("accept", PERSON)], headers].concat();
        let page = super::bare(&world, method.clone(), path, &person, body.to_owned()).await;
        assert_eq!(page.status, status, "{what}: {}", page.body);
        let id = page.header("x-request-id").expect("a name").to_owned();
        assert!(
            page.has("<code class=\"copied-whole\"") && page.has(&format!(">{id}</code>")),
            "{what}: {}",
            page.body
        );
        assert!(
            page.has("<time datetime=\"") && page.has(" UTC</time>"),
            "{what}: {}",
            page.body
        );
        assert!(page.has("<p>"), "{what} says how to go on: {}", page.body);

        let program = [&[("accept", "application/json")], headers].concat();
        let told = super::bare(&world, method, path, &program, body.to_owned()).await;
        assert_eq!(told.status, status, "{what}");
        assert!(told.json()["error"].is_string(), "{what}: {}", told.body);
    }
}

#[tokio::test]
async fn the_name_of_a_request_is_the_same_on_its_page_in_its_header_and_in_the_log() {
    let world = World::process(&[]).await;
    let page = super::bare(
        &world,
        Method::GET,
        "/nowhere",
        &[("accept", PERSON)],
        String::new(),
    )
    .await;
    let id = page.header("x-request-id").expect("a name");
    assert!(page.has(id), "{}", page.body);
    let deadline = Instant::now() + Duration::from_secs(10);
    while !world.log().contains(id) {
        assert!(Instant::now() < deadline, "{id} is not in {}", world.log());
        sleep(Duration::from_millis(20)).await;
    }
}
