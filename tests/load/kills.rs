//! C108, the long form: fifty deaths of each kind. A line of a book that does not hold ends the run with its words.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::runtime::Builder;

use crate::ledger::{Victim, hold};

const DEATHS: usize = 50;

pub(crate) fn run() -> bool {
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let victims = [
        ("one of two processes on PostgreSQL", Victim::AReplica),
        ("PostgreSQL under two processes", Victim::Postgres),
        ("the one process on SQLite", Victim::TheProcess),
    ];
    let mut fine = true;
    for (name, victim) in victims {
        let seed = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        println!("\n{name}, killed {DEATHS} times under load");
        let report = runtime.block_on(hold(victim, DEATHS, seed.as_secs()));
        println!("{report}");
        fine &= report.is_complete();
    }
    fine
}
