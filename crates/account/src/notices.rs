//! Mails that tell a person what was done with their account, by them or by somebody who has their password.
//!
//! None has a link that does anything: one in a mail that nobody asked for is what phishing looks like. Those about a
//! sign-in and about an address that was left lead to where everybody asks for a new password.

use mail::Letter;
use pages::{BRAND, Texts};
use protocol::{Issuer, Timestamp, path};
use serde::{Deserialize, Serialize};

use crate::letters::{Words, instant, written};
use crate::own::user_agent;

/// What a row of the queue holds. Once written it keeps its meaning, for the length of a day.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Notice {
    /// The address that the account had at that moment.
    pub(crate) to: String,
    pub(crate) what: What,
    pub(crate) at: Timestamp,
    pub(crate) locale: String,
    /// What the browser says of itself in which it was done; none in what an earlier version queued.
    #[serde(default)]
    pub(crate) user_agent: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum What {
    #[serde(rename = "signed_out_elsewhere")]
    SignedOutElsewhere,
    /// And whether apps were disconnected.
    #[serde(rename = "password_changed")]
    PasswordChanged(bool),
    #[serde(rename = "email_changed")]
    EmailChanged,
    /// To the address that was left, and until when the account is had back by it.
    #[serde(rename = "email_left")]
    EmailLeft(Timestamp),
    /// To the former address, which is the account's again.
    #[serde(rename = "taken_back")]
    TakenBack,
    /// To the address that it had in between.
    #[serde(rename = "taken_from")]
    TakenFrom,
    #[serde(rename = "data_exported")]
    DataExported,
    /// And the day on which it cannot be had back any more.
    #[serde(rename = "deletion_asked")]
    DeletionAsked(String),
    #[serde(rename = "deletion_undone")]
    DeletionUndone,
    #[serde(rename = "signed_in")]
    SignedIn(NewBrowser),
    /// An app may use the account without its person; by a name that somebody vouches for.
    #[serde(rename = "app_stays")]
    AppStays(Option<String>),
    /// The access of an app was taken away on the pages of the account.
    #[serde(rename = "app_removed")]
    AppRemoved(Option<String>),
    #[serde(rename = "by_operator")]
    ByOperator(Deed),
}

/// What the people who run the site did with an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    PasswordSet,
    /// To the address that it has by now.
    AddressSet,
    /// To the one that it had.
    AddressTaken,
    Disabled,
    Enabled,
    Revoked,
}

/// A browser in which an account was not signed in to before.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewBrowser {
    /// What it says of itself.
    pub user_agent: String,
    /// What was signed in to, by a name that somebody vouches for.
    pub app: Option<String>,
}

/// The line that names the browser, where it is known.
pub(crate) fn device(user_agent: Option<&str>, texts: Texts) -> Vec<String> {
    let line = |user_agent| {
        let device = user_agent::words(user_agent, texts);
        texts.words("mail-signed-in-device", &[("device", &device)])
    };
    user_agent.map(line).into_iter().collect()
}

impl Notice {
    /// `reach` says how to reach the people who run this site.
    pub(crate) fn letter(&self, issuer: &Issuer, reach: Option<String>, texts: Texts) -> db::Result<Letter> {
        let at = instant(self.at);
        let brand = [("brand", BRAND)];
        let values = [("brand", BRAND), ("time", at.as_str())];
        let (subject, first) = match &self.what {
            What::SignedOutElsewhere => (
                texts.words("mail-elsewhere-subject", &brand),
                vec![texts.words("mail-elsewhere", &values)],
            ),
            What::PasswordChanged(disconnected) => (
                texts.words("mail-recovered-subject", &brand),
                [
                    vec![texts.words("mail-changed", &values)],
                    device(self.user_agent.as_deref(), texts),
                    vec![match disconnected {
                        true => texts.words("mail-changed-all", &[]),
                        false => texts.words("mail-changed-apps-kept", &[]),
                    }],
                ]
                .concat(),
            ),
            What::EmailChanged => (
                texts.words("mail-moved-subject", &brand),
                vec![texts.words("mail-moved", &values)],
            ),
            What::EmailLeft(until) => return self.email_left(*until, issuer, texts),
            What::TakenBack => (
                texts.words("mail-taken-back-subject", &brand),
                vec![
                    texts.words("mail-taken-back", &values),
                    texts.words("mail-recovered-ended", &[]),
                ],
            ),
            What::TakenFrom => (
                texts.words("mail-moved-subject", &brand),
                vec![texts.words("mail-taken-from", &values)],
            ),
            What::DataExported => (
                texts.words("mail-exported-subject", &brand),
                vec![texts.words("mail-exported", &values)],
            ),
            What::DeletionAsked(day) => (
                texts.words("mail-deletion-subject", &brand),
                vec![
                    texts.words("mail-deletion", &values),
                    texts.words("mail-deletion-undo", &[("brand", BRAND), ("day", day)]),
                ],
            ),
            What::DeletionUndone => (
                texts.words("mail-undone-subject", &brand),
                vec![texts.words("mail-undone", &values)],
            ),
            What::SignedIn(browser) => return self.signed_in(browser, issuer, texts),
            What::AppRemoved(app) => {
                let mut words = vec![texts.words("mail-removed", &values)];
                words.extend(
                    app.iter()
                        .map(|app| texts.words("mail-signed-in-app", &[("app", app)])),
                );
                (texts.words("mail-removed-subject", &brand), words)
            }
            What::AppStays(app) => return self.app_stays(app.as_deref(), issuer, texts),
            What::ByOperator(deed) => {
                let (subject, words) = deed.words(&brand, &values, texts);
                (subject, vec![words])
            }
        };
        let mut before = first;
        before.push(match self.what {
            // A link to a new password would go to the new address.
            What::EmailChanged | What::EmailLeft(_) => texts.words("mail-moved-stranger", &brand),
            What::ByOperator(_) => texts.words("mail-operator-why", &brand),
            What::TakenBack => texts.words("mail-recovered-stranger", &[]),
            What::TakenFrom => texts.words("mail-taken-from-stranger", &brand),
            // That needs no password: a browser that was left open does.
            What::SignedOutElsewhere | What::AppRemoved(_) => texts.words("mail-elsewhere-stranger", &brand),
            What::PasswordChanged(_)
            | What::DataExported
            | What::DeletionAsked(_)
            | What::DeletionUndone
            | What::AppStays(_)
            | What::SignedIn(_) => texts.words("mail-notice-stranger", &brand),
        });
        if let What::EmailChanged = self.what {
            before.extend(reach);
        }
        let words = Words {
            subject,
            before,
            ..Words::default()
        };
        written(&self.to, &words, texts)
    }

