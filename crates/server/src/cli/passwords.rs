//! `countersign passwords`: makes the list of passwords that nobody may choose. No database is opened.

use std::path::PathBuf;

use accounts::passwords::breached::{self, Built};
use clap::Subcommand;
use serde_json::json;

use super::failure::Failure;
use super::print::{Answer, Printer};

#[derive(Debug, Subcommand)]
pub(super) enum Passwords {
    /// Make the filter of COUNTERSIGN_BREACHED_PASSWORDS of a list of passwords known from breaches
    ///
    /// The list has one line for each password: its SHA-1 in hexadecimal, alone or followed by a colon and how often the
    /// password was met, in the order of the hashes.
    BuildFilter {
        /// The list
        list: PathBuf,
        /// The filter; it appears when it is whole, in place of one that was there
        filter: PathBuf,
        /// Leave out passwords that were met less often than this
        #[arg(long, value_name = "COUNT", default_value_t = 1)]
        at_least: u64,
    },
}

impl Passwords {
    pub(super) fn run(self, printer: &mut Printer<'_>) -> Result<(), Failure> {
        match self {
            Self::BuildFilter {
                list,
                filter,
                at_least,
            } => {
                let built = breached::build(&list, &filter, at_least)?;
                let answer = answer(built);
                printer.answer(&match built.passwords {
                    0 => answer.note("There is no password in it: the list is empty, or all were left out."),
                    _ => answer,
                })
            }
        }
    }
}

fn answer(built: Built) -> Answer {
    let Built {
        passwords,
        left_out,
        bytes,
        false_one_in,
    } = built;
    let mut lines = vec![
        format!("passwords        {passwords}"),
        format!("size             {bytes} bytes"),
        format!("false alarms     one in {false_one_in}"),
    ];
    if left_out > 0 {
        lines.push(format!("left out         {left_out}"));
    }
    Answer {
        json: json!({
            "passwords": passwords, "left_out": left_out, "bytes": bytes, "false_one_in": false_one_in,
        }),
        lines,
    }
}
