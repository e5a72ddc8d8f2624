//! https of our own, and the certificates of clients.

use protocol::ClientCertificates;

use super::*;
use crate::middleware::Certificates;

#[test]
fn client_certificates_need_an_address_and_one_who_tells_of_them() {
    let root = rcgen::generate_simple_self_signed(["authority".to_owned()]).unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(root.cert.pem().as_bytes()).unwrap();
    let (url, listen, roots) = (
        ("COUNTERSIGN_MTLS_URL", "https://m.example.com"),
        ("COUNTERSIGN_MTLS_LISTEN", "0.0.0.0:8443"),
        ("COUNTERSIGN_MTLS_ROOTS", file.path().to_str().unwrap()),
    );
    let (cert, key) = (
        ("COUNTERSIGN_TLS_CERT", "c.pem"),
        ("COUNTERSIGN_TLS_KEY", "k.pem"),
    );
    let proxies = ("COUNTERSIGN_TRUSTED_PROXIES", "10.0.0.1");
    for (pairs, line) in [
        (&[listen, cert, key][..], "COUNTERSIGN_MTLS_URL: is missing"),
        (&[roots], "COUNTERSIGN_MTLS_URL: is missing"),
        (&[url], "COUNTERSIGN_MTLS_URL: needs"),
        (&[url, listen], "COUNTERSIGN_TLS_CERT: is missing"),
        (&[url, listen, proxies], "COUNTERSIGN_TLS_CERT: is missing"),
    ] {
        let told = lines(load(Mode::Serve, &[&[ISSUER], pairs].concat()));
        assert!(told.len() == 1 && told[0].starts_with(line), "{told:?}");
    }
    let mtls = |pairs: &[(&str, &str)]| load(Mode::Serve, &[&[ISSUER], pairs].concat()).unwrap().mtls;
    assert!(mtls(&[proxies, cert, key]).is_none());
    for (pairs, told_by, certificates) in [
        (
            &[url, proxies][..],
            Certificates::OfProxies,
            ClientCertificates::Registered,
        ),
        (
            &[url, proxies, roots],
            Certificates::OfProxies,
            ClientCertificates::Issued,
        ),
        (
            &[url, listen, cert, key],
            Certificates::Ours,
            ClientCertificates::Registered,
        ),
        (
            &[url, listen, cert, key, proxies, roots],
            Certificates::Ours,
            ClientCertificates::Issued,
        ),
    ] {
        let mtls = mtls(pairs).unwrap();
        assert_eq!(
            (mtls.told_by(), mtls.certificates()),
            (told_by, certificates),
            "{pairs:?}"
        );
        assert_eq!(mtls.url.as_str(), "https://m.example.com");
    }
}

#[test]
fn a_certificate_and_its_key_come_together_and_serve_an_https_issuer() {
    let (cert, key) = (
        ("COUNTERSIGN_TLS_CERT", "c.pem"),
        ("COUNTERSIGN_TLS_KEY", "k.pem"),
    );
    let settings = load(Mode::Serve, &[ISSUER, cert, key]).unwrap();
    let files = settings.tls.unwrap();
    assert_eq!(
        (files.cert.as_path(), files.key.as_path()),
        (Path::new("c.pem"), Path::new("k.pem"))
    );
    assert_eq!(load(Mode::Serve, &[ISSUER]).unwrap().tls, None);

    let http = ("COUNTERSIGN_ISSUER", "http://localhost:8080");
    for (pairs, name, words) in [
        (
            vec![ISSUER, cert],
            "COUNTERSIGN_TLS_KEY: ",
            "COUNTERSIGN_TLS_CERT",
        ),
        (vec![ISSUER, key], "COUNTERSIGN_TLS_CERT: ", "COUNTERSIGN_TLS_KEY"),
        (
            vec![http, cert, key],
            "COUNTERSIGN_TLS_CERT: ",
            "the issuer is http",
        ),
    ] {
        let lines = lines(load(Mode::Serve, &pairs));
        let [line] = lines.as_slice() else {
            panic!("{lines:?}")
        };
        assert!(line.starts_with(name) && line.contains(words), "{line}");
    }
}
