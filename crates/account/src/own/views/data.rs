//! What the pages show about what is kept of a person.

use accounts::attempts::TooMany;
use askama::Template;
use pages::{Markup, Shell, Texts};
use protocol::Timestamp;

use super::{Depth, Frame, Here};
use crate::own::proof::Unproven;

/// `templates/account/own/activity.html`: what happened with the account.
#[derive(Debug, Template)]
#[template(path = "account/own/activity.html")]
pub(crate) struct Activity {
    pub(crate) shell: Shell,
    pub(crate) frame: Frame,
    pub(crate) entries: Vec<Entry>,
    /// Where what happened before stands.
    pub(crate) older: Option<String>,
    /// Whether this is what happened last.
    pub(crate) is_newest: bool,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) words: Markup,
    pub(crate) time: Markup,
    pub(crate) address: Option<String>,
}

/// `templates/account/own/data.html`: a copy of everything, and the way to its end.
#[derive(Debug, Template)]
#[template(path = "account/own/data.html")]
pub(crate) struct Data {
    pub(crate) shell: Shell,
    pub(crate) frame: Frame,
    /// It was downloaded often a moment ago: send the page with 429.
    pub(crate) too_many: bool,
}

/// `templates/account/own/delete.html`: what the end means.
#[derive(Debug, Template)]
#[template(path = "account/own/delete.html")]
pub(crate) struct Delete {
    pub(crate) shell: Shell,
    pub(crate) frame: Frame,
    /// From when on nothing can be had back.
    pub(crate) ends_at: Timestamp,
    /// By which a second click is known when the first has ended it.
    pub(crate) session: String,
    pub(crate) typed: String,
    pub(crate) fault: Option<DeleteFault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeleteFault {
    /// Not the address of this account.
    Email,
    /// Nobody has shown that it is the person who asks.
    Current(Unproven),
    /// It was asked for and undone often a moment ago: send the page with 429.
    TooOften(TooMany),
}

impl DeleteFault {
    /// The field that it is shown at, by its id.
    fn field(self) -> Option<&'static str> {
        match self {
            Self::Email => Some("email"),
            Self::Current(unproven) => unproven.is_at_field().then_some("current-password"),
            Self::TooOften(_) => None,
        }
    }

    fn words(self, texts: &Texts) -> Markup {
        match self {
            Self::Email => texts.text("delete-wrong"),
            Self::Current(unproven) => unproven.words(texts),
            Self::TooOften(_) => texts.text("delete-too-often"),
        }
    }
}

impl Delete {
    fn then(&self) -> Markup {
        let texts = self.shell.texts;
        texts.with("delete-then", &[("day", texts.day(self.ends_at))])
    }

    fn at(&self, field: &str) -> Option<DeleteFault> {
        self.fault.filter(|fault| fault.field() == Some(field))
    }
}

/// `templates/account/own/deleted.html`: for who is not signed in any more.
#[derive(Debug, Template)]
#[template(path = "account/own/deleted.html")]
pub(crate) struct Deleted {
    pub(crate) shell: Shell,
    /// Whether mail is sent.
    pub(crate) is_told: bool,
}
