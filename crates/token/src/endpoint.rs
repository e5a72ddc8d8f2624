//! The token endpoint: RFC 6749 §3.2. Client authentication and dispatch are here, so that no grant can
//! forget them; a grant holds only what makes it different.

use std::sync::Arc;

use axum::extract::State;
use clients::{Client, Credentials};
use events::Context;
use http::HeaderMap;
use issuance::{Entitlement, Refusal, TokenResponse};
use protocol::form::{Form, NoStore};
use protocol::{ClientCertificate, Error, GrantType, Params, Timestamp, path};
use revocation::{Act, Evidence, Reason};

use crate::{Token, grant_types};

pub(crate) async fn exchange(
    State(token): State<Arc<Token>>,
    by: Context,
    certificate: Option<ClientCertificate>,
    headers: HeaderMap,
    Form(params): Form,
) -> Result<NoStore<TokenResponse>, Error> {
    let now = token.clock.now();
    let credentials = Credentials::from_request(&headers, &params, certificate.as_ref())?;
    let client = token
        .authenticator
        .authenticate(&credentials, path::TOKEN, now)
        .await?;
    let grant_type = grant_type(&params, &client)?;
    let confirmation = client.confirmation(certificate.as_ref())?;
    let caller = (&*client, certificate.as_ref());
    let granted = redeem(grant_type, &params, caller, &token, now).await;
    let entitlement = match granted {
        Ok(entitlement) => entitlement.bound(confirmation),
        Err(refusal) => return Err(refuse(refusal, grant_type, &by, &token, now).await),
    };
    Ok(NoStore(token.gate.sign(entitlement).await?))
}

fn grant_type(params: &Params, client: &Client) -> Result<GrantType, Error> {
    let given = params.require("grant_type")?;
    // The implicit grant is registered, but never asked for here (RFC 6749 §4.2).
    let known: Option<GrantType> = given.parse().ok().filter(|known| *known != GrantType::Implicit);
    let grant_type = known.ok_or_else(|| {
        Error::unsupported_grant_type("grant_type is not one of those this server knows: see its metadata")
    })?;
    match client.may_use(grant_type) {
        true => Ok(grant_type),
        false => Err(Error::unauthorized_client(format!(
            "this client has not registered the grant type {grant_type}"
        ))),
    }
}

async fn redeem(
    grant_type: GrantType,
    params: &Params,
    caller: (&Client, Option<&ClientCertificate>),
    token: &Token,
    now: Timestamp,
) -> Result<Entitlement, Refusal> {
    let (client, _) = caller;
    match grant_type {
        GrantType::AuthorizationCode => {
            grant_types::authorization_code::redeem(params, caller, token, now).await
        }
        GrantType::RefreshToken => grant_types::refresh_token::redeem(params, caller, token, now).await,
        GrantType::ClientCredentials => {
            grant_types::client_credentials::redeem(params, client, token, now).await
        }
        GrantType::Implicit => Err(nothing_to_redeem().into()),
    }
}

/// A credential that came twice ends its approval before anyone is answered.
async fn refuse(
    refusal: Refusal,
    grant_type: GrantType,
    by: &Context,
    token: &Token,
    now: Timestamp,
) -> Error {
    let approval = match refusal {
        Refusal::Wire(error) => return error,
        Refusal::Ahead(let_in_at) => return ahead(let_in_at, by, token, now).await,
        Refusal::Reused(approval) => approval,
    };
    let (reason, answer) = match grant_type {
        GrantType::AuthorizationCode => (
            Reason::CodeReplayed,
            "the authorization code was used before; every token that came of it has ended",
        ),
        GrantType::RefreshToken => (
            Reason::RefreshReused,
            "the refresh token was used before; this authorization has ended",
        ),
        GrantType::ClientCredentials | GrantType::Implicit => return nothing_to_redeem(),
    };
    match revocation::perform(Act::EndApproval(approval, reason), by, &token.db, now).await {
        Ok(_) => Error::invalid_grant(answer),
        Err(error) => error.into(),
    }
}

/// Nobody but us can have made such a refresh token, so it proves that the database forgot something.
async fn ahead(let_in_at: Timestamp, by: &Context, token: &Token, now: Timestamp) -> Error {
    let evidence = Evidence::RefreshToken(let_in_at);
    match revocation::restored(evidence, by, &token.db, now).await {
        Ok(_) => Error::invalid_grant("unknown refresh token"),
        Err(error) => error.into(),
    }
}

fn nothing_to_redeem() -> Error {
    Error::server_error("this grant presents nothing that is used up")
}
