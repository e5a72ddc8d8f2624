//! The verifier: RFC 9068 §4. Decides whether an access token is the issuer's, for this resource server, and alive.

use std::sync::Arc;

use jws::{Meant, Unverified, access_token};
use protocol::Clock;
use protocol::access_token::Claims;

use crate::Error;
use crate::issuer::Issuer;
use crate::keys::Keys;

/// Judges the access tokens of one issuer for one resource server. Cheap to clone; clones share their keys.
#[derive(Clone, Debug)]
pub struct Verifier {
    keys: Arc<Keys>,
    audience: Arc<str>,
    clock: Clock,
}

/// A verifier to be: [`Verifier::builder`].
#[derive(Clone, Debug)]
pub struct Builder {
    issuer: String,
    audience: String,
    clock: Clock,
}

impl Verifier {
    /// A verifier whose keys are at hand.
    ///
    /// # Errors
    /// When the issuer is not an https URL (http on loopback names), or its metadata (RFC 8414) or keys cannot
    /// be fetched within five seconds each.
    pub async fn discover(issuer: impl Into<String>, audience: impl Into<String>) -> Result<Self, Error> {
        let verifier = Self::builder(issuer, audience).build()?;
        verifier.keys.current(verifier.clock.now()).await?;
        Ok(verifier)
    }

    /// `issuer` is what stands in `iss`; `audience` is the identifier of this resource server, in `aud`.
    pub fn builder(issuer: impl Into<String>, audience: impl Into<String>) -> Builder {
        Builder {
            issuer: issuer.into(),
            audience: audience.into(),
            clock: Clock::System,
        }
    }

    /// The claims of a token that may be believed.
    ///
    /// # Errors
    /// [`Error::Refused`] for a token that may not be, [`Error::Unavailable`] when no keys could be had.
    pub async fn verify(&self, token: &str) -> Result<Claims, Error> {
        let now = self.clock.now();
        let token = Unverified::parse(token)?;
        let judge = |keys: &jws::KeySet| {
            access_token::verify(&token, keys, self.keys.issuer(), Meant::For(&self.audience), now)
        };
        let verdict = match judge(&self.keys.current(now).await?.set) {
            Err(jws::Error::UnknownKey) => judge(&self.keys.newer(now).await?.set),
            verdict => verdict,
        };
        Ok(verdict?)
    }
}

impl Builder {
    /// Reads the time from this clock instead of the system's: for tests.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// A verifier that asks the issuer for its keys at the first token.
    ///
    /// # Errors
    /// When the issuer is not an https URL (http on loopback names).
    pub fn build(self) -> Result<Verifier, Error> {
        Ok(Verifier {
            keys: Arc::new(Keys::new(Issuer::new(self.issuer)?)),
            audience: self.audience.into(),
            clock: self.clock,
        })
    }
}
