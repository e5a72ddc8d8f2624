use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream as Blocking};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::routing::{get, post};
use protocol::Issuer;
use protocol::form::Form;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::middleware::Shell;
use crate::settings::{RateLimits, TrustedProxies};

pub(crate) fn short_limits() -> Limits {
    Limits {
        head: Duration::from_millis(400),
        idle: Duration::from_millis(1500),
        body: Duration::from_millis(300),
        total: Duration::from_millis(900),
        linger: Duration::from_millis(200),
        grace: Duration::from_millis(600),
        connections: 1000,
        per_address: Some(500),
        sign_ins: RateLimits::Off,
        exempt: TrustedProxies::default(),
    }
}

struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    done: JoinHandle<()>,
    /// Requests that reached a handler.
    reached: Arc<AtomicUsize>,
}

async fn start(limits: Limits) -> Server {
    let reached = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&reached);
    let seen = axum::middleware::from_fn(
        move |request: axum::extract::Request, next: axum::middleware::Next| {
            count.fetch_add(1, Ordering::SeqCst);
            next.run(request)
        },
    );
    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/form", post(|_: Form| async { "read" }))
        .route(
            "/slow",
            get(|| async {
                tokio::time::sleep(Duration::from_millis(300)).await;
                "slow"
            }),
        )
        .route("/large", get(|| async { vec![b'x'; LARGE] }))
        .layer(seen);
    let issuer = Issuer::parse("http://localhost").unwrap();
    let app = Shell::new(&issuer, TrustedProxies::default(), limits.clone()).around(app);

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let done = tokio::spawn(serve(listener, app, limits, async {
        let _ = stopped.await;
    }));
    Server {
        address,
        stop,
        done,
        reached,
    }
}

/// More than the buffers of both ends hold.
const LARGE: usize = 64 * 1024 * 1024;

impl Server {
    /// A client of its own thread, because it is made to misbehave.
    fn client<T: Send + 'static>(&self, act: impl FnOnce(Client) -> T + Send + 'static) -> JoinHandle<T> {
        let address = self.address;
        tokio::task::spawn_blocking(move || act(Client::connect(address)))
    }

    fn reached(&self) -> usize {
        self.reached.load(Ordering::SeqCst)
    }
}

struct Client(Blocking);

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = Blocking::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self(stream)
    }

    fn send(&mut self, text: &str) {
        // The server may have closed already; what it answered is what counts.
        let _ = self.0.write_all(text.as_bytes());
    }

    /// One answer with a `Content-Length`, as text.
    fn answer(&mut self) -> String {
        let mut text = String::new();
        let mut byte = [0];
        while !text.ends_with("\r\n\r\n") {
            if self.0.read(&mut byte).unwrap_or(0) == 0 {
                return text;
            }
            text.push(char::from(byte[0]));
        }
        let head = text.to_ascii_lowercase();
        let len = head
            .split("content-length: ")
            .nth(1)
            .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
        let mut body = vec![0; len];
        self.0.read_exact(&mut body).unwrap();
        text + &String::from_utf8(body).unwrap()
    }

    fn get(&mut self, path: &str) -> String {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        self.answer()
    }

    /// How long until the server closes.
    fn until_closed(&mut self) -> Duration {
        let began = std::time::Instant::now();
        let mut sink = [0; 1024];
        while self.0.read(&mut sink).is_ok_and(|n| n > 0) {}
        began.elapsed()
    }
}

