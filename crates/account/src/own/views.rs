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
    Profile,
    Password,
    Devices,
    Apps,
    Activity,
    Data,
}

impl Here {
    /// Where the navigation leads, in its order.
    const PLACES: [Self; 6] = [
        Self::Profile,
        Self::Password,
        Self::Devices,
        Self::Apps,
        Self::Activity,
        Self::Data,
    ];

    fn path(self) -> &'static str {
        match self {
            Self::Home => path::ACCOUNT,
            Self::Switch => path::ACCOUNT_SWITCH,
            Self::Profile => path::ACCOUNT_PROFILE,
            Self::Password => path::ACCOUNT_PASSWORD,
            Self::Devices => path::ACCOUNT_SESSIONS,
            Self::Apps => path::ACCOUNT_APPS,
            Self::Activity => path::ACCOUNT_ACTIVITY,
            Self::Data => path::ACCOUNT_EXPORT,
        }
    }

    fn title(self, texts: &Texts) -> Markup {
        match self {
            Self::Home => texts.text("own-title"),
            Self::Switch => texts.text("own-switch-title"),
            Self::Profile => texts.text("profile-title"),
            Self::Password => texts.text("change-title"),
            Self::Devices => texts.text("devices-title"),
            Self::Apps => texts.text("apps-title"),
            Self::Activity => texts.text("activity-title"),
            Self::Data => texts.text("data-title"),
        }
    }

    /// What a person finds there.
    fn about(self, texts: &Texts) -> Markup {
        match self {
            Self::Home => texts.text("own-lead"),
            Self::Switch => texts.text("own-switch-lead"),
            Self::Profile => texts.text("profile-about"),
            Self::Password => texts.text("change-lead"),
            Self::Devices => texts.text("devices-lead"),
            Self::Apps => texts.text("apps-lead"),
            Self::Activity => texts.text("activity-lead"),
            Self::Data => texts.text("data-lead"),
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

/// `templates/account/own/profile.html`: what the person says about themselves.
#[derive(Debug, Template)]
#[template(path = "account/own/profile.html")]
pub(crate) struct Profile {
    pub(crate) shell: Shell,
    pub(crate) frame: Frame,
    pub(crate) email: String,
    pub(crate) is_verified: bool,
    /// Whether the address can be changed: mail is sent.
    pub(crate) can_move: bool,
    pub(crate) fields: Vec<Field>,
    pub(crate) is_done: bool,
}

/// One claim in a form.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) claim: Claim,
    pub(crate) value: String,
    pub(crate) is_wrong: bool,
}

impl Profile {
    fn has_faults(&self) -> bool {
        self.fields.iter().any(|field| field.is_wrong)
    }
}

impl Field {
    fn label(&self, texts: &Texts) -> Markup {
        label(self.claim, *texts)
    }

    /// What an unusual value looks like.
    fn hint(&self, texts: &Texts) -> Option<Markup> {
        match self.claim {
            Claim::Birthdate => Some(texts.text("profile-hint-birthdate")),
            Claim::Website => Some(texts.text("profile-hint-website")),
            Claim::Zoneinfo => Some(texts.text("profile-hint-zoneinfo")),
            Claim::Locale => Some(texts.text("profile-hint-locale")),
            _ => None,
        }
    }

    fn fault(&self, texts: &Texts) -> Markup {
        match self.claim {
            Claim::Birthdate => texts.text("profile-odd-birthdate"),
            Claim::Website => texts.text("profile-odd-website"),
            Claim::Zoneinfo => texts.text("profile-odd-zoneinfo"),
            Claim::Locale => texts.text("profile-odd-locale"),
            other => texts.with("profile-odd", &[("claim", label(other, *texts))]),
        }
    }

    fn kind(&self) -> &'static str {
        match self.claim {
            Claim::PhoneNumber => "tel",
            Claim::Website => "url",
            _ => "text",
        }
    }

    /// WCAG 2.2, 1.3.5.
    fn autocomplete(&self) -> Option<&'static str> {
        match self.claim {
            Claim::Name => Some("name"),
            Claim::GivenName => Some("given-name"),
            Claim::FamilyName => Some("family-name"),
            Claim::Nickname => Some("nickname"),
            Claim::Birthdate => Some("bday"),
            Claim::PhoneNumber => Some("tel"),
            Claim::Website => Some("url"),
            Claim::Locale => Some("language"),
            _ => None,
        }
    }

    fn described_by(&self) -> Option<String> {
        let has_hint = matches!(
            self.claim,
            Claim::Birthdate | Claim::Website | Claim::Zoneinfo | Claim::Locale
        );
        let hint = has_hint.then(|| format!("{}-hint", self.claim));
        let fault = self.is_wrong.then(|| format!("{}-fault", self.claim));
        let all: Vec<String> = hint.into_iter().chain(fault).collect();
        (!all.is_empty()).then(|| all.join(" "))
    }
}

