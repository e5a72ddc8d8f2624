//! Authorization codes made beforehand, many in one transaction, as the gate would have made each.

use std::time::Duration;

use grants::approvals::Lives;
use grants::{Approval, ByUser, Code, Party, approvals, codes, families};
use keyring::Purpose;
use protocol::pkce::CodeChallenge;
use protocol::{ApprovalId, FlowId, Scope};

use crate::client::post;
use crate::place::{APIS, Place, REDIRECT_URI};

/// RFC 7636 Appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// [`REDIRECT_URI`] in a form.
const ENCODED: &str = "https%3A%2F%2Fapp.example.com%2Fcb";

/// Whether an ID token comes with the access token: RS256 signs the one, ES256 the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    Access,
    Identity,
}

impl Asks {
    fn scope(self) -> Scope {
        Scope::parse(match self {
            Self::Access => "read offline_access",
            Self::Identity => "openid read offline_access",
        })
        .expect("a scope")
    }
}

/// The requests that redeem new codes; each works once, within a minute.
pub(crate) async fn redemptions(count: usize, asks: Asks, place: &Place) -> Vec<Vec<u8>> {
    let now = place.parts.clock.now();
    let secret = place.parts.keyring.secret(Purpose::Code).expect("a secret");
    let new: Vec<Code> = (0..count)
        .map(|_| Code {
            approval: approval(asks, place),
            secret_id: secret.id.clone(),
            redirect_uri: REDIRECT_URI.to_owned(),
            redirect_uri_implied: false,
            code_challenge: Some(CodeChallenge::try_from(CHALLENGE.to_owned()).expect("a challenge")),
            nonce: Some("nonce".to_owned()),
            expires_at: now + codes::LIFETIME,
            claimed_at: None,
        })
        .collect();
    let texts: Vec<_> = new
        .iter()
        .map(|code| code.text(&secret.key).expect("a code"))
        .collect();
    let lives = Lives {
        access: Duration::ZERO,
        anything: families::ABSOLUTE,
    };
    let written = place.parts.db.transact(move |conn| {
        Box::pin(async move {
            for code in &new {
                approvals::insert(&code.approval, lives, conn).await?;
                codes::insert(code, conn).await?;
            }
            Ok::<_, db::Error>(())
        })
    });
    written.await.expect("codes");
    texts
        .iter()
        .map(|code| redemption(code.expose(), place))
        .collect()
}

fn approval(asks: Asks, place: &Place) -> Approval {
    let now = place.parts.clock.now();
    Approval {
        id: ApprovalId::random(),
        client_id: place.client_id(),
        client_generation: 1,
        party: Party::User(ByUser {
            sub: place.sub.clone(),
            known_as: place.sub.clone(),
            flow_id: Some(FlowId::random()),
            session_id: place.session_id.clone(),
            consent_id: place.consent_id.clone(),
            offline: true,
            auth_time: now,
            acr: "urn:countersign:pwd".to_owned(),
            amr: vec!["pwd".to_owned()],
        }),
        scope: asks.scope(),
        resources: vec![APIS[0].identifier.to_owned()],
        claims: Default::default(),
        created_at: now,
        ended_at: None,
    }
}

fn redemption(code: &str, place: &Place) -> Vec<u8> {
    let body =
        format!("grant_type=authorization_code&code={code}&redirect_uri={ENCODED}&code_verifier={VERIFIER}");
    post("/token", &place.app.authorization, &body)
}
