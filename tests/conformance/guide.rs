//! `docs/conformance.md`: what it has an operator type leads to a server that the suite can be let loose on.

use std::path::Path;

use protocol::Secret;

use super::run::claims_of;
use crate::harness::app::userinfo;
use crate::harness::process::{Process, free_port, run};
use crate::harness::{App, World, rp, visitor};

const GUIDE: &str = include_str!("../../docs/conformance.md");
const FILES: [(&str, &str); 4] = [
    ("user.json", include_str!("../../docs/conformance/user.json")),
    (
        "clients.json",
        include_str!("../../docs/conformance/clients.json"),
    ),
    (
        "browser.json",
        include_str!("../../docs/conformance/browser.json"),
    ),
    (
        "override.json",
        include_str!("../../docs/conformance/override.json"),
    ),
];

fn typed(command: &str) -> impl Iterator<Item = &str> {
    GUIDE
        .lines()
        .filter_map(move |line| line.strip_prefix(&format!("$ {command} ")))
}

/// The suite makes keys of them for `client_secret_jwt`, and stops at fewer than 256 bits.
#[test]
fn the_secrets_of_the_apps_are_long_enough_for_the_suite() {
    let (_, clients) = FILES[1];
    let clients: Vec<serde_json::Value> = serde_json::from_str(clients).expect("JSON");
    for client in clients {
        assert!(
            client["client_secret"].as_str().expect("a secret").len() >= 32,
            "{client}"
        );
    }
}

fn lay_out(folder: &Path) {
    let (cert, key) = rp::files(folder);
    for (from, to) in [(&cert, "cert.pem"), (&cert, "suite.pem"), (&key, "key.pem")] {
        std::fs::copy(from, folder.join(to)).expect("a copy");
    }
    let documents = folder.join("docs/conformance");
    std::fs::create_dir_all(&documents).expect("a folder");
    for (name, text) in FILES {
        let _: serde_json::Value = serde_json::from_str(text).expect("JSON");
        std::fs::write(documents.join(name), text).expect("a file");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guide_to_a_run_of_the_suite_leads_there() {
    let (folder, port) = (tempfile::tempdir().expect("a folder"), free_port());
    let folder = folder.path();
    lay_out(folder);
    let number = port.to_string();
    let settings: Vec<(String, String)> = typed("export")
        .map(|line| line.split_once('=').expect("NAME=VALUE"))
        .map(|(name, value)| (name.to_owned(), value.replace("9443", &number)))
        .collect();
    assert_eq!(settings.len(), 12, "{settings:?}");
    let settings: Vec<(&str, &str)> = settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let mut commands = 0;
    for command in typed("countersign").filter(|command| *command != "serve") {
        let arguments: Vec<&str> = command.split(' ').collect();
        let ended = run(folder, &arguments, &settings, "").await;
        assert_eq!(ended.code, Some(0), "{command}: {ended:?}");
        commands += 1;
    }
    assert_eq!(commands, 3);
    let client = visitor::client();
    let _server = Process::serve_https(folder, &settings, port, &client).await;

    let issuer = format!("https://localhost:{port}");
    let file = folder.join("data/countersign.db");
    let database = format!("sqlite://{}", file.display()).parse().expect("a URL");
    let world = World::beside(&issuer, &database).await;
    let app = App {
        id: "suite-1".to_owned(),
        secret: Some(Secret::from("a-secret-for-nothing-but-runs-of-the-suite-1")),
        redirect_uri: "https://localhost.emobix.co.uk:8443/test/a/countersign/callback".to_owned(),
    };
    let scope = "openid profile email address phone";
    let url = app.url(&[
        ("scope", scope),
        ("code_challenge", ""),
        ("code_challenge_method", ""),
    ]);
    let back = world.visitor().authorize(&url, "suite@example.com").await;
    let tokens = app
        .redeem_with(&world, &back.code(), &[("code_verifier", "")])
        .await;
    assert_eq!(tokens.status, 200, "{}", tokens.body);
    let tokens = tokens.json();
    let told = userinfo(&world, tokens["access_token"].as_str().expect("a token"))
        .await
        .json();
    for claim in claims_of(scope) {
        assert!(told.get(claim).is_some(), "{claim}: {told}");
    }
}
