//! The three places a setting can come from, and which of them wins.

use std::collections::BTreeMap;
use std::path::Path;

use super::Mistake;
use super::name::{Name, PREFIX};

/// The settings that may be given on the command line. The database URL may not: it can hold a password, and
/// everybody on the machine can read arguments.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// Issuer and public base URL
    #[arg(long, value_name = "URL")]
    pub issuer: Option<String>,
    /// Address and port of the main listener
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// Directory of the master key
    #[arg(long, value_name = "DIR")]
    pub keys_dir: Option<String>,
    /// Addresses or prefixes whose forwarding headers count
    #[arg(long, value_name = "LIST")]
    pub trusted_proxies: Option<String>,
    /// Rate limits: on or off
    #[arg(long, value_name = "on|off")]
    pub limits: Option<String>,
}

/// Where a value was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    Flag,
    Environment,
    File,
    Default,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::File => "file",
            Self::Default => "default",
        })
    }
}

/// The environment of this process, as far as it is ours. Bytes that are no UTF-8 become U+FFFD, which no
/// setting accepts.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .map(|(name, value)| {
            (
                name.to_string_lossy().into_owned(),
                value.to_string_lossy().into_owned(),
            )
        })
        .filter(|(name, _)| name.starts_with(PREFIX))
}

/// A value, not yet parsed.
pub(super) struct Given {
    pub(super) text: String,
    /// What the operator calls it, for mistakes: `COUNTERSIGN_ISSUER`, `--issuer`, `issuer in c.toml`.
    pub(super) label: String,
    pub(super) source: Source,
}

/// What all sources say, the winner for each name.
pub(super) struct Sources(BTreeMap<Name, Given>);

impl Sources {
    pub(super) fn gather(
        flags: Flags,
        environment: impl Iterator<Item = (String, String)>,
        file: Option<&Path>,
        mistakes: &mut Vec<Mistake>,
    ) -> Self {
        let mut winners = BTreeMap::new();
        if let Some(path) = file {
            winners.extend(from_file(path, mistakes));
        }
        winners.extend(from_environment(environment, mistakes));
        winners.extend(from_flags(flags, mistakes));
        let mut sources = Self(winners);
        for &name in Name::ALL {
            if let Some(text) = name.default() {
                sources.set_default(name, text.to_owned());
            }
        }
        sources
    }

    /// What holds when no source says anything.
    pub(super) fn set_default(&mut self, name: Name, text: String) {
        self.0.entry(name).or_insert_with(|| Given {
            text,
            label: name.variable(),
            source: Source::Default,
        });
    }

    pub(super) fn take(&mut self, name: Name) -> Option<Given> {
        self.0.remove(&name)
    }
}

fn from_flags(flags: Flags, mistakes: &mut Vec<Mistake>) -> BTreeMap<Name, Given> {
    let Flags {
        issuer,
        listen,
        keys_dir,
        trusted_proxies,
        limits,
    } = flags;
    let mut level = Level::new(Source::Flag);
    for (name, flag, value) in [
        (Name::Issuer, "--issuer", issuer),
        (Name::Listen, "--listen", listen),
        (Name::KeysDir, "--keys-dir", keys_dir),
        (Name::TrustedProxies, "--trusted-proxies", trusted_proxies),
        (Name::Limits, "--limits", limits),
    ] {
        if let Some(text) = value {
            level.add(Form::Value(name), flag.to_owned(), text, mistakes);
        }
    }
    level.given
}

fn from_environment(
    environment: impl Iterator<Item = (String, String)>,
    mistakes: &mut Vec<Mistake>,
) -> BTreeMap<Name, Given> {
    let mut level = Level::new(Source::Environment);
    for (variable, text) in environment {
        let Some(rest) = variable.strip_prefix(PREFIX) else {
            continue;
        };
        if is_made_by_kubernetes(rest) {
            continue;
        }
        match Form::parse(rest) {
            Some(form) => level.add(form, variable, text, mistakes),
            None => mistakes.push(Mistake::new(
                &variable.escape_debug().to_string(),
                "is no setting of this version; unset it",
            )),
        }
    }
    level.given
}

/// Kubernetes puts these into every pod that runs beside a service named `countersign`.
fn is_made_by_kubernetes(rest: &str) -> bool {
    rest.starts_with("PORT") || rest.starts_with("SERVICE_")
}

