//! Why the feed of revocations is not at hand.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::Unavailable;

/// Why the revocation feed is lost, for logs and for whoever builds a verifier.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FeedError {
    #[error("{0}")]
    Issuer(Arc<Unavailable>),
    #[error("the metadata of the issuer names no revocation_feed_endpoint")]
    NotOffered,
    #[error("the metadata of the issuer names no introspection_endpoint")]
    NoIntrospection,
    /// Our credentials go there, so it has to be the issuer's own.
    #[error("the endpoint that the metadata names is not at the issuer's own origin")]
    Endpoint,
    #[error("the access token for the feed cannot be had")]
    Credentials(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the issuer does not accept our credentials for the feed: it answered {0}")]
    Refused(StatusCode),
    #[error("the issuer is busy")]
    Busy(Option<Duration>),
    #[error("the issuer has too many connections of this caller")]
    Crowded(Option<Duration>),
    #[error("the issuer answered {0}")]
    Status(StatusCode),
    #[error("no answer")]
    Http(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the issuer says nothing")]
    Silent,
    #[error("the stream was cut")]
    Cut,
    #[error("the issuer does not stream")]
    NotStreamed,
    /// The feed is another, or went back: after a restore, or to a replica that is behind.
    #[error("the feed went on without us; its whole is needed again")]
    Stale,
    #[error("unreadable: {0}")]
    Unreadable(&'static str),
    #[error("its seal is not to be believed: {0}")]
    Seal(#[from] jws::Error),
    /// By a panic, or with the runtime it was in.
    #[error("the task that follows the feed has ended")]
    Ended,
    #[error("more than {0} revocations")]
    TooMany(u64),
}

impl From<reqwest::Error> for FeedError {
    fn from(error: reqwest::Error) -> Self {
        Self::Http(error.into())
    }
}

impl From<Arc<Unavailable>> for FeedError {
    fn from(cause: Arc<Unavailable>) -> Self {
        Self::Issuer(cause)
    }
}

impl FeedError {
    /// A mistake in the configuration, which waiting does not mend.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Endpoint)
    }

    /// Whether going on from what is at hand would meet the same again.
    pub(crate) fn asks_for_the_whole(&self) -> bool {
        matches!(
            self,
            Self::Stale | Self::Unreadable(_) | Self::Seal(_) | Self::TooMany(_)
        )
    }
}
