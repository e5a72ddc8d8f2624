//! A form of ours is answered only when our own page sent it, from the browser we gave it to.
//!
//! Two proofs, both needed. The token is a MAC over the cookie that binds the browser, so another browser's
//! page does not fit. `Sec-Fetch-Site: same-origin`, or `Origin` where the browser does not send the former,
//! says which page the form stood on; `same-site` is refused because two ports of localhost are same-site.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::ORIGIN;
use http::{HeaderMap, HeaderValue};
use protocol::Error;
use seal::Key;

const PURPOSE: &[u8] = b"csrf";
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// The token for the forms of the browser that `binding`, the value of its cookie, names.
pub fn token(key: &Key, binding: &str) -> String {
    URL_SAFE_NO_PAD.encode(seal::mac(key, &[PURPOSE, binding.as_bytes()]))
}

/// # Errors
/// `access_denied` (403) unless the form came from a page of `issuer_origin` in the browser of `binding`.
pub fn check(
    headers: &HeaderMap,
    issuer_origin: &str,
    key: &Key,
    binding: &str,
    given: Option<&str>,
) -> Result<(), Error> {
    check_origin(headers, issuer_origin)?;
    let given = given
        .and_then(|token| URL_SAFE_NO_PAD.decode(token).ok())
        .unwrap_or_default();
    if !seal::mac_matches(key, &[PURPOSE, binding.as_bytes()], &given) {
        return Err(Error::access_denied(
            "the form was made for another browser, or its cookie is missing",
        ));
    }
    Ok(())
}

/// The half that needs no cookie: a page asks it first, because another site's form brings none along, and is to
/// be refused for what it is.
///
/// # Errors
/// `access_denied` (403) unless the form came from a page of `issuer_origin`.
pub fn check_origin(headers: &HeaderMap, issuer_origin: &str) -> Result<(), Error> {
    match is_from_our_page(headers, issuer_origin) {
        true => Ok(()),
        false => Err(Error::access_denied(
            "the form was not sent from a page of this server",
        )),
    }
}

fn is_from_our_page(headers: &HeaderMap, issuer_origin: &str) -> bool {
    let all_are = |name: &str, wanted: &str| {
        let values: Vec<&HeaderValue> = headers.get_all(name).iter().collect();
        (!values.is_empty()).then(|| values.iter().all(|value| value.as_bytes() == wanted.as_bytes()))
    };
    all_are(SEC_FETCH_SITE, "same-origin")
        .or_else(|| all_are(ORIGIN.as_str(), issuer_origin))
        .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "http://localhost:8080";

    fn headers(site: &[&'static str], origin: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in site {
            headers.append(SEC_FETCH_SITE, HeaderValue::from_static(value));
        }
        for value in origin {
            headers.append(ORIGIN, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn c064_only_a_form_on_a_page_of_our_origin_passes() {
        for (site, origin, passes) in [
            (&["same-origin"][..], &[OURS][..], true),
            (&["same-origin"], &[], true),
            (&["same-site"], &[OURS], false),
            (&["cross-site"], &[OURS], false),
            (&["none"], &[OURS], false),
            (&[""], &[OURS], false),
            (&["same-origin", "cross-site"], &[OURS], false),
            (&[], &[OURS], true),
            (&[], &["http://localhost:8081"], false),
            (&[], &["https://localhost:8080"], false),
            (&[], &["http://localhost"], false),
            (&[], &["http://localhost:8080.evil.test"], false),
            (&[], &["null"], false),
            (&[], &[""], false),
            (&[], &[OURS, "https://evil.test"], false),
            (&[], &[], false),
        ] {
            let key = Key::from_bytes([7; 32]);
            let token = token(&key, "browser");
            let result = check(&headers(site, origin), OURS, &key, "browser", Some(&token));
            assert_eq!(result.is_ok(), passes, "{site:?} {origin:?}");
            assert!(result.is_ok() || result.is_err_and(|error| error.status() == 403));
        }
    }

    #[test]
    fn c064_only_the_token_of_this_browser_passes() {
        let key = Key::from_bytes([7; 32]);
        let own = token(&key, "browser");
        let others = [
            Some(token(&key, "another browser")),
            Some(token(&Key::from_bytes([8; 32]), "browser")),
            Some(own[1..].to_owned()),
            Some(format!("{own}A")),
            Some("not base64url!".to_owned()),
            Some(String::new()),
            None,
        ];
        let check =
            |given: Option<&str>| check(&headers(&["same-origin"], &[]), OURS, &key, "browser", given);
        assert!(check(Some(&own)).is_ok());
        for given in others {
            assert_eq!(check(given.as_deref()).unwrap_err().status(), 403, "{given:?}");
        }
    }
}
