//! The modules of the plan for sign-ins that a third party begins. None takes place: what is looked at is registration
//! (OpenID Connect Core §4, RFC 7592 §2.1).

use serde_json::{Value, json};

use super::run::{Run, document};
use crate::harness::Answer;
use crate::harness::app::answer;
use crate::harness::visitor::client;

const INITIATE: &str = "https://suite.example.com/test/a/alias/initiate_login";

async fn registered(run: &Run<'_>, initiate_login_uri: &str) -> Answer {
    let mut document = document(&run.row, &json!({}));
    document["initiate_login_uri"] = initiate_login_uri.into();
    answer(client().post(run.world.at("/register")).json(&document)).await
}

pub(super) async fn oidcc_3rd_party_init_login(run: Run<'_>) {
    let registration = registered(&run, INITIATE).await;
    assert_eq!(registration.status, 201, "{}", registration.body);
    let registration: Value = registration.json();
    assert_eq!(registration["initiate_login_uri"], INITIATE);
    let text = |name: &str| registration[name].as_str().expect("a text");
    let read = client()
        .get(run.world.route(text("registration_client_uri")))
        .bearer_auth(text("registration_access_token"));
    let read = answer(read).await;
    assert_eq!(read.status, 200, "{}", read.body);
    assert_eq!(read.header("content-type"), Some("application/json"));
    assert_eq!(read.json()["initiate_login_uri"], INITIATE);
}

pub(super) async fn oidcc_3rd_party_init_login_nohttps(run: Run<'_>) {
    let refused = registered(&run, &INITIATE.replace("https:", "http:")).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert_eq!(refused.header("content-type"), Some("application/json"));
    let refused = refused.json();
    assert_eq!(refused["error"], "invalid_client_metadata");
    let description = refused["error_description"].as_str().expect("a text");
    assert!(description.contains("initiate_login_uri"), "{description}");
}
