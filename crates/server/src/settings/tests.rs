mod certificates;
mod people;

use std::io::Write as _;

use super::*;

const ISSUER: (&str, &str) = ("COUNTERSIGN_ISSUER", "https://sso.example.com");

fn environment(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect::<Vec<_>>()
        .into_iter()
}

fn load(mode: Mode, pairs: &[(&str, &str)]) -> Result<Settings, Vec<Mistake>> {
    Settings::load(Flags::default(), environment(pairs), None, mode)
}

fn load_file(text: &str, pairs: &[(&str, &str)], flags: Flags) -> Result<Settings, Vec<Mistake>> {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    Settings::load(flags, environment(pairs), Some(file.path()), Mode::Serve)
}

fn lines(result: Result<Settings, Vec<Mistake>>) -> Vec<String> {
    result.unwrap_err().iter().map(ToString::to_string).collect()
}

fn shown(settings: &Settings, name: Name) -> (Option<String>, Source) {
    let shown = settings
        .shown()
        .find(|shown| shown.name == name.variable())
        .unwrap();
    (shown.value.clone(), shown.source)
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let settings = load(Mode::Serve, &[ISSUER]).unwrap();
    assert_eq!(settings.listen, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(settings.database.expose(), "sqlite://data/countersign.db");
    assert_eq!(settings.keys_dir, Path::new("keys"));
    assert_eq!(settings.keys.policy.announce.as_secs(), 24 * 60 * 60);
    assert_eq!(settings.keys.policy.rotate_every.as_secs(), 90 * 24 * 60 * 60);
    assert_eq!(settings.keys.policy.algs, protocol::SigningAlgs::default());
    assert_eq!(settings.trusted_proxies, TrustedProxies::default());
    assert_eq!(settings.limits, RateLimits::On);
    assert_eq!(shown(&settings, Name::TlsCert), (None, Source::Default));
    assert_eq!(settings.shown().count(), Name::ALL.len());

    let dev = load(Mode::Dev, &[]).unwrap();
    assert_eq!(dev.require_issuer().unwrap().as_str(), "http://localhost:8080");
    assert_eq!(dev.listen, settings.listen);
    let moved = load(Mode::Dev, &[("COUNTERSIGN_LISTEN", "[::1]:9000")]).unwrap();
    assert_eq!(moved.require_issuer().unwrap().as_str(), "http://localhost:9000");

    let empty = load(Mode::Serve, &[("COUNTERSIGN_ISSUER", "")]);
    assert_eq!(lines(empty).len(), 1, "one mistake, one line");

    let command = load(Mode::Command, &[]).unwrap();
    assert!(
        command
            .require_issuer()
            .unwrap_err()
            .to_string()
            .contains("COUNTERSIGN_ISSUER: is required")
    );
}

#[test]
fn every_setting_is_checked_and_the_line_names_it() {
    for (variable, value, hint) in [
        ("COUNTERSIGN_ISSUER", "http://sso.example.com", "must be https"),
        (
            "COUNTERSIGN_ISSUER",
            "https://sso.example.com/",
            "without the trailing slash",
        ),
        ("COUNTERSIGN_ISSUER", "", "is empty"),
        ("COUNTERSIGN_LISTEN", "8080", "IP address and a port"),
        ("COUNTERSIGN_LISTEN", "localhost:8080", "IP address and a port"),
        ("COUNTERSIGN_LISTEN", "127.0.0.1:65536", "IP address and a port"),
        ("COUNTERSIGN_DATABASE_URL", "mysql://root@db/x", "sqlite://PATH"),
        ("COUNTERSIGN_DATABASE_URL", "data/countersign.db", "sqlite://PATH"),
        ("COUNTERSIGN_DATABASE_URL", "postgres://[", "sqlite://PATH"),
        ("COUNTERSIGN_DATABASE_URL", "sqlite://", "sqlite://PATH"),
        ("COUNTERSIGN_DATABASE_URL_FILE", "/nowhere/url", "cannot be read"),
        ("COUNTERSIGN_KEYS_DIR", "", "is empty"),
        ("COUNTERSIGN_TLS_CERT", "a\u{fffd}", "must be a path"),
        ("COUNTERSIGN_KEYS_DIR", "a\u{fffd}", "must be a path"),
        (
            "COUNTERSIGN_TRUSTED_PROXIES",
            "proxy.internal",
            "IP address or a prefix",
        ),
        ("COUNTERSIGN_TRUSTED_PROXIES", "0.0.0.0/0", "name the proxies"),
        ("COUNTERSIGN_LIMITS", "false", "on or off"),
        (
            "COUNTERSIGN_PRIVATE_LISTEN",
            "127.0.0.1:9090",
            "no private listener",
        ),
        ("COUNTERSIGN_MTLS_LISTEN", "m.example.com:8443", "IP address"),
        (
            "COUNTERSIGN_MTLS_URL",
            "http://localhost:8443",
            "begin with https://",
        ),
        ("COUNTERSIGN_MTLS_URL", "https://m.example.com/?x=1", "query"),
        ("COUNTERSIGN_MTLS_ROOTS", "/nowhere/ca.pem", "cannot read"),
        ("COUNTERSIGN_MTLS_ROOTS", "/dev/null", "certificates in PEM"),
        ("COUNTERSIGN_EGRESS_CA", "/nowhere/ca.pem", "cannot read"),
        ("COUNTERSIGN_EGRESS_CA", "/dev/null", "certificates in PEM"),
        (
            "COUNTERSIGN_EGRESS_ALLOW_PRIVATE",
            "https://a.internal",
            "host name",
        ),
        ("COUNTERSIGN_REGISTRATION", "yes", "closed, token, open"),
        ("COUNTERSIGN_REGISTRATION_TRUST", "full", "unverified, trusted"),
        ("COUNTERSIGN_REGISTRATION_REQUIRE_PKCE", "no", "true or false"),
        ("COUNTERSIGN_EGRESS_ALLOW_PRIVATE", "a.internal:8443", "host name"),
        (
            "COUNTERSIGN_EGRESS_ALLOW_PRIVATE",
            "a.internal,10.0.0.1",
            "host name",
        ),
        ("COUNTERSIGN_EGRESS_ALLOW_PRIVATE", "[::1]", "host name"),
        (
            "COUNTERSIGN_REGISTRATION_ASSERTION_AUDIENCE",
            "anybody",
            "issuer, compatible",
        ),
        ("COUNTERSIGN_RESPONSE_TYPES", "hybrid", "must be code, or all"),
        (
            "COUNTERSIGN_REQUIRE_PUSHED_AUTHORIZATION_REQUESTS",
            "on",
            "true or false",
        ),
        ("COUNTERSIGN_ISUER", "https://sso.example.com", "is no setting"),
        ("COUNTERSIGN_issuer", "https://sso.example.com", "is no setting"),
        ("COUNTERSIGN_KEYS_DIR_FILE", "keys", "is no setting"),
        ("COUNTERSIGN_", "", "is no setting"),
    ] {
        let own = (variable, value);
        let pairs = if variable == ISSUER.0 {
            vec![own]
        } else {
            vec![ISSUER, own]
        };
        let lines = lines(load(Mode::Serve, &pairs));
        let expected = format!("{variable}: ");
        assert!(
            lines
                .first()
                .is_some_and(|line| line.starts_with(&expected) && line.contains(hint)),
            "{own:?} {lines:?}"
        );
    }
}

#[test]
fn all_mistakes_are_reported_together_one_line_each() {
    let pairs = [
        ("COUNTERSIGN_LISTEN", "no"),
        ("COUNTERSIGN_LIMITS", "no"),
        ("COUNTERSIGN_TLS_CERT", "cert.pem"),
        ("COUNTERSIGN_A\nB", "1"),
        ("COUNTERSIGN_DATABASE_URL", "no"),
    ];
    let lines = lines(load(Mode::Serve, &pairs));
    assert_eq!(lines.len(), 6, "{lines:?}");
    assert!(lines.iter().all(|line| !line.contains('\n')));
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.starts_with("COUNTERSIGN_ISSUER: is required"))
            .count(),
        1
    );
}

