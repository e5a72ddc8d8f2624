//! Where clients are asked for certificates: RFC 8705.
//!
//! There is one that tells of them: a second listener of our own, or, without it, the trusted proxies by a header. With
//! both, a client that reaches us past the proxy could say what it likes.

use std::net::SocketAddr;

use clients::certificates::Authorities;
use protocol::{ClientCertificates, Issuer};

use super::{Mistake, Name, Reader, TlsFiles, TrustedProxies, values};
use crate::middleware::Certificates;

/// The addresses at which clients are asked for certificates.
#[derive(Clone, Debug)]
pub struct Mtls {
    /// The base of the endpoints there.
    pub url: Issuer,
    /// The second listener; none where proxies end TLS.
    pub listen: Option<SocketAddr>,
    /// Whose word counts for `tls_client_auth`.
    pub authorities: Authorities,
}

impl Mtls {
    /// Who tells of certificates.
    pub fn told_by(&self) -> Certificates {
        match self.listen {
            Some(_) => Certificates::Ours,
            None => Certificates::OfProxies,
        }
    }

    /// Which certificates count.
    pub fn certificates(&self) -> ClientCertificates {
        match self.authorities.is_empty() {
            true => ClientCertificates::Registered,
            false => ClientCertificates::Issued,
        }
    }
}

impl Reader {
    pub(super) fn mtls(&mut self, tls: Option<&TlsFiles>, proxies: Option<&TrustedProxies>) -> Option<Mtls> {
        let listen = self.read(Name::MtlsListen, values::listen);
        let url = self.read(Name::MtlsUrl, values::https);
        let authorities = self.read(Name::MtlsRoots, |text| {
            let pem = values::certificates(text)?;
            Authorities::parse(&pem).map_err(|fault| format!("{text:?}: {fault}"))
        });
        let given = |own: &Self, name| own.shown.get(&name).is_some_and(|shown| shown.value.is_some());
        if !given(self, Name::MtlsUrl) {
            for name in [Name::MtlsListen, Name::MtlsRoots] {
                if given(self, name) {
                    return self.needs(Name::MtlsUrl, name);
                }
            }
            return None;
        }
        if given(self, Name::MtlsListen) && tls.is_none() {
            return self.needs(Name::TlsCert, Name::MtlsListen);
        }
        if !given(self, Name::MtlsListen) && proxies.is_some_and(TrustedProxies::is_empty) {
            self.mistakes.push(Mistake::new(
                &Name::MtlsUrl.variable(),
                "needs COUNTERSIGN_MTLS_LISTEN, or COUNTERSIGN_TRUSTED_PROXIES, whose Client-Cert header counts",
            ));
            return None;
        }
        Some(Mtls {
            url: url?,
            listen,
            authorities: authorities.unwrap_or_default(),
        })
    }
}
