//! The command line of the stable contract (`docs/operating.md`).
//!
//! Decides what a command prints and how it ends: what was asked for on stdout, logs and mistakes on stderr;
//! 0 done, 1 failed, 2 used wrongly. Secrets are never arguments, because everybody on the machine can read
//! those.

mod client;
mod config;
mod events;
mod failure;
mod input;
mod installation;
mod keys;
mod passwords;
mod print;
mod resource;
mod user;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand};
use serde_json::json;

use crate::serve::Told;
use crate::settings::{Flags, Mode, Settings, environment};
use crate::{logging, serve};

use failure::Failure;
use installation::Installation;
use print::{Answer, Printer};

/// An OAuth 2.0 and OpenID Connect authorization server.
#[derive(Debug, Parser)]
#[command(name = "countersign", version)]
struct Cli {
    /// Settings file (TOML); the environment and flags go before it
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON on stdout
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve {
        /// Try it out on this machine: needs no configuration, brings a demo user, and a demo app and API on the two
        /// ports after its own
        #[arg(long)]
        dev: bool,
        #[command(flatten)]
        flags: Flags,
    },
    /// Look at the settings
    #[command(subcommand)]
    Config(config::Config),
    /// Passwords that nobody may choose
    #[command(subcommand)]
    Passwords(passwords::Passwords),
    #[command(flatten)]
    Act(Act),
}

/// What is done to an installation, running or not.
#[derive(Debug, Subcommand)]
enum Act {
    /// Bring the database to the schema of this version
    Migrate,
    /// Signing keys
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Apps that people sign in to
    #[command(subcommand)]
    Client(Box<client::Client>),
    /// Resource servers (APIs): whom access tokens are for
    #[command(subcommand)]
    Resource(resource::Resource),
    /// People
    #[command(subcommand)]
    User(user::User),
    /// What happened: the audit trail
    #[command(subcommand)]
    Events(events::Events),
}

/// Runs the command that the arguments describe; the first is the name of the program.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let done = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli.run(),
        Err(answer) => {
            // Help and version come this way as well, with code 0. Nobody is left to tell when printing fails.
            let _ = answer.print();
            return ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(2));
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(&mut io::stderr().lock());
            ExitCode::FAILURE
        }
    }
}

impl Cli {
    fn run(self) -> Result<(), Failure> {
        let file = self.config.as_deref();
        let mut stdout = io::stdout();
        let mut printer = Printer::new(self.json, &mut stdout);
        match self.command {
            Command::Serve { dev, flags } => {
                logging::start();
                let mode = if dev { Mode::Dev } else { Mode::Serve };
                let settings = load(flags, file, mode)?;
                let told = match self.json {
                    true => Told::AsJson,
                    false => Told::ToPeople,
                };
                let runtime = tokio::runtime::Runtime::new()?;
                Ok(runtime.block_on(serve::run(settings, mode, told))?)
            }
            Command::Config(config) => config.run(file, &mut printer),
            Command::Passwords(passwords) => passwords.run(&mut printer),
            Command::Act(act) => {
                logging::start_quietly();
                let settings = load(act.flags(), file, Mode::Command)?;
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                runtime.block_on(act.run(settings, &mut printer))
            }
        }
    }
}

fn load(flags: Flags, file: Option<&Path>, mode: Mode) -> Result<Settings, Failure> {
    Ok(Settings::load(flags, environment(), file, mode)?)
}

impl Act {
    fn flags(&self) -> Flags {
        match self {
            Self::Keys(keys) => keys.flags(),
            Self::Migrate | Self::Client(_) | Self::Resource(_) | Self::User(_) | Self::Events(_) => {
                Flags::default()
            }
        }
    }

    async fn run(self, settings: Settings, printer: &mut Printer<'_>) -> Result<(), Failure> {
        let installation = Installation::open(settings).await?;
        let done = match self {
            Self::Migrate => printer.answer(&migrated(installation.migrated)),
            Self::Keys(keys) => keys.run(&installation, printer).await,
            Self::Client(client) => client.run(&installation, printer).await,
            Self::Resource(resource) => resource.run(&installation, printer).await,
            Self::User(user) => user.run(&installation, printer).await,
            Self::Events(events) => events.run(&installation, printer).await,
        };
        installation.db.close().await;
        done
    }
}

/// Opening the installation did it.
fn migrated(count: usize) -> Answer {
    let version = db::MIGRATIONS.len();
    Answer {
        json: json!({ "applied": count, "version": version }),
        lines: vec![match count {
            0 => format!("the schema is up to date (version {version})"),
            1 => format!("1 migration applied (version {version})"),
            _ => format!("{count} migrations applied (version {version})"),
        }],
    }
}

/// Reads a word of one of our vocabularies; help and mistakes list them all.
fn word<T>(all: &'static [T], spelled: fn(T) -> &'static str) -> impl TypedValueParser<Value = T>
where
    T: Copy + FromStr<Err = protocol::oauth::Unknown> + Send + Sync + 'static,
{
    PossibleValuesParser::new(all.iter().map(|word| spelled(*word))).try_map(|text| text.parse::<T>())
}

/// Reads an id. Ours are base64url and may begin with a hyphen, as no mistyped flag may.
fn id(text: &str) -> Result<String, &'static str> {
    let flag = text
        .strip_prefix("--")
        .or(text.strip_prefix('-').filter(|rest| rest.len() == 1));
    match flag.map(|flag| flag.split('=').next().unwrap_or(flag)) {
        Some(word) if word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') => {
            Err("this command has no such flag")
        }
        _ => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests;
