//! The logout token: OpenID Connect Back-Channel Logout 1.0 §2.4.

use std::time::Duration;

use clients::Client;
use events::logout_notices::Notice;
use protocol::{ClientId, Error, Jti, SigningAlg, Subject, Timestamp};
use serde::Serialize;

use crate::Signals;

/// As ID tokens are signed: who verifies those knows it.
const ALG: SigningAlg = SigningAlg::Rs256;
/// No other token of ours can stand in for it, nor it for another.
const TYP: &str = "logout+jwt";
/// §4 wants it short: two minutes at most.
const LIFE: Duration = Duration::from_secs(120);

/// No `nonce`: §2.4 forbids it, so that no ID token is taken for one of these.
#[derive(Serialize)]
struct LogoutToken<'a> {
    iss: &'a str,
    sub: &'a Subject,
    aud: &'a ClientId,
    iat: Timestamp,
    exp: Timestamp,
    jti: Jti,
    sid: String,
    events: Events,
}

#[derive(Serialize)]
struct Events {
    #[serde(rename = "http://schemas.openid.net/event/backchannel-logout")]
    logout: Empty,
}

/// An object without members.
#[derive(Serialize)]
struct Empty {}

impl Signals {
    /// A new one for each attempt: a receiver that refuses a `jti` it has seen has acted on it.
    pub(crate) async fn logout_token(
        &self,
        notice: &Notice,
        client: &Client,
        now: Timestamp,
    ) -> Result<String, Error> {
        let token = LogoutToken {
            iss: self.issuer.as_str(),
            sub: &notice.sub,
            aud: &client.id,
            iat: now,
            exp: now + LIFE,
            jti: Jti::random(),
            sid: keyring::sid(&notice.session_id, &client.id, &self.keyring)?,
            events: Events { logout: Empty {} },
        };
        let seat = self.keyring.seat(&[ALG])?;
        Ok(self.keyring.sign(ALG, (TYP, &token), &seat, now).await?)
    }
}
