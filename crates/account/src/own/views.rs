//! What the pages of the account show, as data: the templates turn it into words, the handlers fill it in.

mod apps;
mod data;
mod password;
mod profile;

use accounts::sessions::Session;
use askama::Template;
use pages::{FormTarget, Markup, Shell, Texts, View};
use protocol::{Timestamp, path};

use super::news::News;

pub(crate) use apps::{App, AppPage, Apps, Group, OWN_SCOPES, Permission};
pub(crate) use data::{Activity, Data, Delete, DeleteFault, Deleted, Entry};
pub(crate) use password::{ChangeFault, ChangePassword};
pub(crate) use profile::{ConfirmEmail, EmailFault, Field, MoveEmail, Profile, Said};

/// What all of them share.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) here: Here,
    pub(crate) depth: Depth,
    pub(crate) csrf: String,
    /// Whose account it is.
    pub(crate) person: Person,
    /// What was done a moment ago.
    pub(crate) news: Option<News>,
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

/// Whether a page is one of those that the navigation names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    Itself,
    /// It stands below, and the way back to its place is a link.
    Below,
}

impl Depth {
    /// As `aria-current` says it: the page, or what it belongs to.
    fn current(self) -> &'static str {
        match self {
            Self::Itself => "page",
            Self::Below => "true",
        }
    }
}

impl Here {
    pub(crate) fn depth_of(self, path: &str) -> Depth {
        match path == self.path() {
            true => Depth::Itself,
            false => Depth::Below,
        }
    }

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

    /// In the navigation, where there is room for a word.
    fn label(self, texts: &Texts) -> Markup {
        match self {
            Self::Devices => texts.text("devices-label"),
            Self::Apps => texts.text("apps-label"),
            Self::Activity => texts.text("activity-label"),
            Self::Data => texts.text("data-label"),
            Self::Home | Self::Switch | Self::Profile | Self::Password => self.title(texts),
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
    /// What its person calls it.
    pub(crate) name: Option<Markup>,
    /// What its browser says that it is.
    pub(crate) kind: Markup,
    /// None where it cannot have a name.
    pub(crate) naming: Option<Naming>,
    pub(crate) is_this: bool,
    pub(crate) since: Timestamp,
    pub(crate) last_seen_at: Timestamp,
    pub(crate) last_seen: Markup,
    pub(crate) apps: Vec<String>,
}

/// The form for a name.
#[derive(Debug)]
pub(crate) struct Naming {
    pub(crate) typed: String,
    pub(crate) is_odd: bool,
}

impl Devices {
    fn has_fault(&self) -> bool {
        self.devices.iter().any(Device::has_fault)
    }
}

impl Device {
    fn has_fault(&self) -> bool {
        self.naming.as_ref().is_some_and(|naming| naming.is_odd)
    }

    fn shown(&self) -> &Markup {
        self.name.as_ref().unwrap_or(&self.kind)
    }

    fn since(&self, texts: &Texts) -> Markup {
        texts.with("devices-since", &[("day", texts.day(self.since))])
    }
}

/// Their forms stay with us.
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
