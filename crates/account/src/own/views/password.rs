//! What the page for another password shows.

use accounts::attempts::TooMany;
use askama::Template;
use pages::{Markup, Shell, Texts};

use super::{Depth, Frame, Here};
use crate::own::proof::Unproven;
use crate::views::PasswordFault;

/// `templates/account/own/password.html`: another password.
#[derive(Debug, Template)]
#[template(path = "account/own/password.html")]
pub(crate) struct ChangePassword {
    pub(crate) shell: Shell,
    pub(crate) frame: Frame,
    /// Whether apps are to be disconnected as well.
    pub(crate) disconnects: bool,
    pub(crate) faults: Vec<ChangeFault>,
}

/// What is wrong with which password.
#[derive(Clone, Debug)]
pub(crate) enum ChangeFault {
    Current(Unproven),
    New(PasswordFault),
    /// It was changed often a moment ago: send the page with 429.
    TooOften(TooMany),
}

impl ChangeFault {
    /// The field that it is shown at, by its id.
    fn field(&self) -> Option<&'static str> {
        match self {
            Self::Current(unproven) => unproven.is_at_field().then_some("current-password"),
            Self::New(fault) => fault.is_at_field().then_some("new-password"),
            Self::TooOften(_) => None,
        }
    }

    fn words(&self, texts: &Texts) -> Markup {
        match self {
            Self::Current(unproven) => unproven.words(texts),
            Self::New(fault) => fault.words(*texts),
            Self::TooOften(_) => texts.text("change-too-often"),
        }
    }
}

impl ChangePassword {
    /// Whether nobody but those who run this site can help.
    fn is_unjudged(&self) -> bool {
        let unjudged = |fault: &ChangeFault| matches!(fault, ChangeFault::New(PasswordFault::Unjudged));
        self.faults.iter().any(unjudged)
    }

    fn at(&self, field: &str) -> Option<&ChangeFault> {
        self.faults.iter().find(|fault| fault.field() == Some(field))
    }
}
