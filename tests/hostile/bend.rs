//! Bends a good request: each of its parts, a few at a time.

use axum::body::Body;
use axum::extract::Request;
use http::{HeaderName, HeaderValue, Method, Uri};
use url::form_urlencoded::byte_serialize;

use super::ground::Draft;
use crate::harness::dice::Dice;

/// At most so many bends in one request: more of them hide each other.
const MOST: usize = 4;

#[rustfmt::skip]
const METHODS: &[&str] = &["GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"];

#[rustfmt::skip]
const NAMES: &[&str] = &[
    "acr_values", "access_token", "claims", "client_assertion", "client_assertion_type", "client_id", "client_secret",
    "code", "code_challenge", "code_challenge_method", "code_verifier", "csrf", "decision", "display", "flow",
    "grant_type", "id_token_hint", "login_hint", "max_age", "nonce", "password", "prompt", "redirect_uri",
    "refresh_token", "registration", "remember", "request", "request_uri", "resource", "response_mode",
    "response_type", "scope", "state", "switch", "ui_locales", "username", "", "a[b]", "__proto__", "é",
];

/// Values as they could be meant; they are encoded where they go, or not.
#[rustfmt::skip]
const VALUES: &[&str] = &[
    "", " ", "+", "%", "%0", "%zz", "%00", "%ff%fe", "%c0%af", "&", "=", "==", ";", "#", "\0", "\r\nset-cookie: a=b",
    "é", "\u{202e}abc", "\u{feff}", "😀😀😀", "-1", "0", "1", "00", "1e9", "1.5", "NaN", "2147483648",
    "9223372036854775807", "9223372036854775808", "-9223372036854775808", "18446744073709551616", "null", "true",
    "[]", "{}", "{\"a\":", "[[[[[[[[", "' OR 1=1 --", "\"><script>alert(1)</script>", "{{7*7}}", "../../etc/passwd",
    "http://", "https://[::1", "https://a@b:c/", "javascript:alert(1)", "data:,", "https://app.example.com/cb#x",
    "https://app.example.com:99999/cb", "https://xn--a/", "code", "code token", "none", "none login", "login consent",
    "select_account", "plain", "S256", "query", "fragment", "form_post", "jwt", "openid", "openid openid",
    "openid offline_access", "offline_access", "authorization_code", "refresh_token", "password",
    "client_credentials", "urn:ietf:params:oauth:grant-type:device_code", "allow", "deny", "cancel", "de-CH en;q=0.5",
    "..", "a.b.c", "....", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJFUzI1NiJ9.e30.AAAA", "eyJhbGciOiJIUzI1NiJ9.e30.AA",
    "cs_ac_", "cs_rt_", "cs_cs_", "cs_br_", "cs_rt_AAAAAAAA",
    "urn:ietf:params:oauth:request_uri:", "urn:ietf:params:oauth:request_uri:AAAA", "Basic", "Basic ", "Basic Og==", "Basic /w==",
    "Basic YTpi", "Bearer", "Bearer ", "bearer  x", "DPoP x", "Digest a=b", "same-origin", "cross-site",
    "application/json", "application/x-www-form-urlencoded; charset=utf-16", "multipart/form-data; boundary=a",
    "text/html", "*/*", "gzip", "chunked", "100-continue", "W/\"x\"", "bytes=0-", "close", "localhost:99999",
];

#[rustfmt::skip]
const HEADERS: &[&str] = &[
    "accept", "accept-encoding", "accept-language", "access-control-request-headers", "access-control-request-method",
    "authorization", "connection", "content-encoding", "content-length", "content-type", "cookie", "dpop", "expect",
    "forwarded", "host", "if-none-match", "origin", "range", "referer", "sec-fetch-mode", "sec-fetch-site",
    "transfer-encoding", "upgrade", "user-agent", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
    "x-http-method-override", "x-request-id",
];

#[rustfmt::skip]
const PATHS: &[&str] = &[
    "/", "//", "/authorize", "/authorize/", "/AUTHORIZE", "/login", "/consent", "/token", "/token/", "/userinfo",
    "/jwks", "/assets/", "/assets/..%2f..%2fetc%2fpasswd", "/assets/%00", "/.well-known/", "/.well-known/webfinger",
    "/.well-known/openid-configuration/x", "/livez", "/readyz", "/introspect", "/revoke", "/par", "/register",
    "/device", "/logout", "/logout/confirm", "/account", "/%2e%2e/token", "/token%00", "/%ff", "/*", "/token;a=b", "/favicon.ico",
];

/// A request bent at random, and the draft it was made of.
pub(super) fn bent(drafts: &[Draft], dice: &mut Dice) -> (Draft, Request) {
    loop {
        let mut draft = drafts[dice.below(drafts.len())].clone();
        let mut raw = Raw::default();
        for _ in 0..=dice.below(MOST) {
            bend(&mut draft, &mut raw, drafts, dice);
        }
        // A few of the things bent so are none that an HTTP parser lets through.
        if let Some(request) = build(&draft, &raw) {
            return (draft, request);
        }
    }
}

/// What replaces an orderly part.
#[derive(Debug, Default)]
struct Raw {
    /// Names and values are put in as they are.
    unencoded: bool,
    body: Option<Vec<u8>>,
}

fn bend(draft: &mut Draft, raw: &mut Raw, drafts: &[Draft], dice: &mut Dice) {
    match dice.below(24) {
        0 => draft.method = dice.pick(METHODS),
        1 => draft.path = dice.pick(PATHS).to_owned(),
        2 => draft.path = twisted(&draft.path, dice),
        3 => raw.unencoded = true,
        4 => raw.body = Some(body(dice)),
        5 => std::mem::swap(&mut draft.query, draft.form.get_or_insert_default()),
        6..=9 => bend_header(draft, drafts, dice),
        _ => {
            let params = match &mut draft.form {
                Some(form) => form,
                None => &mut draft.query,
            };
            bend_params(params, drafts, dice);
        }
    }
}

