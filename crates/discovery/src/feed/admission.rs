//! Who may read the feed: a resource server, by a secret or a key of its own; or a client to which an operator gave the
//! scope for it, by a token or the same way. Nobody who registered itself.
//!
//! A stream outlives the request that began it, so what it was admitted by is looked at again with every beat.

use std::sync::Arc;
use std::time::Duration;

use clients::{Caller, Client, Credentials, ResourceServer, Trust};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use issuance::{Meant, Proof, Refused, bearer};
use protocol::error::Challenge;
use protocol::{ClientCertificate, Error, ErrorCode, Params, Timestamp, path, scope};

use super::{Feed, Sent};

/// Who was admitted, and by what.
#[derive(Debug)]
pub(super) struct Reader {
    name: String,
    by: By,
}

#[derive(Debug)]
enum By {
    /// Which can be looked at any number of times.
    Secret(Credentials),
    Token(String, Option<ClientCertificate>),
    /// An assertion counts once. What it was judged by has to stay as it is; keys behind a URL and secrets that are
    /// gone do not show in that, so it counts for some minutes.
    Assertion(Caller, Timestamp),
}

impl Reader {
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Feed {
    /// # Errors
    /// 401 for whoever proves nothing, 403 for whoever may not read this.
    pub(super) async fn admit(
        &self,
        headers: &HeaderMap,
        (params, sent): (&Params, Sent),
        certificate: Option<ClientCertificate>,
        now: Timestamp,
    ) -> Result<Reader, Error> {
        let names = ["client_assertion", "client_assertion_type"];
        let asserted = sent == Sent::InForm && names.iter().any(|name| params.get(name).is_some());
        if !asserted && !headers.contains_key(AUTHORIZATION) {
            return Err(Error::new(ErrorCode::InvalidToken, WHO_ARE_YOU)
                .with_challenge(Challenge::BearerWithoutToken));
        }
        if !asserted && is_bearer(headers) {
            let token = bearer::from_header(headers)?
                .ok_or_else(Error::token_missing)?
                .to_owned();
            let name = self.holder(&token, certificate.as_ref(), now).await?;
            let by = By::Token(token, certificate);
            return Ok(Reader { name, by });
        }
        let nothing = Params::default();
        let proofs = match sent {
            Sent::InForm => params,
            Sent::InQuery => &nothing,
        };
        let credentials = Credentials::from_request(headers, proofs, certificate.as_ref())?;
        let caller = self
            .authenticator
            .identify(&credentials, path::REVOCATIONS, now)
            .await?;
        let name = name(&caller)?;
        let by = match asserted {
            true => By::Assertion(caller, now),
            false => By::Secret(credentials),
        };
        Ok(Reader { name, by })
    }

    /// Whether the reader of a stream would be admitted again. While the database is away, nobody is shown out.
    pub(super) async fn still_admits(&self, reader: &Reader, now: Timestamp) -> bool {
        let admitted = match &reader.by {
            By::Secret(credentials) => {
                let identified = self.authenticator.identify(credentials, path::REVOCATIONS, now);
                identified.await.and_then(|caller| name(&caller).map(drop))
            }
            By::Token(token, certificate) => self.holder(token, certificate.as_ref(), now).await.map(drop),
            By::Assertion(_, since) if now.since(*since) > ASSERTED => return false,
            By::Assertion(caller, _) => return self.is_unchanged(caller).await,
        };
        match admitted {
            Ok(()) => true,
            Err(error) => matches!(
                error.code(),
                ErrorCode::TemporarilyUnavailable | ErrorCode::ServerError
            ),
        }
    }

    /// The client to which this token was given for the feed.
    async fn holder(
        &self,
        token: &str,
        certificate: Option<&ClientCertificate>,
        now: Timestamp,
    ) -> Result<String, Error> {
        let own = Meant::For(self.issuer.as_str());
        let proof = Proof::Certificate(certificate);
        let claims = match self.bearer.judge(token, own, proof, now).await {
            Ok(claims) => claims,
            Err(Refused::Failed(error)) => return Err(error.into()),
            Err(refused) => return Err(refused.into()),
        };
        let client = self.clients.client(&claims.client_id).await?;
        // A person's token is about the person: none of them can allow this.
        let acts_for_itself = claims.sub.as_str() == claims.client_id.as_str();
        match client {
            Some(client) if acts_for_itself && claims.scope.contains(scope::REVOCATIONS) => {
                may_read(&client)?;
                Ok(client.id.to_string())
            }
            Some(_) | None => Err(Error::insufficient_scope(NEEDS)),
        }
    }

    async fn is_unchanged(&self, caller: &Caller) -> bool {
        let unchanged = async {
            Ok::<_, db::Error>(match caller {
                Caller::Client(held) => self.clients.client(&held.id).await?.as_ref() == Some(held),
                Caller::ResourceServer(held) => self.is_same(held).await?,
            })
        };
        unchanged.await.unwrap_or(true)
    }

    async fn is_same(&self, held: &Arc<ResourceServer>) -> db::Result<bool> {
        Ok(self.clients.resource(&held.identifier).await?.as_ref() == Some(held))
    }
}

/// For how long a stream goes on that an assertion opened. Its reader asserts anew, and goes on where it was.
const ASSERTED: Duration = Duration::from_secs(5 * 60);

const WHO_ARE_YOU: &str = "the feed is for resource servers: send the identifier and the secret by HTTP Basic, both \
    form-encoded, or a client_assertion by POST, or an access token with the scope revocations";

const NEEDS: &str = "the feed is for resource servers, and for clients that act for themselves with the scope \
    revocations, which an operator gives them";

fn name(caller: &Caller) -> Result<String, Error> {
    match caller {
        Caller::ResourceServer(api) => Ok(api.identifier.clone()),
        Caller::Client(client) => {
            may_read(client)?;
            Ok(client.id.to_string())
        }
    }
}

fn may_read(client: &Client) -> Result<(), Error> {
    let given = client.metadata.scope.as_ref();
    let given = given.is_some_and(|scope| scope.contains(scope::REVOCATIONS));
    match given && client.trust == Trust::Trusted && !client.is_public() {
        true => Ok(()),
        false => Err(Error::new(ErrorCode::InsufficientScope, NEEDS)),
    }
}

/// RFC 9110 §11.1: the scheme is case-insensitive.
fn is_bearer(headers: &HeaderMap) -> bool {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let scheme = header.and_then(|text| text.split(' ').next());
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer"))
}
