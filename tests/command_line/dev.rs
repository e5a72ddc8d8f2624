//! `serve --dev` at other ports than the last time.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::harness::process::{Process, free_port, run};

/// Three ports in a row that nobody has.
fn three() -> u16 {
    loop {
        let (first, second, third) = (free_port(), free_port(), free_port());
        if (second, third) == (first + 1, first + 2) {
            return first;
        }
    }
}

/// The member of everything that a command lists.
async fn listed(folder: &Path, what: &str, member: &str) -> Vec<Value> {
    let ended = run(folder, &[what, "list", "--json"], &[], "").await;
    let list: Vec<Value> = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    list.iter().map(|one| one[member].clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_taken_is_named_before_anything_is_written_and_another_one_works() {
    let folder = tempfile::tempdir().unwrap();
    let (busy, other) = (three(), three());
    let whose = ["the server", "the demo app", "the demo API"];
    for (port, whose) in (busy..).zip(whose) {
        let _taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let listen = format!("127.0.0.1:{busy}");
        let ended = run(folder.path(), &["serve", "--dev", "--listen", &listen], &[], "").await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
        for part in [
            format!("127.0.0.1:{port} for {whose}"),
            "--dev --listen 127.0.0.1:9000".to_owned(),
        ] {
            assert!(ended.stderr.contains(&part), "{part}: {ended:?}");
        }
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            0,
            "it left something"
        );
    }
    for port in [busy, other, busy] {
        let mut server = Process::serve(folder.path(), &["--dev"], &[], port).await;
        let (app, api) = (port + 1, port + 2);
        assert_eq!(
            listed(folder.path(), "resource", "identifier").await,
            [format!("http://localhost:{api}/")]
        );
        let redirects = listed(folder.path(), "client", "redirect_uris").await;
        let [Value::Array(redirects)] = redirects.as_slice() else {
            panic!("{redirects:?}")
        };
        let here = format!("http://localhost:{app}/");
        assert!(
            redirects
                .iter()
                .all(|uri| uri.as_str().unwrap().starts_with(&here)),
            "{redirects:?}"
        );
        assert_eq!(server.terminate().await.code(), Some(0), "{}", server.stderr());
        assert!(
            server.stdout().contains("on the two after it"),
            "{}",
            server.stdout()
        );
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_with_the_setting_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let issuer = format!("http://{listen}");
    let ended = run(
        folder.path(),
        &["serve", "--issuer", &issuer, "--listen", &listen],
        &[],
        "",
    )
    .await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let line = format!("error: COUNTERSIGN_LISTEN: cannot listen on {listen}: ");
    assert!(ended.stderr.contains(&line), "{ended:?}");
    assert!(ended.stderr.contains("set another port"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_json_a_server_says_in_one_object_where_it_serves() {
    for arguments in [["--json"].as_slice(), &["--json", "--dev"]] {
        let (folder, port) = (tempfile::tempdir().unwrap(), three());
        let issuer = format!("http://localhost:{port}");
        let environment = [("COUNTERSIGN_ISSUER", issuer.as_str())];
        let mut server = Process::serve(folder.path(), arguments, &environment, port).await;
        assert_eq!(server.terminate().await.code(), Some(0), "{}", server.stderr());
        let told: Value = serde_json::from_str(&server.stdout()).unwrap();
        assert_eq!(told["issuer"], issuer);
        assert_eq!(told["listen"], format!("127.0.0.1:{port}"));
        let members = told.as_object().unwrap().len();
        match arguments.len() {
            1 => assert_eq!(members, 2, "{told}"),
            _ => {
                assert_eq!(members, 7, "{told}");
                assert_eq!(told["demo_app"], format!("http://localhost:{}/", port + 1));
                assert_eq!(told["demo_api"], format!("http://localhost:{}/", port + 2));
                assert_eq!(told["mailbox"], format!("{issuer}/dev/mailbox"));
                assert_eq!(told["email"], "alex@example.com");
                assert!(told["password"].as_str().unwrap().len() >= 20);
            }
        }
    }
}

/// A relay that is not there, and two mails for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_server_that_takes_nothing_is_warned_of_once_with_the_reason() {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let (issuer, relay) = (
        format!("http://127.0.0.1:{port}"),
        format!("smtp://127.0.0.1:{}", free_port()),
    );
    let environment = [
        ("COUNTERSIGN_ISSUER", issuer.as_str()),
        ("COUNTERSIGN_MAIL_SMTP_URL", relay.as_str()),
        ("COUNTERSIGN_MAIL_FROM", "no-reply@id.example.com"),
    ];
    for email in ["one@example.com", "two@example.com"] {
        for command in [
            ["user", "create", "--email", email].as_slice(),
            &["user", "verify", email],
        ] {
            let ended = run(folder.path(), command, &environment, "").await;
            assert_eq!(ended.code, Some(0), "{ended:?}");
        }
    }
    let server = Process::serve(folder.path(), &[], &environment, port).await;
    let lines = |text: &str| server.stderr().lines().filter(|line| line.contains(text)).count();
    let tried = || lines("takes no mail") + lines("has not been sent yet");
    let deadline = Instant::now() + Duration::from_secs(30);
    while tried() < 2 {
        assert!(Instant::now() < deadline, "{}", server.stderr());
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(lines("takes no mail"), 1, "{}", server.stderr());
    let log = server.stderr();
    let line = log.lines().find(|line| line.contains("takes no mail")).unwrap();
    assert!(line.contains("WARN") && line.contains("refused"), "{line}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_with_secrets_that_everybody_can_read_are_warned_of() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let issuer = format!("http://127.0.0.1:{port}");
    let environment = [("COUNTERSIGN_ISSUER", issuer.as_str())];
    for (mode, warnings) in [(None, 0), (Some(0o644), 2)] {
        let files = ["keys/master.key", "data/countersign.db"];
        if let Some(mode) = mode {
            for file in files {
                fs::set_permissions(folder.path().join(file), fs::Permissions::from_mode(mode)).unwrap();
            }
        }
        let mut server = Process::serve(folder.path(), &[], &environment, port).await;
        assert_eq!(server.terminate().await.code(), Some(0), "{}", server.stderr());
        let log = server.stderr();
        let told: Vec<&str> = log
            .lines()
            .filter(|line| line.contains("can read this file"))
            .collect();
        assert_eq!(told.len(), warnings, "{log}");
        for (line, file) in told.iter().zip(files) {
            assert!(line.contains("WARN") && line.contains(file), "{line}");
        }
    }
}
