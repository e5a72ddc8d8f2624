//! The settings: flags beat environment beat file.
//!
//! Decides what this process is configured to be. Everything is parsed once into the types the code wants, and
//! all mistakes are reported together, before a port is opened: whoever starts a server at night should not
//! have to start it five times to learn five things.

mod keys;
mod mail;
mod mtls;
mod name;
mod operator;
mod proxies;
mod sources;
mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use accounts::passwords::Breached;
use clients::registrations::quota::Hours;
use clients::{AssertionAudience, Trust};
use pages::Operator;
use protocol::{Issuer, PushedRequests, ResponseTypes, SignUp};
use registry::{Admission, Terms};

pub use self::mail::Mail;
pub use keys::KeySettings;
pub use mtls::Mtls;
pub use name::Name;
pub use proxies::TrustedProxies;
pub use sources::{Flags, Source, environment};
pub use values::{DatabaseUrl, RateLimits, TlsFiles};

use sources::{Given, Sources};

/// What the process is started for: some settings have another default, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The server in production: the issuer is required.
    Serve,
    /// `serve --dev`: nothing is required, everything stays on this machine.
    Dev,
    /// Any other command: the issuer may be missing.
    Command,
}

#[derive(Clone, Debug)]
pub struct Settings {
    /// There always is one in [`Mode::Serve`] and [`Mode::Dev`].
    pub issuer: Option<Issuer>,
    pub listen: SocketAddr,
    pub database: DatabaseUrl,
    pub keys_dir: PathBuf,
    pub keys: KeySettings,
    pub trusted_proxies: TrustedProxies,
    pub limits: RateLimits,
    /// To serve https ourselves.
    pub tls: Option<TlsFiles>,
    /// Where clients are asked for certificates.
    pub mtls: Option<Mtls>,
    pub response_types: ResponseTypes,
    pub pushed_requests: PushedRequests,
    pub registration: Terms,
    /// Who may make an account for themselves.
    pub sign_up: SignUp,
    /// The list of passwords that are known from breaches.
    pub breached_passwords: Option<PathBuf>,
    /// None where no mail is sent.
    pub mail: Option<Mail>,
    /// What the pages say of the people who run this site.
    pub operator: Operator,
    /// What may be fetched from other servers, and whom they are trusted by.
    pub egress: egress::Settings,
    shown: BTreeMap<Name, Shown>,
}

/// One line about what the operator has to change. Never holds the value of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake(String);

/// One setting as `config show` prints it, secrets masked.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Shown {
    /// The name in the environment.
    pub name: String,
    /// `None` where nothing is set and nothing is the default.
    pub value: Option<String>,
    pub source: Source,
}

impl Settings {
    /// # Errors
    /// Every mistake in all sources, one line each.
    pub fn load(
        flags: Flags,
        environment: impl Iterator<Item = (String, String)>,
        file: Option<&Path>,
        mode: Mode,
    ) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let sources = Sources::gather(flags, environment, file, &mut mistakes);
        let mut reader = Reader {
            sources,
            mode,
            mistakes,
            shown: BTreeMap::new(),
        };

        let listen = reader.read(Name::Listen, values::listen);
        let issuer = reader.issuer(listen);
        let database = reader.read(Name::DatabaseUrl, DatabaseUrl::parse);
        let keys_dir = reader.read(Name::KeysDir, values::path);
        let keys = reader.keys(keys_dir.clone());
        let trusted_proxies = reader.read(Name::TrustedProxies, TrustedProxies::parse);
        let limits = reader.read(Name::Limits, RateLimits::parse);
        let tls = reader.tls(issuer.as_ref());
        let mtls = reader.mtls(tls.as_ref(), trusted_proxies.as_ref());
        let response_types = reader.read(Name::ResponseTypes, values::response_types);
        let pushed_requests = reader.read(Name::RequirePushedAuthorizationRequests, values::pushed_requests);
        let registration = reader.registration(limits);
        let egress = egress::Settings {
            private_hosts: reader
                .read(Name::EgressAllowPrivate, values::hosts)
                .unwrap_or_default(),
            extra_roots: reader
                .read(Name::EgressCa, values::certificates)
                .unwrap_or_default(),
        };
        let mail = reader.mail();
        let sign_up = reader.sign_up();
        let breached_passwords = reader.read(Name::BreachedPasswords, values::path);
        let operator = reader.operator();
        reader.refuse_what_is_not_there_yet();
        reader.refuse_dev_beyond_this_machine(issuer.as_ref(), listen);

