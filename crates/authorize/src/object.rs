//! Request objects: OpenID Connect Core §6, RFC 9101. Decides what an authorization request says that was signed, or
//! part of which was.
//!
//! An object counts only when a key of the client vouches for it, or its secret where the client registered HS256, by
//! the algorithm that the client registered. What it says wins over what stands beside it, and of a client that always signs nothing beside it counts. What goes on
//! from here are parameters like any others, judged by the same checks.

mod fetched;

use std::borrow::Cow;

use clients::{Client, Directory, Keys, Recipients, Vault};
use egress::Egress;
use jws::{Alg, Typ, Unverified, Verified, times};
use keyring::Keyring;
use protocol::access_token::Audience;
use protocol::{ClientAlg, ClientId, Error, Issuer, Params, Timestamp};
use serde::Deserialize as _;
use serde_json::{Map, Value};

use fetched::Fetched;

const TYP: Typ = Typ::IsOrJwtOrAbsent("oauth-authz-req+jwt");

/// What request objects are read with.
#[derive(Debug)]
pub struct Objects {
    keys: Keys,
    clients: Directory,
    /// Opens the secrets with which clients sign.
    vault: Vault,
    fetched: Fetched,
    /// Of the keys to which clients encrypt.
    keyring: Keyring,
    issuer: Issuer,
}

impl Objects {
    pub fn new(by: Recipients, egress: Egress, keyring: Keyring, issuer: Issuer) -> Self {
        Self {
            keys: by.keys,
            clients: by.clients,
            vault: by.vault,
            fetched: Fetched::new(egress),
            keyring,
            issuer,
        }
    }

    /// The parameters that count, when the request has an object; none when it has not.
    ///
    /// # Errors
    /// `invalid_request_object` and `invalid_request_uri`; `invalid_request` when a client that always signs did not;
    /// `request_not_supported` and `request_uri_not_supported` for an object that nobody signed.
    pub(crate) async fn merged(
        &self,
        params: &Params,
        client: &Client,
        now: Timestamp,
    ) -> Result<Option<Params>, Error> {
        let (text, way) = match (params.get("request"), params.get("request_uri")) {
            (Some(_), Some(_)) => {
                return Err(Error::invalid_request("send request or request_uri, not both"));
            }
            (Some(text), None) => (text.to_owned(), Way::Value),
            (None, Some(url)) => (self.fetched.object(url, client, now).await?, Way::Reference),
            (None, None) if client.metadata.require_signed_request_object => {
                return Err(Error::invalid_request(
                    "this client has registered that it always sends a signed request object",
                ));
            }
            (None, None) => return Ok(None),
        };
        if protocol::defect("request-object-ignored") {
            return Ok(None);
        }
        let object = self.open(&text, way, client, now).await?;
        let object = protocol::spoilt("request-object-loses", object, Object(Vec::new()));
        match client.metadata.require_signed_request_object {
            true => Ok(Some(object.alone(&client.id))),
            false => object.over(params).map(Some),
        }
    }

    /// The same at the endpoint for pushed requests, where nothing beside an object counts (RFC 9126 §3).
    ///
    /// # Errors
    /// As [`Self::merged`].
    pub(crate) async fn pushed(
        &self,
        params: &Params,
        client: &Client,
        now: Timestamp,
    ) -> Result<Option<Params>, Error> {
        match params.get("request") {
            None => self.merged(params, client, now).await,
            Some(text) => {
                let object = self.open(text, Way::Pushed, client, now).await?;
                Ok(Some(object.alone(&client.id)))
            }
        }
    }

    async fn open(&self, text: &str, way: Way, client: &Client, now: Timestamp) -> Result<Object, Error> {
        let signed = self.decrypted(text, client, now).await?;
        let token = Unverified::parse(&signed).map_err(|cause| unreadable(cause, way))?;
        let verified = self.vouched(&token, client, now).await?;
        let claims = verified.members();
        judge(claims, &client.id, &self.issuer, now).map_err(invalid)?;
        Object::of(claims)
    }

    /// By the one thing that the client registered: neither a key nor a secret ever stands in for the other.
    async fn vouched<'t>(
        &self,
        token: &'t Unverified,
        client: &Client,
        now: Timestamp,
    ) -> Result<Verified<'t>, Error> {
        if client.metadata.asks_by_secret() {
            let vouched = self.clients.vouch(&client.id, token, &self.vault, TYP).await?;
            return vouched.map_err(|cause| {
                invalid("the client registered HS256 for it, and no secret of the client has signed it so")
                    .because(cause)
            });
        }
        let pinned = client.metadata.request_object_signing_alg;
        let pinned = pinned.and_then(ClientAlg::signing).map(Alg::from);
        let allowed = pinned.as_ref().map_or(Alg::ALL, std::slice::from_ref);
        let vouched = self.keys.vouch(client, token, allowed, TYP, now).await;
        vouched.map_err(|cause| {
            invalid(
                "no key in the client's jwks or behind its jwks_uri vouches for it, by its kid and alg (HS256 is for \
                 clients that registered it)",
            )
            .because(cause)
        })
    }

    /// The signed object in one that was encrypted: RFC 9101 §6.1. What comes out has to be signed like any other:
    /// anybody can encrypt to us. A client that registered how it encrypts may still send others.
    async fn decrypted<'t>(
        &self,
        text: &'t str,
        client: &Client,
        now: Timestamp,
    ) -> Result<Cow<'t, str>, Error> {
        const DOTS_OF_JWE: usize = 4;
        if text.bytes().filter(|byte| *byte == b'.').count() != DOTS_OF_JWE {
            return Ok(Cow::Borrowed(text));
        }
        let Some(registered) = client.metadata.request_object_encryption() else {
            return Err(invalid(
                "it is encrypted, and this client has not registered request_object_encryption_alg",
            ));
        };
        let opened = self.keyring.decrypt(text, registered, now).await?;
        let opened = opened.map_err(|refused| {
            invalid("it is encrypted, but not by the alg and enc that the client registered, to a key of this server")
                .because(refused)
        })?;
        let signed = str::from_utf8(&opened)
            .map_err(|cause| invalid("what was encrypted is no JWT").because(cause))?;
        Ok(Cow::Owned(signed.to_owned()))
    }
}

