//! What the pages about apps show.

use accounts::claims::Claim;
use askama::Template;
use pages::{Markup, Shell, Texts};
use protocol::{Timestamp, scope};

use super::profile::label;
use super::{Depth, Frame, Here};

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
    /// Where to tell of it the people who run this site.
    pub(crate) report: Option<String>,
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

impl App {
    fn since(&self, texts: &Texts) -> Markup {
        texts.with("apps-since", &[("day", texts.day(self.since))])
    }

    fn last_used(&self, texts: &Texts) -> Markup {
        texts.with("apps-last-used", &[("day", texts.day(self.last_used_at))])
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
