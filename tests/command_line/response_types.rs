//! Response types of clients, and the setting that admits them.

use serde_json::{Value, json};

use super::{Desk, desks, text, words};
use crate::harness::process::Ended;

const SETTING: &str = "COUNTERSIGN_RESPONSE_TYPES";
const ALL: (&str, &str) = (SETTING, "all");
const HYBRID: &str = "client create --name Shop --redirect-uri https://a.test/cb --json \
    --grant-type authorization_code --grant-type implicit --response-type code --response-type id_token";

async fn done(desk: &Desk, command: &str, setting: (&str, &str)) -> Value {
    let ended = desk.run_with(&words(command), &[setting], "").await;
    assert_eq!(ended.code, Some(0), "{command}: {ended:?}");
    serde_json::from_str(&ended.stdout).expect("JSON")
}

/// The one line names what to change and where it is set.
fn refused(ended: &Ended, place: &str) {
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    let line = format!("error: {place}response_types: ");
    assert!(ended.stderr.starts_with(&line), "{ended:?}");
    assert!(
        ended.stderr.contains(SETTING) && ended.stderr.lines().count() == 1,
        "{ended:?}"
    );
}

#[tokio::test]
async fn types_that_the_server_does_not_admit_are_registered_by_no_command() {
    for desk in desks().await {
        for setting in [(SETTING, "code"), ("COUNTERSIGN_LIMITS", "on")] {
            refused(&desk.run_with(&words(HYBRID), &[setting], "").await, "");
        }
        assert_eq!(desk.json("client list").await, json!([]));

        let code = desk
            .json("client create --name Plain --redirect-uri https://b.test/cb")
            .await;
        let id = text(&code, "client_id");
        let before = desk.json(&format!("client show {id}")).await;
        let more = format!(
            "client update {id} --grant-type authorization_code --grant-type implicit \
             --response-type code --response-type id_token"
        );
        refused(&desk.run(&words(&more), "").await, "");
        assert_eq!(desk.json(&format!("client show {id}")).await, before);
        let updated = done(&desk, &format!("{more} --json"), ALL).await;
        assert_eq!(updated["response_types"], json!(["code", "id_token"]));
    }
}

#[tokio::test]
async fn an_import_that_the_setting_stops_in_the_middle_leaves_nothing_and_says_where() {
    let implicit = json!({
        "client_id": "two", "redirect_uris": ["https://two.test/cb"],
        "grant_types": ["implicit"], "response_types": ["id_token"],
    });
    let plain = |id: &str| json!({ "client_id": id, "redirect_uris": [format!("https://{id}.test/cb")] });
    let records = json!([plain("one"), implicit, plain("three")]);
    for desk in desks().await {
        desk.write("records.json", &records.to_string());
        let import = "client import records.json --json";
        refused(&desk.run(&words(import), "").await, "[1]: ");
        assert_eq!(desk.json("client list").await, json!([]));

        let imported = done(&desk, import, ALL).await;
        assert_eq!(imported.as_array().map(Vec::len), Some(3));
        // The same records again, and what a list prints: they have these types already.
        desk.json(import.trim_end_matches(" --json")).await;
        let list = desk.json("client list").await;
        assert_eq!(
            desk.json_of(&["client", "import", "-"], &list.to_string()).await,
            list
        );
        // One that would get another of them would not.
        let mut more = implicit.clone();
        more["response_types"] = json!(["id_token", "id_token token"]);
        desk.write("records.json", &json!([plain("one"), more]).to_string());
        refused(&desk.run(&words(import), "").await, "[1]: ");
        // What no database can be asked for is refused by its name.
        let nul = json!({ "client_id": "a\u{0}b", "redirect_uris": ["https://a.test/cb"] });
        let line = desk.import_failure("client", &nul).await;
        assert!(line.starts_with("client_id: "), "{line}");
    }
}

#[tokio::test]
async fn a_client_from_before_the_setting_was_turned_off_can_still_be_looked_after() {
    for desk in desks().await {
        let made = done(&desk, HYBRID, ALL).await;
        let id = text(&made, "client_id");
        for command in ["client list", &format!("client show {id}")] {
            let shown = desk.json(command).await.to_string();
            assert!(shown.contains("id_token"), "{shown}");
        }
        let renamed = desk.json(&format!("client update {id} --name New")).await;
        assert_eq!(text(&renamed, "client_name"), "New");
        assert_eq!(renamed["response_types"], json!(["code", "id_token"]));
        desk.json(&format!("client secret add {id}")).await;
        desk.json(&format!("client trust {id}")).await;

        let plain = format!("client update {id} --grant-type authorization_code --response-type code");
        let plain = desk.json(&plain).await;
        assert_eq!(plain["response_types"], json!(["code"]));
        let back = format!(
            "client update {id} --grant-type authorization_code --grant-type implicit --response-type id_token \
             --response-type code"
        );
        refused(&desk.run(&words(&back), "").await, "");
        desk.json(&format!("client delete {id}")).await;
    }
}
