//! `countersign keys`: when which signing key signs.

use clap::{Args, Subcommand};
use events::Context;
use keyring::{Keyring, RingEntry, Start};
use protocol::{SigningAlg, Timestamp};
use serde_json::{Value, json};

use super::failure::Failure;
use super::installation::Installation;
use super::print::{Answer, Printer};
use super::word;
use crate::settings::Flags;

/// Rotated when nobody says which: some verifiers stumble over a new key of the type OKP, so that one is asked for.
const USUAL: &[SigningAlg] = &[SigningAlg::Rs256, SigningAlg::Ps256, SigningAlg::Es256];

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// All keys with their calendar
    List(Place),
    /// Publish a new key in each RSA and EC ring; it signs when every verifier has fetched it
    Rotate {
        /// Let it sign at once: verifiers that have not fetched it refuse its tokens for minutes
        #[arg(long)]
        now: bool,
        /// Only the ring of this algorithm (repeatable)
        #[arg(long = "alg", value_name = "ALG", value_parser = word(SigningAlg::ALL, SigningAlg::as_str))]
        algs: Vec<SigningAlg>,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Args)]
pub(super) struct Place {
    /// Directory of the master key
    #[arg(long, value_name = "DIR")]
    keys_dir: Option<String>,
}

impl Keys {
    pub(super) fn flags(&self) -> Flags {
        let (Self::List(place) | Self::Rotate { place, .. }) = self;
        Flags {
            keys_dir: place.keys_dir.clone(),
            ..Flags::default()
        }
    }

    pub(super) async fn run(self, on: &Installation, printer: &mut Printer<'_>) -> Result<(), Failure> {
        let keyring = on.keyring().await?;
        match self {
            Self::List(_) => list(&keyring, printer, on.now),
            Self::Rotate {
                now: at_once, algs, ..
            } => {
                let start = if at_once { Start::Now } else { Start::Announced };
                let algs = match algs.is_empty() {
                    true => USUAL.to_vec(),
                    false => algs,
                };
                printer.answer(&rotate(&keyring, &algs, start, on.now).await?)
            }
        }
    }
}

fn list(keyring: &Keyring, printer: &mut Printer<'_>, now: Timestamp) -> Result<(), Failure> {
    let mut list = printer.list();
    for entry in keyring.calendar(now) {
        list.item(&Answer {
            json: json!(entry),
            lines: vec![line(&entry)],
        })?;
    }
    list.end("there is no key")
}

async fn rotate(
    keyring: &Keyring,
    algs: &[SigningAlg],
    start: Start,
    now: Timestamp,
) -> Result<Answer, Failure> {
    let before = keyring.calendar(now);
    keyring.rotate(algs, start, &Context::command_line(), now).await?;
    let is_new = |entry: &RingEntry| before.iter().all(|old| old.kid != entry.kid);
    let added: Vec<RingEntry> = keyring.calendar(now).into_iter().filter(is_new).collect();
    Ok(Answer {
        json: json!({ "keys": added.iter().map(|entry| json!(entry)).collect::<Vec<Value>>() }),
        lines: added.iter().map(line).collect(),
    })
}

/// The calendar of a key as people read it.
fn line(entry: &RingEntry) -> String {
    let mut line = format!(
        "{}  {}  {:<9}  published {}  signs from {}",
        entry.alg,
        entry.kid,
        entry.stage.as_str(),
        entry.published_at,
        entry.signs_at
    );
    for (word, at) in [("retired", entry.retired_at), ("gone", entry.gone_at)] {
        if let Some(at) = at {
            line.push_str(&format!("  {word} {at}"));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use keyring::Stage;

    use super::*;

    #[test]
    fn a_calendar_says_what_is_known_of_a_key() {
        let at = |secs| Timestamp::from_secs(secs);
        let mut entry = RingEntry {
            kid: "k".to_owned(),
            alg: SigningAlg::Es256,
            stage: Stage::Signing,
            published_at: at(0),
            signs_at: at(60),
            retired_at: None,
            gone_at: None,
        };
        let text = "ES256  k  signing    published 1970-01-01T00:00:00Z  signs from 1970-01-01T00:01:00Z";
        assert_eq!(line(&entry), text);
        (entry.retired_at, entry.gone_at) = (Some(at(120)), Some(at(180)));
        let ends = "  retired 1970-01-01T00:02:00Z  gone 1970-01-01T00:03:00Z";
        assert_eq!(line(&entry), format!("{text}{ends}"));
    }
}