#[test]
fn what_the_contract_has_as_default_may_be_said_aloud() {
    let pairs = [
        ISSUER,
        ("COUNTERSIGN_PRIVATE_LISTEN", "off"),
        ("COUNTERSIGN_REGISTRATION", "closed"),
        ("COUNTERSIGN_REGISTRATION_TRUST", "unverified"),
        ("COUNTERSIGN_REGISTRATION_REQUIRE_PKCE", "true"),
        ("COUNTERSIGN_REGISTRATION_ASSERTION_AUDIENCE", "issuer"),
        ("COUNTERSIGN_RESPONSE_TYPES", "code"),
        ("COUNTERSIGN_REQUIRE_PUSHED_AUTHORIZATION_REQUESTS", "false"),
        ("COUNTERSIGN_TRUSTED_PROXIES", "none"),
        ("COUNTERSIGN_LIMITS", "on"),
    ];
    assert!(load(Mode::Serve, &pairs).is_ok());
}

#[test]
fn registration_is_closed_unless_it_is_said_otherwise_and_open_for_development() {
    let terms = load(Mode::Serve, &[ISSUER]).unwrap().registration;
    assert_eq!(
        (terms.admission, terms.trust, terms.require_pkce, terms.hours),
        (Admission::Closed, Trust::Unverified, true, Hours::Counted)
    );
    assert_eq!(terms.assertion_audience, AssertionAudience::Issuer);
    let given = [
        ISSUER,
        ("COUNTERSIGN_REGISTRATION", "token"),
        ("COUNTERSIGN_REGISTRATION_TRUST", "trusted"),
        ("COUNTERSIGN_REGISTRATION_REQUIRE_PKCE", "false"),
        ("COUNTERSIGN_REGISTRATION_ASSERTION_AUDIENCE", "compatible"),
        ("COUNTERSIGN_LIMITS", "off"),
    ];
    let terms = load(Mode::Serve, &given).unwrap().registration;
    assert_eq!(
        (terms.admission, terms.trust, terms.require_pkce, terms.hours),
        (Admission::Token, Trust::Trusted, false, Hours::Free)
    );
    assert_eq!(terms.assertion_audience, AssertionAudience::Compatible);
    let terms = load(Mode::Dev, &[]).unwrap().registration;
    assert_eq!(
        (terms.admission, terms.trust),
        (Admission::Open, Trust::Unverified)
    );
    let closed = [("COUNTERSIGN_REGISTRATION", "closed")];
    assert_eq!(
        load(Mode::Dev, &closed).unwrap().registration.admission,
        Admission::Closed
    );
}