        let (
            true,
            Some(listen),
            Some(database),
            Some(keys_dir),
            Some(keys),
            Some(trusted_proxies),
            Some(limits),
            Some(response_types),
            Some(pushed_requests),
            Some(registration),
            Some(sign_up),
        ) = (
            reader.mistakes.is_empty(),
            listen,
            database,
            keys_dir,
            keys,
            trusted_proxies,
            limits,
            response_types,
            pushed_requests,
            registration,
            sign_up,
        )
        else {
            return Err(reader.mistakes);
        };
        Ok(Self {
            issuer,
            listen,
            database,
            keys_dir,
            keys,
            trusted_proxies,
            limits,
            tls,
            mtls,
            response_types,
            pushed_requests,
            registration,
            sign_up,
            breached_passwords,
            mail,
            operator,
            egress,
            shown: reader.shown,
        })
    }

    /// The issuer, for a command that cannot do without.
    ///
    /// # Errors
    /// The line that asks for it.
    pub fn require_issuer(&self) -> Result<&Issuer, Mistake> {
        self.issuer.as_ref().ok_or_else(issuer_is_missing)
    }

    /// The list of passwords that nobody may choose, where there is one.
    ///
    /// # Errors
    /// The line that says what is wrong with the file.
    pub fn breached(&self) -> Result<Option<Breached>, Mistake> {
        let Some(path) = &self.breached_passwords else {
            return Ok(None);
        };
        let opened = Breached::open(path).map_err(|bad| {
            let text = format!("{:?} {bad}", path.display().to_string());
            Mistake::new(&Name::BreachedPasswords.variable(), text)
        });
        opened.map(Some)
    }

    /// Every setting of the contract with its value and where that came from; secrets are masked.
    pub fn shown(&self) -> impl Iterator<Item = &Shown> {
        self.shown.values()
    }
}

