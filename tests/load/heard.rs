//! D6: how long after `/revoke` was answered another replica still says that the token is active.
//!
//! Two servers in this process share nothing but the database. The one is told to revoke, the other is asked about
//! the token again and again until it refuses.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::{Connection, member, post};
use crate::codes::{self, Asks};
use crate::meter::{Meter, Running};
use crate::place::{APIS, Place, Replica};
use crate::throughput::On;

const REVOCATIONS: usize = 300;
const AIM: Duration = Duration::from_millis(100);
/// Connections that ask the first server for tokens meanwhile.
const BUSY: usize = 16;

pub(crate) fn run(on: &On) -> bool {
    let meter = Meter::new();
    let (place, replica) = meter.server.block_on(async {
        let database = on.url().await;
        let place = Arc::new(Place::open(&database).await);
        let replica = place.replica(&database).await;
        // Before it hears notices it asks the database for each token.
        tokio::time::sleep(Duration::from_secs(2)).await;
        (place, replica)
    });
    println!(
        "\n{}: from the answer of /revoke until another process refuses the token",
        on.name
    );
    let quiet = meter.block_on(delays(&place, &replica));
    let busy = meter.block_on(async {
        let running = Running::default();
        let load = tokio::spawn(ask_for_tokens(place.clone(), running.clone()));
        let delays = delays(&place, &replica).await;
        running.stop();
        load.await.expect("no request fails");
        delays
    });
    let mut fine = true;
    for (name, mut delays) in [("nothing else to do", quiet), ("asked for tokens", busy)] {
        delays.sort_unstable();
        let at = |percent: usize| delays[(delays.len() - 1) * percent / 100];
        let verdict = if at(99) > AIM * 2 { "  FAILED" } else { "" };
        fine &= verdict.is_empty();
        println!(
            "{name:<28} median {:>5.1} ms   p99 {:>5.1} ms   longest {:>5.1} ms (aim: p99 under {}){verdict}",
            millis(at(50)),
            millis(at(99)),
            millis(at(100)),
            AIM.as_millis()
        );
    }
    fine
}

async fn delays(place: &Arc<Place>, replica: &Replica) -> Vec<Duration> {
    let mut here = Connection::open(place.address).await.expect("a connection");
    let mut there = Connection::open(replica.address).await.expect("a connection");
    let mut delays = Vec::with_capacity(REVOCATIONS);
    for redemption in codes::redemptions(REVOCATIONS, Asks::Access, place).await {
        let answer = here.send(&redemption).await.expect("an answer");
        let of = |name| member(answer.body, name).expect("a token").to_owned();
        let (access_token, refresh_token) = (of("access_token"), of("refresh_token"));
        let question = post(
            "/introspect",
            &place.asking.authorization,
            &format!("token={access_token}"),
        );
        assert!(is_active(&mut there, &question).await, "not even at first");

        let revocation = post(
            "/revoke",
            &place.app.authorization,
            &format!("token={refresh_token}"),
        );
        assert_eq!(here.send(&revocation).await.expect("an answer").status, 200);
        let began = Instant::now();
        while is_active(&mut there, &question).await {
            assert!(began.elapsed() < Duration::from_secs(10), "never heard of");
        }
        delays.push(began.elapsed());
    }
    delays
}

async fn is_active(connection: &mut Connection, question: &[u8]) -> bool {
    let answer = connection.send(question).await.expect("an answer");
    assert_eq!(answer.status, 200);
    !answer.body.starts_with(br#"{"active":false"#)
}

async fn ask_for_tokens(place: Arc<Place>, running: Running) {
    let resource = APIS[0].identifier.replace(':', "%3A").replace('/', "%2F");
    let request = post(
        "/token",
        &place.machine.authorization,
        &format!("grant_type=client_credentials&resource={resource}"),
    );
    let mut tasks = Vec::new();
    for _ in 0..BUSY {
        let (request, running, address) = (request.clone(), running.clone(), place.address);
        tasks.push(tokio::spawn(async move {
            let mut connection = Connection::open(address).await.expect("a connection");
            while running.goes_on() {
                assert_eq!(connection.send(&request).await.expect("an answer").status, 200);
            }
        }));
    }
    for task in tasks {
        task.await.expect("no request fails");
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
