//! The refresh token grant: RFC 6749 §6.

use clients::{Client, certificates};
use grants::families::{Holder, Presented};
use issuance::{Entitlement, Refusal};
use protocol::{ClientCertificate, Error, Params, Scope, Timestamp};

use crate::Token;

pub(crate) async fn redeem(
    params: &Params,
    (client, certificate): (&Client, Option<&ClientCertificate>),
    token: &Token,
    now: Timestamp,
) -> Result<Entitlement, Refusal> {
    let unknown = || Error::invalid_grant("unknown refresh token, or one of another client");
    let presented = Presented::parse(params.require("refresh_token")?).ok_or_else(unknown)?;

    let family = token.gate.family(&presented).await?.ok_or_else(unknown)?;
    if family.client_id != client.id && !protocol::defect("refresh-token-of-another-client") {
        return Err(unknown().into());
    }
    let proven = certificate.map(certificates::confirmation);
    if family.confirmation.is_some() && family.confirmation != proven {
        return Err(Error::invalid_grant(
            "the refresh token is bound to another certificate than that of this connection",
        )
        .into());
    }
    let scope = narrowed(params, &family.approval.scope)?;
    let target = super::target(params, &family.approval.resources, &token.clients).await?;

    let holder = if client.is_public() && family.confirmation.is_none() {
        Holder::Public
    } else {
        Holder::Confidential
    };
    token
        .gate
        .refresh(family, &presented, holder, (scope, target), now)
        .await
}

/// The scope asked for, which may leave out but never add (RFC 6749 §6).
fn narrowed(params: &Params, granted: &Scope) -> Result<Scope, Error> {
    let Some(asked) = params.get("scope") else {
        return Ok(granted.clone());
    };
    let asked = Scope::parse(asked)?;
    match asked.is_subset(granted) && !asked.is_empty() {
        true => Ok(asked),
        false => Err(Error::invalid_scope(
            "scope asks for more than the user allowed; send the user through again",
        )),
    }
}
