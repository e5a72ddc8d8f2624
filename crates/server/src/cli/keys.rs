//! `countersign keys`: when which key signs, or reads what apps encrypt.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, Subcommand};
use events::Context;
use keyring::{Family, Keyring, RingEntry, Start, Suspect};
use protocol::{SigningAlg, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::failure::Failure;
use super::installation::Installation;
use super::print::{Answer, Printer};
use super::{id, word};
use crate::settings::Flags;

/// Not rotated unless somebody says so: some verifiers stumble over a new key of the type OKP.
const UNUSUAL: SigningAlg = SigningAlg::EdDsa;
/// Of a file with keys. Longer ones are refused by their reader.
const MOST: u64 = 1024 * 1024;

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// All keys with their calendar
    List(Place),
    /// Publish a new key in each RSA and EC ring; it signs when every verifier has fetched it
    Rotate(Rotate),
    /// Bring along private keys that sign already: PEM, a JWK, or a set of them
    Import(Import),
    /// Seal everything under a new master key; goes on where an earlier run stopped
    Reseal {
        /// Only make the new key, to be copied to wherever servers run before anything depends on it
        #[arg(long)]
        prepare: bool,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Args)]
pub(super) struct Rotate {
    /// Let it sign at once: verifiers that have not fetched it refuse its tokens for minutes
    #[arg(long, conflicts_with = "emergency")]
    now: bool,
    /// Somebody else may know the keys: take them out for good, refuse what they signed, and sign by new ones at once
    #[arg(long)]
    emergency: bool,
    /// Only the ring of this algorithm (repeatable)
    #[arg(long = "alg", value_name = "ALG", value_parser = word(Ring::ALL, Ring::as_str))]
    algs: Vec<Ring>,
    /// With --emergency: only the key of this name, in whatever ring (repeatable)
    #[arg(
        long = "kid", value_name = "KID", value_parser = id, requires = "emergency", conflicts_with = "algs",
        allow_hyphen_values = true
    )]
    kids: Vec<String>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(super) struct Import {
    /// The file; - is stdin
    file: PathBuf,
    /// What they shall sign by, where the keys do not say: an RSA key signs by RS256 otherwise
    #[arg(long, value_name = "ALG", value_parser = word(SigningAlg::ALL, SigningAlg::as_str))]
    alg: Option<SigningAlg>,
    /// Let them sign at once, as they do where they come from
    #[arg(long)]
    now: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(super) struct Place {
    /// Directory of the master key
    #[arg(long, value_name = "DIR")]
    keys_dir: Option<String>,
}

/// The keys of one algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ring {
    Signing(SigningAlg),
    Reading(Family),
}

impl Ring {
    const ALL: &'static [Self] = &[
        Self::Signing(SigningAlg::Rs256),
        Self::Signing(SigningAlg::Ps256),
        Self::Signing(SigningAlg::Es256),
        Self::Signing(SigningAlg::EdDsa),
        Self::Reading(Family::Rsa),
        Self::Reading(Family::P256),
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Signing(alg) => alg.as_str(),
            Self::Reading(family) => family.as_str(),
        }
    }

    fn signing(all: &[Self]) -> Vec<SigningAlg> {
        let own = |ring: &Self| match ring {
            Self::Signing(alg) => Some(*alg),
            Self::Reading(_) => None,
        };
        all.iter().filter_map(own).collect()
    }

    fn reading(all: &[Self]) -> Vec<Family> {
        let own = |ring: &Self| match ring {
            Self::Signing(_) => None,
            Self::Reading(family) => Some(*family),
        };
        all.iter().filter_map(own).collect()
    }
}

impl FromStr for Ring {
    type Err = protocol::oauth::Unknown;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let signing = text.parse().map(Self::Signing);
        signing.or_else(|_| text.parse().map(Self::Reading))
    }
}

impl Keys {
    pub(super) fn flags(&self) -> Flags {
        let (Self::List(place)
        | Self::Rotate(Rotate { place, .. })
        | Self::Import(Import { place, .. })
        | Self::Reseal { place, .. }) = self;
        Flags {
            keys_dir: place.keys_dir.clone(),
            ..Flags::default()
        }
    }

    pub(super) async fn run(self, on: &Installation, printer: &mut Printer<'_>) -> Result<(), Failure> {
        let keyring = on.keyring().await?;
        match self {
            Self::List(_) => list(&keyring, printer, on.now),
            Self::Rotate(rotate) => printer.answer(&rotate.run(&keyring, on.now).await?),
            Self::Import(import) => printer.answer(&import.run(&keyring, on.now).await?),
            Self::Reseal { prepare, .. } => printer.answer(&reseal(&keyring, prepare, on.now).await?),
        }
    }
}

