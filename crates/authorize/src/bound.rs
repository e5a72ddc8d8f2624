//! A client and a redirect URI that were proven to belong together: the only thing that may redirect.

use std::sync::Arc;

use clients::{Client, Directory};
use pages::see_other;
use protocol::redirect_uri::with_query;
use protocol::{ClientId, Error, Issuer, Params};
use url::form_urlencoded::Serializer;

/// Where the answer to a request may go.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) client: Arc<Client>,
    pub(crate) redirect_uri: String,
    pub(crate) redirect_uri_implied: bool,
    pub(crate) state: Option<String>,
}

/// What goes back to the client: RFC 6749 §4.1.2 and §4.1.2.1.
#[derive(Debug)]
pub(crate) enum Answer<'a> {
    Code(&'a str),
    Error(&'a Error),
}

impl Bound {
    /// Proves client and redirect URI.
    ///
    /// # Errors
    /// What the page says: nothing may be redirected yet.
    pub(crate) async fn prove(params: &Params, clients: &Directory) -> Result<Self, Error> {
        let id = params.require("client_id")?;
        let given = params.get("redirect_uri");
        let bound = Self::of(&ClientId::from(id), given, clients).await?;
        Ok(Self {
            state: params.get("state").map(str::to_owned),
            ..bound
        })
    }

    /// The same for a request that was checked before: the client may have changed since.
    ///
    /// # Errors
    /// As [`Self::prove`].
    pub(crate) async fn of(
        id: &ClientId,
        redirect_uri: Option<&str>,
        clients: &Directory,
    ) -> Result<Self, Error> {
        let client = clients.client(id).await?;
        let client = client
            .ok_or_else(|| Error::invalid_request("client_id names no client that is registered here"))?;
        let proven = client.redirect_uri(redirect_uri)?.to_owned();
        Ok(Self {
            client,
            redirect_uri: proven,
            redirect_uri_implied: redirect_uri.is_none(),
            state: None,
        })
    }

    /// Sends the browser back to the client. 303, so that a POST is not repeated there with what it carried
    /// (RFC 9700 §4.12); `iss`, so that the client knows who answers (RFC 9207).
    pub(crate) fn redirect(&self, answer: &Answer<'_>, issuer: &Issuer) -> axum::response::Response {
        let mut query = Serializer::new(String::new());
        match answer {
            Answer::Code(code) => {
                query.append_pair("code", code);
            }
            Answer::Error(error) => {
                query.append_pair("error", error.code().as_str());
                query.append_pair("error_description", error.description());
            }
        }
        if let Some(state) = &self.state {
            query.append_pair("state", state);
        }
        query.append_pair("iss", issuer.as_str());
        see_other(&with_query(&self.redirect_uri, &query.finish()))
    }
}
