//! The two cookies of this app: RFC 6265 §5.
//!
//! `Lax` lets them come along when the authorization server sends the browser back, and keeps them out of
//! what other sites post to us. An app on https adds `Secure` and the prefix `__Host-`.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// Names one signed-in session. Cookies do not know ports: the name has to differ from our neighbours'.
pub(crate) const SESSION: &str = "demo_session";
/// Ties each sign-in to the browser that began it.
pub(crate) const BROWSER: &str = "demo_browser";

/// The value of a cookie. Two of one name count as none: one of them was planted.
pub(crate) fn read<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(own, _)| *own == name)
        .map(|(_, value)| value);
    values.next().filter(|_| values.next().is_none())
}

/// A cookie that ends with the browser.
pub(crate) fn set(name: &str, value: &str) -> Result<HeaderValue, http::Error> {
    Ok(HeaderValue::from_str(&format!(
        "{name}={value}; Path=/; HttpOnly; SameSite=Lax"
    ))?)
}

pub(crate) fn clear(name: &str) -> Result<HeaderValue, http::Error> {
    Ok(HeaderValue::from_str(&format!(
        "{name}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"
    ))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c061_a_cookie_that_comes_twice_counts_as_none() {
        let headers = |texts: &[&'static str]| -> HeaderMap {
            texts
                .iter()
                .map(|text| (COOKIE, HeaderValue::from_static(text)))
                .collect()
        };
        assert_eq!(read(&headers(&["a=1; demo_session=x"]), SESSION), Some("x"));
        assert_eq!(read(&headers(&["demo_session=x; demo_session=y"]), SESSION), None);
        assert_eq!(
            read(&headers(&["demo_session=x", "demo_session=x"]), SESSION),
            None
        );
        assert_eq!(read(&headers(&["xdemo_session=x"]), SESSION), None);
    }
}
