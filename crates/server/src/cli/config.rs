//! `countersign config`: what the settings are and whether a server would start on them. No database is opened.

use std::path::Path;

use clap::Subcommand;
use serde_json::json;

use super::failure::Failure;
use super::load;
use super::print::{Answer, Printer};
use crate::settings::{Flags, Mode};
use crate::tls::{Clients, Tls};

#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Say whether `serve` would accept the settings, or all that is wrong with them
    Check {
        #[command(flatten)]
        flags: Flags,
    },
    /// Every setting, its value (secrets masked) and where that came from
    Show {
        #[command(flatten)]
        flags: Flags,
    },
}

impl Config {
    pub(super) fn run(self, file: Option<&Path>, printer: &mut Printer<'_>) -> Result<(), Failure> {
        match self {
            Self::Check { flags } => {
                let settings = load(flags, file, Mode::Serve)?;
                if let Some(files) = &settings.tls {
                    Tls::of(files, Clients::NotAsked)?;
                }
                settings.breached()?;
                printer.answer(&Answer {
                    json: json!({ "valid": true }),
                    lines: vec!["the configuration is valid".to_owned()],
                })
            }
            Self::Show { flags } => show(flags, file, printer),
        }
    }
}

fn show(flags: Flags, file: Option<&Path>, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let settings = load(flags, file, Mode::Command)?;
    let width = settings.shown().map(|shown| shown.name.len()).max().unwrap_or(0);
    let mut list = printer.list();
    for shown in settings.shown() {
        let value = shown.value.as_deref().unwrap_or("–");
        list.item(&Answer {
            lines: vec![format!("{:<width$}  {value}  ({})", shown.name, shown.source)],
            json: json!(shown),
        })?;
    }
    list.end("there is no setting")
}
