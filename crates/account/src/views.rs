//! What these pages show, as data: the templates turn it into words, the handlers fill it in.

use accounts::passwords::{BadPassword, Weakness};
use askama::Template;
use http::StatusCode;
use mail::Delivered;
use pages::{FormTarget, Markup, Shell, Texts, View};

/// `templates/account/recover.html`: whose password it is.
#[derive(Debug, Template)]
#[template(path = "account/recover.html")]
pub(crate) struct Recover {
    pub(crate) shell: Shell,
    pub(crate) csrf: String,
    pub(crate) flow: Option<String>,
    pub(crate) typed: String,
    pub(crate) fault: Option<RecoverFault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecoverFault {
    Missing,
    NotAnAddress,
    /// Send the page with 429.
    TooMany,
}

/// `templates/account/unavailable.html`: no mail is sent here.
#[derive(Debug, Template)]
#[template(path = "account/unavailable.html")]
pub(crate) struct Unavailable {
    pub(crate) shell: Shell,
    pub(crate) flow: Option<String>,
}

/// `templates/account/sent.html`: the same whoever has an account.
#[derive(Debug, Template)]
#[template(path = "account/sent.html")]
pub(crate) struct Sent {
    pub(crate) shell: Shell,
    pub(crate) csrf: String,
    pub(crate) flow: Option<String>,
    /// The address that was typed; none when this is another browser.
    pub(crate) address: Option<String>,
}

/// `templates/account/password.html`: a new password.
#[derive(Debug, Template)]
#[template(path = "account/password.html")]
pub(crate) struct NewPassword {
    pub(crate) shell: Shell,
    pub(crate) csrf: String,
    pub(crate) link: String,
    /// Whose it will be.
    pub(crate) email: String,
    pub(crate) fault: Option<PasswordFault>,
}

/// `templates/account/take_back.html`: an account back, with a new password.
#[derive(Debug, Template)]
#[template(path = "account/take_back.html")]
pub(crate) struct TakeBack {
    pub(crate) shell: Shell,
    pub(crate) csrf: String,
    pub(crate) link: String,
    /// The address that it had, and will have.
    pub(crate) email: String,
    pub(crate) fault: Option<PasswordFault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PasswordFault {
    Missing,
    Bad(BadPassword),
    /// Send the page with 503.
    Busy,
    /// What judges passwords is broken, until somebody mends it. With 503 as well.
    Unjudged,
}

/// `templates/account/verify.html`: whether the address is theirs.
#[derive(Debug, Template)]
#[template(path = "account/verify.html")]
pub(crate) struct Verify {
    pub(crate) shell: Shell,
    pub(crate) csrf: String,
    pub(crate) link: String,
    pub(crate) email: String,
}

/// `templates/account/done.html`: something is done, and where that leads.
#[derive(Debug, Template)]
#[template(path = "account/done.html")]
pub(crate) struct Done {
    pub(crate) shell: Shell,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    Password(Onward),
    VerifySent,
    Verified,
}

/// Where to sign in, and for which app if one waits.
#[derive(Debug)]
pub(crate) struct Onward {
    pub(crate) app: Option<String>,
    pub(crate) path: String,
}

/// `templates/account/dead_link.html`: why a link does not work.
#[derive(Debug, Template)]
#[template(path = "account/dead_link.html")]
pub(crate) struct DeadLink {
    pub(crate) shell: Shell,
    pub(crate) dead: Dead,
}

#[derive(Debug)]
pub(crate) enum Dead {
    Expired(Renewal),
    Used(Renewal),
    Disabled,
    Foreign,
}

/// How to come by another link.
#[derive(Debug)]
pub(crate) enum Renewal {
    /// By the page at this path.
    At(String),
    /// By sending the old one back, to this path.
    By {
        path: String,
        csrf: String,
        link: String,
        /// There were too many: send the page with 429.
        too_many: bool,
    },
    None,
}

/// `templates/account/mailbox.html`: what would have been mailed.
#[derive(Debug, Template)]
#[template(path = "account/mailbox.html")]
pub(crate) struct Mailbox {
    pub(crate) shell: Shell,
    pub(crate) letters: Vec<Delivered>,
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

ours!(Recover Unavailable Sent NewPassword TakeBack Verify Done DeadLink Mailbox);

impl Mailbox {
    fn moment(&self, held: &Delivered) -> Markup {
        self.shell.texts.moment(held.at)
    }
}

impl Recover {
    fn words_of(&self, fault: &RecoverFault) -> Markup {
        let texts = self.shell.texts;
        match fault {
            RecoverFault::Missing => texts.text("recover-email-missing"),
            RecoverFault::NotAnAddress => texts.text("recover-email-odd"),
            RecoverFault::TooMany => texts.text("recover-too-many"),
        }
    }

