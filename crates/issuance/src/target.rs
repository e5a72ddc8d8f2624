//! Whom an access token is for: RFC 8707, RFC 9068 §3.

use std::sync::Arc;

use clients::{Directory, ResourceServer};
use protocol::access_token::Audience;
use protocol::{Error, Scope, SigningAlg, scope};

/// The resource servers of one token, in the order asked; none means our own endpoints.
#[derive(Clone, Debug, Default)]
pub struct Target(Vec<Arc<ResourceServer>>);

impl Target {
    /// # Errors
    /// `invalid_target` when one is not registered, or they want different signature algorithms: one token has
    /// one signature.
    pub async fn find(identifiers: &[String], clients: &Directory) -> Result<Self, Error> {
        let mut found: Vec<Arc<ResourceServer>> = Vec::with_capacity(identifiers.len());
        for identifier in identifiers {
            let Some(resource) = clients.resource(identifier).await? else {
                return Err(Error::invalid_target(
                    "resource names no resource server that is registered here",
                ));
            };
            if found.iter().all(|known| known.identifier != resource.identifier) {
                found.push(resource);
            }
        }
        if let [first, rest @ ..] = found.as_slice()
            && rest.iter().any(|other| other.alg != first.alg)
        {
            return Err(Error::invalid_target(
                "these resource servers want different signature algorithms: ask for one token each",
            ));
        }
        Ok(Self(found))
    }

    /// ES256 unless the resource servers want another: its signature costs a fraction of RS256.
    pub fn alg(&self) -> SigningAlg {
        self.0.first().map_or(SigningAlg::Es256, |resource| resource.alg)
    }

    /// Userinfo needs us in `aud`; a token that has nothing to do with it names its resource only.
    pub fn audience(&self, issuer: &str, scope: &Scope) -> Audience {
        let mut names: Vec<String> = self.identifiers();
        if names.is_empty() || scope.contains(scope::OPENID) {
            names.push(issuer.to_owned());
        }
        names.into()
    }

    /// The part of a scope that means something here: the standard scopes, and those of these resource servers.
    pub fn of(&self, asked: &Scope) -> Scope {
        asked.retain(|token| {
            scope::STANDARD.contains(&token) || self.0.iter().any(|it| it.scopes.contains_key(token))
        })
    }

    pub fn identifiers(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|resource| resource.identifier.clone())
            .collect()
    }

    pub fn iter(&self) -> impl Iterator<Item = &ResourceServer> {
        self.0.iter().map(Arc::as_ref)
    }
}
