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
        };
        let mut before = first;
        before.push(texts.words("mail-notice-stranger", &brand));
        let words = Words {
            subject,
            before,
            link: None,
            after: Vec::new(),
        };
        written(&self.to, &words, texts)
    }
}