    /// The fault that is shown at the field.
    fn at_field(&self) -> Option<RecoverFault> {
        self.fault.filter(|fault| *fault != RecoverFault::TooMany)
    }
}

/// The words for what is wrong with a password.
pub(crate) fn reason(bad: BadPassword) -> &'static str {
    match bad {
        BadPassword::TooShort => "password-too-short",
        BadPassword::TooLong => "password-too-long",
        BadPassword::Control => "password-control",
        BadPassword::Breached => "password-breached",
        BadPassword::Weak(Weakness::Common) => "password-common",
        BadPassword::Weak(Weakness::Similar) => "password-similar",
        BadPassword::Weak(Weakness::AboutThem) => "password-about-you",
        BadPassword::Weak(Weakness::Keys) => "password-keys",
        BadPassword::Weak(Weakness::Repeats) => "password-repeats",
        BadPassword::Weak(Weakness::Sequence) => "password-sequence",
        BadPassword::Weak(Weakness::Date) => "password-date",
        BadPassword::Weak(Weakness::OneWord) => "password-one-word",
        BadPassword::Weak(Weakness::Name) => "password-name",
        BadPassword::Weak(Weakness::Simple) => "password-simple",
    }
}

impl PasswordFault {
    /// Of the page that asks.
    pub(crate) fn status(fault: Option<Self>) -> StatusCode {
        match fault {
            None => StatusCode::OK,
            Some(Self::Busy | Self::Unjudged) => StatusCode::SERVICE_UNAVAILABLE,
            Some(Self::Missing | Self::Bad(_)) => StatusCode::BAD_REQUEST,
        }
    }

    pub(crate) fn words(&self, texts: Texts) -> Markup {
        match self {
            PasswordFault::Missing => texts.text("password-missing"),
            PasswordFault::Bad(bad) => texts.text(reason(*bad)),
            PasswordFault::Busy => texts.text("password-busy"),
            PasswordFault::Unjudged => texts.text("password-unjudged"),
        }
    }

    /// Whether it is the password, and not what judges it.
    pub(crate) fn is_at_field(&self) -> bool {
        !matches!(self, Self::Busy | Self::Unjudged)
    }
}

/// They ask for a password alone.
macro_rules! asks_password {
    ($($view:ident)+) => {$(
        impl $view {
            fn words_of(&self, fault: &PasswordFault) -> Markup {
                fault.words(self.shell.texts)
            }

            fn at_field(&self) -> Option<PasswordFault> {
                self.fault.filter(PasswordFault::is_at_field)
            }
        }
    )+};
}

asks_password!(NewPassword TakeBack);

impl Done {
    fn task(&self) -> Markup {
        let texts = self.shell.texts;
        match self.what {
            What::Password(_) => texts.text("password-done-title"),
            What::VerifySent => texts.text("recover-sent-title"),
            What::Verified => texts.text("verify-done-title"),
        }
    }
}

impl DeadLink {
    fn task(&self) -> Markup {
        let texts = self.shell.texts;
        match self.dead {
            Dead::Expired(_) => texts.text("link-expired-title"),
            Dead::Used(_) => texts.text("link-used-title"),
            Dead::Disabled => texts.text("link-disabled-title"),
            Dead::Foreign => texts.text("link-foreign-title"),
        }
    }

    /// Whether another link was asked for, and not sent.
    fn has_fault(&self) -> bool {
        matches!(self.renewal(), Renewal::By { too_many: true, .. })
    }

    fn renewal(&self) -> &Renewal {
        match &self.dead {
            Dead::Expired(renewal) | Dead::Used(renewal) => renewal,
            Dead::Disabled | Dead::Foreign => &Renewal::None,
        }
    }
}