impl Mistake {
    fn new(label: &str, text: impl fmt::Display) -> Self {
        Self(format!("{label}: {text}"))
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Mistake {}

fn issuer_is_missing() -> Mistake {
    Mistake::new(
        &Name::Issuer.variable(),
        "is required; give the public base URL, like https://sso.example.com",
    )
}

/// Takes one setting after the other and collects what is wrong with them.
struct Reader {
    sources: Sources,
    mode: Mode,
    mistakes: Vec<Mistake>,
    shown: BTreeMap<Name, Shown>,
}

impl Reader {
    fn read<T>(&mut self, name: Name, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let given = self.given(name)?;
        parse(&given.text)
            .map_err(|fault| self.mistakes.push(Mistake::new(&given.label, fault)))
            .ok()
    }

    /// Without one, `--dev` is where it listens, and the server does not start.
    fn issuer(&mut self, listen: Option<SocketAddr>) -> Option<Issuer> {
        if self.mode == Mode::Dev
            && let Some(listen) = listen
        {
            let text = format!("http://localhost:{}", listen.port());
            self.sources.set_default(Name::Issuer, text);
        }
        let issuer = self.read(Name::Issuer, values::issuer);
        let missing = self
            .shown
            .get(&Name::Issuer)
            .is_none_or(|shown| shown.value.is_none());
        let is_told = self.mistakes.iter().any(|mistake| {
            mistake.0.ends_with(sources::EMPTY) && mistake.0.to_lowercase().contains("issuer")
        });
        if missing && !is_told && self.mode == Mode::Serve {
            self.mistakes.push(issuer_is_missing());
        }
        issuer
    }

    /// Certificate and key, which are nothing without each other.
    fn tls(&mut self, issuer: Option<&Issuer>) -> Option<TlsFiles> {
        let cert = self.read(Name::TlsCert, values::path);
        let key = self.read(Name::TlsKey, values::path);
        let (cert, key) = match (cert, key) {
            (Some(cert), Some(key)) => (cert, key),
            (None, None) => return None,
            (Some(_), None) => return self.needs(Name::TlsKey, Name::TlsCert),
            (None, Some(_)) => return self.needs(Name::TlsCert, Name::TlsKey),
        };
        if issuer.is_some_and(|issuer| !issuer.is_secure()) {
            self.mistakes.push(Mistake::new(
                &Name::TlsCert.variable(),
                "has this server speak https, and the issuer is http: change one of them",
            ));
        }
        Some(TlsFiles { cert, key })
    }

    /// Notes that one setting lacks another; `None` for whoever wanted both.
    fn needs<T>(&mut self, missing: Name, given: Name) -> Option<T> {
        let line = format!(
            "is missing, and {given} is nothing without it",
            given = given.variable()
        );
        self.mistakes.push(Mistake::new(&missing.variable(), line));
        None
    }

    /// `--dev` is for trying things out, which includes apps that register themselves.
    fn registration(&mut self, limits: Option<RateLimits>) -> Option<Terms> {
        let usual = match self.mode {
            Mode::Dev => Admission::Open,
            Mode::Serve | Mode::Command => Admission::Closed,
        };
        self.sources.set_default(Name::Registration, usual.to_string());
        let admission = self.read(Name::Registration, |text| values::word(text, Admission::ALL));
        let trust = self.read(Name::RegistrationTrust, |text| values::word(text, Trust::ALL));
        let require_pkce = self.read(Name::RegistrationRequirePkce, values::flag);
        let assertion_audience = self.read(Name::RegistrationAssertionAudience, |text| {
            values::word(text, AssertionAudience::ALL)
        });
        Some(Terms {
            admission: admission?,
            trust: trust?,
            require_pkce: require_pkce?,
            assertion_audience: assertion_audience?,
            hours: match limits? {
                RateLimits::On => Hours::Counted,
                RateLimits::Off => Hours::Free,
            },
            ..Terms::default()
        })
    }

    /// The winner of all sources, noted for `config show`.
    fn given(&mut self, name: Name) -> Option<Given> {
        let given = self.sources.take(name);
        let shown = Shown {
            name: name.variable(),
            value: given.as_ref().map(|given| match name {
                Name::DatabaseUrl | Name::MailSmtpUrl => values::masked(&given.text),
                Name::MasterKey => values::MASK.to_owned(),
                _ => given.text.clone(),
            }),
            source: given.as_ref().map_or(Source::Default, |given| given.source),
        };
        self.shown.insert(name, shown);
        given
    }

    /// A setting whose feature does not exist yet may say what is true without it, and nothing else: silently
    /// ignoring, say, a certificate would leave the operator believing in https.
    fn refuse_what_is_not_there_yet(&mut self) {
        for &name in Name::ALL {
            let Some(missing) = name.not_there_yet() else {
                continue;
            };
            if let Some(given) = self.given(name)
                && missing.only != Some(given.text.as_str())
            {
                self.mistakes.push(Mistake::new(&given.label, missing.line));
            }
        }
    }

    /// `--dev` has a user with a printed password and secrets under the working directory: it must not be
    /// reachable from elsewhere.
    fn refuse_dev_beyond_this_machine(&mut self, issuer: Option<&Issuer>, listen: Option<SocketAddr>) {
        if self.mode != Mode::Dev {
            return;
        }
        if issuer.is_some_and(|issuer| !issuer.is_loopback()) {
            self.mistakes.push(Mistake::new(
                &Name::Issuer.variable(),
                "contradicts --dev, which is for localhost only",
            ));
        }
        if listen.is_some_and(|listen| !listen.ip().is_loopback()) {
            self.mistakes.push(Mistake::new(
                &Name::Listen.variable(),
                "contradicts --dev, which listens on a loopback address only",
            ));
        }
    }
}

#[cfg(test)]
mod tests;
