//! The one error type on the wire: RFC 6749 §4.1.2.1 and §5.2, RFC 6750 §3.1, OpenID Connect Core §3.1.2.6.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

use crate::wire_enum;

wire_enum! {
    /// `error` of a response.
    pub enum ErrorCode {
        InvalidRequest => "invalid_request",
        InvalidClient => "invalid_client",
        InvalidGrant => "invalid_grant",
        UnauthorizedClient => "unauthorized_client",
        UnsupportedGrantType => "unsupported_grant_type",
        UnsupportedResponseType => "unsupported_response_type",
        InvalidScope => "invalid_scope",
        /// RFC 8707 §2.
        InvalidTarget => "invalid_target",
        AccessDenied => "access_denied",
        ServerError => "server_error",
        TemporarilyUnavailable => "temporarily_unavailable",
        LoginRequired => "login_required",
        ConsentRequired => "consent_required",
        InteractionRequired => "interaction_required",
        RequestNotSupported => "request_not_supported",
        RequestUriNotSupported => "request_uri_not_supported",
        InvalidRequestUri => "invalid_request_uri",
        InvalidRequestObject => "invalid_request_object",
        RegistrationNotSupported => "registration_not_supported",
        /// RFC 6750 §3.1.
        InvalidToken => "invalid_token",
        InsufficientScope => "insufficient_scope",
        /// RFC 7591 §3.2.2.
        InvalidRedirectUri => "invalid_redirect_uri",
        InvalidClientMetadata => "invalid_client_metadata",
        UnapprovedSoftwareStatement => "unapproved_software_statement",
        /// Ours: a number of another history of the revocation feed.
        StaleFeed => "stale_feed",
    }
}

/// A refusal or a failure. `description` is for the developer of the client, `cause` for our log.
#[derive(Debug)]
pub struct Error {
    code: ErrorCode,
    status: Option<StatusCode>,
    description: Cow<'static, str>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
    challenge: Option<Challenge>,
    retry_after: Option<Duration>,
}

/// The scheme to name in `WWW-Authenticate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// The client tried HTTP Basic (RFC 6749 §5.2).
    Basic,
    /// A protected resource of ours (RFC 6750 §3).
    Bearer,
    /// The same, where the request carried no token: no error code is sent (RFC 6750 §3.1).
    BearerWithoutToken,
}

/// Seconds after which a client may try again when we are overloaded or the database is away.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("2");