impl Rotate {
    async fn run(self, keyring: &Keyring, now: Timestamp) -> Result<Answer, Failure> {
        let before = calendar(keyring, now);
        match self.emergency {
            true => self.in_an_emergency(keyring, &before, now).await,
            false => {
                let (by, start) = (Context::command_line(), started(self.now));
                let (signing, reading) = match self.algs.is_empty() {
                    true => (
                        keyring.algs().iter().filter(|alg| *alg != UNUSUAL).collect(),
                        Vec::new(),
                    ),
                    false => (Ring::signing(&self.algs), Ring::reading(&self.algs)),
                };
                keyring.rotate(&signing, start, &by, now).await?;
                keyring.rotate_decryption(&reading, start, &by, now).await?;
                let added = added(keyring, &before, now);
                Ok(Answer {
                    json: json!({ "keys": jsons(&added) }),
                    lines: added.into_iter().map(|line| line.text).collect(),
                })
            }
        }
    }

    async fn in_an_emergency(
        self,
        keyring: &Keyring,
        before: &[Line],
        now: Timestamp,
    ) -> Result<Answer, Failure> {
        let suspect = match (self.kids.is_empty(), self.algs.is_empty()) {
            (false, _) => Suspect::Keys(self.kids),
            (true, false) => Suspect::Rings(Ring::signing(&self.algs), Ring::reading(&self.algs)),
            (true, true) => Suspect::Rings(SigningAlg::ALL.to_vec(), Family::ALL.to_vec()),
        };
        let withdrawn = keyring.withdraw(suspect, &Context::command_line(), now).await?;
        let added = added(keyring, before, now);
        let lines = withdrawn.kids.iter().map(|kid| format!("withdrawn: {kid}"));
        let others = added.iter().map(|line| line.text.clone());
        let mut lines: Vec<String> = lines.chain(others).collect();
        lines.push(
            "Nothing that the withdrawn keys signed is believed here any more. Whoever caches the JWK set has the new one in \
             five minutes at the latest."
                .to_owned(),
        );
        Ok(Answer {
            json: json!({ "keys": jsons(&added), "withdrawn": withdrawn.kids }),
            lines,
        })
    }
}

impl Import {
    async fn run(self, keyring: &Keyring, now: Timestamp) -> Result<Answer, Failure> {
        let named = |fault: String| Failure::from(fault).at(self.file.display());
        let file = read(&self.file).map_err(|fault| named(fault.to_string()))?;
        let keys = keyring::read_keys(&file, self.alg).map_err(|fault| named(fault.to_string()))?;
        let before = calendar(keyring, now);
        let by = Context::command_line();
        let imported = keyring.import(&keys, started(self.now), &by, now);
        imported.await.map_err(|fault| named(fault.to_string()))?;
        let added = added(keyring, &before, now);
        Ok(Answer {
            json: json!({ "keys": jsons(&added) }),
            lines: added.into_iter().map(|line| line.text).collect(),
        })
    }
}

fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut file = Zeroizing::new(Vec::new());
    match path == Path::new("-") {
        true => io::stdin().lock().take(MOST).read_to_end(&mut file)?,
        false => File::open(path)?.take(MOST).read_to_end(&mut file)?,
    };
    Ok(file)
}

async fn reseal(keyring: &Keyring, prepare: bool, now: Timestamp) -> Result<Answer, Failure> {
    let by = Context::command_line();
    if prepare {
        keyring.prepare_reseal(&by, now).await?;
        return Ok(Answer {
            json: json!({ "prepared": true }),
            lines: vec![
                "The new master key is there and nothing depends on it. Copy master.next.key into the keys directory of \
                 every server, then run `countersign keys reseal`."
                    .to_owned(),
            ],
        });
    }
    let done = keyring.reseal(&by, now).await?;
    let mut lines = vec![format!(
        "Everything is sealed under the master key {} ({} values anew).",
        done.master_key_id, done.resealed
    )];
    if let Some(old) = &done.retired_master_key_id {
        lines.push(format!(
            "The old one, {old}, is retired: nothing here opens with it any more."
        ));
    }
    if let Some(file) = &done.old_key_file {
        lines.push(format!(
            "Backups from before need it: put {} where those are, and delete it here.",
            file.display()
        ));
    }
    Ok(Answer {
        json: json!(done),
        lines,
    })
}

