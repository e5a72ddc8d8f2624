use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use rcgen::{CertificateParams, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::*;

const JSON: &[&str] = &["application/json"];
const FORM: &str = "application/x-www-form-urlencoded";
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8));

/// A server on loopback that knows one name and gives one answer.
struct Site {
    port: u16,
    /// Its own certificate, in PEM.
    root: Vec<u8>,
    connections: Arc<AtomicUsize>,
    /// The beginning of the last request.
    heard: Arc<Mutex<String>>,
}

impl Site {
    async fn new(answer: impl Into<Vec<u8>>) -> Self {
        Self::slow(answer, Duration::ZERO).await
    }

    async fn slow(answer: impl Into<Vec<u8>>, pause: Duration) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["rp.test".to_owned(), "other.test".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (counted, answer) = (connections.clone(), Arc::new(answer.into()));
        let heard = Arc::<Mutex<String>>::default();
        let last = heard.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let (acceptor, answer, last) = (acceptor.clone(), answer.clone(), last.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let mut request = [0; 4096];
                    let length = stream.read(&mut request).await.unwrap_or_default();
                    *last.lock().unwrap() = String::from_utf8_lossy(&request[..length]).into_owned();
                    tokio::time::sleep(pause).await;
                    let _ = stream.write_all(&answer).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self {
            port,
            root: certificate.pem().into_bytes(),
            connections,
            heard,
        }
    }

    fn url(&self, host: &str) -> String {
        format!("https://{host}:{}/jwks", self.port)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// A client that trusts this site, to which every name means these addresses.
    fn client(&self, private_hosts: &[&str], addresses: &[IpAddr]) -> Egress {
        let settings = Settings {
            private_hosts: private_hosts.iter().map(|host| (*host).to_owned()).collect(),
            extra_roots: self.root.clone(),
        };
        let addresses: Vec<SocketAddr> = addresses.iter().map(|own| SocketAddr::new(*own, 0)).collect();
        Egress::with(settings, Lookup::Answers(Box::new(move |_| addresses.clone()))).unwrap()
    }
}

fn ok(content_type: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\nset-cookie: a=b\r\nconnection: close\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn a_listed_host_with_a_trusted_certificate_is_fetched() {
    let site = Site::new(ok("Application/JSON; charset=utf-8", "{}")).await;
    let egress = site.client(&["rp.test"], &[LOOPBACK]);
    for _ in 0..2 {
        assert_eq!(egress.fetch(&site.url("rp.test"), JSON).await.unwrap(), "{}");
    }
    // Nothing is kept between two fetches.
    assert_eq!(site.connections(), 2);
}

#[tokio::test]
async fn c050_c051_no_packet_leaves_for_a_private_address() {
    let site = Site::new(ok("application/json", "{}")).await;
    for (listed, url, addresses) in [
        (&[][..], site.url("rp.test"), &[LOOPBACK][..]),
        (&["other.test"][..], site.url("rp.test"), &[LOOPBACK]),
        // One public answer does not vouch for the private one beside it.
        (&[], site.url("rp.test"), &[PUBLIC, LOOPBACK]),
        (&[], site.url("rp.test"), &[LOOPBACK, PUBLIC]),
        (&[], site.url("localhost"), &[LOOPBACK]),
        (&["127.0.0.1"], site.url("127.0.0.1"), &[LOOPBACK]),
        (&["[::1]", "::1"], site.url("[::1]"), &[LOOPBACK]),
        (&["2130706433"], site.url("2130706433"), &[LOOPBACK]),
        (
            &["rp.test"],
            site.url("rp.test").replace("https", "http"),
            &[LOOPBACK],
        ),
    ] {
        let client = site.client(listed, addresses);
        for refused in [
            client.fetch(&url, JSON).await.unwrap_err(),
            client.post(&url, FORM, "a=b".to_owned()).await.unwrap_err(),
        ] {
            assert!(
                matches!(refused, Error::Address | Error::Url(_)),
                "{url} {refused}"
            );
        }
    }
    assert_eq!(site.connections(), 0);
}

#[tokio::test]
async fn c051_a_name_is_asked_once_and_the_connection_goes_where_it_was_checked() {
    let site = Site::new(ok("application/json", "{}")).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    // Whoever asked a second time would be sent elsewhere.
    let elsewhere = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let lookup = Lookup::Answers(Box::new(move |_| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => vec![SocketAddr::new(LOOPBACK, 0)],
        _ => vec![SocketAddr::new(elsewhere, 0)],
    }));
    let settings = Settings {
        private_hosts: BTreeSet::from(["rp.test".to_owned()]),
        extra_roots: site.root.clone(),
    };
    let egress = Egress::with(settings, lookup).unwrap();
    assert!(egress.fetch(&site.url("rp.test"), JSON).await.is_ok());
    assert_eq!((asked.load(Ordering::SeqCst), site.connections()), (1, 1));
    // The next fetch asks anew, and what it hears is checked anew.
    assert!(egress.fetch(&site.url("rp.test"), JSON).await.is_err());
    assert_eq!((asked.load(Ordering::SeqCst), site.connections()), (2, 1));
}

#[tokio::test]
async fn c050_redirects_other_statuses_other_types_and_long_answers_are_refused() {
    let moved = "HTTP/1.1 302 Found\r\nlocation: https://other.test/\r\nconnection: close\r\n\r\n";
    let huge = "x".repeat(MAX_BODY + 1);
    for (answer, expected) in [
        (moved.to_owned(), "the status is 302 Found, not 200"),
        (
            ok("application/json", "{}").replace("200 OK", "404 Not Found"),
            "the status is 404 Not Found, not 200",
        ),
        (
            ok("application/json", "{}").replace("200 OK", "204 No Content"),
            "the status is 204 No Content, not 200",
        ),
        (
            ok("text/html", "{}"),
            "the content type is not one of those expected",
        ),
        (
            ok("application/jsonx", "{}"),
            "the content type is not one of those expected",
        ),
        (
            "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}".to_owned(),
            "the content type is not one of those expected",
        ),
        (ok("application/json", &huge), "the answer is larger than 64 KiB"),
    ] {
        let site = Site::new(answer).await;
        let egress = site.client(&["rp.test", "other.test"], &[LOOPBACK]);
        let refused = egress.fetch(&site.url("rp.test"), JSON).await.unwrap_err();
        assert_eq!(refused.to_string(), expected);
        assert_eq!(site.connections(), 1);
    }
    let full = "x".repeat(MAX_BODY);
    let site = Site::new(ok("application/json", &full)).await;
    let egress = site.client(&["rp.test"], &[LOOPBACK]);
    assert_eq!(
        egress.fetch(&site.url("rp.test"), JSON).await.unwrap().len(),
        MAX_BODY
    );
}

#[tokio::test]
async fn c050_what_is_posted_arrives_as_it_is_and_goes_nowhere_else() {
    for (answer, status) in [
        (ok("text/html", "a page"), 200),
        (
            "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_owned(),
            204,
        ),
        (
            "HTTP/1.1 307 Temporary Redirect\r\nlocation: https://other.test/\r\nconnection: close\r\n\r\n"
                .to_owned(),
            307,
        ),
        (ok("text/html", "").replace("200 OK", "500 Oh"), 500),
        // An answer that never ends is not listened to.
        (ok("text/html", &"x".repeat(4 * MAX_BODY)), 200),
    ] {
        let site = Site::new(answer).await;
        let egress = site.client(&["rp.test", "other.test"], &[LOOPBACK]);
        let answered = egress
            .post(&site.url("rp.test"), FORM, "a=b&c=d".to_owned())
            .await;
        assert_eq!(answered.unwrap(), status);
        assert_eq!(site.connections(), 1);
        let heard = site.heard.lock().unwrap().to_lowercase();
        assert!(heard.starts_with("post /jwks http/1.1\r\n"), "{heard}");
        assert!(heard.contains(&format!("content-type: {FORM}\r\n")), "{heard}");
        assert!(heard.ends_with("\r\n\r\na=b&c=d"), "{heard}");
    }
}

#[tokio::test]
async fn whoever_waits_for_a_slow_host_does_not_keep_others_of_their_own_places_waiting() {
    let site = Site::slow(ok("application/json", "{}"), Duration::from_secs(1)).await;
    let egress = site.client(&["rp.test"], &[LOOPBACK]);
    let apart = egress.apart();
    let all = (0..2 * AT_ONCE_PER_HOST).map(|n| {
        let (client, url) = ([&egress, &apart][n % 2].clone(), site.url("rp.test"));
        tokio::spawn(async move { client.fetch(&url, JSON).await.map(drop) })
    });
    let all: Vec<_> = all.collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(site.connections(), 2 * AT_ONCE_PER_HOST);
    for one in all {
        assert!(one.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_or_of_another_name_is_refused() {
    let (site, other) = (
        Site::new(ok("application/json", "{}")).await,
        Site::new(ok("application/json", "{}")).await,
    );
    let hosts = ["rp.test", "third.test"];
    let stranger = other.client(&hosts, &[LOOPBACK]);
    assert!(stranger.fetch(&site.url("rp.test"), JSON).await.is_err());
    let known = site.client(&hosts, &[LOOPBACK]);
    assert!(known.fetch(&site.url("third.test"), JSON).await.is_err());
    assert!(known.fetch(&site.url("rp.test"), JSON).await.is_ok());
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_left_after_five_seconds() {
    let site = Site::slow(ok("application/json", "{}"), Duration::from_secs(60)).await;
    let egress = site.client(&["rp.test", "other.test"], &[LOOPBACK]);
    let began = Instant::now();
    // One more than may ask a host at once: who waits for a place does not wait longer.
    let fetches = (0..=AT_ONCE_PER_HOST).map(|_| {
        let (egress, url) = (egress.clone(), site.url("rp.test"));
        tokio::spawn(async move { egress.fetch(&url, JSON).await })
    });
    let fetches: Vec<_> = fetches.collect();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(site.connections(), AT_ONCE_PER_HOST);
    for fetch in fetches {
        let refused = fetch.await.unwrap().unwrap_err();
        assert!(matches!(refused, Error::Timeout), "{refused}");
    }
    assert!((4..8).contains(&began.elapsed().as_secs()));
}

#[test]
fn certificates_that_are_none_are_a_mistake() {
    let settings = Settings {
        extra_roots: b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n".to_vec(),
        ..Settings::default()
    };
    assert!(Egress::new(settings).is_err());
}
