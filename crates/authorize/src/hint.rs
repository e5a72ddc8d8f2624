//! Who the client wants the user to be: `id_token_hint` of OpenID Connect Core §3.1.2.1, and `sub` with a value in
//! `claims`, §5.5.1. Both name people as the client knows them.

use issuance::{Hint, Unbelieved};
use protocol::{ClaimsRequest, Error, Params, Subject};

use crate::checks::Context;

/// The users of whom it has to be one; none named means any.
///
/// # Errors
/// `login_required` when nobody can be who is asked for in both places; `invalid_request` for a bad hint.
pub(crate) async fn subjects(
    params: &Params,
    claims: &ClaimsRequest,
    context: &Context<'_>,
) -> Result<Vec<Subject>, Error> {
    let mut wanted = hinted(params, context).await?.map(|sub| vec![sub]);
    let sections = [&claims.id_token, &claims.userinfo];
    let asked = sections.into_iter().filter_map(|section| section.get("sub"));
    for asked in asked.filter(|asked| !asked.values.is_empty()) {
        let named: Vec<Subject> = asked.texts().map(Subject::from).collect();
        wanted = Some(match wanted {
            None => named,
            Some(before) => before.into_iter().filter(|sub| named.contains(sub)).collect(),
        });
    }
    match wanted {
        Some(nobody) if nobody.is_empty() => Err(Error::login_required(
            "id_token_hint and claims name no user that both mean",
        )),
        wanted => Ok(wanted.unwrap_or_default()),
    }
}

/// The `sub` that the hint names.
async fn hinted(params: &Params, context: &Context<'_>) -> Result<Option<Subject>, Error> {
    let Some(token) = params.get("id_token_hint") else {
        return Ok(None);
    };
    match Hint::read(
        token,
        (context.keyring, context.recipients),
        context.issuer,
        context.now,
    )
    .await
    {
        Ok(hint) => Ok(Some(hint.sub)),
        Err(Unbelieved::Unknown(error)) => Err(error),
        Err(Unbelieved::Token(cause)) => {
            Err(Error::invalid_request("id_token_hint is not an ID token of this server").because(cause))
        }
    }
}
