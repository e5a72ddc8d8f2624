//! HTTPS by ourselves.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::tls::{Certificate, Version};
use serde_json::Value;

use crate::harness::process::{Process, free_port, run};

struct Made {
    cert: String,
    key: String,
}

/// A certificate that signed itself.
fn made() -> Made {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    Made {
        cert: made.cert.pem(),
        key: made.signing_key.serialize_pem(),
    }
}

impl Made {
    fn write(&self, folder: &Path) {
        std::fs::write(folder.join("key.pem"), &self.key).expect("a file");
        std::fs::write(folder.join("cert.pem"), &self.cert).expect("a file");
    }

    fn client(&self, versions: std::ops::RangeInclusive<Version>) -> reqwest::Client {
        reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([Certificate::from_pem(self.cert.as_bytes()).expect("a certificate")])
            .tls_version_min(*versions.start())
            .tls_version_max(*versions.end())
            .build()
            .expect("a client")
    }
}

async fn serve(folder: &Path, port: u16, made: &Made) -> Process {
    let issuer = format!("https://localhost:{port}");
    let environment = [
        ("COUNTERSIGN_ISSUER", issuer.as_str()),
        ("COUNTERSIGN_TLS_CERT", "cert.pem"),
        ("COUNTERSIGN_TLS_KEY", "key.pem"),
    ];
    let client = made.client(Version::TLS_1_2..=Version::TLS_1_3);
    Process::serve_https(folder, &environment, port, &client).await
}

#[tokio::test]
async fn a_server_with_a_certificate_speaks_tls_1_3_and_1_2_and_nothing_else() {
    let (folder, port, made) = (tempfile::tempdir().expect("a folder"), free_port(), made());
    made.write(folder.path());
    let mut server = serve(folder.path(), port, &made).await;
    let url = format!("https://localhost:{port}/.well-known/openid-configuration");
    for version in [Version::TLS_1_3, Version::TLS_1_2] {
        let answer = made
            .client(version..=version)
            .get(&url)
            .send()
            .await
            .expect("an answer");
        let hsts = answer.headers().get("strict-transport-security").cloned();
        assert!(hsts.is_some(), "{:?}", answer.headers());
        let document: Value = answer.json().await.expect("JSON");
        assert_eq!(document["issuer"], format!("https://localhost:{port}"));
        let jwks = document["jwks_uri"].as_str().expect("a URL");
        assert_eq!(
            made.client(version..=version)
                .get(jwks)
                .send()
                .await
                .expect("keys")
                .status(),
            200
        );
    }
    let plain = reqwest::get(url.replace("https", "http")).await;
    assert!(plain.is_err(), "{plain:?}");
    let stranger = self::made().client(Version::TLS_1_2..=Version::TLS_1_3);
    assert!(stranger.get(&url).send().await.is_err());
    assert!(server.terminate().await.success(), "{}", server.stderr());
}

#[tokio::test]
async fn c099_a_peer_that_does_not_finish_its_handshake_is_cut_and_keeps_nobody_out() {
    let (folder, port, made) = (tempfile::tempdir().expect("a folder"), free_port(), made());
    made.write(folder.path());
    let _server = serve(folder.path(), port, &made).await;
    let silent = tokio::task::spawn_blocking(move || {
        let began = Instant::now();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
        // The head of a record that never comes.
        stream.write_all(&[0x16, 3, 1, 2, 0]).expect("room");
        let _ = stream.read(&mut [0; 16]);
        began.elapsed()
    });
    let client = made.client(Version::TLS_1_2..=Version::TLS_1_3);
    let alive = format!("https://localhost:{port}/livez");
    assert_eq!(client.get(&alive).send().await.expect("an answer").status(), 200);
    let took = silent.await.expect("a thread");
    assert!(
        (Duration::from_secs(8)..Duration::from_secs(25)).contains(&took),
        "{took:?}"
    );
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_without_a_restart() {
    let (folder, port) = (tempfile::tempdir().expect("a folder"), free_port());
    let (old, new) = (made(), made());
    old.write(folder.path());
    let server = serve(folder.path(), port, &old).await;
    let alive = format!("https://localhost:{port}/livez");
    new.write(folder.path());
    let began = Instant::now();
    // A new client each time: a connection keeps the certificate it began with.
    while new
        .client(Version::TLS_1_2..=Version::TLS_1_3)
        .get(&alive)
        .send()
        .await
        .is_err()
    {
        assert!(began.elapsed() < Duration::from_secs(60), "{}", server.stderr());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(
        old.client(Version::TLS_1_2..=Version::TLS_1_3)
            .get(&alive)
            .send()
            .await
            .is_err()
    );
    assert!(
        server.stderr().contains("new TLS certificate"),
        "{}",
        server.stderr()
    );
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_told_before_the_server_starts() {
    let folder = tempfile::tempdir().expect("a folder");
    made().write(folder.path());
    std::fs::write(folder.path().join("key.pem"), made().key).expect("a file");
    let environment = [
        ("COUNTERSIGN_ISSUER", "https://localhost"),
        ("COUNTERSIGN_TLS_CERT", "cert.pem"),
        ("COUNTERSIGN_TLS_KEY", "key.pem"),
    ];
    for arguments in [&["config", "check"][..], &["serve"]] {
        let ended = run(folder.path(), arguments, &environment, "").await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(
            ended
                .stderr
                .contains("key.pem: is not the key of the certificate"),
            "{ended:?}"
        );
    }
}
