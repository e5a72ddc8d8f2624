//! The certificate that a client showed: RFC 8705.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::OptionalFromRequestParts;
use http::request::Parts;

/// A certificate whose key the client has proven to hold, on this connection or on that to a proxy of ours, with what
/// it sent along to vouch for it. Whose it is has yet to be asked. A request extension, and an extractor of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    leaf: Arc<[u8]>,
    intermediates: Arc<[Vec<u8>]>,
}

impl ClientCertificate {
    /// Each in DER.
    pub fn new(leaf: &[u8], intermediates: Vec<Vec<u8>>) -> Self {
        Self {
            leaf: leaf.into(),
            intermediates: intermediates.into(),
        }
    }

    pub fn leaf(&self) -> &[u8] {
        &self.leaf
    }

    pub fn intermediates(&self) -> &[Vec<u8>] {
        &self.intermediates
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for ClientCertificate {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get().cloned())
    }
}
