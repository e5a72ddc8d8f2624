//! What the hardware gives: figures, each beside a bare "hello" through the same router in the same run.
//!
//! `tests/load/run` calls this. A ratio compares two things on one machine in one minute, so it means something
//! on a noisy machine too; absolute figures do not.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used
)]

// Not all of it is used here.
#[allow(dead_code, unused_imports, unused_macros)]
#[path = "../harness/mod.rs"]
mod harness;
#[path = "../ledger/mod.rs"]
mod ledger;
#[path = "../rotations/mod.rs"]
mod rotations;

mod balancer;
mod client;
mod codes;
mod crowd;
mod drill;
mod feed;
mod footprint;
mod heard;
mod kills;
mod meter;
mod place;
mod revocation;
mod slow_loris;
mod storm;
mod throughput;
mod timing;
#[path = "rotations.rs"]
mod turns;

use std::fs::File;
use std::process::ExitCode;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let nowhere = Arc::new(File::options().write(true).open("/dev/null").expect("/dev/null"));
    countersign::logging::start_into(move || nowhere.clone());
    // The servers' log goes nowhere; what is wrong with a program itself has to be seen.
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    // cargo bench adds --bench.
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    // Fewer, to see that it works.
    let samples = wanted.iter().find_map(|word| word.parse().ok());
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
    let mut fine = true;
    if wants("throughput") {
        fine &= throughput::run(&throughput::SQLITE);
        fine &= throughput::run(&throughput::POSTGRES);
    }
    if wants("crowd") {
        fine &= crowd::run(&throughput::SQLITE);
        fine &= crowd::run(&throughput::POSTGRES);
    }
    if wants("slow-loris") {
        fine &= slow_loris::run();
    }
    if wants("heard") {
        fine &= heard::run(&throughput::SQLITE);
        fine &= heard::run(&throughput::POSTGRES);
    }
    if wants("feed") {
        fine &= feed::run(&throughput::SQLITE);
        fine &= feed::run(&throughput::POSTGRES);
    }
    if wants("revocation") {
        fine &= revocation::run(&throughput::SQLITE);
        fine &= revocation::run(&throughput::POSTGRES);
    }
    if wants("storm") {
        fine &= storm::run();
    }
    if wants("footprint") {
        fine &= footprint::run(&throughput::SQLITE);
        fine &= footprint::run(&throughput::POSTGRES);
    }
    if wants("rotations") {
        fine &= turns::run(&throughput::SQLITE);
        fine &= turns::run(&throughput::POSTGRES);
    }
    if wants("drill") {
        fine &= drill::run(&throughput::SQLITE);
        fine &= drill::run(&throughput::POSTGRES);
    }
    if wants("timing") {
        let samples = samples.unwrap_or(timing::SAMPLES);
        fine &= timing::run(&throughput::SQLITE, samples);
        fine &= timing::run(&throughput::POSTGRES, samples);
    }
    if wants("kills") {
        fine &= kills::run();
    }
    match fine {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
