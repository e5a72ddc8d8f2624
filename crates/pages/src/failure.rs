//! Answers that need nothing: neither the template engine nor the texts nor the database, any of which may be what failed.
//!
//! The page is a constant with a few places filled in. It serves our own failures, and what is refused before anybody
//! knows in which language.

use axum::response::Response;
use http::StatusCode;
use protocol::{ErrorCode, Timestamp};

use crate::page::{self, FormTarget};
use crate::{Base, Markup, Operator, assets};
use protocol::BRAND;

/// What happened, by its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// 500.
    Trouble,
    /// 503.
    Busy,
    /// 408.
    Slow,
    /// 413.
    Large,
    /// 414.
    Long,
    /// 431.
    Headers,
    /// What else is refused outside of every page, by its status.
    Odd(StatusCode),
}

const PAGE: &str = include_str!("../../../templates/failure.html");

impl Failure {
    /// Whatever it is, with a page that says what to do where there is one.
    pub fn outside_of_pages(status: StatusCode) -> Self {
        Self::of(status).unwrap_or(Self::Odd(status))
    }

    /// None for what has a page with more to say.
    pub fn of(status: StatusCode) -> Option<Self> {
        match status {
            StatusCode::SERVICE_UNAVAILABLE => Some(Self::Busy),
            StatusCode::REQUEST_TIMEOUT => Some(Self::Slow),
            StatusCode::PAYLOAD_TOO_LARGE => Some(Self::Large),
            StatusCode::URI_TOO_LONG => Some(Self::Long),
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Some(Self::Headers),
            _ if status.is_server_error() => Some(Self::Trouble),
            _ => None,
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::Trouble => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Large => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Long => StatusCode::URI_TOO_LONG,
            Self::Headers => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Odd(status) => status,
        }
    }

    const fn code(self) -> ErrorCode {
        match self {
            Self::Trouble => ErrorCode::ServerError,
            Self::Busy => ErrorCode::TemporarilyUnavailable,
            Self::Slow | Self::Large | Self::Long | Self::Headers | Self::Odd(_) => ErrorCode::InvalidRequest,
        }
    }

    const fn title_and_advice(self) -> (&'static str, &'static str) {
        match self {
            Self::Trouble => (
                "Something went wrong on our side",
                "Go back and try again. If it happens again, tell us the request ID below.",
            ),
            Self::Busy => (
                "Busy just now",
                "Wait a few seconds, then reload this page. If that doesn't help, go back and try again.",
            ),
            Self::Slow => (
                "That took too long to arrive",
                "Check your connection, then go back and try again. Nothing was changed.",
            ),
            Self::Large => (
                "That's more than fits",
                "Go back, make what you typed shorter and send it again. Nothing was changed.",
            ),
            Self::Long => (
                "This address is too long",
                "Go back to where you came from and try again. If it happens again, tell the people who run the app.",
            ),
            Self::Headers => (
                "Your browser sent too much",
                "Clear the cookies of this site, then try again.",
            ),
            Self::Odd(_) => (
                "Request rejected",
                "Go back and try again. If it happens again, tell us the request ID below.",
            ),
        }
    }

    pub fn page(self, base: &Base, operator: &Operator, request_id: &str, at: Timestamp) -> Response {
        let (title, advice) = self.title_and_advice();
        let request_id: String = request_id
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
            .collect();
        let body = PAGE
            .replace("%BRAND%", BRAND)
            .replace("%STYLESHEET%", &assets::STYLE.url(base))
            .replace("%ICON%", &assets::MARK.url(base))
            .replace("%SCRIPT%", &assets::SCRIPT.as_script(base))
            .replace("%TITLE%", title)
            .replace("%ADVICE%", advice)
            .replace("%CODE%", self.code().as_str())
            .replace("%REQUEST_ID%", &request_id)
            .replace("%TIME%", &at.to_string())
            .replace("%TIME_IN_WORDS%", &in_words(at))
            // The last: what stands in it is read for no place.
            .replace("%FOOT%", &foot(operator));
        page::send(self.status(), FormTarget::Ourselves, body)
    }
}

/// The links of the operator, as in `layout.html`.
fn foot(operator: &Operator) -> String {
    let links = operator.links().into_iter().map(|(link, address)| {
        let (address, text) = (Markup::plain(&address), link.in_english());
        format!("<li><a href=\"{address}\" rel=\"noreferrer\">{text}</a></li>\n")
    });
    match links.collect::<String>() {
        links if links.is_empty() => links,
        links => format!("<footer>\n<ul class=\"aside links\">\n{links}</ul>\n</footer>\n"),
    }
}

/// `2026-01-31 09:30:00 UTC`: as it stands in a log.
pub(crate) fn in_words(at: Timestamp) -> String {
    at.to_string().replacen('T', " ", 1).replacen('Z', " UTC", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_outside_of_pages_has_the_status_that_programs_see() {
        let base = crate::Site::new("https://id.example.com").base().clone();
        for status in [400, 403, 405, 408, 413, 414, 431, 500, 503] {
            let status = StatusCode::from_u16(status).unwrap();
            let failure = Failure::outside_of_pages(status);
            let response = failure.page(&base, &Operator::default(), "id", Timestamp::from_secs(0));
            assert_eq!(response.status(), status);
        }
    }
}
