//! Servers that start at the same instant on an empty database, as an orchestrator starts its replicas.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use protocol::SigningAlg;

use crate::harness::Installation;
use crate::harness::process::free_port;
use crate::harness::wire::{Wire, get};

const ROUNDS: usize = 3;
const SERVERS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_start_together_on_an_empty_postgres_make_one_installation() {
    for _ in 0..ROUNDS {
        start_together(db::testing::postgres_url().await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_start_together_on_one_missing_sqlite_file_make_one_installation() {
    for _ in 0..ROUNDS {
        start_together(db::testing::sqlite_url()).await;
    }
}

async fn start_together(database: db::Url) {
    let installation = Installation::on(database);
    let ports: Vec<u16> = (0..SERVERS).map(|_| free_port()).collect();
    let _servers = join_all(ports.iter().map(|port| installation.start_at(*port))).await;

    let mut key_sets = BTreeSet::new();
    for port in ports {
        let mut wire = Wire::connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("a connection");
        let answer = wire.exchange(&get("/jwks", &[])).await.expect("an answer");
        assert_eq!(
            answer.json()["keys"].as_array().map(Vec::len),
            Some(SigningAlg::ALL.len() + jose::Family::ALL.len()),
            "{}",
            answer.body
        );
        key_sets.insert(answer.body);
    }
    assert_eq!(key_sets.len(), 1, "all publish the same keys");

    let rows = installation.world().await.row_counts().await;
    let count = |table: &str| {
        rows.iter()
            .find(|(name, _)| name == table)
            .map(|(_, count)| *count)
    };
    assert_eq!(count("master_keys"), Some(1));
    let rings = SigningAlg::ALL.len() as i64;
    assert_eq!(count("signing_keys"), Some(rings), "one for each ring");
    assert_eq!(count("decryption_keys"), Some(jose::Family::ALL.len() as i64));
    assert_eq!(count("purpose_secrets"), Some(keyring::Purpose::ALL.len() as i64));
    assert_eq!(count("schema_migrations"), Some(db::MIGRATIONS.len() as i64));
}
