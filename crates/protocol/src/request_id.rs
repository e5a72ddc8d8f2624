//! The name of one request in our log and in its answer: `X-Request-Id`.

use std::fmt;

/// 128 random bits in base64url, made by us: what a client sends under that name is not trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    pub fn random() -> Self {
        Self(crate::random::id())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