fn started(at_once: bool) -> Start {
    match at_once {
        true => Start::Now,
        false => Start::Announced,
    }
}

/// The calendar of a key, in both forms.
struct Line {
    kid: String,
    stage: keyring::Stage,
    json: Value,
    text: String,
}

impl Line {
    fn of<A: Copy + Serialize + std::fmt::Display>(entry: &RingEntry<A>) -> Self {
        Self {
            kid: entry.kid.clone(),
            stage: entry.stage,
            json: json!(entry),
            text: text(entry),
        }
    }
}

/// Keys that sign, then those that read.
fn calendar(keyring: &Keyring, now: Timestamp) -> Vec<Line> {
    let signing = keyring.calendar(now);
    let reading = keyring.decryption_calendar(now);
    let lines = signing.iter().map(Line::of);
    lines.chain(reading.iter().map(Line::of)).collect()
}

/// Those that were not there before, and those that came into use.
fn added(keyring: &Keyring, before: &[Line], now: Timestamp) -> Vec<Line> {
    let is_new = |line: &Line| {
        let held = before.iter().find(|old| old.kid == line.kid);
        held.is_none_or(|old| old.stage != line.stage && line.stage == keyring::Stage::Signing)
    };
    calendar(keyring, now).into_iter().filter(is_new).collect()
}

fn jsons(lines: &[Line]) -> Vec<&Value> {
    lines.iter().map(|line| &line.json).collect()
}

fn list(keyring: &Keyring, printer: &mut Printer<'_>, now: Timestamp) -> Result<(), Failure> {
    let mut list = printer.list();
    for line in calendar(keyring, now) {
        list.item(&Answer {
            json: line.json,
            lines: vec![line.text],
        })?;
    }
    list.end("there is no key")
}

/// The calendar of a key as people read it.
fn text<A: std::fmt::Display>(entry: &RingEntry<A>) -> String {
    let (begins, alg) = match entry.purpose {
        keyring::Use::Signatures => ("signs", entry.alg.to_string()),
        keyring::Use::Encryption => ("used", format!("{} (enc)", entry.alg)),
    };
    let mut line = format!(
        "{alg}  {}  {:<9}  published {}  {begins} from {}",
        entry.kid,
        entry.stage.as_str(),
        entry.published_at,
        entry.signs_at
    );
    for (word, at) in [
        ("retired", entry.retired_at),
        ("gone", entry.gone_at),
        ("withdrawn", entry.withdrawn_at),
    ] {
        if let Some(at) = at {
            line.push_str(&format!("  {word} {at}"));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use keyring::{Stage, Use};

    use super::*;

    #[test]
    fn a_calendar_says_what_is_known_of_a_key() {
        let at = |secs| Timestamp::from_secs(secs);
        let mut entry = RingEntry {
            kid: "k".to_owned(),
            purpose: Use::Signatures,
            alg: SigningAlg::Es256,
            stage: Stage::Signing,
            published_at: at(0),
            signs_at: at(60),
            retired_at: None,
            gone_at: None,
            withdrawn_at: None,
        };
        let said = "ES256  k  signing    published 1970-01-01T00:00:00Z  signs from 1970-01-01T00:01:00Z";
        assert_eq!(text(&entry), said);
        (entry.retired_at, entry.gone_at) = (Some(at(120)), Some(at(180)));
        let ends = "  retired 1970-01-01T00:02:00Z  gone 1970-01-01T00:03:00Z";
        assert_eq!(text(&entry), format!("{said}{ends}"));
        let reading = RingEntry {
            kid: "e".to_owned(),
            purpose: Use::Encryption,
            alg: Family::P256,
            stage: Stage::Withdrawn,
            published_at: at(0),
            signs_at: at(0),
            retired_at: None,
            gone_at: None,
            withdrawn_at: Some(at(60)),
        };
        assert_eq!(
            text(&reading),
            "ECDH-ES (enc)  e  withdrawn  published 1970-01-01T00:00:00Z  used from 1970-01-01T00:00:00Z  \
             withdrawn 1970-01-01T00:01:00Z"
        );
        assert_eq!(json!(reading)["use"], "enc");
    }

    #[test]
    fn every_ring_has_its_word() {
        for ring in Ring::ALL {
            assert_eq!(ring.as_str().parse(), Ok(*ring));
        }
        assert_eq!(Ring::ALL.len(), SigningAlg::ALL.len() + Family::ALL.len());
        assert!("HS256".parse::<Ring>().is_err());
    }
}