#[test]
fn variables_of_kubernetes_and_of_others_are_none_of_ours() {
    let pairs = [
        ISSUER,
        ("COUNTERSIGN_PORT", "tcp://10.0.0.1:80"),
        ("COUNTERSIGN_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("COUNTERSIGN_SERVICE_HOST", "10.0.0.1"),
        ("COUNTERSIGN_SERVICE_PORT_HTTP", "80"),
        ("PATH", "/bin"),
        ("countersign_issuer", "x"),
    ];
    assert!(load(Mode::Serve, &pairs).is_ok());
}

#[test]
fn flags_beat_environment_beats_file_beats_default() {
    let file = "issuer = \"https://file.example.com\"\nlisten = \"127.0.0.1:1\"\nkeys_dir = \"file\"\n\
                trusted_proxies = [\"10.0.0.0/8\", \"::1\"]\nregistration_require_pkce = true\n\
                require_pushed_authorization_requests = true\n";
    let flags = Flags {
        issuer: Some("https://flag.example.com".to_owned()),
        ..Flags::default()
    };
    let pairs = [
        ("COUNTERSIGN_ISSUER", "https://environment.example.com"),
        ("COUNTERSIGN_LISTEN", "127.0.0.1:2"),
    ];
    let settings = load_file(file, &pairs, flags).unwrap();
    for (name, value, source) in [
        (Name::Issuer, "https://flag.example.com", Source::Flag),
        (Name::Listen, "127.0.0.1:2", Source::Environment),
        (Name::KeysDir, "file", Source::File),
        (Name::TrustedProxies, "10.0.0.0/8,::1", Source::File),
        (Name::Limits, "on", Source::Default),
    ] {
        assert_eq!(shown(&settings, name), (Some(value.to_owned()), source));
    }
    assert!(settings.trusted_proxies.contains("10.9.9.9".parse().unwrap()));
    assert_eq!(settings.listen.port(), 2);
}

#[test]
fn each_fault_of_the_file_is_named() {
    for (text, hint) in [
        ("isuer = \"x\"", "isuer in"),
        ("Issuer = \"x\"", "is no setting"),
        ("[server]\nissuer = \"x\"", "server in"),
        ("listen = 8080", "must be a string"),
        ("limits = true", "must be \"on\" or \"off\""),
        ("keys_dir = [\"a\"]", "must be a string"),
        ("trusted_proxies = [1]", "array of strings"),
        ("limits = \"on\"\nlimits = \"off\"", "line 2 is not valid TOML"),
        (
            "database_url = \"sqlite://a\"\ndatabase_url_file = \"b\"",
            "contradicts database_url in",
        ),
        ("limits = \"maybe\"", "limits in"),
    ] {
        let lines = lines(load_file(text, &[ISSUER], Flags::default()));
        assert!(lines.len() == 1 && lines[0].contains(hint), "{text:?} {lines:?}");
    }
    let missing = Settings::load(
        Flags::default(),
        environment(&[ISSUER]),
        Some(Path::new("/nowhere/c.toml")),
        Mode::Serve,
    );
    assert!(lines(missing)[0].starts_with("/nowhere/c.toml: cannot be read"));
}

#[test]
fn contradictions_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("url");
    std::fs::write(&path, "sqlite://from-a-file\n").unwrap();
    let path = path.to_str().unwrap();
    let both = [
        ISSUER,
        ("COUNTERSIGN_DATABASE_URL", "sqlite://a"),
        ("COUNTERSIGN_DATABASE_URL_FILE", path),
    ];
    assert!(lines(load(Mode::Serve, &both))[0].contains("contradicts COUNTERSIGN_DATABASE_URL;"));
    let one = load(Mode::Serve, &[ISSUER, ("COUNTERSIGN_DATABASE_URL_FILE", path)]).unwrap();
    assert_eq!(one.database.expose(), "sqlite://from-a-file");

    for (pair, allowed) in [
        (ISSUER, false),
        (("COUNTERSIGN_ISSUER", "http://localhost:9000"), true),
        (("COUNTERSIGN_LISTEN", "0.0.0.0:8080"), false),
        (("COUNTERSIGN_LISTEN", "[::]:8080"), false),
        (("COUNTERSIGN_LISTEN", "127.0.0.1:9000"), true),
    ] {
        let result = load(Mode::Dev, &[pair]);
        match allowed {
            true => assert!(result.is_ok(), "{pair:?}"),
            false => assert!(lines(result)[0].contains("contradicts --dev"), "{pair:?}"),
        }
    }
}

