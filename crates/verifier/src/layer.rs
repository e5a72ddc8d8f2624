//! A guard in front of a whole router. Decides, before any handler, whether a request brings a token that is to be
//! believed; so a route that is added later cannot be forgotten.

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::response::{IntoResponse as _, Response};
use http::Request;
use tower::{Layer, Service};

use crate::Verifier;

/// [`Verifier::layer`].
#[derive(Clone, Debug)]
pub struct VerifierLayer {
    verifier: Verifier,
}

/// What stands behind a [`VerifierLayer`].
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    verifier: Verifier,
    inner: S,
}

impl VerifierLayer {
    pub(crate) fn new(verifier: Verifier) -> Self {
        Self { verifier }
    }
}

impl<S> Layer<S> for VerifierLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded {
            verifier: self.verifier.clone(),
            inner,
        }
    }
}

impl<S, B> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Response = Response> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let verifier = self.verifier.clone();
        // The one that was found ready; its clone need not be.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let mut response = match verifier.authenticate(request.headers()).await {
                Ok(token) => {
                    request.extensions_mut().insert(token);
                    inner.call(request).await?
                }
                Err(error) => error.into_response(),
            };
            verifier.name_metadata(&mut response);
            Ok(response)
        })
    }
}
