//! R21: from the command of an emergency until every server refuses what the stolen keys signed.
//!
//! Two servers in this process share nothing but the database, and the command runs beside them as a third. Each holds a
//! token that it has judged before, so that what it remembers is put to the test as well.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use events::Context;
use keyring::{Family, Keyring, Suspect};
use protocol::SigningAlg;

use crate::client::{Connection, get, member, post};
use crate::meter::Meter;
use crate::place::{APIS, Place};
use crate::throughput::On;

const DRILLS: usize = 10;
const AIM: Duration = Duration::from_secs(5);

pub(crate) fn run(on: &On) -> bool {
    let meter = Meter::new();
    let (place, other, operator) = meter.server.block_on(async {
        let database = on.url().await;
        let place = Arc::new(Place::open(&database).await);
        let replica = place.replica(&database).await;
        let operator = place.operator(&database).await;
        // Before it hears notices it asks the database for each token.
        tokio::time::sleep(Duration::from_secs(2)).await;
        (place, replica, operator)
    });
    println!(
        "\n{}: the emergency drill, {DRILLS} times, on two servers, from the start of the command",
        on.name
    );
    let servers = [place.address, other.address];
    let mut figures = Figures::default();
    for _ in 0..DRILLS {
        meter.block_on(drill(&place, servers, &operator, &mut figures));
    }
    let mut fine = true;
    for (name, mut times) in [
        ("the command has done it", figures.done),
        ("both sign by new keys", figures.signs),
        ("both refuse the old tokens", figures.refuses),
        ("both publish a clean key set", figures.clean),
    ] {
        times.sort_unstable();
        let longest = times[times.len() - 1];
        let verdict = if longest > AIM { "  FAILED" } else { "" };
        fine &= verdict.is_empty();
        println!(
            "{name:<30} median {:>6.1} ms   longest {:>6.1} ms (aim: {} s){verdict}",
            millis(times[times.len() / 2]),
            millis(longest),
            AIM.as_secs()
        );
    }
    println!("R21 {}", if fine { "PASS" } else { "FAIL" });
    fine
}

#[derive(Default)]
struct Figures {
    done: Vec<Duration>,
    signs: Vec<Duration>,
    refuses: Vec<Duration>,
    clean: Vec<Duration>,
}

async fn drill(place: &Place, servers: [std::net::SocketAddr; 2], operator: &Keyring, figures: &mut Figures) {
    let mut connections = Vec::new();
    for address in servers {
        connections.push(Connection::open(address).await.expect("a connection"));
    }
    let ask = token_request(place);
    let mut tokens = Vec::new();
    for connection in &mut connections {
        let answer = connection.send(&ask).await.expect("an answer");
        tokens.push(member(answer.body, "access_token").expect("a token").to_owned());
    }
    let questions: Vec<Vec<u8>> = tokens
        .iter()
        .map(|token| {
            post(
                "/introspect",
                &place.asking.authorization,
                &format!("token={token}"),
            )
        })
        .collect();
    for connection in &mut connections {
        for question in &questions {
            assert!(is_active(connection, question).await, "not even at first");
        }
    }
    let stolen = kids(&mut connections[0]).await;

    let began = Instant::now();
    let suspect = Suspect::Rings(SigningAlg::ALL.to_vec(), Family::ALL.to_vec());
    let now = place.parts.clock.now();
    let by = Context::command_line();
    operator.withdraw(suspect, &by, now).await.expect("withdrawn");
    figures.done.push(began.elapsed());
    for connection in &mut connections {
        for question in &questions {
            while is_active(connection, question).await {
                assert!(began.elapsed() < AIM * 6, "never heard of");
            }
        }
    }
    figures.refuses.push(began.elapsed());
    for connection in &mut connections {
        while !kids(connection).await.is_disjoint(&stolen) {
            assert!(began.elapsed() < AIM * 6, "never heard of");
        }
    }
    figures.clean.push(began.elapsed());
    for connection in &mut connections {
        loop {
            let answer = connection.send(&ask).await.expect("an answer");
            let token = member(answer.body, "access_token").expect("a token").to_owned();
            if stolen.iter().all(|kid| !header(&token).contains(kid.as_str())) {
                break;
            }
            assert!(began.elapsed() < AIM * 6, "never heard of");
        }
    }
    figures.signs.push(began.elapsed());
    // What a server once refused it refuses for ever.
    for connection in &mut connections {
        for question in &questions {
            assert!(!is_active(connection, question).await);
        }
    }
}

fn token_request(place: &Place) -> Vec<u8> {
    let resource = APIS[0].identifier.replace(':', "%3A").replace('/', "%2F");
    post(
        "/token",
        &place.machine.authorization,
        &format!("grant_type=client_credentials&resource={resource}"),
    )
}

async fn kids(connection: &mut Connection) -> BTreeSet<String> {
    let answer = connection.send(&get("/jwks")).await.expect("an answer");
    let set: serde_json::Value = serde_json::from_slice(answer.body).expect("JSON");
    let keys = set["keys"].as_array().expect("keys").iter();
    keys.map(|key| key["kid"].as_str().expect("a kid").to_owned())
        .collect()
}

fn header(token: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let (header, _) = token.split_once('.').expect("a token");
    String::from_utf8(URL_SAFE_NO_PAD.decode(header).expect("base64url")).expect("JSON")
}

async fn is_active(connection: &mut Connection, question: &[u8]) -> bool {
    let answer = connection.send(question).await.expect("an answer");
    assert_eq!(answer.status, 200);
    !answer.body.starts_with(br#"{"active":false"#)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
