//! What the pages of the account show, as data: the templates turn it into words, the handlers fill it in.

use accounts::claims::Claim;
use accounts::sessions::Session;
use askama::Template;
use pages::{FormTarget, Markup, Shell, Texts, View};
use protocol::{Timestamp, path, scope};

use super::proof::Unproven;
use super::when::day;
use crate::views::PasswordFault;

/// What all of them share.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) here: Here,
    pub(crate) csrf: String,
    /// Whose account it is.
    pub(crate) person: Person,
}

/// Which page of the account this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Here {
    Home,
    Switch,
    Password,
    Devices,
    Apps,
}

impl Here {
    /// Where the navigation leads, in its order.
    const PLACES: [Self; 3] = [Self::Password, Self::Devices, Self::Apps];

    fn path(self) -> &'static str {
        match self {
            Self::Home => path::ACCOUNT,
            Self::Switch => path::ACCOUNT_SWITCH,
            Self::Password => path::ACCOUNT_PASSWORD,
            Self::Devices => path::ACCOUNT_SESSIONS,
            Self::Apps => path::ACCOUNT_APPS,
        }
    }

    fn title(self, texts: &Texts) -> Markup {
        match self {
            Self::Home => texts.text("own-title"),
            Self::Switch => texts.text("own-switch-title"),
            Self::Password => texts.text("change-title"),
            Self::Devices => texts.text("devices-title"),
            Self::Apps => texts.text("apps-title"),
        }
    }

    /// What a person finds there.
    fn about(self, texts: &Texts) -> Markup {
        match self {
            Self::Home => texts.text("own-lead"),
            Self::Switch => texts.text("own-switch-lead"),
            Self::Password => texts.text("change-lead"),
            Self::Devices => texts.text("devices-lead"),
            Self::Apps => texts.text("apps-lead"),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) name: Option<String>,
    pub(crate) email: String,
}

impl Person {
    pub(crate) fn of(session: &Session) -> Self {
        Self {
            name: session.name.clone(),
            email: session.email.clone(),
        }
    }

    fn shown(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.email)
    }

    fn initial(&self) -> String {
        let first = self.shown().chars().next();
        first.map(|c| c.to_uppercase().collect()).unwrap_or_default()
    }
}

/// `templates/account/own/home.html`: the way to everything.
#[derive(Debug, Template)]
#[template(path = "account/own/home.html")]
pub(crate) struct Home {
    pub(crate) shell: Shell,
    pub(crate) frame: Frame,
}

/// `templates/account/own/switch.html`: other accounts on this browser.
#[derive(Debug, Template)]
#[template(path = "account/own/switch.html")]
pub(crate) struct Switch {
    pub(crate) shell: Shell,
    pub(crate) frame: Frame,
    pub(crate) others: Vec<Choice>,
}

#[derive(Debug)]
pub(crate) struct Choice {
    /// What the form sends to name it.
    pub(crate) value: String,
    pub(crate) person: Person,
}

/// `templates/account/own/devices.html`: where the person is signed in.
#[derive(Debug, Template)]
#[template(path = "account/own/devices.html")]
pub(crate) struct Devices {
    pub(crate) shell: Shell,
    pub(crate) frame: Frame,
    pub(crate) devices: Vec<Device>,
}

#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) session: String,
    pub(crate) name: Markup,
    pub(crate) is_this: bool,
    pub(crate) since: Timestamp,
    pub(crate) last_seen_at: Timestamp,
    pub(crate) last_seen: Markup,
    pub(crate) apps: Vec<String>,
}

/// `templates/account/own/apps.html`: what uses the account.
#[derive(Debug, Template)]
#[template(path = "account/own/apps.html")]
pub(crate) struct Apps {
    pub(crate) shell: Shell,
    pub(crate) frame: Frame,
    pub(crate) apps: Vec<App>,
}

/// `templates/account/own/app.html`: what one app may do, and how to end it.
#[derive(Debug, Template)]
#[template(path = "account/own/app.html")]
pub(crate) struct AppPage {
    pub(crate) shell: Shell,
    pub(crate) frame: Frame,
    pub(crate) app: App,
    pub(crate) groups: Vec<Group>,
}

#[derive(Debug)]
pub(crate) struct App {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Where we have its picture.
    pub(crate) logo: Option<String>,
    /// It registered itself: its name is a claim.
    pub(crate) is_unverified: bool,
    pub(crate) since: Timestamp,
    pub(crate) last_used_at: Timestamp,
}

impl Device {
    fn since_day(&self) -> String {
        day(self.since)
    }
}

impl App {
    fn since_day(&self) -> String {
        day(self.since)
    }

    fn last_day(&self) -> String {
        day(self.last_used_at)
    }

    /// Stands where its logo would.
    fn initial(&self) -> String {
        let first = self.name.chars().find(|c| c.is_alphanumeric());
        first.map(|c| c.to_uppercase().collect()).unwrap_or_default()
    }
}

