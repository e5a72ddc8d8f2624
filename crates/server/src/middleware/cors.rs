//! Which pages of other origins may read our answers: the Fetch standard, "CORS protocol". C095.
//!
//! A layer for the few endpoints that browsers call from scripts. Never with credentials, so a page learns
//! nothing that its own server could not ask for.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

/// Who may read. To be used with [`cors`] as `axum::middleware::from_fn_with_state(policy, cors)`.
#[derive(Clone)]
pub struct Cors(Policy);

#[derive(Clone)]
enum Policy {
    Everyone,
    Registered(Arc<Check>),
}

type Check = dyn Fn(String) -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync;

const ANYBODY: HeaderValue = HeaderValue::from_static("*");
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST");
const HEADERS: HeaderValue = HeaderValue::from_static("authorization, content-type");
/// What a script needs of an answer besides its body.
const EXPOSED: HeaderValue = HeaderValue::from_static("www-authenticate, retry-after, x-request-id");
/// Seconds for which a browser may remember a preflight. Short, because origins are taken away as well.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const VARIES: HeaderValue = HeaderValue::from_static("Origin");

impl Cors {
    /// Public documents: discovery and keys.
    pub fn public() -> Self {
        Self(Policy::Everyone)
    }

    /// The origins for which `check` answers yes. It gets the text of the `Origin` header, never `null`.
    pub fn registered<F, A>(check: F) -> Self
    where
        F: Fn(String) -> A + Send + Sync + 'static,
        A: Future<Output = bool> + Send + 'static,
    {
        Self(Policy::Registered(Arc::new(move |origin| {
            Box::pin(check(origin))
        })))
    }

    /// What `Access-Control-Allow-Origin` says, if anything.
    async fn admitted(&self, request: &HeaderMap) -> Option<HeaderValue> {
        let check = match &self.0 {
            Policy::Everyone => return Some(ANYBODY),
            Policy::Registered(check) => check,
        };
        let mut origins = request.get_all(ORIGIN).iter();
        let (Some(origin), None) = (origins.next(), origins.next()) else {
            return None;
        };
        let text = origin.to_str().ok().filter(|text| *text != "null")?;
        check(text.to_owned()).await.then(|| origin.clone())
    }
}

impl fmt::Debug for Cors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Policy::Everyone => "Cors(everyone)",
            Policy::Registered(_) => "Cors(registered)",
        })
    }
}

/// The layer. Put it on a router with routes: it answers preflights itself.
pub async fn cors(State(policy): State<Cors>, request: Request, next: Next) -> Response {
    let admitted = policy.admitted(request.headers()).await;
    let mut response = if is_preflight(&request) {
        preflight(admitted.is_some())
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    if matches!(policy.0, Policy::Registered(_)) {
        // A cache must not give the answer for one origin to another, nor that for none to any.
        headers.append(VARY, VARIES);
    }
    if let Some(admitted) = admitted {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, admitted);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
    response
}

fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(ORIGIN)
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

fn preflight(admitted: bool) -> Response {
    if !admitted {
        return StatusCode::NO_CONTENT.into_response();
    }
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
        (ACCESS_CONTROL_MAX_AGE, MAX_AGE),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use axum::routing::post;
    use tower::ServiceExt as _;

    use super::*;

    const GOOD: &str = "https://app.example.com";

    async fn ask(policy: Cors, method: Method, origins: &[&str]) -> Response {
        let app = Router::new()
            .route("/token", post(|| async { StatusCode::UNAUTHORIZED }))
            .layer(from_fn_with_state(policy, cors));
        let mut request = http::Request::builder().method(method).uri("/token");
        for origin in origins {
            request = request
                .header(ORIGIN, *origin)
                .header(ACCESS_CONTROL_REQUEST_METHOD, "POST");
        }
        app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    fn registered() -> Cors {
        Cors::registered(|origin| async move { origin == GOOD || origin == "null" })
    }

    #[tokio::test]
    async fn c095_only_registered_origins_may_read_and_never_with_credentials() {
        for (origins, admitted) in [
            (&[GOOD][..], true),
            (&[], false),
            (&["null"], false),
            (&["https://evil.example.com"], false),
            (&["https://app.example.com.evil.test"], false),
            (&["https://app.example.com:444"], false),
            (&["http://app.example.com"], false),
            (&["HTTPS://APP.EXAMPLE.COM"], false),
            (&[GOOD, "https://evil.example.com"], false),
            (&["*"], false),
        ] {
            for method in [Method::POST, Method::OPTIONS] {
                let response = ask(registered(), method.clone(), origins).await;
                let headers = response.headers();
                let allowed = headers.get(ACCESS_CONTROL_ALLOW_ORIGIN);
                assert_eq!(allowed.is_some(), admitted, "{method} {origins:?}");
                assert!(allowed.is_none_or(|allowed| allowed == GOOD));
                assert!(headers.get_all(VARY).iter().any(|vary| vary == "Origin"));
                assert!(!headers.contains_key("access-control-allow-credentials"));
                assert_eq!(
                    headers.contains_key(ACCESS_CONTROL_ALLOW_METHODS),
                    admitted && method == Method::OPTIONS
                );
                let expected = match (&method, origins) {
                    (&Method::POST, _) => StatusCode::UNAUTHORIZED,
                    (_, []) => StatusCode::METHOD_NOT_ALLOWED,
                    _ => StatusCode::NO_CONTENT,
                };
                assert_eq!(response.status(), expected, "{method} {origins:?}");
            }
        }
    }

    #[tokio::test]
    async fn c095_public_documents_are_for_everyone_without_naming_anyone() {
        for origins in [&[GOOD][..], &["null"], &[]] {
            let response = ask(Cors::public(), Method::POST, origins).await;
            assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
            assert!(
                !response
                    .headers()
                    .contains_key("access-control-allow-credentials")
            );
        }
    }
}
