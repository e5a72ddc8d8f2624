//! The authorization code grant: RFC 6749 §4.1.3, with PKCE by RFC 7636 §4.5.

use clients::Client;
use issuance::{Entitlement, Refusal};
use protocol::pkce::CodeVerifier;
use protocol::{ClientCertificate, Error, Params, Timestamp};

use crate::Token;

/// Everything is verified before the code is claimed: a thief without the verifier can neither use nor burn it.
pub(crate) async fn redeem(
    params: &Params,
    (client, certificate): (&Client, Option<&ClientCertificate>),
    token: &Token,
    now: Timestamp,
) -> Result<Entitlement, Refusal> {
    let presented = params.require("code")?;
    let verifier = params.get("code_verifier").map(CodeVerifier::parse).transpose()?;

    let unknown = || Error::invalid_grant("unknown authorization code, or one of another client");
    let code = token.gate.code(presented).await?.ok_or_else(unknown)?;
    if code.approval.client_id != client.id && !protocol::defect("code-of-another-client") {
        return Err(unknown().into());
    }
    code.verify(params.get("redirect_uri"), verifier.as_ref())?;
    let target = super::target(params, &code.approval.resources, &token.clients).await?;

    // RFC 8705 §4: with nothing to authenticate by, a public client's refresh tokens are bound like the others.
    let bound = match client.is_public() {
        true => client.confirmation(certificate)?,
        false => None,
    };
    token.gate.redeem(code, target, bound, now).await
}
