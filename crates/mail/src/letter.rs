//! A letter, and how it becomes a message: RFC 5322, RFC 2046 §5.1.4.
//!
//! Decides what may stand in a header. The attack is a name or an address with a line break in it, which would add
//! headers or recipients of the attacker's; whoever composes letters has none in them, and one that has is not sent.

use std::time::{Duration, SystemTime};

use lettre::message::header::{HeaderName, HeaderValue, MessageId, Subject};
use lettre::message::{Mailbox, MultiPart};
use lettre::{Address, Message};
use protocol::Timestamp;

/// What one person is to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Their address.
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// Who our letters are from: an address, with or without a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender(Mailbox);

/// A letter that cannot be sent. Says nothing of the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadLetter {
    #[error("its address is none that mail can be sent to")]
    Address,
    #[error("its subject holds control characters")]
    Subject,
    #[error("it cannot be written as a message")]
    Form,
}

impl Sender {
    /// # Errors
    /// A line that says what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        const WANTED: &str = "must be an address, like Example <no-reply@example.com>";
        if text.contains(char::is_control) || text.contains(char::REPLACEMENT_CHARACTER) {
            return Err(WANTED.to_owned());
        }
        text.parse().map(Self).map_err(|_| WANTED.to_owned())
    }

    pub(crate) fn domain(&self) -> &str {
        self.0.email.domain()
    }
}

impl Letter {
    /// Answered by no machine (RFC 3834 §5). The same mail has the same Message-ID whenever it is tried, so that a copy
    /// can be known as one.
    pub(crate) fn message(&self, mail_id: &str, from: &Sender, now: Timestamp) -> Result<Message, BadLetter> {
        if self.to.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err(BadLetter::Address);
        }
        let to: Address = self.to.parse().map_err(|_| BadLetter::Address)?;
        if self.subject.contains(char::is_control) {
            return Err(BadLetter::Subject);
        }
        let since_1970 = Duration::from_secs(u64::try_from(now.as_secs()).unwrap_or(0));
        let mut builder = Message::builder()
            .from(from.0.clone())
            .to(Mailbox::new(None, to))
            .date(SystemTime::UNIX_EPOCH + since_1970)
            .header(Subject::from(self.subject.clone()))
            .header(MessageId::from(format!("<{mail_id}@{}>", from.domain())));
        for (name, value) in [
            ("Auto-Submitted", "auto-generated"),
            ("X-Auto-Response-Suppress", "All"),
        ] {
            let name = HeaderName::new_from_ascii(name.to_owned()).map_err(|_| BadLetter::Form)?;
            builder = builder.raw_header(HeaderValue::new(name, value.to_owned()));
        }
        let body = MultiPart::alternative_plain_html(self.text.clone(), self.html.clone());
        builder.multipart(body).map_err(|_| BadLetter::Form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn letter(to: &str, subject: &str) -> Letter {
        Letter {
            to: to.to_owned(),
            subject: subject.to_owned(),
            text: "Hello\nthere".to_owned(),
            html: "<p>Hello".to_owned(),
        }
    }

    fn written(letter: &Letter) -> Result<String, BadLetter> {
        let from = Sender::parse("Countersign <no-reply@id.example.com>").unwrap();
        let message = letter.message("m1", &from, NOW)?;
        Ok(String::from_utf8(message.formatted()).unwrap())
    }

    #[test]
    fn a_letter_has_both_forms_one_recipient_and_a_name_of_its_own() {
        let message = written(&letter("alex@example.com", "Set a new password – now")).unwrap();
        for part in [
            "From: Countersign <no-reply@id.example.com>\r\n",
            "To: alex@example.com\r\n",
            "Date: Mon, 12 Jan 1970 13:46:40 +0000\r\n",
            "Message-ID: <m1@id.example.com>\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "multipart/alternative",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Type: text/html; charset=utf-8",
        ] {
            assert!(message.contains(part), "{part} is missing in {message}");
        }
        assert!(
            message.contains("Subject: Set a new password =?utf-8?"),
            "{message}"
        );
    }

    #[test]
    fn nothing_that_a_letter_says_becomes_a_header_or_a_recipient() {
        for (to, subject, bad) in [
            (
                "alex@example.com\r\nBcc: eve@evil.example",
                "x",
                BadLetter::Address,
            ),
            ("alex@example.com,eve@evil.example", "x", BadLetter::Address),
            ("alex@example.com> <eve@evil.example", "x", BadLetter::Address),
            ("Alex <alex@example.com>", "x", BadLetter::Address),
            ("alex@example.com\0", "x", BadLetter::Address),
            ("", "x", BadLetter::Address),
            ("alex", "x", BadLetter::Address),
            (
                "alex@example.com",
                "x\r\nBcc: eve@evil.example",
                BadLetter::Subject,
            ),
            ("alex@example.com", "x\nBcc: eve@evil.example", BadLetter::Subject),
            ("alex@example.com", "x\rBcc: eve@evil.example", BadLetter::Subject),
        ] {
            assert_eq!(written(&letter(to, subject)), Err(bad), "{to:?} {subject:?}");
        }
        // A body is no place for headers either, nor for the end of the message.
        let mut dots = letter("alex@example.com", "x");
        dots.text = "a\r\n.\r\nMAIL FROM:<eve@evil.example>\r\n\r\n--boundary\r\nBcc: x".to_owned();
        let message = written(&dots).unwrap();
        let head = message.split("\r\n\r\n").next().unwrap();
        assert!(!head.contains("eve") && !head.contains("Bcc"), "{head}");
    }

    #[test]
    fn a_sender_is_an_address() {
        assert!(Sender::parse("no-reply@example.com").is_ok());
        assert_eq!(
            Sender::parse("Ünï <no-reply@example.com>").unwrap().domain(),
            "example.com"
        );
        for text in [
            "",
            "no-reply",
            "a@b, c@d",
            "a@example.com\r\nBcc: e@evil.example",
            "A\nB <a@b.c>",
        ] {
            assert!(Sender::parse(text).is_err(), "{text:?}");
        }
    }
}