fn from_file(path: &Path, mistakes: &mut Vec<Mistake>) -> BTreeMap<Name, Given> {
    let mut level = Level::new(Source::File);
    let file = path.display().to_string();
    for (key, value) in read_table(path, mistakes) {
        let label = format!("{} in {file}", key.escape_debug());
        let form = Form::parse(&key.to_ascii_uppercase()).filter(|_| key == key.to_ascii_lowercase());
        let Some(form) = form else {
            mistakes.push(Mistake::new(
                &label,
                "is no setting of this version; take the line out",
            ));
            continue;
        };
        match text_of(&value, form) {
            Ok(text) => level.add(form, label, text, mistakes),
            Err(fault) => mistakes.push(Mistake::new(&label, fault)),
        }
    }
    level.given
}

fn read_table(path: &Path, mistakes: &mut Vec<Mistake>) -> toml::Table {
    let file = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(cause) => {
            mistakes.push(Mistake::new(&file, format!("cannot be read: {cause}")));
            return toml::Table::new();
        }
    };
    text.parse().unwrap_or_else(|cause: toml::de::Error| {
        // Its Display quotes the line, which may hold the password of the database.
        let before = cause.span().and_then(|span| text.get(..span.start));
        let line = before.map_or(1, |before| before.matches('\n').count() + 1);
        mistakes.push(Mistake::new(&file, format!("line {line} is not valid TOML")));
        toml::Table::new()
    })
}

fn text_of(value: &toml::Value, form: Form) -> Result<String, &'static str> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Boolean(value)
            if matches!(
                form,
                Form::Value(Name::RegistrationRequirePkce | Name::RequirePushedAuthorizationRequests)
            ) =>
        {
            Ok(value.to_string())
        }
        toml::Value::Array(items) if form.name().is_list() => {
            let texts: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
            texts
                .map(|texts| texts.join(","))
                .ok_or("must be a string or an array of strings")
        }
        _ if form.name().is_list() => Err("must be a string or an array of strings"),
        _ if form.name() == Name::Limits => Err("must be \"on\" or \"off\", in quotes"),
        _ => Err("must be a string, in quotes"),
    }
}

/// A setting is given as its value, or, where it can hold a secret, as the path of a file that has the value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Value(Name),
    File(Name),
}

impl Form {
    fn parse(spelled: &str) -> Option<Self> {
        let secret = |name: &str| name.parse().ok().filter(|name: &Name| name.is_secret());
        match spelled.parse() {
            Ok(name) => Some(Self::Value(name)),
            Err(_) => spelled.strip_suffix("_FILE").and_then(secret).map(Self::File),
        }
    }

    fn name(self) -> Name {
        match self {
            Self::Value(name) | Self::File(name) => name,
        }
    }
}

/// What is said of a setting without a value.
pub(super) const EMPTY: &str = "is empty; give a value or take it away";

/// What one source says. Between sources the higher wins; within one, two answers are a contradiction.
struct Level {
    source: Source,
    given: BTreeMap<Name, Given>,
}

impl Level {
    fn new(source: Source) -> Self {
        Self {
            source,
            given: BTreeMap::new(),
        }
    }

    fn add(&mut self, form: Form, label: String, text: String, mistakes: &mut Vec<Mistake>) {
        if text.is_empty() {
            // An empty variable is mostly an expansion that failed; the default would hide that.
            mistakes.push(Mistake::new(&label, EMPTY));
            return;
        }
        if let Some(other) = self.given.get(&form.name()) {
            let line = format!("contradicts {}; give only one of them", other.label);
            mistakes.push(Mistake::new(&label, line));
            return;
        }
        let text = match form {
            Form::Value(_) => text,
            Form::File(_) => match read_secret(&text) {
                Ok(text) => text,
                Err(fault) => {
                    mistakes.push(Mistake::new(&label, fault));
                    return;
                }
            },
        };
        let given = Given {
            text,
            label,
            source: self.source,
        };
        self.given.insert(form.name(), given);
    }
}

fn read_secret(path: &str) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|cause| format!("{path:?} cannot be read: {cause}"))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(format!("{path:?} is empty")),
        text => Ok(text.to_owned()),
    }
}