/// Permissions with one owner: the person's data here, or one API.
#[derive(Debug)]
pub(crate) struct Group {
    /// The API's name; none for what this server itself gives.
    pub(crate) api: Option<String>,
    pub(crate) permissions: Vec<Permission>,
}

/// The scopes that we give ourselves, in the order in which people read them.
pub(crate) const OWN_SCOPES: [&str; 6] = [
    scope::OPENID,
    scope::PROFILE,
    scope::EMAIL,
    scope::PHONE,
    scope::ADDRESS,
    scope::OFFLINE_ACCESS,
];

/// What a scope means to a person.
#[derive(Clone, Debug)]
pub(crate) enum Permission {
    OpenId,
    Profile,
    Email,
    Phone,
    Address,
    Offline,
    /// A claim allowed by its name.
    Claim(Claim),
    /// A resource server's scope, in the words registered for it.
    Api(String),
}

impl Permission {
    pub(crate) fn of_scope(token: &str) -> Option<Self> {
        Some(match token {
            scope::OPENID => Self::OpenId,
            scope::PROFILE => Self::Profile,
            scope::EMAIL => Self::Email,
            scope::PHONE => Self::Phone,
            scope::ADDRESS => Self::Address,
            scope::OFFLINE_ACCESS => Self::Offline,
            _ => return None,
        })
    }

    fn text(&self, texts: &Texts) -> Markup {
        match self {
            Self::OpenId => texts.text("consent-openid"),
            Self::Profile => texts.text("apps-profile"),
            Self::Email => texts.text("apps-email"),
            Self::Phone => texts.text("apps-phone"),
            Self::Address => texts.text("apps-address"),
            Self::Offline => texts.text("consent-offline"),
            Self::Claim(claim) => texts.with("apps-claim", &[("claim", label(*claim, *texts))]),
            Self::Api(text) => Markup::plain(text),
        }
    }
}

/// What people call a claim.
pub(crate) fn label(claim: Claim, texts: Texts) -> Markup {
    match claim {
        Claim::Name => texts.text("claim-name"),
        Claim::GivenName => texts.text("claim-given-name"),
        Claim::FamilyName => texts.text("claim-family-name"),
        Claim::MiddleName => texts.text("claim-middle-name"),
        Claim::Nickname => texts.text("claim-nickname"),
        Claim::PreferredUsername => texts.text("claim-preferred-username"),
        Claim::Profile => texts.text("claim-profile"),
        Claim::Picture => texts.text("claim-picture"),
        Claim::Website => texts.text("claim-website"),
        Claim::Gender => texts.text("claim-gender"),
        Claim::Birthdate => texts.text("claim-birthdate"),
        Claim::Zoneinfo => texts.text("claim-zoneinfo"),
        Claim::Locale => texts.text("claim-locale"),
        Claim::UpdatedAt => texts.text("claim-updated-at"),
        Claim::Email => texts.text("claim-email"),
        Claim::EmailVerified => texts.text("claim-email-verified"),
        Claim::Address => texts.text("claim-address"),
        Claim::PhoneNumber => texts.text("claim-phone-number"),
        Claim::PhoneNumberVerified => texts.text("claim-phone-number-verified"),
    }
}

/// `templates/account/own/password.html`: another password.
#[derive(Debug, Template)]
#[template(path = "account/own/password.html")]
pub(crate) struct ChangePassword {
    pub(crate) shell: Shell,
    pub(crate) frame: Frame,
    /// Whether apps are to be disconnected as well.
    pub(crate) disconnects: bool,
    /// It was changed a moment ago.
    pub(crate) is_done: bool,
    pub(crate) faults: Vec<ChangeFault>,
}

/// What is wrong with which password.
#[derive(Clone, Debug)]
pub(crate) enum ChangeFault {
    Current(Unproven),
    New(PasswordFault),
}

impl ChangeFault {
    /// The field that it is shown at, by its id.
    fn field(&self) -> Option<&'static str> {
        match self {
            Self::Current(Unproven::Missing | Unproven::Wrong) => Some("current-password"),
            Self::Current(Unproven::Busy | Unproven::TooMany) | Self::New(PasswordFault::Busy) => None,
            Self::New(_) => Some("new-password"),
        }
    }

    fn words(&self, texts: &Texts) -> Markup {
        match self {
            Self::Current(Unproven::Missing) => texts.text("change-current-missing"),
            Self::Current(Unproven::Wrong) => texts.text("login-wrong-password"),
            Self::Current(Unproven::Busy) => texts.text("password-busy"),
            Self::Current(Unproven::TooMany) => texts.text("change-too-many"),
            Self::New(fault) => fault.words(*texts),
        }
    }
}

impl ChangePassword {
    fn at(&self, field: &str) -> Option<&ChangeFault> {
        self.faults.iter().find(|fault| fault.field() == Some(field))
    }
}

macro_rules! framed {
    ($($view:ident)+) => {$(
        impl View for $view {
            fn shell(&self) -> &Shell {
                &self.shell
            }

            fn form_target(&self) -> FormTarget {
                FormTarget::Ourselves
            }
        }
    )+};
}

framed!(Home Switch Devices Apps AppPage ChangePassword);
