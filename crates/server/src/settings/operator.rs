//! What the pages say of the people who run this site: links, and how to reach them.

use accounts::email::Email;
use pages::{Contact, Operator};
use url::{Host, Url};

use super::{Name, Reader};

impl Reader {
    pub(super) fn operator(&mut self) -> Operator {
        Operator {
            terms: self.read(Name::TermsUrl, link),
            privacy: self.read(Name::PrivacyUrl, link),
            help: self.read(Name::HelpUrl, link),
            imprint: self.read(Name::ImprintUrl, link),
            contact: self.read(Name::Contact, contact),
        }
    }
}

/// A page that people may be led to from ours. The attack is a scheme that does something else than lead, like
/// `javascript:`, in the place where links stand.
fn link(text: &str) -> Result<String, String> {
    let wanted = || format!("{text:?} must be an https URL, like https://www.example.com/help");
    let url = Url::parse(text).map_err(|_| wanted())?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user or a password".to_owned());
    }
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return Err(wanted()),
    };
    match url.scheme() {
        "https" => {}
        "http" if is_here => {}
        _ => return Err(wanted()),
    }
    Ok(url.into())
}

fn contact(text: &str) -> Result<Contact, String> {
    if text.contains("://") {
        return link(text).map(Contact::Page);
    }
    match Email::parse(text) {
        Ok(email) => Ok(Contact::Mailbox(email.shown().to_owned())),
        Err(_) => Err(format!("{text:?} must be an email address or an https URL")),
    }
}
