//! Client authentication: RFC 6749 §2.3, and that of resource servers, which is the same (RFC 7662 §2.1). It
//! decides who is speaking, or that nobody is.
//!
//! A client registered for a secret may send it in the header or in the body: libraries differ in what they
//! try first, and both carry the same secret over the same connection. A client registered without one never
//! gets in with a secret, and one registered with a secret never without. Every refusal reads the same and
//! does the same work, so that nobody learns here which clients exist.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use db::Conn;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use jws::Unverified;
use protocol::error::Challenge;
use protocol::{ClientAuthMethod, ClientCertificate, ClientId, Error, Params, Secret};
use url::form_urlencoded;

use crate::secrets::MAX_ACTIVE;
use crate::{Client, ResourceServer, records, resources, secrets};

/// What a request says about the client that sent it. Nothing of it is proven yet.
#[derive(Clone, Debug)]
pub struct Credentials {
    client_id: ClientId,
    method: ClientAuthMethod,
    /// The ways in which the secret can be read; none for a client that sent none.
    secrets: Vec<Secret>,
    assertion: Option<Arc<Unverified>>,
    /// The one of the connection, whatever the method is.
    certificate: Option<ClientCertificate>,
}

/// RFC 7523 §2.2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

impl Credentials {
    /// A URL that was cut at its first colon, because it was not form-encoded. No API is called so.
    fn is_cut_url(&self) -> bool {
        self.method == ClientAuthMethod::ClientSecretBasic
            && matches!(self.client_id.as_str(), "http" | "https" | "urn")
    }

    /// # Errors
    /// `invalid_request` when the request uses more than one method (RFC 6749 §2.3) or one in a broken form;
    /// `invalid_client` when it uses none, or one we do not know.
    pub fn from_request(
        headers: &HeaderMap,
        params: &Params,
        certificate: Option<&ClientCertificate>,
    ) -> Result<Self, Error> {
        let certificate = certificate.cloned();
        Ok(Self {
            certificate,
            ..Self::named(headers, params)?
        })
    }

    fn named(headers: &HeaderMap, params: &Params) -> Result<Self, Error> {
        let header = from_header(headers)?;
        let secret = params.get("client_secret");
        let asserted =
            params.get("client_assertion").is_some() || params.get("client_assertion_type").is_some();
        let methods = [header.is_some(), secret.is_some(), asserted];
        if methods.into_iter().filter(|used| *used).count() > 1 {
            return Err(Error::invalid_request(
                "the client authenticates twice; use the Authorization header or the body, not both",
            ));
        }
        if asserted {
            return from_assertion(params);
        }
        match header {
            Some(basic) => basic.confirmed_by(params),
            None => from_body(params, secret),
        }
    }

    /// The client that the request claims to be.
    pub fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// The assertion that came instead of a secret.
    pub(crate) fn assertion(&self) -> Option<&Unverified> {
        self.assertion.as_deref()
    }

    /// Whether it only says who it is, as public clients do, and those whom their connection proves.
    pub(crate) fn prove_nothing(&self) -> bool {
        self.method == ClientAuthMethod::None
    }

    pub(crate) fn certificate(&self) -> Option<&ClientCertificate> {
        self.certificate.as_ref()
    }

    /// An identifier is an absolute URI, so it holds a colon, and the id of a client never does.
    pub(crate) fn name_a_resource_server(&self) -> bool {
        self.client_id.as_str().contains(':')
    }

    /// RFC 6749 §3.2.1 lets a request repeat its `client_id` in the body; it has to be the same one.
    fn confirmed_by(self, params: &Params) -> Result<Self, Error> {
        match params.get("client_id") {
            Some(other) if other != self.client_id.as_str() => Err(Error::invalid_request(
                "client_id in the body differs from the one in the Authorization header",
            )),
            _ => Ok(self),
        }
    }
}

fn from_body(params: &Params, secret: Option<&str>) -> Result<Credentials, Error> {
    let Some(client_id) = params.get("client_id") else {
        return Err(match secret {
            Some(_) => Error::invalid_request("client_secret is given without client_id"),
            None => Error::invalid_client(
                "the request names no client; send client_id and client_secret, as Basic or in the body",
            ),
        });
    };
    Ok(Credentials {
        client_id: client_id.into(),
        method: match secret {
            Some(_) => ClientAuthMethod::ClientSecretPost,
            None => ClientAuthMethod::None,
        },
        secrets: secret.into_iter().map(Secret::from).collect(),
        assertion: None,
        certificate: None,
    })
}

