//! C108, the short form. The long one is a program: `tests/load/run kills`.

use crate::ledger::{Victim, hold};

const DEATHS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c108_a_server_killed_at_any_instant_has_lost_nothing_on_sqlite() {
    short(Victim::TheProcess, 0xC108).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c108_one_of_two_servers_killed_at_any_instant_has_lost_nothing() {
    short(Victim::AReplica, 0xC108 + 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c108_a_postgres_killed_at_any_instant_under_two_servers_has_lost_nothing() {
    short(Victim::Postgres, 0xC108 + 2).await;
}

async fn short(victim: Victim, seed: u64) {
    let report = hold(victim, DEATHS, seed).await;
    eprintln!("{report}");
    assert!(report.is_complete(), "{report:?}");
}
