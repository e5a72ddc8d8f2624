//! What the author of a resource server decides, before the first token. Mistakes show here and not at a request.

use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jws::{Alg, times};
use protocol::Clock;

use crate::credentials::Credentials;
use crate::feed::{Feed, Followed, LostFeed, Pace};
use crate::issuer::Issuer;
use crate::keys::Keys;
use crate::seen::Seen;
use crate::verifier::{Inner, Verifier};
use crate::{Error, FeedError};

/// Tokens that are remembered, unless the author says otherwise: some 16 MB where all are in use.
const REMEMBERED: usize = 16_384;

/// An issuer, and nobody yet for whom its tokens are.
#[derive(Clone, Debug)]
pub struct Discovery {
    issuer: String,
}

/// A verifier to be. Awaiting it asks the issuer, so that a wrong address fails at start; [`Builder::build`] asks
/// nobody.
#[derive(Clone, Debug)]
#[must_use = "it verifies nothing before it is awaited or built"]
pub struct Builder {
    issuer: String,
    audience: String,
    algorithms: Vec<Alg>,
    leeway: Duration,
    scopes: Vec<String>,
    roles: Vec<String>,
    remembered: usize,
    credentials: Option<Credentials>,
    lost: Option<LostFeed>,
    pace: Pace,
    clock: Clock,
}

impl Discovery {
    pub(crate) fn new(issuer: String) -> Self {
        Self { issuer }
    }

    /// The identifier of this resource server: what clients ask for as `resource`, and what has to stand in `aud`.
    pub fn audience(self, audience: impl Into<String>) -> Builder {
        Builder {
            issuer: self.issuer,
            audience: audience.into(),
            algorithms: Alg::ALL.to_vec(),
            leeway: times::AHEAD,
            scopes: Vec::new(),
            roles: Vec::new(),
            remembered: REMEMBERED,
            credentials: None,
            lost: None,
            pace: Pace::default(),
            clock: Clock::System,
        }
    }
}

impl Builder {
    /// Follows the revocations of the issuer: a token that is revoked is refused within a fraction of a second.
    pub fn revocation_feed(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// What to do with tokens while revocations are not heard of; [`LostFeed::FailOpen`] unless it is said.
    pub fn when_feed_is_lost(mut self, policy: LostFeed) -> Self {
        self.lost = Some(policy);
        self
    }

    /// How far `iat` and `nbf` may lie in the future because clocks differ: 10 to 60 seconds, 30 unless it is said.
    /// `exp` has none.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Accepts these algorithms only. Without it, all that the issuer may have keys for: ES256, RS256, PS256, EdDSA;
    /// never `none`, and never one with a shared secret (RFC 8725 §3.1).
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Alg>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// Every token needs these scopes.
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Every token needs these roles.
    pub fn roles<S: Into<String>>(mut self, roles: impl IntoIterator<Item = S>) -> Self {
        self.roles = roles.into_iter().map(Into::into).collect();
        self
    }

    /// How many tokens are remembered, so that their signature is checked once; 16,384 unless it is said, none by 0.
    pub fn remember(mut self, tokens: usize) -> Self {
        self.remembered = tokens;
        self
    }

    /// Reads the time from this clock instead of the system's: for tests.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    #[cfg(test)]
    pub(crate) fn pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// A verifier that asks the issuer at the first token, for keys and for revocations: where the issuer may start
    /// later than the resource server.
    ///
    /// # Errors
    /// When the issuer is not an https URL (http on loopback names), or a setting cannot be.
    pub fn build(self) -> Result<Verifier, Error> {
        if self.algorithms.is_empty() {
            return Err(Error::Setting("algorithms: without any no token is accepted"));
        }
        if !times::BOUNDS.contains(&self.leeway) {
            return Err(Error::Setting("leeway: 10 to 60 seconds"));
        }
        if self.audience.is_empty() {
            return Err(Error::Setting("audience: the identifier of this resource server"));
        }
        let keys = Arc::new(Keys::new(Issuer::new(self.issuer)?));
        let feed = match (self.credentials, self.lost) {
            (None, None) => None,
            (None, Some(_)) => {
                return Err(Error::Setting("when_feed_is_lost: needs a revocation_feed"));
            }
            (Some(credentials), Some(LostFeed::Introspect)) if !credentials.can_introspect() => {
                return Err(Error::Setting("LostFeed::Introspect: needs Credentials::basic"));
            }
            (Some(_), Some(LostFeed::FailClosed { after })) if after < self.pace.silence => {
                return Err(Error::Setting(
                    "LostFeed::FailClosed: after has to be 15 seconds or more, as a connection that says nothing \
                     is known to be lost after those",
                ));
            }
            (Some(credentials), policy) => Some(Followed::new(Feed::new(
                Arc::clone(&keys),
                credentials,
                policy.unwrap_or_default(),
                self.pace,
                self.clock.clone(),
            ))),
        };
        Ok(Verifier::new(Inner {
            keys,
            audience: self.audience,
            algorithms: self.algorithms,
            leeway: self.leeway,
            scopes: self.scopes,
            roles: self.roles,
            seen: Seen::new(self.remembered),
            feed,
            clock: self.clock,
            metadata: OnceLock::new(),
        }))
    }

    async fn start(self) -> Result<Verifier, Error> {
        let may_be_lost = matches!(self.lost, None | Some(LostFeed::FailOpen));
        let verifier = self.build()?;
        let inner = verifier.inner();
        inner.keys.current(inner.clock.now()).await?;
        if let Some(followed) = &inner.feed {
            let outcome = followed.begun().await;
            let outcome = outcome.unwrap_or_else(|| Err(Arc::new(FeedError::Silent)));
            match outcome {
                // Credentials that are refused are a mistake, whatever the policy.
                Err(cause) if cause.is_refusal() || !may_be_lost => return Err(Error::FeedLost(Some(cause))),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(verifier)
    }
}

impl IntoFuture for Builder {
    type Output = Result<Verifier, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// # Errors
    /// As [`Builder::build`]; when metadata (RFC 8414) or keys cannot be fetched within five seconds each; when the
    /// issuer refuses the credentials for its revocations, or, with another policy than [`LostFeed::FailOpen`], does
    /// not give them within thirty seconds.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.start())
    }
}
