//! Where our own pages may lead back to: rooted paths of ours and nothing else (RFC 9700 §4.11.2).
//!
//! Everything that takes a browser to a place named in a request goes through this one type.

use std::fmt;

use crate::Base;

/// A path under the issuer's, with or without a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnPath(String);

const MAX_LEN: usize = 2048;

impl ReturnPath {
    /// `given` when it is a path of ours; else our root.
    pub fn parse(base: &Base, given: &str) -> Self {
        if is_ours(base, given) {
            return Self(given.to_owned());
        }
        Self(format!("{base}/"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReturnPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_ours(base: &Base, given: &str) -> bool {
    let (path, query) = given.split_once('?').unwrap_or((given, ""));
    let Some(below) = path.strip_prefix(base.as_str()) else {
        return false;
    };
    // A path is written plainly: no encoding that a proxy and we could read differently.
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/@:+,=".contains(&b);
    given.len() <= MAX_LEN
        && below.starts_with('/')
        && below.bytes().all(is_plain)
        && !below.contains("//")
        && !below.split('/').any(|segment| matches!(segment, "." | ".."))
        && is_clean_query(query)
}

/// Printable ASCII without what could end the header or the attribute it will stand in.
fn is_clean_query(query: &str) -> bool {
    let is_clean = |b: u8| b.is_ascii_graphic() && !b"\\\"'<>`#".contains(&b);
    let is_escape = |after: &str| {
        let code = after
            .get(..2)
            .filter(|code| code.bytes().all(|b| b.is_ascii_hexdigit()));
        code.and_then(|code| u8::from_str_radix(code, 16).ok())
            .is_some_and(|byte| !byte.is_ascii_control())
    };
    query.bytes().all(is_clean) && query.split('%').skip(1).all(is_escape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Site;

    #[test]
    fn c077_only_our_own_rooted_paths_are_returned_to() {
        let long = format!("/{}", "a".repeat(MAX_LEN));
        let corpus = [
            "",
            "account",
            "//evil.test",
            "///evil.test",
            "/\\evil.test",
            "\\\\evil.test",
            "/\\/evil.test",
            "\\/evil.test",
            "https://evil.test",
            "https:evil.test",
            "HTTPS://evil.test",
            "//evil.test/%2f..",
            "javascript:alert(1)",
            "/javascript:\\",
            "data:text/html,x",
            " /account",
            "/account ",
            "/\t/evil.test",
            "\t//evil.test",
            "/\n/evil.test",
            "/account\r\nLocation: https://evil.test",
            "/account\0",
            "/account?x=%0d%0aSet-Cookie:a=b",
            "/account?x=%0A",
            "/account?x=%00",
            "/account?x=%",
            "/account?x=%zz",
            "/%0d%0aSet-Cookie:a=b",
            "/%2f%2fevil.test",
            "/%2F/evil.test",
            "/%5cevil.test",
            "/%09/evil.test",
            "/./",
            "/../",
            "/account/..",
            "/.//evil.test",
            "/..//evil.test",
            "/account//evil.test",
            "/%2e%2e/evil",
            "/a?x=\\",
            "/a?<script>",
            "/a?\"",
            "/a#https://evil.test",
            "/é",
            "/\u{2215}evil.test",
            "/。evil",
            "?x=1",
            "#x",
            ".",
            "..",
            "@evil.test",
            ":80",
            &long,
        ];
        for (issuer, root) in [
            ("https://id.example.com", "/"),
            ("https://id.example.com/auth", "/auth/"),
        ] {
            let base = Site::new(issuer).base().clone();
            for given in corpus {
                assert_eq!(ReturnPath::parse(&base, given).as_str(), root, "{given:?}");
                let below = format!("{base}{given}");
                if given.starts_with('/') {
                    assert_eq!(ReturnPath::parse(&base, &below).as_str(), root, "{below:?}");
                }
            }
        }
        let base = Site::new("https://id.example.com/auth").base().clone();
        for foreign in [
            "/",
            "/account",
            "/auth",
            "/authx/account",
            "/AUTH/account",
            "/auth?x=/auth/",
        ] {
            assert_eq!(ReturnPath::parse(&base, foreign).as_str(), "/auth/", "{foreign}");
        }
    }

    #[test]
    fn a_path_of_ours_is_kept_as_it_is() {
        for (issuer, given) in [
            ("https://id.example.com", "/"),
            ("https://id.example.com", "/account"),
            ("https://id.example.com", "/account?x"),
            (
                "https://id.example.com",
                "/device?user_code=WDJB-MJHT&n=%C3%A9&u=//x",
            ),
            ("https://id.example.com/auth", "/auth/account/"),
        ] {
            assert_eq!(ReturnPath::parse(Site::new(issuer).base(), given).as_str(), given);
        }
    }
}
