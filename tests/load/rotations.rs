//! R20, the long form: twenty rotations of every ring with verifiers that keep to `Cache-Control`, once as keys are
//! announced by default, once as late as the settings allow.

use std::time::Duration;

use tokio::runtime::Builder;

use crate::rotations::{Load, turn};
use crate::throughput::On;

const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn run(on: &On) -> bool {
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let mut fine = true;
    for (name, announce, step) in [
        ("announced a day before", 24 * 60 * MINUTE, 5 * MINUTE),
        ("announced five minutes before", 5 * MINUTE, MINUTE / 4),
    ] {
        let load = Load {
            rotations: 20,
            announce,
            step,
            signers: 8,
            verifiers: 8,
        };
        println!(
            "\n{}: 20 rotations of every ring, each key {name} it signs",
            on.name
        );
        let report = runtime.block_on(async { turn(on.url().await, load).await });
        println!("{report}");
        for failure in report.failures.iter().take(3) {
            println!("{failure}");
        }
        fine &= report.failures.is_empty();
    }
    println!("R20 {}", if fine { "PASS" } else { "FAIL" });
    fine
}