/// RFC 7521 §4.2 and RFC 7523 §2.2. The client that it names is the one that has to prove it, so `client_id` may
/// be left out.
fn from_assertion(params: &Params) -> Result<Credentials, Error> {
    let text = params.get("client_assertion");
    let (Some(JWT_BEARER), Some(text)) = (params.get("client_assertion_type"), text) else {
        return Err(Error::invalid_client(
            "expected client_assertion and client_assertion_type, which is \
             urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ));
    };
    let assertion = Unverified::parse(text).map_err(|cause| {
        Error::invalid_client(
            "client_assertion is not a compact JWS of at most 16 KiB with an algorithm that this server knows",
        )
        .because(cause)
    })?;
    let named = params.get("client_id").or_else(|| assertion.claimed("sub"));
    // NUL: PostgreSQL cannot be asked about it.
    let named = named.filter(|id| !id.is_empty() && !id.contains('\0'));
    let client_id =
        named.ok_or_else(|| Error::invalid_client("the sub of client_assertion is no client_id"))?;
    Ok(Credentials {
        client_id: client_id.into(),
        method: match assertion.alg() {
            Some(_) => ClientAuthMethod::PrivateKeyJwt,
            None => ClientAuthMethod::ClientSecretJwt,
        },
        secrets: Vec::new(),
        assertion: Some(Arc::new(assertion)),
        certificate: None,
    })
}

/// HTTP Basic: RFC 7617, with both halves form-urlencoded by RFC 6749 §2.3.1.
fn from_header(headers: &HeaderMap) -> Result<Option<Credentials>, Error> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let Some(header) = all.next() else {
        return Ok(None);
    };
    if all.next().is_some() {
        return Err(Error::invalid_request(
            "the request has more than one Authorization header",
        ));
    }
    let (scheme, encoded) = header
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return Err(Error::invalid_client(
            "clients authenticate here with the Basic scheme, not another one",
        )
        .with_challenge(Challenge::Basic));
    }
    let bytes = STANDARD
        .decode(encoded.trim_matches(' '))
        .map_err(|_| malformed())?;
    let text = Secret::new(String::from_utf8(bytes).map_err(|_| malformed())?);
    let (client_id, secret) = text.expose().split_once(':').ok_or_else(malformed)?;

    // NUL: PostgreSQL cannot be asked about it.
    let client_id = form_decoded(client_id);
    if client_id.is_empty() || client_id.contains('\0') {
        return Err(malformed());
    }
    if secret.is_empty() {
        return Err(
            Error::invalid_client("the Authorization header holds an empty client_secret")
                .with_challenge(Challenge::Basic),
        );
    }
    Ok(Some(Credentials {
        client_id: client_id.into(),
        method: ClientAuthMethod::ClientSecretBasic,
        secrets: readings(secret),
        assertion: None,
        certificate: None,
    }))
}

fn malformed() -> Error {
    Error::invalid_request(
        "the Authorization header is malformed; expected Basic and the base64 of \
         client_id:client_secret, each form-urlencoded",
    )
}

/// The secret as the RFC has it, and as it stands: many clients do not encode. Both readings are proof of the
/// same knowledge. Our own secrets read the same either way; those made elsewhere may hold a plus or a
/// percent sign.
fn readings(secret: &str) -> Vec<Secret> {
    let decoded = form_decoded(secret);
    match decoded == secret {
        true => vec![Secret::new(decoded)],
        false => vec![Secret::new(decoded), Secret::from(secret)],
    }
}

/// One form-urlencoded value on its own: a raw `&` or `=` in it separates nothing.
fn form_decoded(value: &str) -> String {
    let pair = format!("={}", value.replace('&', "%26"));
    let decoded = form_urlencoded::parse(pair.as_bytes()).next();
    decoded.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// What is compared where there is no secret to compare: as long as a digest, and equal to none.
const NO_DIGEST: &str = "*******************************************";

/// Who has proven to be speaking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    Client(Arc<Client>),
    ResourceServer(Arc<ResourceServer>),
}

/// The client or resource server that the credentials prove.
///
/// # Errors
/// `invalid_client`, the same whatever was wrong; our log has the reason.
pub async fn identify(credentials: &Credentials, conn: &mut Conn) -> Result<Caller, Error> {
    let id = &credentials.client_id;
    let (caller, digests) = match credentials.name_a_resource_server() {
        true => {
            let found = resources::by_identifier(id.as_str(), conn).await?;
            let caller = found.map(|resource| Caller::ResourceServer(Arc::new(resource)));
            (caller, resources::secrets::digests(id.as_str(), conn).await?)
        }
        false => {
            let found = records::by_id(id, conn).await?;
            let caller = found.map(|client| Caller::Client(Arc::new(client)));
            (caller, secrets::digests(id, conn).await?)
        }
    };
    prove(credentials, caller, &digests)
}

