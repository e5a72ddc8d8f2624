//! Where mail goes: a relay, and whom it is from. One is nothing without the other.

use mail::{Relay, Sender, Smtp};

use super::{Name, Reader};

/// The settings of mail.
#[derive(Clone, Debug)]
pub struct Mail {
    relay: Relay,
    sender: Sender,
}

impl Mail {
    /// The connection, which trusts these certificates (PEM) besides the system's.
    ///
    /// # Errors
    /// One line for the operator.
    pub fn smtp(&self, extra_roots: &[u8]) -> Result<Smtp, String> {
        Smtp::new(&self.relay, self.sender.clone(), extra_roots)
    }
}

impl Reader {
    pub(super) fn mail(&mut self) -> Option<Mail> {
        let relay = self.read(Name::MailSmtpUrl, Relay::parse);
        let sender = self.read(Name::MailFrom, Sender::parse);
        let given = |own: &Self, name| own.shown.get(&name).is_some_and(|shown| shown.value.is_some());
        match (given(self, Name::MailSmtpUrl), given(self, Name::MailFrom)) {
            (true, false) => self.needs(Name::MailFrom, Name::MailSmtpUrl),
            (false, true) => self.needs(Name::MailSmtpUrl, Name::MailFrom),
            (true, true) | (false, false) => Some(Mail {
                relay: relay?,
                sender: sender?,
            }),
        }
    }
}
