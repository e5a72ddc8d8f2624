//! Mails that tell a person what was done with their account, by them or by somebody who has their password.
//!
//! None has a link that does anything: one in a mail that nobody asked for is what phishing looks like. The mail about a
//! sign-in leads to where everybody asks for a new password.

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
    #[serde(rename = "data_exported")]
    DataExported,
    /// And the day on which it cannot be had back any more.
    #[serde(rename = "deletion_asked")]
    DeletionAsked(String),
    #[serde(rename = "deletion_undone")]
    DeletionUndone,
    #[serde(rename = "signed_in")]
    SignedIn(NewBrowser),
}

/// A browser in which an account was not signed in to before.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewBrowser {
    /// What it says of itself.
    pub user_agent: String,
    /// What was signed in to, by a name that somebody vouches for.
    pub app: Option<String>,
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
                vec![
                    texts.words("mail-changed", &values),
                    match disconnected {
                        true => texts.words("mail-changed-all", &[]),
                        false => texts.words("mail-changed-apps-kept", &[]),
                    },
                ],
            ),
            What::EmailChanged => (
                texts.words("mail-moved-subject", &brand),
                vec![texts.words("mail-moved", &values)],
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
        };
        let mut before = first;
        before.push(match self.what {
            // A link to a new password would go to the new address.
            What::EmailChanged => texts.words("mail-moved-stranger", &brand),
            // That needs no password: a browser that was left open does.
            What::SignedOutElsewhere => texts.words("mail-elsewhere-stranger", &brand),
            What::PasswordChanged(_)
            | What::DataExported
            | What::DeletionAsked(_)
            | What::DeletionUndone
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

    /// Of all notices the one with a link, which needs no hurry and no thought: it goes to the page that asks for an address.
    fn signed_in(&self, browser: &NewBrowser, issuer: &Issuer, texts: Texts) -> db::Result<Letter> {
        let (brand, time) = (("brand", BRAND), instant(self.at));
        let device = user_agent::words(&browser.user_agent, texts);
        let mut before = vec![
            texts.words("mail-signed-in", &[brand, ("time", &time)]),
            texts.words("mail-signed-in-device", &[("device", &device)]),
        ];
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
