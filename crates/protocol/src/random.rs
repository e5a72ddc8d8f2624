//! The one caller of the operating system's random generator.

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// `N` random bytes.
///
/// # Panics
/// Aborts the request when the operating system has no randomness to give: going on would be worse.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    #[expect(clippy::expect_used, reason = "without randomness nothing we issue is safe")]
    rand::fill(&mut out).expect("the operating system provides randomness");
    out
}

/// 128 random bits, in base64url. It never begins with a hyphen, which a command line would take for a flag.
pub fn id() -> String {
    loop {
        let id = URL_SAFE_NO_PAD.encode(bytes::<16>());
        if !id.starts_with('-') {
            return id;
        }
    }
}

/// 256 random bits, in base64url.
pub fn token() -> String {
    URL_SAFE_NO_PAD.encode(bytes::<32>())
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_id_looks_like_a_flag() {
        assert!((0..10_000).all(|_| !super::id().starts_with('-')));
    }
}
