//! A million people who have signed in to one of ten thousand apps: does it get slower when the tables grow?
//!
//! Each person has a browser with a session, a consent, an approval and a family of refresh tokens. The same
//! routes are measured before and after; a share of "hello" that falls to less than two thirds fails.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use db::{Conn, execute};
use events::changes::{self, Topic};
use grants::families;
use keyring::Purpose;

use crate::client::post;
use crate::codes::Asks;
use crate::meter::Meter;
use crate::place::{APIS, Place};
use crate::throughput::{On, What, ratios};

const PEOPLE: i64 = 1_000_000;
const APPS: i64 = 10_000;
/// Rows of each table written in one transaction.
const AT_ONCE: i64 = 20_000;
/// Times slower.
const LIMIT: f64 = 1.5;
/// One in so many is asked for once, so that nobody has asked for the same pages a moment ago.
const STEP: usize = 250;

const KINDS: [(&str, What); 4] = [
    ("introspection", What::Introspection),
    ("client_credentials ES256", What::ClientCredentials(0)),
    ("refresh", What::Refresh(Asks::Access)),
    ("code redemption", What::Redemption(Asks::Access)),
];

pub(crate) fn run(on: &On) -> bool {
    let meter = Meter::new();
    let place = meter
        .server
        .block_on(async { Arc::new(Place::open(&on.url().await).await) });
    let kinds = KINDS.map(|(_, what)| what);
    let small = ratios(&kinds, &meter, &place);
    let began = Instant::now();
    meter.server.block_on(fill(&place));
    println!(
        "\n{}: {PEOPLE} people, {PEOPLE} families, {APPS} apps (written in {} s)",
        on.name,
        began.elapsed().as_secs()
    );
    println!(
        "{:<28} {:>10} {:>8} {:>8} {:>8}  fails above {LIMIT}",
        "", "per second", "of hello", "empty", "slower"
    );
    let large = ratios(&kinds, &meter, &place);
    let mut fine = true;
    for (((name, _), (_, before)), (rate, after)) in KINDS.iter().zip(small).zip(large) {
        let slower = before / after;
        let verdict = if slower > LIMIT { "  FAILED" } else { "" };
        fine &= verdict.is_empty();
        println!("{name:<28} {rate:>10.0} {after:>8.3} {before:>8.3} {slower:>8.2}{verdict}");
    }
    let strangers = meter.server.block_on(strangers(&place));
    let rate = meter.rate_until_used_up(place.address, strangers);
    println!("{:<28} {rate:>10.0}", "refresh, of anyone once");
    fine
}

/// `$1` up to but without `$2`, with a number scattered over 32 bits, so that neighbours of one table are none in
/// its indexes.
fn numbered(conn: &Conn) -> &'static str {
    conn.either(
        "WITH RECURSIVE c(n) AS (SELECT $1 UNION ALL SELECT n + 1 FROM c WHERE n + 1 < $2), \
         s(n, id) AS (SELECT n, printf('%08x%08x', n * 2654435761 % 4294967296, n) FROM c) ",
        "WITH s(n, id) AS (SELECT n, lpad(to_hex(n * 2654435761 % 4294967296), 8, '0') || lpad(to_hex(n), 8, '0') \
         FROM generate_series($1::bigint, $2::bigint - 1) AS n) ",
    )
}

/// What every person of the crowd has in common.
struct Common {
    app: String,
    secret_id: String,
    now: i64,
    end: i64,
}

impl Common {
    /// In the order in which rows point to each other.
    fn people(&self) -> [String; 6] {
        let Self {
            app,
            secret_id,
            now,
            end,
        } = self;
        let api = APIS[0].identifier;
        [
            format!(
                "INSERT INTO users (sub, email, email_canonical, email_verified, claims, epoch, created_at, \
                 updated_at) SELECT 'u' || id, id || '@example.org', id || '@example.org', TRUE, '{{}}', 1, {now}, \
                 {now} FROM s"
            ),
            format!(
                "INSERT INTO browsers (browser_id, token_digest, sign_ins, created_at, expires_at) \
                 SELECT 'b' || id, 'd' || id, 1, {now}, {end} FROM s"
            ),
            format!(
                "INSERT INTO sessions (session_id, browser_id, sub, epoch, persistent, user_agent, created_at, \
                 last_seen_at, idle_until, expires_at) \
                 SELECT 's' || id, 'b' || id, 'u' || id, 1, TRUE, '', {now}, {now}, {end}, {end} FROM s"
            ),
            format!(
                "INSERT INTO consents (consent_id, sub, client_id, scope, resources, client_version, session_id, \
                 flow_id, granted_at) SELECT 'k' || id, 'u' || id, '{app}', 'read offline_access', '[\"{api}\"]', 1, \
                 's' || id, 'f' || id, {now} FROM s"
            ),
            format!(
                "INSERT INTO approvals (approval_id, flow_id, client_id, client_generation, sub, session_id, \
                 consent_id, scope, resources, offline, auth_time, acr, amr, created_at, access_until, live_until) \
                 SELECT 'a' || id, 'f' || id, '{app}', 1, 'u' || id, 's' || id, 'k' || id, 'read offline_access', \
                 '[\"{api}\"]', TRUE, {now}, 'pwd', '[\"pwd\"]', {now}, {now}, {end} FROM s"
            ),
            format!(
                "INSERT INTO families (family_id, approval_id, client_id, secret_id, salt, generation, reached_at, \
                 idle_until, expires_at) SELECT id || 'AAAAAA', 'a' || id, '{app}', '{secret_id}', 'salt', 1, {now}, \
                 {end}, {end} FROM s"
            ),
        ]
    }

