//! The mail server that takes our mails on: RFC 6409 (submission), RFC 3207 (STARTTLS), RFC 8314 (implicit TLS).
//!
//! Decides how it is spoken to. Links that let people in pass through this connection, so it is encrypted and the
//! server's certificate checked, except on this machine; an answer without STARTTLS ends the attempt and not the
//! encryption.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use percent_encoding::percent_decode_str;
use tokio::time::timeout;
use url::{Host, ParseError, Url};

use crate::Sender;

/// For each word of the exchange.
const PATIENCE: Duration = Duration::from_secs(20);
/// For an attempt as a whole. Shorter than the lease of a row.
const WHOLE: Duration = Duration::from_secs(60);
const SUBMISSION: u16 = 587;
const SUBMISSIONS: u16 = 465;

/// Which server, and how.
#[derive(Clone, PartialEq, Eq)]
pub struct Relay {
    host: String,
    port: u16,
    encryption: Encryption,
    login: Option<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encryption {
    /// From the first byte on.
    Implicit,
    StartTls,
    /// Only on this machine.
    None,
}

/// A relay that is spoken to, behind any number of clones.
#[derive(Clone, Debug)]
pub struct Smtp(Arc<Spoken>);

#[derive(Debug)]
struct Spoken {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Sender,
    encryption: Encryption,
}

/// Why a relay did not take a message. For our log only, and without the relay's words: they repeat the address.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unsent {
    /// It said no for good, and would say it again.
    #[error("the relay refuses it ({0})")]
    Refused(u16),
    #[error("the relay answered {0}")]
    Answered(u16),
    /// And what the operator may have meant instead.
    #[error("{0}{1}")]
    Failed(lettre::transport::smtp::Error, &'static str),
    #[error("the relay took longer than a minute")]
    Late,
}

impl Relay {
    /// `smtp://` or `smtps://`, with the user and password where it wants them.
    ///
    /// # Errors
    /// A line that says what to write instead, and repeats nothing: there may be a password in it.
    pub fn parse(text: &str) -> Result<Self, String> {
        const WANTED: &str =
            "must be smtp://USER:PASSWORD@HOST:587 (STARTTLS) or smtps://USER:PASSWORD@HOST:465";
        let wanted = || WANTED.to_owned();
        let url = Url::parse(text).map_err(|fault| match fault {
            ParseError::InvalidPort => format!("has a port that is no number up to 65535; it {WANTED}"),
            _ => wanted(),
        })?;
        let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let host = url.host_str().filter(|_| bare).ok_or_else(wanted)?;
        let host = Host::parse(host).map_err(|_| wanted())?;
        let (encryption, port) = match url.scheme() {
            "smtps" => (Encryption::Implicit, SUBMISSIONS),
            "smtp" if is_this_machine(&host) => (Encryption::None, SUBMISSION),
            "smtp" => (Encryption::StartTls, SUBMISSION),
            _ => return Err(wanted()),
        };
        let login = match (url.username(), url.password()) {
            ("", None) => None,
            (_, None) => return Err(format!("names a user and no password; it {WANTED}")),
            ("", Some(_)) => return Err(wanted()),
            (user, Some(password)) => Some((
                decoded(user).ok_or_else(wanted)?,
                decoded(password).ok_or_else(wanted)?,
            )),
        };
        Ok(Self {
            host: match host {
                Host::Domain(name) => name,
                Host::Ipv4(address) => IpAddr::V4(address).to_string(),
                Host::Ipv6(address) => IpAddr::V6(address).to_string(),
            },
            port: url.port().unwrap_or(port),
            encryption,
            login,
        })
    }
}

#[cfg(test)]
impl Relay {
    /// As if it were on another machine.
    pub(crate) fn encrypted(self) -> Self {
        let encryption = match self.encryption {
            Encryption::None => Encryption::StartTls,
            other => other,
        };
        Self { encryption, ..self }
    }
}

fn decoded(text: &str) -> Option<String> {
    let text = percent_decode_str(text).decode_utf8().ok()?;
    (!text.contains(char::is_control)).then(|| text.into_owned())
}

fn is_this_machine(host: &Host) -> bool {
    match host {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Relay({}:{}, {:?})", self.host, self.port, self.encryption)
    }
}

impl Smtp {
    /// `extra_roots` (PEM) are trusted besides the system's.
    ///
    /// # Errors
    /// When TLS cannot be prepared.
    pub fn new(relay: &Relay, from: Sender, extra_roots: &[u8]) -> Result<Self, String> {
        let tls = match relay.encryption {
            Encryption::None => Tls::None,
            Encryption::StartTls => Tls::Required(parameters(relay, extra_roots)?),
            Encryption::Implicit => Tls::Wrapper(parameters(relay, extra_roots)?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&relay.host)
            .port(relay.port)
            .tls(tls)
            .hello_name(ClientId::Domain(from.domain().to_owned()))
            .timeout(Some(PATIENCE));
        if let Some((user, password)) = &relay.login {
            builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
        }
        Ok(Self(Arc::new(Spoken {
            transport: builder.build(),
            from,
            encryption: relay.encryption,
        })))
    }

    pub(crate) fn from(&self) -> &Sender {
        &self.0.from
    }

    pub(crate) async fn send(&self, message: Message) -> Result<(), Unsent> {
        match timeout(WHOLE, self.0.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Unsent::of(error, self.0.encryption)),
            Err(_) => Err(Unsent::Late),
        }
    }
}

fn parameters(relay: &Relay, extra_roots: &[u8]) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(relay.host.clone());
    if !extra_roots.is_empty() {
        let roots = Certificate::from_pem(extra_roots).map_err(|error| error.to_string())?;
        builder = builder.add_root_certificate(roots);
    }
    builder
        .build_rustls()
        .map_err(|error| format!("TLS towards the mail server: {error}"))
}

