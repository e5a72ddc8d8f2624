//! The parameters of an authorization request, one small check each, in one order: RFC 6749 §4.1.1, OpenID
//! Connect Core §3.1.2.1, RFC 7636 §4.3, RFC 8707 §2.1. What they refuse goes back to the client.

use accounts::claims::Claim;
use accounts::sessions::Acr;
use clients::{Directory, Recipients};
use grants::AuthorizationRequest;
use issuance::Target;
use keyring::Keyring;
use protocol::pkce::CodeChallenge;
use protocol::{
    ClaimsRequest, Error, Issuer, Params, Prompt, ResponseMode, ResponseType, ResponseTypes, Scope, SignUp,
    Timestamp, scope,
};

use crate::bound::{Bound, takes_forms};
use crate::hint;

/// Longest `nonce` we carry into an ID token.
const MAX_NONCE: usize = 512;
/// Resources of one request; more would be several requests.
const MAX_RESOURCES: usize = 8;

/// What the checks look things up in.
pub(crate) struct Context<'a> {
    pub(crate) issuer: &'a Issuer,
    pub(crate) keyring: &'a Keyring,
    pub(crate) recipients: &'a Recipients,
    pub(crate) clients: &'a Directory,
    pub(crate) response_types: ResponseTypes,
    pub(crate) sign_up: SignUp,
    pub(crate) now: Timestamp,
}

pub(crate) async fn parse(
    params: &Params,
    bound: &Bound,
    context: &Context<'_>,
) -> Result<AuthorizationRequest, Error> {
    refuse_unsupported(params)?;
    let response_type = response_type(params, bound, context.response_types)?;
    let response_mode = response_mode(params, response_type, bound)?;
    let target = target(params, context.clients).await?;
    let scope = scope(params, response_type, bound, &target)?;
    let code_challenge = code_challenge(params, response_type, bound)?;
    let prompt = prompt(params, context.sign_up)?;
    let asked = claims(params, &scope)?;
    let subs = hint::subjects(params, &asked, context).await?;
    // A person with a new account would be turned away at the end.
    if prompt.contains(&Prompt::Create) && !subs.is_empty() {
        return Err(Error::invalid_request(
            "prompt=create is for somebody new, and id_token_hint or claims names a user",
        ));
    }
    Ok(AuthorizationRequest {
        client_id: bound.client.id.clone(),
        redirect_uri: bound.redirect_uri.clone(),
        redirect_uri_implied: bound.redirect_uri_implied,
        response_type,
        response_mode,
        scope,
        resources: target.identifiers(),
        state: bound.state.clone(),
        nonce: nonce(params, response_type)?,
        code_challenge,
        prompt,
        max_age: max_age(params)?.or(bound.client.metadata.default_max_age),
        login_hint: params.get("login_hint").map(str::to_owned),
        ui_locales: params.get("ui_locales").map(str::to_owned),
        subs,
        acr: essential_acr(&asked)?,
        claims: asked.retain(|name| name.parse::<Claim>().is_ok()),
    })
}

/// OpenID Connect Core §7.2.1: what we cannot honour is refused by its own code, never ignored, because
/// ignoring it would answer another request than the one that was signed.
fn refuse_unsupported(params: &Params) -> Result<(), Error> {
    if params.get("registration").is_some() {
        return Err(Error::registration_not_supported(
            "register the client beforehand",
        ));
    }
    Ok(())
}

fn response_type(params: &Params, bound: &Bound, admitted: ResponseTypes) -> Result<ResponseType, Error> {
    let known = ResponseType::parse(params.require("response_type")?).ok();
    let known = known.filter(|known| admitted.admitted().contains(known));
    let response_type = known.ok_or_else(|| {
        Error::unsupported_response_type("response_type has to be one of those in this server's metadata")
    })?;
    let mut grant_types = response_type.grant_types().iter();
    let registered = bound.client.metadata.response_types.contains(&response_type)
        && grant_types.all(|grant_type| bound.client.may_use(*grant_type));
    match registered {
        true => Ok(response_type),
        false => Err(Error::unauthorized_client(
            "this client has not registered this response_type",
        )),
    }
}

fn response_mode(params: &Params, response_type: ResponseType, bound: &Bound) -> Result<ResponseMode, Error> {
    let Some(given) = params.get("response_mode") else {
        return Ok(response_type.default_mode());
    };
    let mode = given.parse().map_err(|_| {
        Error::invalid_request("response_mode has to be one of those in this server's metadata")
    })?;
    match mode {
        // Multiple Response Type Encoding Practices §5: queries are logged and sent on as referrers.
        ResponseMode::Query if response_type != ResponseType::Code => Err(Error::invalid_request(
            "response_mode=query is for response_type=code only",
        )),
        ResponseMode::FormPost if !takes_forms(&bound.redirect_uri) => Err(Error::invalid_request(
            "response_mode=form_post needs a redirect_uri that begins with https:// or http://",
        )),
        ResponseMode::Query | ResponseMode::Fragment | ResponseMode::FormPost => Ok(mode),
    }
}

async fn target(params: &Params, clients: &Directory) -> Result<Target, Error> {
    let named: Vec<String> = params.all("resource").map(str::to_owned).collect();
    if named.len() > MAX_RESOURCES {
        return Err(Error::invalid_target("at most 8 resources fit into one request"));
    }
    Target::find(&named, clients).await
}

