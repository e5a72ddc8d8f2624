//! What the pages show about what is kept of a person.

use askama::Template;
use pages::{Markup, Shell};
use protocol::Timestamp;

use super::{Frame, Here};

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
