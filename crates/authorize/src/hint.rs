//! `id_token_hint`: OpenID Connect Core §3.1.2.1. An ID token of ours, expired or not, that says who the client
//! believes the user is.

use jws::{Alg, Typ, Unverified};
use protocol::{Error, Params, Subject};
use serde::Deserialize;

use crate::checks::Context;

#[derive(Deserialize)]
struct Hint {
    iss: String,
    sub: Subject,
}

/// The `sub` that the hint names.
pub(crate) fn subject(params: &Params, context: &Context<'_>) -> Result<Option<Subject>, Error> {
    let Some(token) = params.get("id_token_hint") else {
        return Ok(None);
    };
    let refuse =
        |cause| Error::invalid_request("id_token_hint is not an ID token of this server").because(cause);
    let token = Unverified::parse(token).map_err(refuse)?;
    let published = context.keyring.published(context.now);
    // The date is not checked: a hint is as good after its token expired. What it may not be is an access
    // token, which `typ` tells.
    let hint: Hint = token
        .verify(&published.keys, Alg::ALL, Typ::JwtOrAbsent)
        .and_then(|it| it.claims())
        .map_err(refuse)?;
    match hint.iss == context.issuer.as_str() {
        true => Ok(Some(hint.sub)),
        false => Err(Error::invalid_request(
            "id_token_hint is not an ID token of this server",
        )),
    }
}