fn bend_params(params: &mut Vec<(String, String)>, drafts: &[Draft], dice: &mut Dice) {
    let fresh = || String::new();
    if params.is_empty() || dice.one_in(6) {
        params.push((dice.pick(NAMES).to_owned(), value(&fresh(), drafts, dice)));
        return;
    }
    let at = dice.below(params.len());
    match dice.below(10) {
        0 => drop(params.remove(at)),
        1 => params.push(params[at].clone()),
        2 => params[at].0 = dice.pick(NAMES).to_owned(),
        3 => params[at].0 = twisted(&params[at].0, dice),
        4 => {
            let other = dice.below(params.len());
            let value = params[other].1.clone();
            params[at].1 = value;
        }
        5 if dice.one_in(8) => {
            let many = (0..150).map(|n| (format!("p{n}"), String::new()));
            params.extend(many);
        }
        _ => params[at].1 = value(&params[at].1, drafts, dice),
    }
}

fn bend_header(draft: &mut Draft, drafts: &[Draft], dice: &mut Dice) {
    if draft.headers.is_empty() || dice.one_in(2) {
        let value = match dice.one_in(4) {
            true => noise(dice),
            false => value("", drafts, dice).into_bytes(),
        };
        draft.headers.push((dice.pick(HEADERS).to_owned(), value));
        return;
    }
    let at = dice.below(draft.headers.len());
    match dice.below(4) {
        0 => drop(draft.headers.remove(at)),
        1 => draft.headers.push(draft.headers[at].clone()),
        2 => draft.headers[at].1 = noise(dice),
        _ => {
            let text = String::from_utf8_lossy(&draft.headers[at].1).into_owned();
            draft.headers[at].1 = value(&text, drafts, dice).into_bytes();
        }
    }
}

/// A value in place of `own`: a known trouble, one that belongs elsewhere, or `own` with a twist.
fn value(own: &str, drafts: &[Draft], dice: &mut Dice) -> String {
    match dice.below(8) {
        0..=2 => dice.pick(VALUES).to_owned(),
        3 => foreign(drafts, dice),
        4 => format!("{own}{}", dice.pick(VALUES)),
        5 if dice.one_in(4) => dice.pick(VALUES).repeat(1 + dice.below(2000)),
        6 if dice.one_in(16) => "a".repeat(1 << (8 + dice.below(9))),
        _ => twisted(own, dice),
    }
}

/// A value that is good in another place.
fn foreign(drafts: &[Draft], dice: &mut Dice) -> String {
    let other = &drafts[dice.below(drafts.len())];
    let values: Vec<&str> = other
        .query
        .iter()
        .chain(other.form.iter().flatten())
        .map(|(_, value)| value.as_str())
        .chain(
            other
                .headers
                .iter()
                .filter_map(|(_, value)| std::str::from_utf8(value).ok()),
        )
        .collect();
    match values.is_empty() {
        true => String::new(),
        false => dice.pick(&values).to_owned(),
    }
}

/// The same with a character changed, missing, added, or cut off after it; or in the other case, or twice.
fn twisted(own: &str, dice: &mut Dice) -> String {
    let mut chars: Vec<char> = own.chars().collect();
    let at = dice.below(chars.len() + 1);
    let strange = [
        '\0',
        ' ',
        '%',
        '.',
        '-',
        '_',
        '=',
        'A',
        '0',
        '~',
        '\u{7f}',
        'ß',
        '\u{10ffff}',
    ];
    let strange = strange[dice.below(strange.len())];
    match dice.below(6) {
        0 if at < chars.len() => chars[at] = strange,
        1 if at < chars.len() => drop(chars.remove(at)),
        2 => chars.truncate(at),
        3 => return own.to_uppercase(),
        4 => return own.repeat(2),
        _ => chars.insert(at, strange),
    }
    chars.into_iter().collect()
}

fn body(dice: &mut Dice) -> Vec<u8> {
    match dice.below(4) {
        0 => noise(dice),
        1 => dice.pick(VALUES).as_bytes().to_vec(),
        2 => vec![b'a'; 70_000],
        _ => b"=&&=&a=b=c&%=%&flow".to_vec(),
    }
}

fn noise(dice: &mut Dice) -> Vec<u8> {
    let count = dice.below(64);
    dice.bytes(count)
}

fn build(draft: &Draft, raw: &Raw) -> Option<Request> {
    let query = joined(&draft.query, raw);
    let target = match query.is_empty() {
        true => draft.path.clone(),
        false => format!("{}?{query}", draft.path),
    };
    let uri: Uri = target.parse().ok()?;
    let body = match (&raw.body, &draft.form) {
        (Some(body), _) => body.clone(),
        (None, Some(form)) => joined(form, raw).into_bytes(),
        (None, None) => Vec::new(),
    };
    let mut request = Request::new(Body::from(body));
    *request.method_mut() = draft.method.parse::<Method>().ok()?;
    *request.uri_mut() = uri;
    for (name, value) in &draft.headers {
        let (name, value) = (
            name.parse::<HeaderName>().ok()?,
            HeaderValue::from_bytes(value).ok()?,
        );
        request.headers_mut().append(name, value);
    }
    Some(request)
}

fn joined(pairs: &[(String, String)], raw: &Raw) -> String {
    let encoded = |text: &str| match raw.unencoded {
        true => text.to_owned(),
        false => byte_serialize(text.as_bytes()).collect(),
    };
    let pairs = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}