    /// Apps as the first one is, with secrets and origins of their own.
    fn apps(&self) -> [String; 3] {
        let app = &self.app;
        [
            format!(
                "INSERT INTO clients (client_id, version, generation, trust, metadata, created_at, updated_at) \
                 SELECT 'c' || s.id, version, generation, trust, metadata, created_at, updated_at FROM s, clients \
                 WHERE client_id = '{app}'"
            ),
            "INSERT INTO client_origins (origin, client_id) \
             SELECT 'https://' || id || '.example.org', 'c' || id FROM s"
                .to_owned(),
            format!(
                "INSERT INTO client_secrets (secret_id, client_id, digest, hint, created_at) \
                 SELECT 'x' || s.id, 'c' || s.id, digest, hint, created_at FROM s, client_secrets \
                 WHERE client_id = '{app}'"
            ),
        ]
    }
}

async fn fill(place: &Arc<Place>) {
    let now = place.parts.clock.now();
    let common = Common {
        app: place.app.id.clone(),
        secret_id: place.parts.keyring.secret(Purpose::Refresh).expect("a secret").id,
        now: now.as_secs(),
        end: (now + families::ABSOLUTE).as_secs(),
    };
    for from in (0..PEOPLE).step_by(AT_ONCE as usize) {
        insert(common.people().into(), from..from + AT_ONCE, place).await;
    }
    insert(common.apps().into(), 0..APPS, place).await;
    // As autovacuum does it a minute later: until then PostgreSQL keeps the plans that it made for empty tables.
    let analyze = ANALYZE.map(str::to_owned).to_vec();
    if place.parts.db.reader().await.expect("a reader").is_postgres() {
        write(analyze, place).await;
    }
    let told = place
        .parts
        .db
        .transact(|conn| Box::pin(changes::bump(Topic::Clients, conn)));
    told.await.expect("a notice");
    place.parts.clients.refresh().await.expect("the database");
}

const ANALYZE: [&str; 6] = [
    "ANALYZE users",
    "ANALYZE sessions",
    "ANALYZE consents",
    "ANALYZE approvals",
    "ANALYZE families",
    "ANALYZE clients",
];

async fn write(statements: Vec<String>, place: &Place) {
    let written = place.parts.db.transact(move |conn| {
        Box::pin(async move {
            for statement in statements {
                execute!(conn, sqlx::query(sqlx::AssertSqlSafe(statement)))?;
            }
            Ok::<_, db::Error>(())
        })
    });
    written.await.expect("statistics");
}

async fn insert(statements: Vec<String>, numbers: Range<i64>, place: &Place) {
    let written = place.parts.db.transact(move |conn| {
        Box::pin(async move {
            for statement in statements {
                let numbered = sqlx::AssertSqlSafe(format!("{}{statement}", numbered(conn)));
                execute!(conn, sqlx::query(numbered).bind(numbers.start).bind(numbers.end))?;
            }
            Ok::<_, db::Error>(())
        })
    });
    written.await.expect("rows");
}

/// The id of a family, as [`numbered`] makes it: 16 bytes in base64url.
fn family(n: i64) -> String {
    format!("{:08x}{n:08x}AAAAAA", n * 2_654_435_761 % 4_294_967_296)
}

/// The requests that refresh one token each, of people from everywhere.
async fn strangers(place: &Place) -> Vec<Vec<u8>> {
    let secret = place.parts.keyring.secret(Purpose::Refresh).expect("a secret");
    let mut conn = place.parts.db.reader().await.expect("a reader");
    let mut requests = Vec::new();
    for n in (0..PEOPLE).step_by(STEP) {
        let id = family(n).into();
        let family = families::by_id(&id, &mut conn).await.expect("a read");
        let token = family.expect("a family").token(1, &secret.key).expect("a token");
        let body = format!("grant_type=refresh_token&refresh_token={}", token.expose());
        requests.push(post("/token", &place.app.authorization, &body));
    }
    requests
}
