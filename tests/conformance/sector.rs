//! Registration with a sector identifier: the document is on the suite's own site, over https.

use protocol::{ClientAuthMethod, Secret, SubjectType};
use serde_json::{Value, json};

use super::run::{REDIRECT_URI, Run};
use crate::harness::app::answer;
use crate::harness::rp::Site;
use crate::harness::visitor::client;
use crate::harness::{Answer, App};

/// By a secret: there are keys for nothing else here.
fn method(run: &Run<'_>) -> ClientAuthMethod {
    run.row.client_auth.unwrap_or(ClientAuthMethod::ClientSecretBasic)
}

/// A registration as the suite makes it, with a sector whose document lists this.
async fn register(run: &Run<'_>, listed: &Value) -> Answer {
    let site = Site::open().await;
    let url = site.put("/sector_identifier.json", "application/json", listed.to_string());
    let response_type = run.row.response_type;
    let document = json!({
        "client_name": "Conformance suite",
        "redirect_uris": [REDIRECT_URI],
        "grant_types": response_type.grant_types(),
        "response_types": [response_type],
        "token_endpoint_auth_method": method(run),
        "contacts": ["certification@example.com"],
        "subject_type": "pairwise",
        "sector_identifier_uri": url,
    });
    let answer = answer(client().post(run.world.at("/register")).json(&document)).await;
    assert_eq!(site.asked(), 1);
    answer
}

pub(super) async fn oidcc_registration_sector_uri(mut run: Run<'_>) {
    let answer = register(&run, &json!(["https://other.example.com/cb", REDIRECT_URI])).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let own = answer.json();
    assert_eq!(own["subject_type"], "pairwise");
    run.app = App {
        id: own["client_id"].as_str().expect("an id").to_owned(),
        secret: own["client_secret"].as_str().map(Secret::from),
        redirect_uri: REDIRECT_URI.to_owned(),
    };
    run.row.client_auth = Some(method(&run));
    run.key = None;
    run.subject_type = SubjectType::Pairwise;
    run.complete(&mut run.world.visitor(), &[]).await;
}

pub(super) async fn oidcc_registration_sector_bad(run: Run<'_>) {
    let answer = register(&run, &json!(["https://other.example.com/cb"])).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["error"]),
        (400, &json!("invalid_client_metadata"))
    );
}
