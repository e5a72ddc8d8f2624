//! Against a small mail server that a test can make answer as it likes.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use db::testing::both;
use protocol::delivery::LONGEST_PAUSE;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::task::JoinHandle;

use super::*;
use crate::smtp::{Does, MailServer};
use crate::{Place, Relay, Sender};

struct Office {
    db: Database,
    sealer: Sealer,
    time: Arc<AtomicI64>,
    post: JoinHandle<()>,
}

impl Drop for Office {
    fn drop(&mut self) {
        self.post.abort();
    }
}

impl Office {
    /// What a row holds is the address of the letter.
    fn open(db: &Database, relay: &str, roots: &[u8]) -> Self {
        let key = seal::Key::random();
        let sealer = Sealer::new(move |_| Some(("k1".to_owned(), key.clone())));
        let time = Arc::new(AtomicI64::new(1_000_000));
        let from = Sender::parse("no-reply@id.example.com").unwrap();
        let post = Post {
            db: db.clone(),
            sealer: sealer.clone(),
            way: Way::Smtp(Smtp::new(&Relay::parse(relay).unwrap(), from, roots).unwrap()),
            clock: Clock::Manual(time.clone()),
        };
        let compose = |content: Content| async move {
            let to = String::from_utf8(content.to_vec()).unwrap();
            Ok((!to.is_empty()).then(|| Letter {
                to,
                subject: "Hello".to_owned(),
                text: "A line\n.\nand a dot before".to_owned(),
                html: "<p>A line".to_owned(),
            }))
        };
        Self {
            db: db.clone(),
            sealer,
            time,
            post: tokio::spawn(post.run(compose)),
        }
    }

    async fn put(&self, to: &'static str) {
        let (sealer, now) = (self.sealer.clone(), self.now());
        let day = Duration::from_secs(24 * 60 * 60);
        let put = self.db.transact(move |conn| {
            Box::pin(async move { queue::put(to.as_bytes(), (day, Place::First), &sealer, conn, now).await })
        });
        put.await.unwrap();
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_secs(self.time.load(Ordering::SeqCst))
    }

