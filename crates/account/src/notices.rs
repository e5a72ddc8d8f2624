//! Mails that tell a person what was done with their account, by them or by somebody who has their password.
//!
//! None has a link: one in a mail that nobody asked for is what phishing looks like.

use mail::Letter;
use pages::{BRAND, Texts};
use protocol::Timestamp;
use serde::{Deserialize, Serialize};

use crate::letters::{Words, instant, written};

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
}

impl Notice {
    pub(crate) fn letter(&self, texts: Texts) -> db::Result<Letter> {
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
        };
        let mut before = first;
        before.push(match self.what {
            // A link to a new password would go to the new address.
            What::EmailChanged => texts.words("mail-moved-stranger", &brand),
            // That needs no password: a browser that was left open does.
            What::SignedOutElsewhere => texts.words("mail-elsewhere-stranger", &brand),
            What::PasswordChanged(_) | What::DataExported | What::DeletionAsked(_) | What::DeletionUndone => {
                texts.words("mail-notice-stranger", &brand)
            }
        });
        let words = Words {
            subject,
            before,
            ..Words::default()
        };
        written(&self.to, &words, texts)
    }
}
