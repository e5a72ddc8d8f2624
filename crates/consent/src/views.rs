//! What the pages on the way show, as data: the templates turn it into words, the handlers fill it in.

mod sign_out;

use accounts::claims::Claim;
use askama::Template;
use clients::Metadata;
use pages::{FormTarget, Held, Markup, Shell, Texts, View};
use protocol::redirect_uri;
use url::Url;

pub(crate) use sign_out::{After, Back, SignOut, SignedOut};

/// `templates/login.html`: OpenID Connect Core §3.1.2.3.
#[derive(Debug, Template)]
#[template(path = "login.html")]
pub(crate) struct Login {
    pub(crate) shell: Shell,
    /// The sealed flow, as it came.
    pub(crate) flow: String,
    pub(crate) csrf: String,
    /// The client that waits; none when the way leads to a page of our own.
    pub(crate) app: Option<App>,
    /// The text that says what for, where no client waits.
    pub(crate) lead: Option<&'static str>,
    pub(crate) who: Who,
    /// Whether "keep me signed in" was ticked on the try before this one.
    pub(crate) remember: bool,
    /// What was wrong with the try before this one.
    pub(crate) faults: Vec<LoginFault>,
    /// The way to a new password, where there is one.
    pub(crate) forgot: Option<String>,
    /// The way to an account, where everybody may make one.
    pub(crate) create: Option<String>,
}

/// Whom the page asks.
#[derive(Debug)]
pub(crate) enum Who {
    /// Anyone; `typed` is what stood in the field before, or `login_hint`.
    Anyone { typed: String },
    /// The user of the session, once more. The page sends the same fields; its `username` is fixed, and only
    /// the session says who it is.
    Known(Person),
}

/// `templates/choose.html`: the accounts that are signed in on this browser.
#[derive(Debug, Template)]
#[template(path = "choose.html")]
pub(crate) struct Choose {
    pub(crate) shell: Shell,
    pub(crate) flow: String,
    pub(crate) csrf: String,
    pub(crate) app: App,
    pub(crate) accounts: Vec<Account>,
}

#[derive(Debug)]
pub(crate) struct Account {
    /// What the form sends to name it.
    pub(crate) value: String,
    pub(crate) person: Person,
}

#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) name: Option<String>,
    pub(crate) email: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoginFault {
    UsernameMissing,
    PasswordMissing,
    /// Unknown, wrong or disabled: one text for all (C069).
    Wrong,
    /// Too many passwords are being checked; send the page with 503.
    Busy,
    /// Too many sign-ins from there, or at that account, have failed; send the page with 429.
    TooMany(Held),
}

/// `templates/consent.html`: OpenID Connect Core §3.1.2.4.
#[derive(Debug, Template)]
#[template(path = "consent.html")]
pub(crate) struct Consent {
    pub(crate) shell: Shell,
    pub(crate) flow: String,
    pub(crate) csrf: String,
    pub(crate) app: App,
    pub(crate) person: Person,
    /// What is asked for and not yet allowed.
    pub(crate) fresh: Vec<Group>,
    /// What is asked for and was allowed before.
    pub(crate) already: Vec<Group>,
}

#[derive(Debug)]
pub(crate) struct App {
    pub(crate) name: String,
    /// Where we have its picture.
    pub(crate) logo: Option<String>,
    pub(crate) trust: Trust,
    pub(crate) destination: Destination,
    pub(crate) links: Links,
}

/// What a client says of itself elsewhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links {
    pub(crate) policy: Option<Link>,
    pub(crate) terms: Option<Link>,
}

/// A page of somebody else's, with the host that a person should see before going there.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) uri: String,
    pub(crate) host: String,
}

impl Links {
    pub(crate) fn of(client: &Metadata) -> Self {
        Self {
            policy: client.policy_uri.as_deref().and_then(Link::to),
            terms: client.tos_uri.as_deref().and_then(Link::to),
        }
    }
}

impl Link {
    fn to(uri: &str) -> Option<Self> {
        let url = Url::parse(uri).ok()?;
        Some(Self {
            host: url.host_str()?.to_owned(),
            uri: uri.to_owned(),
        })
    }
}