    fn pass(&self, seconds: i64) {
        self.time.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Each mail that is queued, by how often it was tried.
    async fn queued(&self) -> Vec<i64> {
        let mut conn = self.db.reader().await.unwrap();
        let tries = "SELECT tries FROM mails ORDER BY tries";
        let rows: Vec<(i64,)> = db::run!(&mut conn, |c| sqlx::query_as(tries).fetch_all(c)).unwrap();
        rows.into_iter().map(|(tries,)| tries).collect()
    }

    async fn until_queued(&self, wanted: &[i64]) {
        let mut found = self.queued().await;
        for _ in 0..200 {
            if found == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            found = self.queued().await;
        }
        panic!("{found:?} and not {wanted:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_is_queued_is_sent_once_and_goes() {
    both(|db| async move {
        let server = MailServer::open().await;
        let office = Office::open(&db, &server.url(), b"");
        for to in ["alex@example.com", "", "jo@example.com"] {
            office.put(to).await;
        }
        let mut mails = server.received(2).await;
        office.until_queued(&[]).await;
        assert_eq!(server.count(), 2);
        mails.sort_by(|one, other| one.to.cmp(&other.to));
        let [alex, jo] = &mails[..] else {
            panic!("two mails: {mails:?}")
        };
        assert_eq!(
            (&*alex.from, &*alex.to),
            ("no-reply@id.example.com", "alex@example.com")
        );
        assert_eq!(jo.to, "jo@example.com");
        assert_eq!(alex.head("Subject").as_deref(), Some("Hello"));
        assert!(
            alex.text().contains("A line\n.\nand a dot before"),
            "{}",
            alex.data
        );
        assert!(!alex.encrypted);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_is_not_taken_is_tried_again_later_and_one_that_is_refused_is_not() {
    both(|db| async move {
        let server = MailServer::open().await;
        let office = Office::open(&db, &server.url(), b"");
        for deferred in [
            Does::Answer("451 4.3.0 not now"),
            Does::Answer("535 5.7.8 who are you"),
            Does::HangUp,
        ] {
            server.does(deferred);
            office.put("alex@example.com").await;
            office.until_queued(&[1]).await;
            server.asked().await;
            // The pause has not passed.
            tokio::time::sleep(Duration::from_millis(1500)).await;
            assert_eq!(office.queued().await, [1], "{deferred:?}");
            let before = server.count();
            server.does(Does::Take);
            office.pass(LONGEST_PAUSE.as_secs().try_into().unwrap());
            office.until_queued(&[]).await;
            assert_eq!(server.count(), before + 1, "{deferred:?}");
        }
        server.does(Does::Answer("550 5.1.1 nobody"));
        office.put("alex@example.com").await;
        server.asked().await;
        office.until_queued(&[]).await;

        // Away for good: given up after a day, however often the office is asked.
        server.does(Does::HangUp);
        let before = server.count();
        office.put("alex@example.com").await;
        office.until_queued(&[1]).await;
        office.pass(25 * 60 * 60);
        office.until_queued(&[]).await;
        assert_eq!(server.count(), before);
    })
    .await;
}

#[test]
fn an_outage_is_news_once_each_time() {
    let outage = Outage::default();
    assert!(!outage.ended());
    for _ in 0..2 {
        assert_eq!(
            [outage.began(), outage.began(), outage.ended(), outage.ended()],
            [true, false, true, false]
        );
    }
}

fn hello(from: &Sender) -> lettre::Message {
    let letter = Letter {
        to: "alex@example.com".to_owned(),
        subject: "Hello".to_owned(),
        text: "Hello".to_owned(),
        html: "<p>Hello".to_owned(),
    };
    letter.message("m1", from, Timestamp::from_secs(0)).unwrap()
}

#[tokio::test]
async fn a_relay_that_speaks_no_tls_where_it_should_is_met_with_advice() {
    let server = MailServer::open().await;
    let relay = Relay::parse(&format!("smtps://localhost:{}", server.port())).unwrap();
    let from = Sender::parse("no-reply@id.example.com").unwrap();
    let smtp = Smtp::new(&relay, from.clone(), b"").unwrap();
    let message = hello(&from);
    let unsent = smtp.send(message).await.unwrap_err();
    assert!(
        unsent.is_outage() && unsent.to_string().contains("write smtp://"),
        "{unsent}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_elsewhere_is_spoken_to_with_tls_that_checks_or_not_at_all() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![cert.der().clone()],
            PrivateKeyDer::Pkcs8(signing_key.serialize_der().into()),
        )
        .unwrap();
    let (tls, pem) = (Arc::new(tls), cert.pem());
    for (server, scheme, roots, sent) in [
        (
            MailServer::with_starttls(tls.clone()).await,
            "smtp",
            pem.as_bytes(),
            true,
        ),
        (
            MailServer::with_tls(tls.clone()).await,
            "smtps",
            pem.as_bytes(),
            true,
        ),
        // Nobody vouches for its certificate.
        (MailServer::with_starttls(tls.clone()).await, "smtp", b"", false),
        // It offers no encryption: whoever sits in between may have taken the offer away.
        (MailServer::open().await, "smtp", pem.as_bytes(), false),
    ] {
        let relay = Relay::parse(&format!("{scheme}://u:p%40@localhost:{}", server.port())).unwrap();
        let relay = relay.encrypted();
        let from = Sender::parse("no-reply@id.example.com").unwrap();
        let smtp = Smtp::new(&relay, from.clone(), roots).unwrap();
        let message = hello(&from);
        let outcome = smtp.send(message).await;
        assert_eq!(outcome.is_ok(), sent, "{scheme} {outcome:?}");
        match sent {
            true => {
                let mail = server.received(1).await.remove(0);
                assert!(mail.encrypted);
                assert_eq!(mail.login.as_deref(), Some("\0u\0p@"));
            }
            false => assert_eq!(server.count(), 0),
        }
    }
}
