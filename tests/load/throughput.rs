//! Requests per second of each kind through the real router with all middleware, each beside the bare "hello" of
//! the same router, asked in the same seconds. Client and server share the machine.

use std::sync::{Arc, Mutex};

use crate::client::{Connection, get, member, post};
use crate::codes::{self, Asks};
use crate::meter::{Meter, median};
use crate::place::{APIS, Caller, Place};

/// Odd, so that there is a middle one.
const ROUNDS: usize = 3;
const CODES: usize = 4_000;

/// A kind of request, with what a prototype reached on two cores, client included, as a share of "hello". The aim
/// is 70 % of it with everything switched on; below half of the aim the run fails.
struct Kind {
    name: &'static str,
    prototype: f64,
    what: What,
}

#[derive(Clone, Copy)]
pub(crate) enum What {
    Get(&'static str),
    Introspection,
    /// For the API of [`APIS`] at this place.
    ClientCredentials(usize),
    Redemption(Asks),
    Refresh(Asks),
}

/// Which database, and what it makes of what waits for its disk.
pub(crate) struct On {
    pub(crate) name: &'static str,
    pub(crate) postgres: bool,
}

pub(crate) const SQLITE: On = On {
    name: "SQLite, synchronous=FULL",
    postgres: false,
};
pub(crate) const POSTGRES: On = On {
    name: "PostgreSQL, synchronous_commit=on",
    postgres: true,
};

impl On {
    pub(crate) async fn url(&self) -> db::Url {
        match self.postgres {
            true => db::testing::postgres_url().await,
            false => db::testing::sqlite_url(),
        }
    }

    /// The prototype did not redeem codes. A redemption writes three rows where a refresh writes two, one of them
    /// new: two thirds of a refresh. With an ID token, an RS256 signature is what both wait for.
    fn kinds(&self) -> Vec<Kind> {
        let kind = |name, prototype, what| Kind {
            name,
            prototype,
            what,
        };
        let refresh = if self.postgres { 0.30 } else { 0.17 };
        vec![
            kind("JWKS", 0.93, What::Get("/jwks")),
            kind("discovery", 0.93, What::Get("/.well-known/openid-configuration")),
            kind("introspection", 0.75, What::Introspection),
            kind("client_credentials ES256", 0.41, What::ClientCredentials(0)),
            kind("client_credentials RS256", 0.06, What::ClientCredentials(1)),
            kind("refresh", refresh, What::Refresh(Asks::Access)),
            kind(
                "code redemption",
                refresh * 2.0 / 3.0,
                What::Redemption(Asks::Access),
            ),
            kind("refresh, with ID token", 0.05, What::Refresh(Asks::Identity)),
            kind(
                "redemption, with ID token",
                0.05,
                What::Redemption(Asks::Identity),
            ),
        ]
    }
}

pub(crate) fn run(on: &On) -> bool {
    let meter = Meter::new();
    let place = meter
        .server
        .block_on(async { Arc::new(Place::open(&on.url().await).await) });
    println!("\n{}: median of {ROUNDS} rounds", on.name);
    println!(
        "{:<28} {:>10} {:>8} {:>8}  fails below",
        "", "per second", "of hello", "aim"
    );
    let bare = meter.rate(place.bare, vec![get("/hello")]);
    let hello = meter.rate(place.address, vec![get("/hello")]);
    println!(
        "{:<28} {bare:>10.0} {:>8.2}",
        "hello, none of our layers",
        bare / hello
    );

    let mut fine = true;
    let kinds = on.kinds();
    let figures = ratios(
        &kinds.iter().map(|kind| kind.what).collect::<Vec<_>>(),
        &meter,
        &place,
    );
    for (kind, (rate, ratio)) in kinds.into_iter().zip(figures) {
        let aim = kind.prototype * 0.7;
        let verdict = if ratio < aim / 2.0 { "  FAILED" } else { "" };
        fine &= verdict.is_empty();
        println!(
            "{:<28} {rate:>10.0} {ratio:>8.3} {aim:>8.3}  {:.3}{verdict}",
            kind.name,
            aim / 2.0
        );
    }
    fine
}

/// For each kind of request the rate and its share of "hello", which is asked before and after.
pub(crate) fn ratios(kinds: &[What], meter: &Meter, place: &Arc<Place>) -> Vec<(f64, f64)> {
    let hello = || meter.rate(place.address, vec![get("/hello")]);
    let mut figures = vec![(Vec::new(), Vec::new()); kinds.len()];
    for _ in 0..ROUNDS {
        let mut before = hello();
        for (what, (rates, shares)) in kinds.iter().zip(&mut figures) {
            let rate = what.rate(meter, place);
            let after = hello();
            rates.push(rate);
            shares.push(rate / ((before + after) / 2.0));
            before = after;
        }
    }
    figures
        .into_iter()
        .map(|(mut rates, mut shares)| (median(&mut rates), median(&mut shares)))
        .collect()
}

impl What {
    fn rate(self, meter: &Meter, place: &Arc<Place>) -> f64 {
        match self {
            Self::Get(path) => meter.rate(place.address, vec![get(path)]),
            Self::Introspection => {
                let tokens = meter
                    .server
                    .block_on(tokens("access_token", Asks::Access, meter, place));
                let ask = |token: &String| {
                    post(
                        "/introspect",
                        &place.asking.authorization,
                        &format!("token={token}"),
                    )
                };
                meter.rate(place.address, tokens.iter().map(ask).collect())
            }
            Self::ClientCredentials(at) => {
                let resource = APIS[at].identifier.replace(':', "%3A").replace('/', "%2F");
                let body = format!("grant_type=client_credentials&resource={resource}");
                meter.rate(
                    place.address,
                    vec![post("/token", &place.machine.authorization, &body)],
                )
            }
            Self::Redemption(asks) => {
                let requests = meter.server.block_on(codes::redemptions(CODES, asks, place));
                meter.rate_until_used_up(place.address, requests)
            }
            Self::Refresh(asks) => {
                let tokens = meter.server.block_on(tokens("refresh_token", asks, meter, place));
                refreshes(tokens, &place.app, meter, place)
            }
        }
    }
}

/// One token of this kind for each connection, each of an authorization of its own.
async fn tokens(member_name: &str, asks: Asks, meter: &Meter, place: &Place) -> Vec<String> {
    let mut connection = Connection::open(place.address).await.expect("a connection");
    let mut tokens = Vec::new();
    for request in codes::redemptions(meter.connections, asks, place).await {
        let answer = connection.send(&request).await.expect("an answer");
        let token = member(answer.body, member_name);
        let token = token.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(answer.body)));
        tokens.push(token.to_owned());
    }
    tokens
}

/// Each connection refreshes its own family, always with the newest token.
fn refreshes(tokens: Vec<String>, app: &Caller, meter: &Meter, place: &Place) -> f64 {
    let (address, authorization) = (place.address, app.authorization.clone());
    let tokens = Arc::new(Mutex::new(tokens));
    meter.rate_of(move |running| {
        let mut token = tokens.lock().expect("not poisoned").pop().expect("one for each");
        let authorization = authorization.clone();
        async move {
            let mut connection = Connection::open(address).await.expect("a connection");
            while running.goes_on() {
                let body = format!("grant_type=refresh_token&refresh_token={token}");
                let answer = connection.send(&post("/token", &authorization, &body)).await;
                let answer = answer.expect("an answer");
                assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(answer.body));
                token = member(answer.body, "refresh_token")
                    .expect("a successor")
                    .to_owned();
                running.count();
            }
        }
    })
}