impl App {
    /// Stands where its logo would.
    fn initial(&self) -> String {
        let first = self.name.chars().find(|c| c.is_alphanumeric());
        first.map(|c| c.to_uppercase().collect()).unwrap_or_default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// An operator registered it.
    Trusted,
    /// It registered itself: its name is a claim.
    Unverified,
}

/// Where Allow takes the browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    Host(String),
    /// A loopback address: whatever program listens there.
    ThisComputer(String),
    /// An installed app, by its private scheme (RFC 8252 §7.1).
    App(String),
}

/// Permissions with one owner: the user's data here, or one API.
#[derive(Debug)]
pub(crate) struct Group {
    /// The API's name; none for what this server itself gives.
    pub(crate) api: Option<String>,
    pub(crate) permissions: Vec<Permission>,
}

/// What a scope means to a person, with the data it would hand over.
#[derive(Debug)]
pub(crate) enum Permission {
    OpenId,
    Profile {
        name: Option<String>,
    },
    Email {
        email: Option<String>,
    },
    Address {
        address: Option<String>,
    },
    Phone {
        phone: Option<String>,
    },
    OfflineAccess,
    /// A claim asked for by its name.
    Claim {
        claim: Claim,
        value: Option<String>,
    },
    /// A resource server's scope, in the words registered for it.
    Api {
        text: String,
    },
}

impl View for Login {
    fn shell(&self) -> &Shell {
        &self.shell
    }

    fn form_target(&self) -> FormTarget {
        match self.app {
            Some(_) => FormTarget::Client,
            None => FormTarget::Ourselves,
        }
    }
}

impl View for Choose {
    fn shell(&self) -> &Shell {
        &self.shell
    }

    fn form_target(&self) -> FormTarget {
        FormTarget::Client
    }
}

impl View for Consent {
    fn shell(&self) -> &Shell {
        &self.shell
    }

    fn form_target(&self) -> FormTarget {
        FormTarget::Client
    }
}

impl Login {
    fn task(&self) -> Markup {
        match self.who {
            Who::Anyone { .. } => self.shell.texts.text("login-title"),
            Who::Known(_) => self.shell.texts.text("login-confirm-title"),
        }
    }

    /// The field that a fault is shown at, by its id.
    fn field_of(&self, fault: &LoginFault) -> Option<&'static str> {
        match (fault, &self.who) {
            (LoginFault::UsernameMissing, _) | (LoginFault::Wrong, Who::Anyone { .. }) => Some("username"),
            (LoginFault::PasswordMissing, _) | (LoginFault::Wrong, Who::Known(_)) => Some("current-password"),
            (LoginFault::Busy | LoginFault::TooMany(_), _) => None,
        }
    }

    fn fault_at(&self, field: &str) -> Option<LoginFault> {
        self.faults
            .iter()
            .copied()
            .find(|fault| self.field_of(fault) == Some(field))
    }

    /// Of a wrong pair either may be wrong, so both fields point to the one text.
    fn faulty_field(&self, field: &'static str) -> Option<&'static str> {
        if self.faults.contains(&LoginFault::Wrong) {
            return self.field_of(&LoginFault::Wrong);
        }
        self.fault_at(field).and(Some(field))
    }

    /// A known user's name is fixed, so only the password can be wrong.
    fn words_of(&self, fault: &LoginFault) -> Markup {
        let texts = self.shell.texts;
        match (fault, &self.who) {
            (LoginFault::UsernameMissing, _) => texts.text("login-username-missing"),
            (LoginFault::PasswordMissing, _) => texts.text("login-password-missing"),
            (LoginFault::Wrong, Who::Anyone { .. }) => texts.text("login-wrong"),
            (LoginFault::Wrong, Who::Known(_)) => texts.text("login-wrong-password"),
            (LoginFault::Busy, _) => texts.text("login-busy"),
            (LoginFault::TooMany(held), _) => self.wait(*held),
        }
    }

    /// How long, and what else there is to do.
    fn wait(&self, held: Held) -> Markup {
        let texts = self.shell.texts;
        let n = [("n", Markup::plain(&held.minutes().to_string()))];
        match (held, held.minutes(), &self.forgot) {
            (Held::Network(_), ..=1, _) => texts.text("login-network-minute"),
            (Held::Network(_), 2.., _) => texts.with("login-network-minutes", &n),
            (Held::Account(_), ..=1, Some(_)) => texts.text("login-account-minute"),
            (Held::Account(_), 2.., Some(_)) => texts.with("login-account-minutes", &n),
            (Held::Account(_), ..=1, None) => texts.text("login-account-wait-minute"),
            (Held::Account(_), 2.., None) => texts.with("login-account-wait-minutes", &n),
        }
    }

    /// Where typing begins. With faults it is the list of them that gets the focus.
    fn begins_at(&self, field: &str) -> bool {
        let first = match &self.who {
            Who::Anyone { typed } if typed.is_empty() => "username",
            Who::Anyone { .. } | Who::Known(_) => "current-password",
        };
        self.faults.is_empty() && first == field
    }
}