/// The caller, if the credentials are those of its record.
pub(crate) fn prove(
    credentials: &Credentials,
    caller: Option<Caller>,
    digests: &[String],
) -> Result<Caller, Error> {
    let proven = matches_one(&credentials.secrets, digests);
    let Some(caller) = caller else {
        return Err(refuse(credentials, "unknown client"));
    };
    match fault(&caller, credentials.method, proven) {
        None => Ok(caller),
        Some(fault) => Err(refuse(credentials, fault)),
    }
}

/// The client that the credentials prove.
///
/// # Errors
/// `invalid_client`, the same whatever was wrong; our log has the reason.
pub async fn authenticate(credentials: &Credentials, conn: &mut Conn) -> Result<Arc<Client>, Error> {
    client(credentials, identify(credentials, conn).await?)
}

/// The client among the callers.
pub(crate) fn client(credentials: &Credentials, caller: Caller) -> Result<Arc<Client>, Error> {
    match caller {
        Caller::Client(client) => Ok(client),
        Caller::ResourceServer(_) => Err(refuse(credentials, "a resource server is no client")),
    }
}

/// Compares with as many digests for every client, known or not, and never stops early.
fn matches_one(given: &[Secret], digests: &[String]) -> bool {
    let padded = digests.iter().map(String::as_str).chain([NO_DIGEST; MAX_ACTIVE]);
    let padded: Vec<&str> = padded.take(MAX_ACTIVE).collect();
    let mut proven = false;
    for secret in given {
        let own = seal::digest(secret.expose());
        for digest in &padded {
            proven |= seal::same(own.as_bytes(), digest.as_bytes());
        }
    }
    proven
}

fn fault(caller: &Caller, used: ClientAuthMethod, proven: bool) -> Option<&'static str> {
    let (public, secret) = match caller {
        Caller::Client(client) => (client.is_public(), client.sends_secret()),
        Caller::ResourceServer(_) => (false, true),
    };
    match used {
        ClientAuthMethod::None if public => None,
        ClientAuthMethod::None => Some("a client or resource server that proves who it is sent nothing"),
        ClientAuthMethod::ClientSecretBasic | ClientAuthMethod::ClientSecretPost if secret => {
            (!proven).then_some("wrong secret")
        }
        ClientAuthMethod::ClientSecretBasic | ClientAuthMethod::ClientSecretPost => {
            Some("a client that sends no secret sent one")
        }
        // Assertions are judged elsewhere; whoever comes by here has not proven anything.
        ClientAuthMethod::ClientSecretJwt
        | ClientAuthMethod::PrivateKeyJwt
        | ClientAuthMethod::TlsClientAuth
        | ClientAuthMethod::SelfSignedTlsClientAuth => Some("another proof where secrets are compared"),
    }
}

pub(crate) fn refuse(
    credentials: &Credentials,
    reason: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    if credentials.is_cut_url() {
        let error = Error::invalid_client(
            "client authentication failed: a client_id with a colon in it (the identifier of an API) and its secret are \
             each form-encoded before they are put into HTTP Basic: https%3A%2F%2Fapi.example.com%2F (RFC 6749 §2.3.1)",
        );
        return error.because(reason).with_challenge(Challenge::Basic);
    }
    let error = Error::invalid_client(
        "client authentication failed: unknown client, wrong or missing client_secret, a client_secret from a \
         client that is registered for another token_endpoint_auth_method, or no certificate of the client, valid \
         now, on a connection to one of the mtls_endpoint_aliases (tls_client_auth, self_signed_tls_client_auth)",
    )
    .because(reason);
    match credentials.method {
        ClientAuthMethod::ClientSecretBasic => error.with_challenge(Challenge::Basic),
        ClientAuthMethod::ClientSecretPost
        | ClientAuthMethod::ClientSecretJwt
        | ClientAuthMethod::PrivateKeyJwt
        | ClientAuthMethod::TlsClientAuth
        | ClientAuthMethod::SelfSignedTlsClientAuth
        | ClientAuthMethod::None => error,
    }
}

#[cfg(test)]
mod tests;
