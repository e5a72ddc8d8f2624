//! Telling apps through the browser: OpenID Connect Front-Channel Logout 1.0 §2 and §3.
//!
//! The page that says "Signed out" loads a page of each app in a frame, which ends the app's own session there. Frames
//! may run scripts of their own site, and nothing else: they cannot take the person elsewhere.

use protocol::SessionId;
use protocol::redirect_uri::with_query;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::{Consent, Stop};

/// More apps than a person signs in to in one session. Each is a page to load.
const MOST: usize = 20;

/// A page of an app, to be loaded unseen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) uri: String,
    /// What the policy of our page has to admit.
    pub(crate) origin: String,
}

impl Consent {
    /// The frames that tell of the end of these sessions.
    pub(super) async fn frames(&self, ended: &[SessionId]) -> Result<Vec<Frame>, Stop> {
        let mut frames = Vec::new();
        for session in ended {
            let mut conn = self.front.db.reader().await?;
            let told = revocation::clients_of(session, &mut conn).await?;
            drop(conn);
            for id in told {
                let client = self.clients.client(&id).await?;
                let uri = client.and_then(|client| client.metadata.frontchannel_logout_uri.clone());
                if let Some(uri) = uri {
                    let sid = issuance::sid(session, &id, &self.front.keyring)?;
                    frames.extend(frame(&uri, self.issuer.as_str(), &sid));
                }
            }
        }
        if frames.len() > MOST {
            tracing::warn!(apps = frames.len(), "not all apps are told of a logout");
            frames.truncate(MOST);
        }
        Ok(frames)
    }
}

/// With `iss` and `sid` always: whoever did not ask for them ignores them.
fn frame(uri: &str, issuer: &str, sid: &str) -> Option<Frame> {
    let mut query = Serializer::new(String::new());
    let sid = protocol::spoilt("frames-without-sid", sid, "");
    let query = query.append_pair("iss", issuer).append_pair("sid", sid).finish();
    let origin = Url::parse(uri).ok()?.origin();
    Some(Frame {
        uri: with_query(uri, &query),
        origin: origin.is_tuple().then(|| origin.ascii_serialization())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_names_issuer_and_session_beside_what_was_registered() {
        let made = frame("https://a.test:8443/out?x=%7E", "https://id.test/a b", "s").unwrap();
        assert_eq!(
            made.uri,
            "https://a.test:8443/out?x=%7E&iss=https%3A%2F%2Fid.test%2Fa+b&sid=s"
        );
        assert_eq!(made.origin, "https://a.test:8443");
        assert_eq!(frame("com.example:/out", "i", "s"), None);
    }
}
