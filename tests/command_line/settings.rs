//! Settings as every command meets them, `config`, and what never reaches a log.

use serde_json::json;

use super::{Desk, column, desks, text, words};

#[tokio::test]
async fn every_mistake_in_the_settings_is_told_at_once() {
    let desk = Desk::at("sqlite://here.db".to_owned());
    desk.write("c.toml", "isuer = 'https://a.test'\nlisten = 'here'\n");
    desk.write("url", "sqlite://other.db");
    let environment = [
        ("COUNTERSIGN_LIMIT", "off"),
        ("COUNTERSIGN_ISSUER", "http://sso.example.com"),
        ("COUNTERSIGN_DATABASE_URL_FILE", "url"),
        ("COUNTERSIGN_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
    ];
    for command in ["serve", "config check", "config show", "migrate", "user list"] {
        let arguments = [&words(command)[..], &["--config", "c.toml"]].concat();
        let ended = desk.run_with(&arguments, &environment, "").await;
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(1), ""),
            "{command}: {ended:?}"
        );
        let lines: Vec<&str> = ended.stderr.lines().collect();
        for name in [
            "isuer",
            "listen",
            "COUNTERSIGN_LIMIT:",
            "COUNTERSIGN_ISSUER",
            "contradicts",
        ] {
            let told = lines.iter().filter(|line| line.contains(name)).count();
            assert_eq!(told, 1, "{command} {name}: {ended:?}");
        }
        assert_eq!(lines.len(), 5, "{command}: {ended:?}");
        assert!(lines.iter().all(|line| line.starts_with("error: ")), "{ended:?}");
    }
    assert!(!desk.path().join("here.db").exists(), "nothing was opened");
}

#[tokio::test]
async fn serve_wants_an_issuer_and_check_says_so_before() {
    let desk = Desk::at("sqlite://here.db".to_owned());
    for (command, issuer, code) in [
        ("serve", None, 1),
        ("config check", None, 1),
        ("config check", Some("https://sso.test"), 0),
        ("config check", Some("https://sso.test/"), 1),
        ("config check", Some("http://localhost:8080"), 0),
        ("config show", None, 0),
    ] {
        let environment: Vec<_> = issuer
            .map(|issuer| ("COUNTERSIGN_ISSUER", issuer))
            .into_iter()
            .collect();
        let ended = desk.run_with(&words(command), &environment, "").await;
        assert_eq!(ended.code, Some(code), "{command} {issuer:?}: {ended:?}");
        assert_eq!(
            ended.stderr.contains("COUNTERSIGN_ISSUER"),
            code == 1,
            "{ended:?}"
        );
    }
}

#[tokio::test]
async fn show_says_where_each_setting_comes_from_and_masks_secrets() {
    let desk = Desk::at("postgres://u:canary@db.test/x".to_owned());
    desk.write("c.toml", "limits = 'off'\nlisten = '127.0.0.1:1'\n");
    let shown = desk
        .json("config show --config c.toml --listen 127.0.0.1:2")
        .await;
    let of = |name: &str| {
        let all = shown.as_array().unwrap();
        let found = all.iter().find(|shown| shown["name"] == name).unwrap();
        (found["value"].clone(), text(found, "source").to_owned())
    };
    assert_eq!(of("COUNTERSIGN_LIMITS"), (json!("off"), "file".to_owned()));
    assert_eq!(
        of("COUNTERSIGN_LISTEN"),
        (json!("127.0.0.1:2"), "flag".to_owned())
    );
    assert_eq!(of("COUNTERSIGN_KEYS_DIR"), (json!("keys"), "default".to_owned()));
    assert_eq!(of("COUNTERSIGN_ISSUER").0, json!(null));
    assert_eq!(of("COUNTERSIGN_DATABASE_URL").1, "environment");
    let lines = desk.run(&["config", "show"], "").await.stdout;
    assert_eq!(lines.lines().count(), column(&shown, "name").len());
    assert!(
        !lines.contains("canary") && !shown.to_string().contains("canary"),
        "{lines}"
    );
}

#[tokio::test]
async fn every_command_takes_its_settings_from_a_file() {
    let desk = Desk::at("sqlite://here.db".to_owned());
    desk.write(
        "c.toml",
        "database_url = 'sqlite://there/t.db'\nkeys_dir = 'there/keys'\n",
    );
    for command in [
        "migrate",
        "keys list",
        "client list",
        "resource list",
        "user list",
    ] {
        let arguments = [&words(command)[..], &["--json", "--config", "c.toml"]].concat();
        let ended = crate::harness::process::run(desk.path(), &arguments, &[], "").await;
        assert_eq!(
            (ended.code, ended.stderr.as_str()),
            (Some(0), ""),
            "{command}: {ended:?}"
        );
    }
    assert!(desk.path().join("there/t.db").exists() && desk.path().join("there/keys").exists());
    assert!(!desk.path().join("here.db").exists() && !desk.path().join("keys").exists());
}

#[tokio::test]
async fn a_database_that_cannot_be_had_is_one_line_without_its_password() {
    for database in [
        "postgres://u:canary@127.0.0.1:1/x",
        "sqlite:///dev/null/x.db",
        "postgres://u:canary@127.0.0.1:x/",
    ] {
        let desk = Desk::at(database.to_owned());
        let line = desk.failure("user list").await;
        assert!(!line.contains("canary"), "{line}");
    }
}

#[tokio::test]
async fn c100_no_secret_reaches_stderr_however_much_is_logged() {
    for mut desk in desks().await {
        desk.database = desk
            .database
            .replacen("postgres@", "postgres:canary-database@", 1);
        let users = json!([{"email": "a@a.test", "password": "canary-imported"}]).to_string();
        let client = json!({
            "client_id": "c", "client_secret": "canary-client-secret", "redirect_uris": ["https://a.test/cb"],
        });
        let mut logged = 0;
        let mut secrets = vec!["canary".to_owned(), "cs_cs_".to_owned()];
        for (command, stdin) in [
            ("keys rotate --now", ""),
            ("user import -", users.as_str()),
            ("user create --email b@a.test --password-stdin", "canary-created"),
            ("user create --email b@a.test --password-stdin", "canary-refused"),
            ("user create --email c@a.test --generate-password --json", ""),
            ("user revoke a@a.test", ""),
            ("client import -", &client.to_string()),
            ("client secret add c", ""),
            ("client delete c", ""),
        ] {
            let ended = desk
                .run_with(&words(command), &[("RUST_LOG", "trace")], stdin)
                .await;
            assert!(ended.code.is_some_and(|code| code < 2), "{command}: {ended:?}");
            if let Ok(made) = serde_json::from_str::<serde_json::Value>(&ended.stdout) {
                secrets.push(text(&made, "password").to_owned());
            }
            logged += ended.stderr.lines().count();
            for secret in &secrets {
                assert!(
                    !ended.stderr.contains(secret.as_str()),
                    "{command}: {secret} in {}",
                    ended.stderr
                );
            }
        }
        assert_ne!(logged, 0, "nothing was put to the test");
        let master = std::fs::read_to_string(desk.path().join("keys/master.key")).unwrap();
        let ended = desk
            .run_with(&words("keys list"), &[("RUST_LOG", "trace")], "")
            .await;
        assert!(!ended.stderr.contains(master.trim()) && !ended.stdout.contains(master.trim()));
    }
}