fn within(range: std::ops::Range<u64>, took: Duration) {
    let range = Duration::from_millis(range.start)..Duration::from_millis(range.end);
    assert!(range.contains(&took), "{took:?} is not within {range:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn c099_slow_and_silent_peers_are_cut_while_others_are_served() {
    let server = start(short_limits()).await;
    let silent = server.client(|mut client| client.until_closed());
    let half = server.client(|mut client| {
        client.send("GET / HTTP/1.1\r\nHost:");
        client.until_closed()
    });
    let dribbler = server.client(|mut client| {
        let began = std::time::Instant::now();
        for byte in "GET / HTTP/1.1\r\nX-Slow: ".chars().chain(std::iter::repeat('a')) {
            std::thread::sleep(Duration::from_millis(20));
            if client.0.write_all(&[byte as u8]).is_err() || began.elapsed() > Duration::from_secs(10) {
                break;
            }
        }
        began.elapsed()
    });
    let stalled_body = server.client(|mut client| {
        client.send(&form_head(100));
        client.send("a=b");
        (client.answer(), client.until_closed())
    });
    let slow_body = server.client(|mut client| {
        client.send(&form_head(1000));
        let mut writer = client.0.try_clone().unwrap();
        let writing = std::thread::spawn(move || {
            while writer.write_all(b"a").is_ok() {
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let answer = client.answer();
        let closed = client.until_closed();
        writing.join().unwrap();
        (answer, closed)
    });
    let good = server.client(|mut client| {
        for _ in 0..20 {
            assert!(client.get("/").ends_with("hello"));
            std::thread::sleep(Duration::from_millis(50));
        }
    });

    within(350..1400, silent.await.unwrap());
    within(350..1400, half.await.unwrap());
    within(350..1900, dribbler.await.unwrap());
    let (answer, closed) = stalled_body.await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400") && answer.contains("did not arrive whole"),
        "{answer}"
    );
    within(0..1400, closed);
    let (answer, closed) = slow_body.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    within(0..1400, closed);
    good.await.unwrap();
}

fn form_head(len: usize) -> String {
    format!(
        "POST /form HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {len}\r\n\r\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn c099_a_connection_may_be_idle_longer_than_headers_may_take() {
    let server = start(short_limits()).await;
    let client = server.client(|mut client| {
        assert!(client.get("/").ends_with("hello"));
        std::thread::sleep(Duration::from_millis(900));
        assert!(client.get("/").ends_with("hello"));
        let idle = client.until_closed();
        (idle, client)
    });
    within(1300..3000, client.await.unwrap().0);

    let server = start(Limits {
        idle: Duration::from_secs(5),
        ..short_limits()
    })
    .await;
    let second_head = server.client(|mut client| {
        assert!(client.get("/").ends_with("hello"));
        std::thread::sleep(Duration::from_millis(600));
        client.send("GET / HT");
        client.until_closed()
    });
    within(350..2500, second_head.await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn c099_a_peer_that_does_not_read_its_answer_is_cut() {
    let server = start(short_limits()).await;
    let client = server.client(|mut client| {
        client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
        std::thread::sleep(Duration::from_millis(3500));
        let mut got = Vec::new();
        let _ = client.0.read_to_end(&mut got);
        got.len()
    });
    assert!(client.await.unwrap() < LARGE);
}

#[tokio::test(flavor = "multi_thread")]
async fn c099_one_address_takes_no_more_than_its_share() {
    let limits = Limits {
        head: Duration::from_secs(5),
        per_address: Some(3),
        ..short_limits()
    };
    let server = start(limits).await;
    let address = server.address;
    let held: Vec<Client> = (0..3).map(|_| Client::connect(address)).collect();
    let refused = server.client(|mut client| (client.get("/"), client.until_closed()));
    let (answer, closed) = refused.await.unwrap();
    assert_eq!(answer, "");
    within(0..500, closed);

    // Another address of this machine.
    let local = SocketAddr::from(([127, 0, 0, 2], 0));
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(local).unwrap();
    let other = socket.connect(address).await.unwrap().into_std().unwrap();
    let served = tokio::task::spawn_blocking(move || {
        other.set_nonblocking(false).unwrap();
        Client(other).get("/")
    });
    assert!(served.await.unwrap().ends_with("hello"));

    drop(held);
    let again = server.client(move |mut client| {
        for _ in 0..50 {
            if client.get("/").ends_with("hello") {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
            client = Client::connect(address);
        }
        false
    });
    assert!(again.await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn c096_what_is_too_large_is_refused_before_a_handler_sees_it() {
    let server = start(short_limits()).await;
    let line = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n");
    for (request, status) in [
        (line(&format!("/?{}", "a".repeat(8 * 1024))) + "\r\n", 414),
        (line(&format!("http://{}/", "a".repeat(9 * 1024))) + "\r\n", 414),
        (line(&format!("/?{}", "a".repeat(100 * 1024))) + "\r\n", 431),
        (
            line("/") + &format!("X-A: {}\r\n", "a".repeat(33 * 1024)) + "\r\n",
            431,
        ),
        (
            line("/") + &format!("X-A: {}\r\n", "a".repeat(8_000)).repeat(5) + "\r\n",
            431,
        ),
        (
            line("/") + &format!("X-A: {}\r\n", "a".repeat(500 * 1024)) + "\r\n",
            431,
        ),
        (line("/") + &"X-A: a\r\n".repeat(101) + "\r\n", 431),
        (form_head(64 * 1024 + 1), 413),
        (form_head(1 << 40), 413),
        // More digits than a number here can have.
        (
            form_head(0).replace("Length: 0", "Length: 99999999999999999999999"),
            400,
        ),
        ("GET / HTTP/1.1\r\nHost a\r\n\r\n".to_owned(), 400),
        ("\u{16}\u{3}\u{1}\r\n\r\n".to_owned(), 400),
    ] {
        let shown: String = request.chars().take(60).collect();
        let answered = server.client(move |mut client| {
            let began = std::time::Instant::now();
            client.send(&request);
            (client.answer(), began.elapsed())
        });
        let (answer, took) = answered.await.unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{shown:?} {answer}"
        );
        assert!(took < short_limits().body, "{shown:?} waited for input: {took:?}");
    }
    assert_eq!(server.reached(), 0);

    let fits = line("/") + &format!("X-A: {}\r\n", "a".repeat(8_000)).repeat(4) + "\r\n";
    let served = server.client(move |mut client| {
        client.send(&fits);
        client.answer()
    });
    assert!(served.await.unwrap().ends_with("hello"));
}

#[tokio::test(flavor = "multi_thread")]
async fn c096_a_refusal_is_readable_though_the_client_is_still_sending() {
    let server = start(Limits {
        linger: Duration::from_secs(5),
        ..short_limits()
    })
    .await;
    let answer = server.client(|mut client| {
        client.send(&form_head(8 * 1024 * 1024));
        // Many clients give up, answer or no answer, when they cannot send.
        client.0.write_all(&vec![b'a'; 4 * 1024 * 1024]).unwrap();
        client.answer()
    });
    let answer = answer.await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 413") && answer.contains("64 KiB"),
        "{answer}"
    );
    let chunked = server.client(|mut client| {
        client.send(&form_head(0).replace("Content-Length: 0", "Transfer-Encoding: chunked"));
        client.send(&format!("20000\r\n{}\r\n0\r\n\r\n", "a".repeat(0x20000)));
        client.answer()
    });
    assert!(chunked.await.unwrap().starts_with("HTTP/1.1 413"));
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_request_targets_and_methods_are_refused_like_any_other() {
    let server = start(short_limits()).await;
    for request in [
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT evil.test:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://evil.test/none HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /%00%ff%zz HTTP/1.1\r\nHost: a\r\n\r\n",
        "BREW / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let answer = server.client(|mut client| {
            client.send(request);
            client.answer()
        });
        let answer = answer.await.unwrap();
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{request:?} {answer}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_requests_finish_and_waits_for_nobody_else() {
    let server = start(Limits {
        head: Duration::from_secs(30),
        idle: Duration::from_secs(30),
        grace: Duration::from_secs(30),
        ..short_limits()
    })
    .await;
    let silent = server.client(|mut client| client.until_closed());
    let half = server.client(|mut client| {
        client.send("GET / HTTP/1.1\r\n");
        client.until_closed()
    });
    let idle = server.client(|mut client| {
        assert!(client.get("/").ends_with("hello"));
        client.until_closed()
    });
    let working = server.client(|mut client| (client.get("/slow"), client.until_closed()));
    tokio::time::sleep(Duration::from_millis(150)).await;

    let began = Instant::now();
    server.stop.send(()).unwrap();
    server.done.await.unwrap();
    within(0..1000, began.elapsed());
    assert!(working.await.unwrap().0.ends_with("slow"));
    for client in [silent, half, idle] {
        within(0..1500, client.await.unwrap());
    }
    assert!(Blocking::connect(server.address).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_cuts_what_does_not_finish_in_time() {
    let server = start(Limits {
        total: Duration::from_secs(30),
        body: Duration::from_secs(30),
        ..short_limits()
    })
    .await;
    let stuck = server.client(|mut client| {
        client.send(&form_head(100));
        client.until_closed()
    });
    tokio::time::sleep(Duration::from_millis(150)).await;
    let began = Instant::now();
    server.stop.send(()).unwrap();
    server.done.await.unwrap();
    within(500..1300, began.elapsed());
    stuck.await.unwrap();
}
