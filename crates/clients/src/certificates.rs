//! Clients that prove themselves by a certificate: RFC 8705 §2. Decides whether the certificate of a connection is one
//! of this client.
//!
//! That the client holds its key was proven when the connection was made. What is asked here, for each request, is
//! whether an authority of ours vouches for it at this moment and it has the one name that the client registered, or
//! whether it is one that the client registered itself.

mod dn;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jws::KeySet;
use protocol::{ClientCertificate, Confirmation, Timestamp};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use crate::Metadata;
use dn::DistinguishedName;

/// The authorities whose word counts for `tls_client_auth`.
#[derive(Clone, Debug, Default)]
pub struct Authorities(Option<Arc<dyn ClientCertVerifier>>);

impl Authorities {
    /// Those of a file in PEM.
    ///
    /// # Errors
    /// When it holds none, or one that cannot be read.
    pub fn parse(pem: &[u8]) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|fault| fault.to_string())?;
            roots.add(certificate).map_err(|fault| fault.to_string())?;
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        verifier
            .map(|verifier| Self(Some(verifier)))
            .map_err(|fault| fault.to_string())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// RFC 5280 §6: chain, dates and purpose.
    fn vouch(&self, certificate: &ClientCertificate, now: Timestamp) -> Result<(), String> {
        let verifier = self.0.as_ref().ok_or("there is no authority")?;
        let leaf = CertificateDer::from(certificate.leaf());
        let intermediates = certificate.intermediates().iter();
        let intermediates: Vec<_> = intermediates
            .map(|der| CertificateDer::from(der.as_slice()))
            .collect();
        let seconds = u64::try_from(now.as_secs()).map_err(|_| "a time before 1970")?;
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let verified = verifier.verify_client_cert(&leaf, &intermediates, now);
        verified.map(drop).map_err(|fault| fault.to_string())
    }
}

/// What a token is bound to that only the holder of this certificate may use: RFC 8705 §3.1.
pub fn confirmation(certificate: &ClientCertificate) -> Confirmation {
    Confirmation::Certificate(URL_SAFE_NO_PAD.encode(seal::sha256(certificate.leaf())))
}

/// The one name by which the certificates of a client are known: RFC 8705 §2.1.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Dn(DistinguishedName),
    Dns(String),
    Uri(String),
    Ip(IpAddr),
    Email(String),
}

impl Name {
    /// The name in the metadata; none when there is none.
    ///
    /// # Errors
    /// The member to change, and why: there are several, or it names nothing.
    pub fn of(metadata: &Metadata) -> Result<Option<Self>, (&'static str, &'static str)> {
        let all = [
            ("tls_client_auth_subject_dn", &metadata.tls_client_auth_subject_dn),
            ("tls_client_auth_san_dns", &metadata.tls_client_auth_san_dns),
            ("tls_client_auth_san_uri", &metadata.tls_client_auth_san_uri),
            ("tls_client_auth_san_ip", &metadata.tls_client_auth_san_ip),
            ("tls_client_auth_san_email", &metadata.tls_client_auth_san_email),
        ];
        let mut given = all
            .into_iter()
            .filter_map(|(member, value)| value.as_deref().map(|value| (member, value)));
        let Some((member, value)) = given.next() else {
            return Ok(None);
        };
        if let Some((other, _)) = given.next() {
            return Err((other, "give one of the tls_client_auth_ names, not several"));
        }
        match Kind::parse(member, value) {
            Ok(kind) => Ok(Some(Self(kind))),
            Err(fault) => Err((member, fault)),
        }
    }

    /// Whether a certificate has it.
    fn is_of(&self, certificate: &X509Certificate<'_>) -> bool {
        match &self.0 {
            Kind::Dn(name) => name.is(certificate.subject()),
            Kind::Dns(own) => has(
                certificate,
                |name| matches!(name, GeneralName::DNSName(it) if it.eq_ignore_ascii_case(own)),
            ),
            Kind::Uri(own) => has(
                certificate,
                |name| matches!(name, GeneralName::URI(it) if it == own),
            ),
            Kind::Email(own) => has(
                certificate,
                |name| matches!(name, GeneralName::RFC822Name(it) if it == own),
            ),
            Kind::Ip(own) => has(
                certificate,
                |name| matches!(name, GeneralName::IPAddress(it) if *it == octets(*own)),
            ),
        }
    }
}

impl Kind {
    fn parse(member: &str, value: &str) -> Result<Self, &'static str> {
        let plain = !value.is_empty() && value.bytes().all(|b| b.is_ascii_graphic());
        match member {
            "tls_client_auth_subject_dn" => DistinguishedName::parse(value)
                .map(Self::Dn)
                .ok_or("expected a distinguished name as RFC 4514 writes it, like CN=app,O=Example,C=GB"),
            "tls_client_auth_san_ip" => value.parse().map(Self::Ip).map_err(|_| "expected an IP address"),
            _ if !plain => Err("expected printable ASCII without spaces"),
            "tls_client_auth_san_dns" => Ok(Self::Dns(value.to_owned())),
            "tls_client_auth_san_uri" => Ok(Self::Uri(value.to_owned())),
            _ => Ok(Self::Email(value.to_owned())),
        }
    }
}

fn has(certificate: &X509Certificate<'_>, is_it: impl Fn(&GeneralName<'_>) -> bool) -> bool {
    // A second extension of the kind is an error, and then nothing is believed.
    let names = certificate.subject_alternative_name().ok().flatten();
    names.is_some_and(|names| names.value.general_names.iter().any(is_it))
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// `tls_client_auth`: §2.1.
pub(crate) fn by_authority(
    certificate: &ClientCertificate,
    metadata: &Metadata,
    authorities: &Authorities,
    now: Timestamp,
) -> Result<(), String> {
    let name = Name::of(metadata).map_err(|(member, fault)| format!("{member}: {fault}"))?;
    let name = name.ok_or("the client has registered no name of its certificates")?;
    authorities.vouch(certificate, now)?;
    match name.is_of(&read(certificate)?) {
        true => Ok(()),
        false => Err("the certificate has another name than the client registered".to_owned()),
    }
}

/// `self_signed_tls_client_auth`: §2.2. Nobody vouches for it but the client, which registered this very certificate;
/// it ends on its own day all the same.
pub(crate) fn by_registration(
    certificate: &ClientCertificate,
    keys: &KeySet,
    now: Timestamp,
) -> Result<(), String> {
    if !keys.has_certificate(certificate.leaf()) {
        return Err("the certificate is none of those in the client's key set".to_owned());
    }
    let validity = read(certificate)?.validity().clone();
    let is_valid =
        validity.not_before.timestamp() <= now.as_secs() && now.as_secs() <= validity.not_after.timestamp();
    match is_valid {
        true => Ok(()),
        false => Err("the certificate has expired, or is not valid yet".to_owned()),
    }
}

fn read(certificate: &ClientCertificate) -> Result<X509Certificate<'_>, String> {
    match X509Certificate::from_der(certificate.leaf()) {
        Ok(([], read)) => Ok(read),
        Ok(_) => Err("something stands behind the certificate".to_owned()),
        Err(fault) => Err(fault.to_string()),
    }
}

#[cfg(test)]
mod tests;
