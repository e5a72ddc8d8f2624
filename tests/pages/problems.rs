//! What a program is told where something is wrong: a problem document (RFC 9457) where pages are, and at the endpoints of
//! protocols what their specifications say.

use std::collections::BTreeSet;

use http::Method;
use serde_json::Value;

use super::bare;
use crate::harness::html::Html;
use crate::harness::{Answer, World};

const PROGRAM: (&str, &str) = ("accept", "application/json");

fn members(answer: &Answer) -> BTreeSet<String> {
    let Value::Object(members) = answer.json() else {
        panic!("no object: {}", answer.body);
    };
    members.keys().cloned().collect()
}

#[tokio::test]
async fn a_program_at_a_page_gets_a_problem_document_that_leads_to_its_explanation() {
    let world = World::sqlite().await;
    let app = world.app().await;
    let explained = world.visitor().get("/errors").await;
    let explained = Html::parse(&explained.body).expect("a page");
    let unknown = app.url(&[("client_id", "nobody")]);
    let form = ("content-type", "application/x-www-form-urlencoded");
    for (method, path, status, error, kind) in [
        (Method::GET, "/nowhere", 404, "invalid_request", "not_found"),
        (
            Method::PUT,
            "/login",
            405,
            "invalid_request",
            "unexpected_request",
        ),
        (Method::GET, "/login?flow=old", 400, "invalid_request", "expired"),
        (Method::GET, &unknown, 400, "invalid_request", "invalid_request"),
        (Method::POST, "/recover", 403, "access_denied", "unconfirmed"),
        (
            Method::POST,
            "/errors",
            405,
            "invalid_request",
            "unexpected_request",
        ),
    ] {
        let answer = bare(&world, method, path, &[PROGRAM, form], String::new()).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.body);
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json"),
            "{path}"
        );
        let wanted = ["type", "title", "status", "detail", "error", "request_id"];
        assert_eq!(members(&answer), wanted.map(str::to_owned).into(), "{path}");
        let told = answer.json();
        assert_eq!(told["type"], format!("{}/errors#{kind}", world.issuer), "{path}");
        assert_eq!(
            (&told["status"], &told["error"]),
            (&status.into(), &error.into()),
            "{path}"
        );
        assert_eq!(
            told["request_id"].as_str(),
            answer.header("x-request-id"),
            "{path}"
        );
        assert!(explained.by_id(kind).is_some(), "{kind} is explained");
        let title = told["title"].as_str().expect("a title");
        assert!(explained.shown().contains(title), "{title}");
    }
}

#[tokio::test]
async fn the_endpoints_of_protocols_answer_as_their_specifications_say() {
    let world = World::sqlite().await;
    let app = world.app().await;
    let oauth = ["error", "error_description"].map(str::to_owned).into();
    let judge = |what: &str, answer: &Answer| {
        assert!(answer.status.is_client_error(), "{what}: {}", answer.status);
        assert_eq!(answer.header("content-type"), Some("application/json"), "{what}");
        assert_eq!(members(answer), oauth, "{what}: {}", answer.body);
    };
    let form = ("content-type", "application/x-www-form-urlencoded");
    for path in [
        "/token",
        "/par",
        "/introspect",
        "/revoke",
        "/register",
        "/userinfo",
    ] {
        let put = bare(&world, Method::PUT, path, &[PROGRAM, form], String::new()).await;
        assert_eq!(put.status, 405, "{path}");
        judge(&format!("PUT {path}"), &put);
        let empty = bare(&world, Method::POST, path, &[PROGRAM, form], String::new()).await;
        judge(&format!("POST {path}"), &empty);
    }
    let refused = app.redeem(&world, "cs_ac_none").await;
    judge("a code that is none", &refused);
    assert_eq!(refused.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn a_page_about_an_error_leads_to_its_explanation() {
    let world = World::sqlite().await;
    let app = world.app().await;
    for (path, kind) in [
        (app.url(&[("client_id", "nobody")]), "invalid_request"),
        ("/nowhere".to_owned(), "not_found"),
        ("/login?flow=old".to_owned(), "expired"),
    ] {
        let page = bare(
            &world,
            Method::GET,
            &path,
            &[("accept", "text/html")],
            String::new(),
        )
        .await;
        let link = format!("href=\"/errors#{kind}\"");
        assert!(page.has(&link), "{link}: {}", page.body);
    }
    let explained = world.visitor().get("/errors").await;
    assert_eq!(explained.status, 200);
    assert_eq!(explained.header("cache-control"), Some("public, max-age=3600"));
    assert!(explained.header("set-cookie").is_none());
}
