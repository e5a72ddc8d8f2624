//! `sid`: OpenID Connect Front-Channel Logout §3. One session has another name for each client, so that two
//! clients that compare them learn nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::{ClientId, SessionId};

use crate::{Error, Keyring, Purpose};

/// 128 bits: enough that none is guessed and no two are alike, in a token that stays small.
const LEN: usize = 16;

/// What this client calls this session.
///
/// # Errors
/// When there is no key to make it with.
pub fn sid(session: &SessionId, client: &ClientId, keyring: &Keyring) -> Result<String, Error> {
    let secret = keyring.secret(Purpose::Sid)?;
    Ok(named(session, client, &secret.key))
}

fn named(session: &SessionId, client: &ClientId, key: &seal::Key) -> String {
    let mac = seal::mac(key, &[session.as_str().as_bytes(), client.as_str().as_bytes()]);
    let (name, _) = mac.split_at(LEN);
    URL_SAFE_NO_PAD.encode(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_one_name_for_each_client_that_tells_nothing_of_it() {
        let (key, other) = (seal::Key::random(), seal::Key::random());
        let own = named(&"session".into(), &"client".into(), &key);
        assert_eq!(own.len(), 22);
        assert_eq!(own, named(&"session".into(), &"client".into(), &key));
        for (session, client, key) in [
            ("session", "another", &key),
            ("another", "client", &key),
            ("session", "client", &other),
            ("sessionc", "lient", &key),
        ] {
            assert_ne!(
                own,
                named(&session.into(), &client.into(), key),
                "{session} {client}"
            );
        }
    }
}
