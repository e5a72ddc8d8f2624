//! The logout token: OpenID Connect Back-Channel Logout 1.0 §2.4.

use std::time::Duration;

use clients::{Client, Names};
use events::logout_notices::Notice;
use keyring::Purpose;
use protocol::{ClientId, Error, Jti, Subject, Timestamp};
use serde::Serialize;

use crate::Signals;

/// No other token of ours can stand in for it, nor it for another.
const TYP: &str = "logout+jwt";
/// §4 wants it short: two minutes at most.
const LIFE: Duration = Duration::from_secs(120);

/// No `nonce`: §2.4 forbids it, so that no ID token is taken for one of these.
#[derive(Serialize)]
struct LogoutToken<'a> {
    iss: &'a str,
    sub: Subject,
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
        let names = Names::of(client, &self.keyring.secret(Purpose::Pairwise)?.key);
        let sid = keyring::sid(&notice.session_id, &client.id, &self.keyring)?;
        let token = LogoutToken {
            iss: self.issuer.as_str(),
            sub: names.name(&notice.sub),
            aud: &client.id,
            iat: now,
            exp: now + LIFE,
            jti: Jti::random(),
            sid: protocol::spoilt("logout-token-of-another-session", sid, String::new()),
            events: Events { logout: Empty {} },
        };
        // §2.4: as the ID tokens of this client are signed and encrypted, so whoever reads those can read it.
        let protection = self.recipients.id_token(&client.id, now).await?;
        let algs: Vec<_> = protection.alg().into_iter().collect();
        let seat = self.keyring.seat(&algs)?;
        let told = self.keyring.tell((TYP, &token), &protection, &seat, now);
        Ok(told.await?)
    }
}
