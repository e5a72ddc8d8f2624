//! The pages of a logout, as data.

use askama::Template;
use pages::{FormTarget, Markup, Shell, View};

use super::{Destination, Person};
use crate::logout::frames::Frame;

/// `templates/sign_out.html`: asks.
#[derive(Debug, Template)]
#[template(path = "sign_out.html")]
pub(crate) struct SignOut {
    pub(crate) shell: Shell,
    pub(crate) flow: String,
    pub(crate) csrf: String,
    /// The name of the client that sent the person here, where one is known.
    pub(crate) app: Option<String>,
    /// Where a client waits afterwards.
    pub(crate) destination: Option<Destination>,
    /// Everybody who is signed in on this browser, the one who used it last first.
    pub(crate) people: Vec<Person>,
}

/// `templates/signed_out.html`: says how it went.
#[derive(Debug, Template)]
#[template(path = "signed_out.html")]
pub(crate) struct SignedOut {
    pub(crate) shell: Shell,
    pub(crate) after: After,
    pub(crate) back: Option<Back>,
    /// Pages of apps that end the person's sessions there.
    pub(crate) frames: Vec<Frame>,
    /// Where the browser goes when they are loaded.
    pub(crate) onward: Option<String>,
}

/// Who is signed in afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Nobody,
    /// Other accounts in the same browser.
    Others,
    /// Everybody as before: that was the answer.
    Stayed,
}

/// A way that the person may take: to a URI that a client registered for it.
#[derive(Debug)]
pub(crate) struct Back {
    pub(crate) uri: String,
    pub(crate) destination: Destination,
}

impl View for SignOut {
    fn shell(&self) -> &Shell {
        &self.shell
    }

    fn form_target(&self) -> FormTarget {
        match self.destination {
            Some(_) => FormTarget::Client,
            None => FormTarget::Ourselves,
        }
    }
}

impl View for SignedOut {
    fn shell(&self) -> &Shell {
        &self.shell
    }

    fn form_target(&self) -> FormTarget {
        FormTarget::Ourselves
    }

    fn frames(&self) -> Vec<&str> {
        self.frames.iter().map(|frame| frame.origin.as_str()).collect()
    }
}

impl SignOut {
    fn task(&self) -> Markup {
        self.shell
            .texts
            .with("logout-title", &[("brand", Markup::plain(self.shell.brand))])
    }
}

impl SignedOut {
    fn task(&self) -> Markup {
        match self.after {
            After::Nobody | After::Others => self.shell.texts.text("signed-out-title"),
            After::Stayed => self.shell.texts.text("logout-stayed-title"),
        }
    }

    fn outcome(&self) -> Markup {
        let brand = [("brand", Markup::plain(self.shell.brand))];
        match self.after {
            After::Nobody => self.shell.texts.with("signed-out", &brand),
            After::Others => self.shell.texts.text("signed-out-others"),
            After::Stayed => self.shell.texts.with("logout-stayed", &brand),
        }
    }
}
