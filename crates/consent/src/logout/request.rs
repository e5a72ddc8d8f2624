//! The parameters of a logout request, and the client they prove: OpenID Connect RP-Initiated Logout §2.
//!
//! What a client gets wrong about itself is a page that tells its developer. A hint that is not ours is no such
//! thing (it may be damaged, or of another server, and the person wants to sign out all the same): then nothing
//! of the request is believed.

use std::sync::Arc;

use clients::{Client, Directory};
use grants::LogoutRequest;
use grants::flow::Hinted;
use issuance::{Hint, Unbelieved};
use protocol::access_token::Audience;
use protocol::redirect_uri::with_query;
use protocol::{ClientId, Error, Params, spoilt};
use url::form_urlencoded::Serializer;

use crate::views::{Back, Destination};
use crate::{Consent, Stop, Visit};

impl Consent {
    /// # Errors
    /// What the page says: nothing was ended, and nothing may be redirected.
    pub(super) async fn logout_request(&self, params: &Params, visit: &Visit) -> Result<LogoutRequest, Stop> {
        let nothing_proven = LogoutRequest {
            ui_locales: params.get("ui_locales").map(str::to_owned),
            ..LogoutRequest::default()
        };
        let named = params.get("client_id");
        let hint = match params.get("id_token_hint") {
            None => None,
            Some(token) => match Hint::read(
                token,
                (&self.front.keyring, &self.recipients),
                &self.issuer,
                visit.now,
            )
            .await
            {
                Ok(hint) => Some(hint),
                Err(Unbelieved::Unknown(error)) => return Err(error.into()),
                Err(Unbelieved::Token(cause)) => {
                    tracing::info!(%cause, "an id_token_hint is not believed");
                    return Ok(nothing_proven);
                }
            },
        };
        let Some(client_id) = client_id(named, hint.as_ref())? else {
            return Ok(nothing_proven);
        };
        let Some(client) = self.clients.client(&client_id).await? else {
            return match named {
                Some(_) => {
                    Err(Error::invalid_request("client_id names no client that is registered here").into())
                }
                // It was deleted since it got the hint.
                None => Ok(nothing_proven),
            };
        };
        let uri = params.get("post_logout_redirect_uri");
        let uri = uri.map(|uri| client.post_logout_redirect_uri(uri)).transpose()?;
        Ok(LogoutRequest {
            client_id: Some(client_id),
            hint: hint.map(|hint| Hinted { sid: hint.sid }),
            state: uri.and(params.get("state")).map(str::to_owned),
            post_logout_redirect_uri: uri.map(str::to_owned),
            ..nothing_proven
        })
    }
}

/// The client that the hint was issued to; without a hint, the one that is named.
fn client_id(named: Option<&str>, hint: Option<&Hint>) -> Result<Option<ClientId>, Error> {
    match (named, hint.map(|hint| &hint.aud)) {
        (Some(named), Some(aud)) if !aud.contains(named) => Err(Error::invalid_request(
            "client_id is not the client that id_token_hint was issued to",
        )),
        (Some(named), _) => Ok(Some(named.into())),
        (None, Some(Audience::One(only))) => Ok(Some(only.as_str().into())),
        // None of our ID tokens has several.
        (None, Some(Audience::Many(_)) | None) => Ok(None),
    }
}

/// A client, and where it registered that a logout may lead.
#[derive(Debug)]
pub(super) struct RelyingParty {
    pub(super) client: Arc<Client>,
    uri: Option<String>,
    state: Option<String>,
}

impl RelyingParty {
    /// The one of a request that was checked before: the client may have changed since.
    ///
    /// # Errors
    /// When its URI is no longer registered, or the database fails.
    pub(super) async fn of(request: &LogoutRequest, clients: &Directory) -> Result<Option<Self>, Error> {
        let Some(client_id) = &request.client_id else {
            return Ok(None);
        };
        let Some(client) = clients.client(client_id).await? else {
            return Ok(None);
        };
        let uri = request.post_logout_redirect_uri.as_deref();
        let uri = uri.map(|uri| client.post_logout_redirect_uri(uri)).transpose()?;
        Ok(Some(Self {
            uri: uri.map(str::to_owned),
            state: request.state.clone(),
            client,
        }))
    }

    /// Its URI with `state` and nothing else (§3).
    pub(super) fn way_back(&self) -> Option<String> {
        let uri = self.uri.as_deref()?;
        Some(match spoilt("logout-without-state", self.state.as_ref(), None) {
            None => uri.to_owned(),
            Some(state) => {
                let mut query = Serializer::new(String::new());
                with_query(uri, &query.append_pair("state", state).finish())
            }
        })
    }

    pub(super) fn link(&self) -> Option<Back> {
        Some(Back {
            uri: self.way_back()?,
            destination: self.destination()?,
        })
    }

    pub(super) fn destination(&self) -> Option<Destination> {
        self.uri.as_deref().map(Destination::of)
    }
}

#[cfg(test)]
mod tests {
    use clients::{Metadata, Trust};
    use protocol::Timestamp;

    use super::*;

    #[test]
    fn only_state_is_added_to_what_was_registered() {
        let client = Arc::new(Client::new(
            "c".into(),
            Trust::Trusted,
            Metadata::default(),
            Timestamp::from_secs(0),
        ));
        for (uri, state, expected) in [
            ("https://a.test/bye", None, "https://a.test/bye"),
            ("https://a.test/bye", Some("s"), "https://a.test/bye?state=s"),
            (
                "https://a.test/?x=%7E",
                Some("s"),
                "https://a.test/?x=%7E&state=s",
            ),
            ("https://a.test/?x=%7E", None, "https://a.test/?x=%7E"),
            (
                "com.example.app:/bye",
                Some("a&b=\r\n\"é"),
                "com.example.app:/bye?state=a%26b%3D%0D%0A%22%C3%A9",
            ),
        ] {
            let party = RelyingParty {
                client: client.clone(),
                uri: Some(uri.to_owned()),
                state: state.map(str::to_owned),
            };
            assert_eq!(party.way_back().as_deref(), Some(expected));
        }
    }
}
