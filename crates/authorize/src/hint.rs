//! `id_token_hint`: OpenID Connect Core §3.1.2.1. It says who the client believes the user is.

use issuance::Hint;
use protocol::{Error, Params, Subject};

use crate::checks::Context;

/// The `sub` that the hint names.
pub(crate) fn subject(params: &Params, context: &Context<'_>) -> Result<Option<Subject>, Error> {
    let Some(token) = params.get("id_token_hint") else {
        return Ok(None);
    };
    match Hint::read(token, context.keyring, context.issuer, context.now) {
        Ok(hint) => Ok(Some(hint.sub)),
        Err(cause) => {
            Err(Error::invalid_request("id_token_hint is not an ID token of this server").because(cause))
        }
    }
}