    /// The link goes to the page of all apps, which asks to sign in.
    fn app_stays(&self, app: Option<&str>, issuer: &Issuer, texts: Texts) -> db::Result<Letter> {
        let (brand, time) = (("brand", BRAND), instant(self.at));
        let mut before = vec![texts.words("mail-app", &[brand, ("time", &time)])];
        before.push(match app {
            Some(app) => texts.words("mail-signed-in-app", &[("app", app)]),
            None => texts.words("mail-app-unnamed", &[brand]),
        });
        before.push(texts.words("mail-app-own", &[]));
        before.push(texts.words("mail-app-stranger", &[]));
        let words = Words {
            subject: texts.words("mail-app-subject", &[brand]),
            before,
            link: Some((
                texts.words("apps-title", &[]),
                format!("{}{}", issuer.as_str(), path::ACCOUNT_APPS),
            )),
            after: vec![texts.words("mail-notice-stranger", &[brand])],
            ..Words::default()
        };
        written(&self.to, &words, texts)
    }

    /// Nothing in it acts, so it may be read late, or by somebody else: the link is the page where everybody asks who forgot
    /// their password, and only this address gets the mail that does something.
    fn email_left(&self, until: Timestamp, issuer: &Issuer, texts: Texts) -> db::Result<Letter> {
        let (brand, time, until) = (("brand", BRAND), instant(self.at), instant(until));
        let words = Words {
            subject: texts.words("mail-moved-subject", &[brand]),
            before: vec![
                texts.words("mail-moved", &[brand, ("time", &time)]),
                texts.words("mail-moved-back", &[("until", &until)]),
            ],
            link: Some((
                texts.words("take-back-title", &[]),
                format!("{}{}", issuer.as_str(), path::RECOVER),
            )),
            after: vec![texts.words("mail-moved-own", &[])],
            ..Words::default()
        };
        written(&self.to, &words, texts)
    }

    /// It needs no hurry and no thought: the link goes to the page that asks for an address.
    fn signed_in(&self, browser: &NewBrowser, issuer: &Issuer, texts: Texts) -> db::Result<Letter> {
        let (brand, time) = (("brand", BRAND), instant(self.at));
        let mut before = vec![texts.words("mail-signed-in", &[brand, ("time", &time)])];
        before.extend(device(Some(&browser.user_agent), texts));
        if let Some(app) = &browser.app {
            before.push(texts.words("mail-signed-in-app", &[("app", app)]));
        }
        before.push(texts.words("mail-signed-in-own", &[]));
        before.push(texts.words("mail-signed-in-stranger", &[]));
        let words = Words {
            subject: texts.words("mail-signed-in-subject", &[brand]),
            before,
            link: Some((
                texts.words("password-title", &[]),
                format!("{}{}", issuer.as_str(), path::RECOVER),
            )),
            after: vec![texts.words("mail-signed-in-ends", &[])],
            ..Words::default()
        };
        written(&self.to, &words, texts)
    }
}

impl Deed {
    /// The subject, and what it says.
    fn words(self, brand: &[(&str, &str)], values: &[(&str, &str)], texts: Texts) -> (String, String) {
        match self {
            Self::PasswordSet => (
                texts.words("mail-recovered-subject", brand),
                texts.words("mail-operator-password", values),
            ),
            Self::AddressSet => (
                texts.words("mail-moved-subject", brand),
                texts.words("mail-operator-address-set", values),
            ),
            Self::AddressTaken => (
                texts.words("mail-moved-subject", brand),
                texts.words("mail-operator-address-taken", values),
            ),
            Self::Disabled => (
                texts.words("mail-disabled-subject", brand),
                texts.words("mail-operator-disabled", values),
            ),
            Self::Enabled => (
                texts.words("mail-enabled-subject", brand),
                texts.words("mail-operator-enabled", values),
            ),
            Self::Revoked => (
                texts.words("mail-revoked-subject", brand),
                texts.words("mail-operator-revoked", values),
            ),
        }
    }
}
