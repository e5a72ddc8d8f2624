//! Where mail goes: a relay, and whom it is from. One is nothing without the other.

use mail::{Relay, Sender, Smtp};

use protocol::SignUp;

use super::{Mode, Name, Reader, values};

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
    /// Who may make an account. Whoever asks for one is mailed a link; `--dev` shows its mail, and has people try things.
    pub(super) fn sign_up(&mut self) -> Option<SignUp> {
        let usual = match self.mode {
            Mode::Dev => SignUp::Open,
            Mode::Serve | Mode::Command => SignUp::Closed,
        };
        self.sources.set_default(Name::SignUp, usual.to_string());
        let sign_up = self.read(Name::SignUp, |text| values::word(text, SignUp::ALL))?;
        let is_mailed = |name| self.shown.get(&name).is_some_and(|shown| shown.value.is_some());
        match sign_up {
            SignUp::Open if self.mode != Mode::Dev && !is_mailed(Name::MailSmtpUrl) => {
                self.needs(Name::MailSmtpUrl, Name::SignUp)
            }
            _ => Some(sign_up),
        }
    }

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
