//! Who is at the other end of a request.

use std::net::IpAddr;

/// The address a request came from: the peer's, or what a trusted proxy says of it. A request extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);
