//! What the pages about a person show, and about their address.

use accounts::claims::Claim;
use askama::Template;
use pages::{Markup, Shell, Texts};

use super::{Depth, Frame, Here};
use crate::own::news::News;
use crate::own::proof::Unproven;

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
    /// What the fields are filled in with, as one value.
    pub(crate) seen: String,
    pub(crate) said: Said,
}

/// What became of the form that was sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Nothing,
    News(News),
    /// Something else changed first: nothing was saved.
    ChangedMeanwhile,
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
    /// A mail is on its way there.
    pub(crate) sent_to: Option<String>,
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
    /// It is theirs already.
    Same,
    /// Nobody has shown that it is the person who asks.
    Current(Unproven),
}

impl EmailFault {
    fn words(self, texts: &Texts) -> Markup {
        match self {
            Self::Missing => texts.text("email-missing"),
            Self::NotAnAddress => texts.text("recover-email-odd"),
            Self::TooMany => texts.text("recover-too-many"),
            Self::Unavailable => texts.text("email-unavailable"),
            Self::Same => texts.text("email-same"),
            Self::Current(unproven) => unproven.words(texts),
        }
    }

    /// The field that it is shown at, by its id.
    fn field(self) -> Option<&'static str> {
        match self {
            Self::Missing | Self::NotAnAddress | Self::Same => Some("email"),
            Self::Current(unproven) => unproven.is_at_field().then_some("current-password"),
            Self::TooMany | Self::Unavailable => None,
        }
    }
}

impl MoveEmail {
    /// Whether there is anything to fill in.
    fn has_form(&self) -> bool {
        self.sent_to.is_none() && self.fault.is_none_or(|fault| fault != EmailFault::Unavailable)
    }

    fn at(&self, field: &str) -> Option<EmailFault> {
        self.fault.filter(|fault| fault.field() == Some(field))
    }

    fn has_fault(&self) -> bool {
        self.fault.is_some_and(|fault| fault != EmailFault::Unavailable)
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