/// How an object came.
#[derive(Clone, Copy)]
enum Way {
    Value,
    Reference,
    Pushed,
}

/// Who sends what nobody signed is told that it is not supported (OpenID Connect Core §3.1.2.6), as this is how a
/// client finds out; a pushed one is simply wrong (RFC 9126 §3).
fn unreadable(cause: jws::Error, way: Way) -> Error {
    const UNSIGNED: &str =
        "a request object has to be signed, by one of the request_object_signing_alg_values_supported";
    let error = match (&cause, way) {
        (jws::Error::Unsigned, Way::Value) => Error::request_not_supported(UNSIGNED),
        (jws::Error::Unsigned, Way::Reference) => Error::request_uri_not_supported(UNSIGNED),
        _ => invalid("it is not a compact JWS of at most 16 KiB with an algorithm of this server"),
    };
    error.because(cause)
}

/// What an object says about itself. OpenID Connect Core §6.1 asks for `iss` and `aud` without insisting.
fn judge(
    claims: &Map<String, Value>,
    client_id: &ClientId,
    issuer: &Issuer,
    now: Timestamp,
) -> Result<(), &'static str> {
    for name in ["iss", "client_id"] {
        if claims
            .get(name)
            .is_some_and(|given| given.as_str() != Some(client_id.as_str()))
        {
            return Err("its iss and client_id have to be the client_id");
        }
    }
    // RFC 9101 §10.8: an assertion of the client is no request, and a request no assertion.
    if claims.get("sub").and_then(Value::as_str) == Some(client_id.as_str()) {
        return Err("its sub must not be the client_id");
    }
    let for_us = |aud: &Value| Audience::deserialize(aud).is_ok_and(|aud| aud.contains(issuer.as_str()));
    if claims.get("aud").is_some_and(|aud| !for_us(aud)) {
        return Err("its aud has to be the issuer");
    }
    if claims.contains_key("request") || claims.contains_key("request_uri") {
        return Err("it must not hold request or request_uri");
    }
    times::check(claims, now).map_err(|_| "it has expired, or is not valid yet, or a date in it is none")
}

/// Claims about the object rather than the request.
const ABOUT_ITSELF: &[&str] = &["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];

/// The parameters in an object.
struct Object(Vec<(String, String)>);

impl Object {
    fn of(claims: &Map<String, Value>) -> Result<Self, Error> {
        let mut params = Vec::new();
        for (name, value) in claims {
            if ABOUT_ITSELF.contains(&name.as_str()) {
                continue;
            }
            match value {
                Value::Array(all) if name == "resource" => {
                    for one in all {
                        params.push((name.clone(), text(one)?));
                    }
                }
                value => params.push((name.clone(), text(value)?)),
            }
        }
        Ok(Self(params))
    }

    /// Nothing else counts.
    fn alone(mut self, client_id: &ClientId) -> Params {
        self.0.retain(|(name, _)| name != "client_id");
        self.0.push(("client_id".to_owned(), client_id.to_string()));
        Params::from_pairs(self.0)
    }

    /// What stands in the object wins: OpenID Connect Core §6.1.
    fn over(self, params: &Params) -> Result<Params, Error> {
        let inside = |name: &str| self.0.iter().any(|(own, _)| own == name);
        let said = |name: &str| {
            self.0
                .iter()
                .find(|(own, _)| own == name)
                .map(|(_, value)| value.as_str())
        };
        // A request whose two halves ask for different kinds of answer was put together by two people.
        if let (Some(outside), Some(within)) = (params.get("response_type"), said("response_type"))
            && outside != within
        {
            return Err(invalid("its response_type differs from the one beside it"));
        }
        let outside = params
            .pairs()
            .filter(|(name, _)| !["request", "request_uri"].contains(name) && !inside(name))
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut all: Vec<(String, String)> = outside.collect();
        all.extend(self.0);
        Ok(Params::from_pairs(all))
    }
}

/// A parameter as it would stand in a query. NUL never does.
fn text(value: &Value) -> Result<String, Error> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) | Value::Object(_) | Value::Array(_) => value.to_string(),
        Value::Null => String::new(),
    };
    match text.contains('\0') {
        true => Err(invalid("a member of it holds NUL")),
        false => Ok(text),
    }
}

fn invalid(fault: &'static str) -> Error {
    Error::invalid_request_object(format!("the request object is refused: {fault}"))
}
