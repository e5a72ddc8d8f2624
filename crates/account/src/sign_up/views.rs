//! What the pages of signing up show, as data.

use askama::Template;
use clients::Trust;
use http::StatusCode;
use pages::{FormTarget, Markup, Shell, View};

use crate::views::{PasswordFault, reason};

/// The app that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) name: String,
    /// Where it registered itself, its name is a claim.
    pub(super) trust: Trust,
    pub(super) destination: Destination,
}

/// The host that an answer goes to, as people read it.
#[derive(Debug)]
pub(super) struct Destination(pub(super) String);

impl Destination {
    fn shown(&self) -> &str {
        &self.0
    }
}

/// `templates/account/sign_up.html`: whose account it will be.
#[derive(Debug, Template)]
#[template(path = "account/sign_up.html")]
pub(super) struct Ask {
    pub(super) shell: Shell,
    pub(super) csrf: String,
    pub(super) flow: Option<String>,
    pub(super) app: Option<Waiting>,
    pub(super) typed: String,
    pub(super) fault: Option<AskFault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AskFault {
    Missing,
    NotAnAddress,
    /// Send the page with 429. How long it will be so, in seconds.
    TooMany(u64),
}

/// `templates/account/sign_up_sent.html`: the same whoever has an account.
#[derive(Debug, Template)]
#[template(path = "account/sign_up_sent.html")]
pub(super) struct Sent {
    pub(super) shell: Shell,
    pub(super) csrf: String,
    pub(super) flow: Option<String>,
    /// The address that was typed; none when this is another browser.
    pub(super) address: Option<String>,
}

/// `templates/account/sign_up_account.html`: name and password.
#[derive(Debug, Template)]
#[template(path = "account/sign_up_account.html")]
pub(super) struct Finish {
    pub(super) shell: Shell,
    pub(super) csrf: String,
    pub(super) link: String,
    pub(super) app: Option<Waiting>,
    /// What the account will have.
    pub(super) email: String,
    pub(super) name: String,
    pub(super) name_fault: Option<NameFault>,
    pub(super) password_fault: Option<PasswordFault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameFault {
    /// Too long, or with characters that cannot be typed.
    Odd,
}

/// `templates/account/sign_up_note.html`: how things are, and where to go from here.
#[derive(Debug, Template)]
#[template(path = "account/sign_up_note.html")]
pub(super) struct Note {
    pub(super) shell: Shell,
    pub(super) what: What,
    /// On to the sign-in page: of the app that waits, or else of the account.
    pub(super) sign_in: String,
    /// To a new password.
    pub(super) recover: Option<String>,
    /// To another link.
    pub(super) again: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Nobody makes an account here.
    Closed,
    ByInvitation,
    /// The address has an account.
    Known,
    Expired,
    InvitationExpired,
    Withdrawn,
    Used,
    Foreign,
    /// There is an account, and no app that waits for it here.
    Done,
}

impl What {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Closed | Self::ByInvitation => StatusCode::FORBIDDEN,
            Self::Known | Self::Done => StatusCode::OK,
            Self::Expired | Self::InvitationExpired | Self::Withdrawn | Self::Used => StatusCode::GONE,
            Self::Foreign => StatusCode::NOT_FOUND,
        }
    }

    /// Whether signing in is what comes next.
    fn leads_to_sign_in(self) -> bool {
        match self {
            Self::Known | Self::Used | Self::Done => true,
            Self::Closed
            | Self::ByInvitation
            | Self::Expired
            | Self::InvitationExpired
            | Self::Withdrawn
            | Self::Foreign => false,
        }
    }

    /// Whether those who run this site are the ones to ask.
    fn sends_to_the_operator(self) -> bool {
        match self {
            Self::Closed | Self::ByInvitation | Self::InvitationExpired | Self::Withdrawn => true,
            Self::Known | Self::Expired | Self::Used | Self::Foreign | Self::Done => false,
        }
    }

    /// Whether another link would help.
    fn leads_to_another_link(self) -> bool {
        match self {
            Self::Expired | Self::Foreign => true,
            Self::Closed
            | Self::ByInvitation
            | Self::Known
            | Self::InvitationExpired
            | Self::Withdrawn
            | Self::Used
            | Self::Done => false,
        }
    }
}

macro_rules! ours {
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

ours!(Sent Note);

impl View for Ask {
    fn shell(&self) -> &Shell {
        &self.shell
    }

    /// Whoever gives up goes back to the app.
    fn form_target(&self) -> FormTarget {
        match self.app {
            Some(_) => FormTarget::Client,
            None => FormTarget::Ourselves,
        }
    }
}

impl View for Finish {
    fn shell(&self) -> &Shell {
        &self.shell
    }

    /// Where an app waits, it may be answered at once: when it wants somebody else, for one.
    fn form_target(&self) -> FormTarget {
        match self.app {
            Some(_) => FormTarget::Client,
            None => FormTarget::Ourselves,
        }
    }
}

impl Ask {
    fn words_of(&self, fault: &AskFault) -> Markup {
        let texts = self.shell.texts;
        match fault {
            AskFault::Missing => texts.text("recover-email-missing"),
            AskFault::NotAnAddress => texts.text("recover-email-odd"),
            AskFault::TooMany(_) => texts.text("sign-up-too-many"),
        }
    }

    /// The fault that is shown at the field.
    fn at_field(&self) -> Option<AskFault> {
        self.fault.filter(|fault| !matches!(fault, AskFault::TooMany(_)))
    }
}

impl Finish {
    fn is_faultless(&self) -> bool {
        self.name_fault.is_none() && self.password_fault.is_none()
    }

    fn words_of(&self, fault: &PasswordFault) -> Markup {
        let texts = self.shell.texts;
        match fault {
            PasswordFault::Missing => texts.text("sign-up-password-missing"),
            PasswordFault::Bad(bad) => texts.text(reason(*bad)),
            PasswordFault::Busy => texts.text("sign-up-busy"),
            PasswordFault::Unjudged => texts.text("password-unjudged"),
        }
    }

    fn at_password(&self) -> Option<PasswordFault> {
        self.password_fault.filter(PasswordFault::is_at_field)
    }
}

impl Note {
    fn task(&self) -> Markup {
        let texts = self.shell.texts;
        texts.text(match self.what {
            What::Closed => "sign-up-closed-title",
            What::ByInvitation => "sign-up-invitation-title",
            What::Known => "sign-up-known-title",
            What::Expired => "link-expired-title",
            What::InvitationExpired => "invitation-expired-title",
            What::Withdrawn => "invitation-withdrawn-title",
            What::Used => "link-used-title",
            What::Foreign => "link-foreign-title",
            What::Done => "sign-up-done-title",
        })
    }

    fn words(&self) -> Markup {
        let texts = self.shell.texts;
        texts.text(match self.what {
            What::Closed => "sign-up-closed",
            What::ByInvitation => "sign-up-invitation",
            What::Known => "sign-up-known",
            What::Expired => "sign-up-expired",
            What::InvitationExpired => "invitation-expired",
            What::Withdrawn => "invitation-withdrawn",
            What::Used => "sign-up-used",
            What::Foreign => "link-foreign",
            What::Done => "sign-up-done",
        })
    }
}
