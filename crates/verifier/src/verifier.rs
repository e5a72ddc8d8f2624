//! The verifier: RFC 9068 §4. Decides whether an access token is the issuer's, for this resource server, alive and
//! not revoked.

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use http::HeaderMap;
use jws::access_token::Expected;
use jws::{Alg, MAX_LENGTH, Meant, Unverified};
use protocol::access_token::Claims;
use protocol::{Clock, Timestamp};
use url::Url;

use crate::authenticated::{Authenticated, bearer};
use crate::builder::Discovery;
use crate::feed::Followed;
use crate::feed::set::{Marker, Marks, Subject};
use crate::keys::{Held, Keys};
use crate::layer::VerifierLayer;
use crate::seen::{self, Known, Seen};
use crate::{Error, FeedStatus, Metadata};

/// Judges the access tokens of one issuer for one resource server. Cheap to clone; clones share what they know, and
/// with the last one ends the task that follows revocations.
#[derive(Clone, Debug)]
pub struct Verifier(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) keys: Arc<Keys>,
    pub(crate) audience: String,
    pub(crate) algorithms: Vec<Alg>,
    pub(crate) leeway: Duration,
    pub(crate) scopes: Vec<String>,
    pub(crate) roles: Vec<String>,
    pub(crate) seen: Seen,
    pub(crate) feed: Option<Followed>,
    pub(crate) clock: Clock,
    /// Where the metadata of the resource server is, once it is served: RFC 9728 §5.1.
    pub(crate) metadata: OnceLock<Url>,
}

impl Verifier {
    /// A verifier of the tokens of this issuer: what stands in `iss`, to the byte.
    pub fn discover(issuer: impl Into<String>) -> Discovery {
        Discovery::new(issuer.into())
    }

    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// The claims of a token that may be believed.
    ///
    /// # Errors
    /// [`Error::Refused`] or [`Error::Revoked`] for a token that may not be; [`Error::InsufficientScope`] or
    /// [`Error::MissingRole`] for one that lacks what every token needs here; [`Error::Unavailable`] when no keys
    /// could be had, and [`Error::FeedLost`] where the author wants that of a lost feed.
    pub async fn verify(&self, token: &str) -> Result<Arc<Claims>, Error> {
        let inner = &*self.0;
        let now = inner.clock.now();
        if token.len() > MAX_LENGTH {
            return Err(jws::Error::TooLong.into());
        }
        if let Some(followed) = &inner.feed {
            // What became of it is the policy's business.
            let _ = followed.ready().await;
        }
        let digest = seen::digest(token.as_bytes());
        let held = inner.keys.current(now).await?;
        let known = match inner.seen.find(&digest, held.version, now) {
            Some(known) => known,
            None => {
                let known = Arc::new(inner.judge(token, held, now).await?);
                inner.seen.keep(&digest, Arc::clone(&known));
                known
            }
        };
        if let (Some(followed), Some(marks)) = (&inner.feed, &known.marks) {
            followed.feed.admit(token, &digest, marks, now).await?;
        }
        inner.require(&known.claims)?;
        Ok(Arc::clone(&known.claims))
    }

    /// The same for a request: the token in its `Authorization` header (RFC 6750 §2.1).
    ///
    /// # Errors
    /// As [`Self::verify`]; [`Error::NoToken`], [`Error::Malformed`].
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Authenticated, Error> {
        self.verify(bearer(headers)?).await.map(Authenticated)
    }

    /// Guards every route that stands before it: none is reached without a token, and [`Authenticated`] is at hand in
    /// each.
    pub fn layer(&self) -> VerifierLayer {
        VerifierLayer::new(self.clone())
    }

    /// How the feed of revocations is; none without [`crate::Builder::revocation_feed`].
    pub fn feed(&self) -> Option<FeedStatus> {
        self.0.feed.as_ref().map(|followed| followed.feed.status())
    }

    /// What clients may know of this resource server (RFC 9728), to be served by [`Metadata::route`].
    pub fn metadata(&self) -> Metadata {
        Metadata::new(self.clone())
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }
}

impl Inner {
    /// Looks at all of a token.
    async fn judge(&self, token: &str, held: Arc<Held>, now: Timestamp) -> Result<Known, Error> {
        let text = token;
        let token = Unverified::parse(text)?;
        let feed = self.feed.as_ref().map(|followed| &followed.feed);
        // Our issuer always names its key. Without a name, what a withdrawn one signed could not be told from the rest.
        let kid = token.kid().ok_or(jws::Error::Header("kid"))?.to_owned();
        // A key that was withdrawn is not looked for, and nothing it signed is looked at.
        if feed.is_some_and(|feed| feed.has_withdrawn(&kid, now)) {
            return Err(Error::Revoked);
        }
        let expected = Expected {
            issuer: self.keys.issuer().name(),
            audience: Meant::For(&self.audience),
            algorithms: &self.algorithms,
            ahead: self.leeway,
        };
        let (claims, version) = match expected.verify(token, &held.set, now) {
            Err(jws::Error::UnknownKey) => {
                let newer = self.keys.newer(&kid, now).await?;
                let token = Unverified::parse(text)?;
                (expected.verify(token, &newer.set, now)?, newer.version)
            }
            verdict => (verdict?, held.version),
        };
        Ok(Known {
            marks: feed.map(|feed| marks(&claims, &kid, &feed.marker)),
            claims: Arc::new(claims),
            version,
        })
    }

    /// What every token needs here.
    fn require(&self, claims: &Claims) -> Result<(), Error> {
        if let Some(scope) = self.scopes.iter().find(|scope| !claims.scope.contains(scope)) {
            return Err(Error::InsufficientScope(scope.clone()));
        }
        if let Some(role) = self.roles.iter().find(|role| !claims.roles.contains(role)) {
            return Err(Error::MissingRole(role.clone()));
        }
        Ok(())
    }
}

fn marks(claims: &Claims, kid: &str, marker: &Marker) -> Marks {
    Marks {
        approval: marker.mark(Subject::Approval(claims.approval.as_str())),
        token: marker.mark(Subject::Token(claims.jti.as_str())),
        key: marker.mark(Subject::Key(kid)),
        client: marker.mark(Subject::Client(claims.client_id.as_str())),
        generation: claims.client_generation,
    }
}