impl Unsent {
    fn of(error: lettre::transport::smtp::Error, encryption: Encryption) -> Self {
        match error.status().map(u16::from) {
            // RFC 5321 §4.2.3: of the mailbox or the message. What is said of us (530, 535) an operator can mend.
            Some(code @ (550..=553 | 555)) => Self::Refused(code),
            Some(code) => Self::Answered(code),
            None => {
                let advice = match encryption {
                    // It spoke first, and not TLS.
                    Encryption::Implicit if error.to_string().contains("corrupt message") => {
                        "; is that a port for STARTTLS? Then write smtp:// instead of smtps://"
                    }
                    // It waits for TLS, and we for its greeting.
                    Encryption::StartTls if error.is_timeout() => {
                        "; is that a port for TLS from the first byte? Then write smtps:// instead of smtp://"
                    }
                    Encryption::Implicit | Encryption::StartTls | Encryption::None => "",
                };
                Self::Failed(error, advice)
            }
        }
    }

    /// Whether it is about us, or the relay as a whole: every other mail would fare the same. (RFC 5321 §4.2.3: 450 to
    /// 452 are about a mailbox or a message.)
    pub(crate) fn is_outage(&self) -> bool {
        match self {
            Self::Failed(..) | Self::Late => true,
            Self::Answered(code) => !matches!(code, 450..=452),
            Self::Refused(_) => false,
        }
    }

    /// Whether another try could end otherwise.
    pub(crate) fn may_pass(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_spoken_to_without_encryption() {
        for (text, host, port, encryption) in [
            ("smtp://localhost", "localhost", 587, Encryption::None),
            ("smtp://localhost:2525/", "localhost", 2525, Encryption::None),
            ("smtp://127.0.0.1:25", "127.0.0.1", 25, Encryption::None),
            ("smtp://[::1]:25", "::1", 25, Encryption::None),
            (
                "smtp://mail.example.com",
                "mail.example.com",
                587,
                Encryption::StartTls,
            ),
            (
                "smtp://localhost.example.com",
                "localhost.example.com",
                587,
                Encryption::StartTls,
            ),
            ("smtp://10.0.0.1:25", "10.0.0.1", 25, Encryption::StartTls),
            ("smtp://[2001:db8::1]", "2001:db8::1", 587, Encryption::StartTls),
            ("smtps://localhost", "localhost", 465, Encryption::Implicit),
            (
                "smtps://mail.example.com:4465",
                "mail.example.com",
                4465,
                Encryption::Implicit,
            ),
        ] {
            let relay = Relay::parse(text).unwrap();
            assert_eq!(
                (relay.host.as_str(), relay.port, relay.encryption),
                (host, port, encryption),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said_where_it_can_be() {
        for (text, said) in [
            ("smtp://h:99999", "a port that is no number"),
            ("smtp://u@h", "a user and no password"),
            ("http://h", "must be smtp://"),
        ] {
            let line = Relay::parse(text).unwrap_err();
            assert!(
                line.contains(said) && line.contains("smtps://USER:PASSWORD@HOST:465"),
                "{line}"
            );
        }
    }

    #[test]
    fn an_outage_is_about_the_relay_and_not_about_a_mail() {
        for (unsent, is_outage) in [
            (Unsent::Late, true),
            (Unsent::Answered(421), true),
            (Unsent::Answered(535), true),
            (Unsent::Answered(451), false),
            (Unsent::Refused(550), false),
        ] {
            assert_eq!(unsent.is_outage(), is_outage, "{unsent}");
        }
    }

    #[test]
    fn user_and_password_may_hold_anything_and_are_shown_nowhere() {
        let relay = Relay::parse("smtps://a%40b.example:p%2B+%2F%3A@mail.example.com").unwrap();
        assert_eq!(relay.login, Some(("a@b.example".to_owned(), "p++/:".to_owned())));
        assert_eq!(format!("{relay:?}"), "Relay(mail.example.com:465, Implicit)");
        for text in [
            "",
            "mail.example.com",
            "smtp://",
            "http://mail.example.com",
            "smtp://canary@mail.example.com",
            "smtp://:canary@mail.example.com",
            "smtp://u:canary@mail.example.com/path",
            "smtp://u:canary@mail.example.com?tls=none",
            "smtp://u:canary@mail.example.com#x",
            "smtp://u:canary@mail_server",
            "smtp://u:canary%0d%0aRSET@mail.example.com",
            "smtp://u:canary@mail.example.com:99999",
        ] {
            match Relay::parse(text) {
                Ok(relay) => assert_eq!(text, "smtp://u:canary@mail_server", "{relay:?}"),
                Err(line) => assert!(!line.contains("canary"), "{line}"),
            }
        }
    }
}