/// Unknown scopes are dropped (RFC 6749 §3.3 lets us); the token response says what is left.
fn scope(
    params: &Params,
    response_type: ResponseType,
    bound: &Bound,
    target: &Target,
) -> Result<Scope, Error> {
    let asked = Scope::parse(params.get("scope").unwrap_or_default())?;
    let client = &bound.client;
    // OpenID Connect Core §11: without a code there is nothing that a refresh token could come of.
    let refreshes = client.may_refresh() && response_type.has_code();
    let usable = |token: &str| client.may_ask(token) && (token != scope::OFFLINE_ACCESS || refreshes);
    let granted = target.of(&asked).retain(usable);
    if granted.is_empty() {
        return Err(Error::invalid_scope(
            "scope names nothing that this client may ask for here; scopes of an API also need its resource parameter",
        ));
    }
    if granted.contains(scope::OPENID) && bound.redirect_uri_implied {
        return Err(Error::invalid_request(
            "an OpenID Connect request names its redirect_uri",
        ));
    }
    if response_type.has_id_token() && !granted.contains(scope::OPENID) {
        return Err(Error::invalid_request(
            "a response_type with id_token in it needs the scope openid",
        ));
    }
    Ok(granted)
}

fn code_challenge(
    params: &Params,
    response_type: ResponseType,
    bound: &Bound,
) -> Result<Option<CodeChallenge>, Error> {
    let challenge =
        CodeChallenge::from_request(params.get("code_challenge"), params.get("code_challenge_method"))?;
    if challenge.is_none() && response_type.has_code() && bound.client.requires_pkce() {
        return Err(Error::invalid_request(
            "code_challenge is missing: this client has to use PKCE with code_challenge_method=S256",
        ));
    }
    Ok(challenge)
}

/// `create` is refused where accounts are made by others: OpenID Connect Prompt Create §4.1, on values that the metadata
/// does not list.
fn prompt(params: &Params, sign_up: SignUp) -> Result<Vec<Prompt>, Error> {
    let Some(given) = params.get("prompt") else {
        return Ok(Vec::new());
    };
    let mut prompts = Vec::new();
    for word in given.split(' ').filter(|word| !word.is_empty()) {
        let known = word.parse::<Prompt>().ok();
        let listed = known.filter(|prompt| sign_up == SignUp::Open || *prompt != Prompt::Create);
        prompts.push(listed.ok_or_else(|| unlisted(word))?);
    }
    if prompts.contains(&Prompt::None) && prompts.len() > 1 {
        return Err(Error::invalid_request("prompt=none stands alone"));
    }
    Ok(prompts)
}

/// Names the value, if it is one that somebody may have meant: the developer reads this.
fn unlisted(word: &str) -> Error {
    let is_a_word = word.len() <= 32 && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    Error::invalid_request(match is_a_word {
        true => format!("prompt={word} is not in this server's metadata: see prompt_values_supported"),
        false => "prompt holds a value that is not in this server's metadata: see prompt_values_supported"
            .to_owned(),
    })
}

/// OpenID Connect Core §5.5. A request without openid has no place where claims could be told.
fn claims(params: &Params, scope: &Scope) -> Result<ClaimsRequest, Error> {
    match params.get("claims") {
        Some(given) if scope.contains(scope::OPENID) => ClaimsRequest::parse(given),
        _ => Ok(ClaimsRequest::default()),
    }
}

/// The values of which `acr` has to have one: OpenID Connect Core §5.5.1.1, which has a request that cannot be met
/// treated as a failed authentication. `acr_values` and an `acr` that is not essential are wishes; every ID token
/// says what was met.
fn essential_acr(claims: &ClaimsRequest) -> Result<Vec<String>, Error> {
    let asked = claims.id_token.get("acr");
    let Some(asked) = asked.filter(|asked| asked.essential && !asked.values.is_empty()) else {
        return Ok(Vec::new());
    };
    let known = asked.texts().filter(|text| text.parse::<Acr>().is_ok());
    let known: Vec<String> = known.map(str::to_owned).collect();
    match known.is_empty() {
        true => Err(Error::access_denied(
            "claims makes an acr essential that this server cannot give: see acr_values_supported",
        )),
        false => Ok(known),
    }
}

fn max_age(params: &Params) -> Result<Option<u64>, Error> {
    let Some(given) = params.get("max_age") else {
        return Ok(None);
    };
    match given.parse() {
        Ok(seconds) if given.bytes().all(|b| b.is_ascii_digit()) => Ok(Some(seconds)),
        _ => Err(Error::invalid_request("max_age is a number of seconds")),
    }
}

/// OpenID Connect Core §3.2.2.1 and §3.3.2.11: an ID token that comes by the browser could be another's, unless it
/// says to which request it belongs.
fn nonce(params: &Params, response_type: ResponseType) -> Result<Option<String>, Error> {
    match params.get("nonce") {
        None if response_type.has_id_token() && !protocol::defect("nonce-not-demanded") => Err(
            Error::invalid_request("nonce is missing: this response_type needs one"),
        ),
        Some(nonce) if nonce.len() > MAX_NONCE => {
            Err(Error::invalid_request("nonce has at most 512 characters"))
        }
        nonce => Ok(nonce.map(str::to_owned)),
    }
}
