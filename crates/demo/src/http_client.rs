//! The HTTP client under `openidconnect`: its `AsyncHttpClient` over the reqwest of this workspace.
//!
//! It decides what a relying party does on the back channel: follow no redirect (a redirected token request
//! would carry the client secret along), wait a bounded time, read a bounded body.

use std::pin::Pin;
use std::time::Duration;

use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use url::Url;

/// For a whole request, connection included.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest body we read, in bytes. Metadata and key sets are a few KiB.
const MAX_BODY: usize = 256 * 1024;

/// Hand a reference to every `request_async` and `discover_async`.
#[derive(Clone, Debug)]
pub struct HttpClient(reqwest::Client);

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the HTTP request failed")]
    Exchange(#[from] reqwest::Error),
    #[error("the response is larger than {MAX_BODY} bytes")]
    TooLarge,
    #[error("the response is not valid HTTP")]
    Malformed(#[from] http::Error),
}

impl HttpClient {
    /// A client for an issuer and what belongs to it.
    ///
    /// # Errors
    /// When the issuer is on https and the certificates that the system trusts cannot be loaded.
    pub fn new(issuer: &Url) -> Result<Self, Error> {
        let builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT);
        let builder = match issuer.scheme() {
            "https" => builder,
            // Plain http is for loopback: no proxy stands between, and a small machine may lack certificates.
            _ => builder.no_proxy().tls_certs_only([]),
        };
        Ok(Self(builder.build()?))
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Error> {
        let mut answer = self.0.execute(request.try_into()?).await?;

        let mut response = http::Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            response = response.header(name, value);
        }

        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(Error::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(response.body(body)?)
    }
}

impl<'c> AsyncHttpClient<'c> for HttpClient {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Error>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}
