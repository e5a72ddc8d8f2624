//! The client credentials grant: RFC 6749 §4.4. A client acts for itself, within what an operator let it register.

use clients::{Client, Trust};
use issuance::{Entitlement, Refusal, Target};
use protocol::{Error, Params, Scope, Timestamp, scope};

use crate::Token;

/// No user limits such a token, so its limits are spelled out: scopes that the client registered, of resource
/// servers that the request names.
pub(crate) async fn redeem(
    params: &Params,
    client: &Client,
    token: &Token,
    now: Timestamp,
) -> Result<Entitlement, Refusal> {
    // Whoever registered itself chose its scopes itself.
    if client.trust != Trust::Trusted {
        return Err(Error::unauthorized_client(
            "this client registered itself; an operator has to vouch for it before it acts for itself",
        )
        .into());
    }
    let registered = client.metadata.scope.as_ref().ok_or_else(|| {
        Error::invalid_scope("this client has no registered scope, and acts for itself within that only")
    })?;
    let asked = match params.get("scope") {
        Some(asked) => Scope::parse(asked)?,
        None => registered.clone(),
    };
    let named: Vec<String> = params.all("resource").map(str::to_owned).collect();
    if named.is_empty() {
        let own = asked.retain(|token| token == scope::REVOCATIONS && registered.contains(token));
        if !own.is_empty() {
            // The feed of revocations is ours, and the one thing of ours that is for clients.
            return Ok(token
                .gate
                .for_itself(client, (own, Target::default()), now)
                .await?);
        }
        // RFC 8707 §2. Without one the token would be for userinfo, and there is no user.
        return Err(Error::invalid_target("the parameter resource is missing: name the API").into());
    }
    let target = Target::find(&named, &token.clients).await?;
    let admitted = |token: &str| registered.contains(token) && !scope::STANDARD.contains(&token);
    let scope = target.of(&asked.retain(admitted));
    if scope.is_empty() {
        return Err(Error::invalid_scope(
            "nothing is left of the scope: it has to be registered for this client, and known at the resource",
        )
        .into());
    }
    Ok(token.gate.for_itself(client, (scope, target), now).await?)
}
