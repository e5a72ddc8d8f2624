//! A million live revocations: what each costs in the database and on the wire, how long a snapshot takes, and how
//! much memory the server needs to send them. The server is the binary, in a process of its own.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use db::{Database, execute, run as query};
use futures_util::future::join_all;
use tokio::runtime::Builder;
use url::form_urlencoded::byte_serialize;

use crate::harness::Installation;
use crate::throughput::On;

const RECORDS: i64 = 1_000_000;
/// Rows of one statement.
const CHUNK: i64 = 50_000;
const READERS: usize = 8;
/// Above what the server held before. The page that each reader is sent, and what the database driver keeps.
const AIM_MIB: u64 = 64;

const INSERT: (&str, &str) = (
    "WITH RECURSIVE r(n) AS (SELECT $1 + 1 UNION ALL SELECT n + 1 FROM r WHERE n < $1 + $2) \
     INSERT INTO revocations (sequence, kind, subject, generation, until) \
     SELECT n, 'approval', lower(hex(randomblob(11))), NULL, $3 FROM r",
    "INSERT INTO revocations (sequence, kind, subject, generation, until) \
     SELECT n, 'approval', substr(md5(n::text), 1, 22), NULL, $3 FROM generate_series($1 + 1, $1 + $2) AS r(n)",
);
const SIZE: (&str, &str) = (
    "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    "SELECT pg_total_relation_size('revocations')",
);

pub(crate) fn run(on: &On) -> bool {
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(measure(on))
}

async fn measure(on: &On) -> bool {
    println!("\n{}: the revocation feed with {RECORDS} live records", on.name);
    let installation = Installation::on(on.url().await);
    let server = installation.start().await;
    let line = ["--json", "resource", "create", "--identifier", "urn:api"];
    let made = installation.run(&line).await;
    let made: serde_json::Value = serde_json::from_str(&made.stdout).expect("JSON");
    let secret: String =
        byte_serialize(made["client_secret"].as_str().expect("a secret").as_bytes()).collect();
    let authorization = format!("Basic {}", STANDARD.encode(format!("urn%3Aapi:{secret}")));

    let db = Database::connect(&installation.database)
        .await
        .expect("the database");
    let before = size(&db).await;
    fill(&db).await;
    let per_record = (size(&db).await - before) as f64 / RECORDS as f64;
    println!(
        "{:<28} {per_record:>6.0} bytes a record, with its indexes",
        "database"
    );

    let url = format!("{}/revocations", installation.issuer);
    // Once alone, so that everything that is read is in memory; the tail has caught up by then as well.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let idle = server.peak_memory();
    read(&url, &authorization).await;
    let began = Instant::now();
    let (bytes, records) = read(&url, &authorization).await;
    let alone = began.elapsed();
    assert_eq!(records, usize::try_from(RECORDS).expect("a count"));
    println!(
        "{:<28} {:>6.1} bytes a record, {:.1} MiB in all",
        "wire",
        bytes as f64 / records as f64,
        bytes as f64 / 1048576.0
    );
    println!("{:<28} {:>6.2} s", "a snapshot", alone.as_secs_f64());
    let after_one = server.peak_memory();
    let began = Instant::now();
    join_all((0..READERS).map(|_| read(&url, &authorization))).await;
    let together = began.elapsed();
    let after_all = server.peak_memory();
    let grown = (after_all - idle) / 1024;
    let verdict = if grown > AIM_MIB * 2 { "  FAILED" } else { "" };
    println!(
        "{:<28} {:>6.2} s",
        format!("{READERS} at the same time"),
        together.as_secs_f64()
    );
    println!(
        "{:<28} {:>6.1} MiB before, {:.1} after one, {:.1} after {READERS} at once (aim: at most {AIM_MIB} more){verdict}",
        "most memory of the server",
        idle as f64 / 1024.0,
        after_one as f64 / 1024.0,
        after_all as f64 / 1024.0
    );
    db.close().await;
    verdict.is_empty()
}

async fn fill(db: &Database) {
    let until = protocol::Clock::System.now() + Duration::from_secs(3600);
    for from in (0..RECORDS).step_by(usize::try_from(CHUNK).expect("a size")) {
        let filled = db.transact(move |conn| {
            Box::pin(async move {
                const REACHED: &str = "UPDATE revocation_counter SET sequence = $1 WHERE one = 1";
                let statement = conn.either(INSERT.0, INSERT.1);
                execute!(
                    conn,
                    sqlx::query(statement)
                        .bind(from)
                        .bind(CHUNK)
                        .bind(until.as_secs())
                )?;
                execute!(conn, sqlx::query(REACHED).bind(from + CHUNK))?;
                Ok::<_, db::Error>(())
            })
        });
        filled.await.expect("room for a million rows");
    }
}

async fn size(db: &Database) -> i64 {
    let mut conn = db.reader().await.expect("a connection");
    let statement = conn.either(SIZE.0, SIZE.1);
    let (bytes,): (i64,) = query!(&mut conn, |c| sqlx::query_as(statement).fetch_one(c)).expect("a size");
    bytes
}

/// The bytes of a snapshot, and its records: as many lines, but for the first and the last.
async fn read(url: &str, authorization: &str) -> (usize, usize) {
    let request = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a plain client");
    let request = request.get(url).header("authorization", authorization);
    let mut response = request.send().await.expect("an answer");
    assert_eq!(response.status(), 200);
    let (mut bytes, mut lines) = (0, 0);
    while let Some(chunk) = response.chunk().await.expect("the whole answer") {
        bytes += chunk.len();
        lines += chunk.iter().filter(|byte| **byte == b'\n').count();
    }
    (bytes, lines - 2)
}