/// `templates/account/own/email.html`: another address.
#[derive(Debug, Template)]
#[template(path = "account/own/email.html")]
pub(crate) struct MoveEmail {
    pub(crate) shell: Shell,
    pub(crate) frame: Frame,
    pub(crate) typed: String,
    /// The mail is on its way.
    pub(crate) is_sent: bool,
    pub(crate) fault: Option<EmailFault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EmailFault {
    Missing,
    NotAnAddress,
    /// Send the page with 429.
    TooMany,
    /// No mail is sent here.
    Unavailable,
}

impl EmailFault {
    fn words(self, texts: &Texts) -> Markup {
        match self {
            Self::Missing => texts.text("email-missing"),
            Self::NotAnAddress => texts.text("recover-email-odd"),
            Self::TooMany => texts.text("recover-too-many"),
            Self::Unavailable => texts.text("email-unavailable"),
        }
    }
}

impl MoveEmail {
    fn at_field(&self) -> Option<EmailFault> {
        let at_field = |fault: &EmailFault| matches!(fault, EmailFault::Missing | EmailFault::NotAnAddress);
        self.fault.filter(at_field)
    }
}

/// `templates/account/own/confirm_email.html`: behind the link that went to the new address.
#[derive(Debug, Template)]
#[template(path = "account/own/confirm_email.html")]
pub(crate) struct ConfirmEmail {
    pub(crate) shell: Shell,
    pub(crate) frame: Frame,
    pub(crate) link: String,
    pub(crate) old: String,
    pub(crate) new: String,
    /// Somebody else has it by now.
    pub(crate) is_taken: bool,
}

/// `templates/account/own/activity.html`: what happened with the account.
#[derive(Debug, Template)]
#[template(path = "account/own/activity.html")]
pub(crate) struct Activity {
    pub(crate) shell: Shell,
    pub(crate) frame: Frame,
    pub(crate) entries: Vec<Entry>,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) words: Markup,
    pub(crate) at: Timestamp,
    pub(crate) time: String,
    pub(crate) address: Option<String>,
}

/// `templates/account/own/data.html`: a copy of everything, and the way to its end.
#[derive(Debug, Template)]
#[template(path = "account/own/data.html")]
pub(crate) struct Data {
    pub(crate) shell: Shell,
    pub(crate) frame: Frame,
}

/// `templates/account/own/delete.html`: what the end means.
#[derive(Debug, Template)]
#[template(path = "account/own/delete.html")]
pub(crate) struct Delete {
    pub(crate) shell: Shell,
    pub(crate) frame: Frame,
    /// From when on nothing can be had back.
    pub(crate) day: String,
    pub(crate) typed: String,
    pub(crate) is_wrong: bool,
}

/// `templates/account/own/deleted.html`: for who is not signed in any more.
#[derive(Debug, Template)]
#[template(path = "account/own/deleted.html")]
pub(crate) struct Deleted {
    pub(crate) shell: Shell,
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

framed!(Home Switch Devices Apps AppPage ChangePassword Profile MoveEmail ConfirmEmail Activity Data Delete);

impl View for Deleted {
    fn shell(&self) -> &Shell {
        &self.shell
    }

    fn form_target(&self) -> FormTarget {
        FormTarget::Ourselves
    }
}
