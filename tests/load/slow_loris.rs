//! Five thousand connections that dribble their headers, and a good client beside them: C099, R26.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::client::{Connection, get};
use crate::meter::Meter;
use crate::place::Place;

const LORISES: usize = 5_000;
const GOOD_REQUESTS: usize = 4_000;

pub(crate) fn run() -> bool {
    let load = Meter::new();
    let place = load.server.block_on(Place::open(&db::testing::sqlite_url()));

    let alone = load.block_on(good_client(&place));
    let lorises: Vec<_> = load.block_on(async {
        let mut tasks = Vec::new();
        for _ in 0..LORISES {
            let Ok(stream) = TcpStream::connect(place.address).await else {
                continue;
            };
            tasks.push(tokio::spawn(dribble(stream)));
        }
        tasks
    });
    let beside = load.block_on(good_client(&place));
    let held = lorises.iter().filter(|task| !task.is_finished()).count();
    for task in lorises {
        task.abort();
    }

    println!(
        "\nslow-loris: {LORISES} connections of one header byte per second, {held} still open at the end"
    );
    let row = |name: &str, (median, p99): (Duration, Duration)| {
        println!(
            "{name:<28} median {:>7.0} µs   p99 {:>7.0} µs",
            micros(median),
            micros(p99)
        );
    };
    row("good client alone", alone);
    row("good client beside them", beside);
    let ratio = micros(beside.0) / micros(alone.0);
    println!("{:<28} {ratio:.2} of its usual time (aim: under 2)", "");
    // With fewer it shows nothing: the descriptors of this process did not suffice.
    ratio < 2.0 && held > LORISES * 9 / 10
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

async fn good_client(place: &Place) -> (Duration, Duration) {
    let mut connection = Connection::open(place.address).await.expect("a connection");
    let request = get("/jwks");
    let mut times = Vec::with_capacity(GOOD_REQUESTS);
    for _ in 0..GOOD_REQUESTS {
        let started = Instant::now();
        assert_eq!(connection.send(&request).await.expect("an answer").status, 200);
        times.push(started.elapsed());
    }
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

async fn dribble(mut stream: TcpStream) {
    let bytes = b"GET /jwks HTTP/1.1\r\nhost: localhost\r\nx-slow: "
        .iter()
        .chain(std::iter::repeat(&b'a'));
    for byte in bytes {
        if stream.write_all(&[*byte]).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
