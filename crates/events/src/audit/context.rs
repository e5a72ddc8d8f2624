//! Where an act came from.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use http::request::Parts;
use protocol::{ClientAddress, RequestId, wire_enum};

wire_enum! {
    /// Who set an act going.
    pub enum Origin {
        Request => "request",
        /// An operator at the command line.
        CommandLine => "command_line",
        /// Nobody: it was due.
        Server => "server",
    }
}

/// Where an act came from, as far as that is known. A handler takes it as an argument.
#[derive(Clone, Debug)]
pub struct Context {
    origin: Origin,
    request_id: Option<RequestId>,
    address: Option<IpAddr>,
}

impl Context {
    pub fn request(request_id: RequestId, address: Option<ClientAddress>) -> Self {
        Self {
            origin: Origin::Request,
            request_id: Some(request_id),
            address: address.map(|ClientAddress(address)| address),
        }
    }

    pub fn command_line() -> Self {
        Self::without_request(Origin::CommandLine)
    }

    pub fn server() -> Self {
        Self::without_request(Origin::Server)
    }

    fn without_request(origin: Origin) -> Self {
        Self {
            origin,
            request_id: None,
            address: None,
        }
    }

    pub fn origin(&self) -> Origin {
        self.origin
    }

    pub(crate) fn request_id(&self) -> Option<&str> {
        self.request_id.as_ref().map(RequestId::as_str)
    }

    pub(crate) fn address(&self) -> Option<String> {
        self.address.map(|address| address.to_string())
    }

    /// The network of the address, as far as one party usually holds it: /24 of IPv4, /48 of IPv6.
    pub fn network(&self) -> String {
        match self.address.map(|address| address.to_canonical()) {
            None => String::new(),
            Some(IpAddr::V4(address)) => {
                let [a, b, c, _] = address.octets();
                format!("{a}.{b}.{c}.0/24")
            }
            Some(IpAddr::V6(address)) => {
                let [a, b, c, ..] = address.segments();
                format!("{a:x}:{b:x}:{c:x}::/48")
            }
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Context {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let address = parts.extensions.get::<ClientAddress>().copied();
        Ok(Self {
            origin: Origin::Request,
            request_id: parts.extensions.get::<RequestId>().cloned(),
            address: address.map(|ClientAddress(address)| address),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_what_one_party_usually_holds() {
        for (address, network) in [
            ("198.51.100.77", "198.51.100.0/24"),
            ("::ffff:198.51.100.77", "198.51.100.0/24"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
            ("::1", "0:0:0::/48"),
        ] {
            let address = ClientAddress(address.parse().unwrap());
            assert_eq!(
                Context::request(RequestId::random(), Some(address)).network(),
                network
            );
        }
        assert_eq!(Context::command_line().network(), "");
    }
}