impl Person {
    fn shown(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.email)
    }

    fn initial(&self) -> String {
        self.shown()
            .chars()
            .next()
            .map(|c| c.to_uppercase().collect())
            .unwrap_or_default()
    }
}

impl Destination {
    /// Where a redirect URI of a client leads.
    pub(crate) fn of(redirect_uri: &str) -> Self {
        let shown = redirect_uri::shown_host(redirect_uri);
        if !redirect_uri.starts_with("http:") && !redirect_uri.starts_with("https:") {
            return Self::App(shown);
        }
        // Only loopback addresses can be registered with http.
        if redirect_uri.starts_with("http:") || is_loopback(&shown) {
            return Self::ThisComputer(shown);
        }
        Self::Host(shown)
    }

    fn shown(&self) -> &str {
        match self {
            Self::Host(text) | Self::ThisComputer(text) | Self::App(text) => text,
        }
    }
}

fn is_loopback(shown: &str) -> bool {
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|host| {
        let port = shown.strip_prefix(host);
        port.is_some_and(|port| port.is_empty() || port.starts_with(':'))
    })
}

impl Permission {
    fn text(&self, texts: &Texts) -> Markup {
        match self {
            Self::OpenId => texts.text("consent-openid"),
            Self::Profile { name: Some(name) } => texts.rich("consent-profile", &[("name", name)]),
            Self::Profile { name: None } => texts.text("consent-profile-empty"),
            Self::Email { email: Some(email) } => texts.rich("consent-email", &[("email", email)]),
            Self::Email { email: None } => texts.text("consent-email-empty"),
            Self::Address {
                address: Some(address),
            } => texts.rich("consent-address", &[("address", address)]),
            Self::Address { address: None } => texts.text("consent-address-empty"),
            Self::Phone { phone: Some(phone) } => texts.rich("consent-phone", &[("phone", phone)]),
            Self::Phone { phone: None } => texts.text("consent-phone-empty"),
            Self::OfflineAccess => texts.text("consent-offline"),
            Self::Claim { claim, value } => claim_text(*claim, value.as_deref(), texts),
            Self::Api { text } => Markup::plain(text),
        }
    }
}

/// What a claim tells, in words, and the value that it would tell.
fn claim_text(claim: Claim, value: Option<&str>, texts: &Texts) -> Markup {
    let shown = match value {
        Some(value) => Markup::isolated(value),
        None => texts.text("consent-claim-empty"),
    };
    let value = [("value", shown)];
    match claim {
        Claim::Name => texts.with("consent-claim-name", &value),
        Claim::GivenName => texts.with("consent-claim-given-name", &value),
        Claim::FamilyName => texts.with("consent-claim-family-name", &value),
        Claim::MiddleName => texts.with("consent-claim-middle-name", &value),
        Claim::Nickname => texts.with("consent-claim-nickname", &value),
        Claim::PreferredUsername => texts.with("consent-claim-preferred-username", &value),
        Claim::Profile => texts.with("consent-claim-profile", &value),
        Claim::Picture => texts.with("consent-claim-picture", &value),
        Claim::Website => texts.with("consent-claim-website", &value),
        Claim::Gender => texts.with("consent-claim-gender", &value),
        Claim::Birthdate => texts.with("consent-claim-birthdate", &value),
        Claim::Zoneinfo => texts.with("consent-claim-zoneinfo", &value),
        Claim::Locale => texts.with("consent-claim-locale", &value),
        Claim::UpdatedAt => texts.text("consent-claim-updated-at"),
        Claim::Email => texts.with("consent-claim-email", &value),
        Claim::EmailVerified => texts.text("consent-claim-email-verified"),
        Claim::Address => texts.with("consent-claim-address", &value),
        Claim::PhoneNumber => texts.with("consent-claim-phone-number", &value),
        Claim::PhoneNumberVerified => texts.text("consent-claim-phone-number-verified"),
    }
}

#[cfg(test)]
mod tests;