macro_rules! constructors {
    ($($(#[$meta:meta])* $name:ident => $code:ident,)+) => {$(
        $(#[$meta])*
        pub fn $name(description: impl Into<Cow<'static, str>>) -> Self {
            Self::new(ErrorCode::$code, description)
        }
    )+};
}

impl Error {
    pub fn new(code: ErrorCode, description: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            status: None,
            description: description.into(),
            cause: None,
            challenge: None,
            retry_after: None,
        }
    }

    constructors! {
        invalid_request => InvalidRequest,
        invalid_client => InvalidClient,
        invalid_grant => InvalidGrant,
        unauthorized_client => UnauthorizedClient,
        unsupported_grant_type => UnsupportedGrantType,
        unsupported_response_type => UnsupportedResponseType,
        invalid_scope => InvalidScope,
        invalid_target => InvalidTarget,
        access_denied => AccessDenied,
        login_required => LoginRequired,
        consent_required => ConsentRequired,
        interaction_required => InteractionRequired,
        request_not_supported => RequestNotSupported,
        request_uri_not_supported => RequestUriNotSupported,
        invalid_request_uri => InvalidRequestUri,
        invalid_request_object => InvalidRequestObject,
        registration_not_supported => RegistrationNotSupported,
        invalid_redirect_uri => InvalidRedirectUri,
        invalid_client_metadata => InvalidClientMetadata,
        unapproved_software_statement => UnapprovedSoftwareStatement,
    }

    /// RFC 6750 §3.1, with its challenge.
    pub fn invalid_token(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidToken, description).with_challenge(Challenge::Bearer)
    }

    /// RFC 6750 §3.1, with its challenge.
    pub fn insufficient_scope(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InsufficientScope, description).with_challenge(Challenge::Bearer)
    }

    /// A request to a protected resource without any token: RFC 6750 §3.1, last paragraph.
    pub fn token_missing() -> Self {
        Self::new(
            ErrorCode::InvalidToken,
            "this resource needs an access token in the Authorization header",
        )
        .with_challenge(Challenge::BearerWithoutToken)
    }

    /// Our own failure. The cause is logged, never shown.
    pub fn server_error(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(
            ErrorCode::ServerError,
            "the authorization server met an unexpected condition",
        )
        .because(cause)
    }

    /// We cannot answer just now: overload, or the database is away.
    pub fn temporarily_unavailable(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(
            ErrorCode::TemporarilyUnavailable,
            "the authorization server is busy; try again shortly",
        )
        .because(cause)
    }

    /// Too much was asked in too short a time: RFC 6585 §4.
    pub fn too_many(description: impl Into<Cow<'static, str>>, retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(ErrorCode::TemporarilyUnavailable, description)
        }
        .with_status(StatusCode::TOO_MANY_REQUESTS)
    }

    /// Adds what our log should know and the client should not.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    #[must_use]
    pub fn with_challenge(mut self, challenge: Challenge) -> Self {
        self.challenge = Some(challenge);
        self
    }

    /// Answers with this status instead of the code's own.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    pub fn code(&self) -> ErrorCode {
        self.code
    }

    pub fn description(&self) -> &str {
        &self.description
    }

    pub fn cause(&self) -> Option<&(dyn StdError + Send + Sync)> {
        self.cause.as_deref()
    }

    pub fn status(&self) -> StatusCode {
        self.status.unwrap_or(match self.code {
            ErrorCode::InvalidClient | ErrorCode::InvalidToken => StatusCode::UNAUTHORIZED,
            ErrorCode::InsufficientScope | ErrorCode::AccessDenied => StatusCode::FORBIDDEN,
            ErrorCode::StaleFeed => StatusCode::GONE,
            ErrorCode::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            ErrorCode::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        })
    }

    /// When to try again, for who asked too much.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Writes the line that the log gets: a refusal is business, only our own failure is an error.
    pub fn log(&self) {
        let cause = self
            .cause
            .as_ref()
            .map(|cause| cause.to_string())
            .unwrap_or_default();
        let (code, description) = (self.code.as_str(), &*self.description);
        match self.code {
            ErrorCode::ServerError => tracing::error!(code, description, cause, "failed"),
            ErrorCode::TemporarilyUnavailable => tracing::warn!(code, description, cause, "unavailable"),
            _ => tracing::info!(code, description, cause, "refused"),
        }
    }

    fn challenge_header(&self) -> Option<HeaderValue> {
        let text = match self.challenge? {
            Challenge::Basic => "Basic realm=\"token\", charset=\"UTF-8\"".to_owned(),
            Challenge::BearerWithoutToken => "Bearer".to_owned(),
            Challenge::Bearer => {
                let quotable = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\' || c == ' ';
                let description: String = self.description.chars().filter(|c| quotable(*c)).collect();
                format!(
                    "Bearer error=\"{}\", error_description=\"{description}\"",
                    self.code
                )
            }
        };
        HeaderValue::from_str(&text).ok()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.description)?;
        match &self.cause {
            Some(cause) => write!(f, " ({cause})"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {}

#[derive(serde::Serialize)]
struct Body<'a> {
    error: &'static str,
    error_description: &'a str,
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        self.log();
        let body = Json(Body {
            error: self.code.as_str(),
            error_description: &self.description,
        });
        let mut response = (self.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
        if let Some(challenge) = self.challenge_header() {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if let Some(after) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        } else if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_stays_in_the_log() {
        let error = Error::server_error("SELECT secret FROM canary");
        assert!(!error.description().contains("canary"));
        assert!(error.to_string().contains("canary"));
        assert_eq!(error.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn a_challenge_quotes_only_what_may_stand_in_quotes() {
        let error = Error::invalid_token("no \"quotes\"\r\nor lines");
        let header = error.challenge_header().unwrap();
        assert_eq!(
            header,
            "Bearer error=\"invalid_token\", error_description=\"no quotesor lines\""
        );
    }
}