#[test]
fn c100_the_password_of_the_database_is_shown_nowhere() {
    for url in [
        "postgres://app:canary@db.internal:5432/countersign",
        "postgresql://app:can%61ry@db/x?sslmode=require",
        "postgres://db/x?user=app&password=canary&sslmode=require",
        "postgres://:canary@db/x?sslpassword=canary",
    ] {
        let settings = load(Mode::Serve, &[ISSUER, ("COUNTERSIGN_DATABASE_URL", url)]).unwrap();
        let printed = serde_json::to_string(&settings.shown().collect::<Vec<_>>()).unwrap();
        for text in [format!("{settings:?}"), printed.clone()] {
            assert!(!text.contains("canary") && !text.contains("can%61ry"), "{text}");
        }
        assert!(printed.contains("://") && printed.contains("***"), "{printed}");
        assert_eq!(settings.database.expose(), url);
    }
    for bad in [
        "mysql://app:canary@db/x",
        "postgres://app:canary@db:port/x",
        "canary",
    ] {
        let lines = lines(load(Mode::Serve, &[ISSUER, ("COUNTERSIGN_DATABASE_URL", bad)]));
        assert!(!lines[0].contains("canary"), "{lines:?}");
    }
    let file = "database_url = \"postgres://app:canary@db/x\" oops";
    let lines = lines(load_file(file, &[ISSUER], Flags::default()));
    assert!(!lines[0].contains("canary"), "{lines:?}");
}
