//! What clients may know of the resource server: RFC 9728. Decides where it is told, and names that place in
//! challenges (§5.1), so that a client that knows nothing but the API finds out whose tokens it takes.

use axum::Router;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::response::Response;
use axum::routing::get;
use http::HeaderValue;
use serde::Serialize;
use url::Url;

use crate::{Error, Verifier};

/// RFC 9728 §3.
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The metadata of a resource server, of RFC 9728 §2. Serialized, it is the document itself.
#[derive(Clone, Debug, Serialize)]
pub struct Metadata {
    resource: String,
    authorization_servers: [String; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<String>,
    bearer_methods_supported: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_documentation: Option<String>,
    #[serde(skip)]
    verifier: Verifier,
}

impl Metadata {
    pub(crate) fn new(verifier: Verifier) -> Self {
        let inner = verifier.inner();
        Self {
            resource: inner.audience.clone(),
            authorization_servers: [inner.keys.issuer().name().to_owned()],
            scopes_supported: inner.scopes.clone(),
            bearer_methods_supported: ["header"],
            resource_name: None,
            resource_documentation: None,
            verifier,
        }
    }

    /// The scopes that a client may ask for.
    #[must_use]
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes_supported = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// What people call it.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.resource_name = Some(name.into());
        self
    }

    /// Where developers read about it.
    #[must_use]
    pub fn documentation(mut self, url: impl Into<String>) -> Self {
        self.resource_documentation = Some(url.into());
        self
    }

    /// The route that serves it, for the host of the identifier: to be merged outside of [`Verifier::layer`]. From
    /// now on the challenges of this verifier name it.
    ///
    /// # Errors
    /// When the identifier of the resource server is not a URL of the web, so that nothing can stand in front of its
    /// path.
    pub fn route<S: Clone + Send + Sync + 'static>(self) -> Result<Router<S>, Error> {
        let url = address(&self.resource)?;
        let document = serde_json::to_string(&self)
            .map_err(|_| Error::Setting("metadata: it cannot be written as JSON"))?;
        let path = url.path().to_owned();
        // A second call serves the same place.
        let _ = self.verifier.inner().metadata.set(url);
        let answer = move || async move {
            let headers = [
                (CONTENT_TYPE, "application/json"),
                (CACHE_CONTROL, "public, max-age=300"),
                (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            ];
            (headers, document.clone())
        };
        Ok(Router::new().route(&path, get(answer)))
    }
}

/// RFC 9728 §3.1: the well-known path stands between the host and the path of the identifier.
fn address(resource: &str) -> Result<Url, Error> {
    let no_url = Error::Setting("metadata: the audience has to be an http or https URL without a fragment");
    let mut url = Url::parse(resource).map_err(|_| Error::Setting("metadata: the audience is no URL"))?;
    if !matches!(url.scheme(), "https" | "http") || url.fragment().is_some() || url.query().is_some() {
        return Err(no_url);
    }
    let path = match url.path() {
        "/" => WELL_KNOWN.to_owned(),
        own => format!("{WELL_KNOWN}{own}"),
    };
    url.set_path(&path);
    Ok(url)
}

impl Verifier {
    /// Adds `resource_metadata` to a challenge, where the metadata is served.
    pub(crate) fn name_metadata(&self, response: &mut Response) {
        let Some(url) = self.inner().metadata.get() else {
            return;
        };
        let headers = response.headers_mut();
        let challenges: Vec<HeaderValue> = headers.get_all(WWW_AUTHENTICATE).iter().cloned().collect();
        if !challenges.iter().any(|own| named(own, url).is_some()) {
            return;
        }
        headers.remove(WWW_AUTHENTICATE);
        for own in challenges {
            headers.append(WWW_AUTHENTICATE, named(&own, url).unwrap_or(own));
        }
    }
}

/// A challenge for a bearer token with the place of the metadata in it; none where it is another, or names one.
fn named(challenge: &HeaderValue, url: &Url) -> Option<HeaderValue> {
    let named = match challenge.to_str().ok()? {
        "Bearer" => format!("Bearer resource_metadata=\"{url}\""),
        own if own.starts_with("Bearer ") && !own.contains("resource_metadata=") => {
            format!("{own}, resource_metadata=\"{url}\"")
        }
        _ => return None,
    };
    HeaderValue::try_from(named).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metadata_stands_before_the_path_of_the_identifier() {
        for (resource, expected) in [
            (
                "https://api.test",
                "https://api.test/.well-known/oauth-protected-resource",
            ),
            (
                "https://api.test/",
                "https://api.test/.well-known/oauth-protected-resource",
            ),
            (
                "https://api.test:8443/v1/notes",
                "https://api.test:8443/.well-known/oauth-protected-resource/v1/notes",
            ),
            (
                "https://api.test/v1/",
                "https://api.test/.well-known/oauth-protected-resource/v1/",
            ),
        ] {
            assert_eq!(address(resource).unwrap().as_str(), expected);
        }
        for resource in [
            "urn:api",
            "api",
            "https://api.test/#a",
            "https://api.test/?a",
            "mailto:a@b",
        ] {
            assert!(address(resource).is_err(), "{resource}");
        }
    }
}
