//! A client and a redirect URI that were proven to belong together: the only thing that sends a browser to a client.

use std::sync::Arc;

use axum::response::{IntoResponse as _, Response};
use clients::{Client, Directory, Trust};
use grants::AuthorizationRequest;
use pages::{FormPost, Leave, Page, Shell, Way, see_other};
use protocol::redirect_uri::{shown_host, with_fragment, with_query};
use protocol::{ClientId, Error, Issuer, Params, ResponseMode, spoilt};
use url::form_urlencoded::Serializer;

/// Where the answer to a request may go.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) client: Arc<Client>,
    pub(crate) redirect_uri: String,
    pub(crate) redirect_uri_implied: bool,
    pub(crate) state: Option<String>,
    /// How the answer goes there.
    pub(crate) response_mode: ResponseMode,
}

/// The parameters of an answer.
pub(crate) type Answer = Vec<(&'static str, String)>;

impl Bound {
    /// Proves client and redirect URI.
    ///
    /// # Errors
    /// What the page says: nothing may be redirected yet.
    pub(crate) async fn prove(params: &Params, clients: &Directory) -> Result<Self, Error> {
        let id = ClientId::from(params.require("client_id")?);
        let (client, redirect_uri) = proven(&id, params.get("redirect_uri"), clients).await?;
        Ok(Self {
            client,
            redirect_uri_implied: params.get("redirect_uri").is_none(),
            state: params.get("state").map(str::to_owned),
            response_mode: response_mode(params, &redirect_uri),
            redirect_uri,
        })
    }

    /// The same for a request that was checked before: the client may have changed since.
    ///
    /// # Errors
    /// As [`Self::prove`].
    pub(crate) async fn again(request: &AuthorizationRequest, clients: &Directory) -> Result<Self, Error> {
        let given = (!request.redirect_uri_implied).then_some(request.redirect_uri.as_str());
        let (client, redirect_uri) = proven(&request.client_id, given, clients).await?;
        Ok(Self {
            client,
            redirect_uri,
            redirect_uri_implied: request.redirect_uri_implied,
            state: request.state.clone(),
            response_mode: request.response_mode,
        })
    }

    /// Sends the browser back to the client. 303, so that a POST is not repeated there with what it carried (RFC 9700
    /// §4.12).
    pub(crate) fn answer(&self, answer: Answer, issuer: &Issuer, shell: Shell) -> Response {
        match self.way(answer, issuer) {
            Way::Link(uri) => see_other(&uri),
            Way::Form { action, fields } => Page::new(FormPost {
                app: self.client.name_in(shell.locale().tag()),
                shell,
                action,
                fields,
            })
            .into_response(),
        }
    }

    /// The same with an error. To a client that nobody vouches for, nobody is sent unasked (C014).
    pub(crate) fn refuse(&self, error: &Error, issuer: &Issuer, shell: Shell) -> Response {
        let mut answer = vec![
            ("error", error.code().to_string()),
            ("error_description", error.description().to_owned()),
        ];
        answer.extend(protocol::defect("code-beside-error").then(|| ("code", protocol::random::id())));
        match self.client.trust {
            Trust::Trusted => self.answer(answer, issuer, shell),
            Trust::Unverified => Page::new(Leave {
                app: self.client.name_in(shell.locale().tag()),
                shell,
                host: shown_host(&self.redirect_uri),
                way: self.way(answer, issuer),
                error,
            })
            .into_response(),
        }
    }

    /// With `state`, and with `iss`, so that the client knows who answers (RFC 9207).
    fn way(&self, mut answer: Answer, issuer: &Issuer) -> Way {
        let state = spoilt("no-state", self.state.clone(), None);
        answer.extend(state.map(|state| ("state", state)));
        let iss = spoilt("no-iss", Some(issuer.as_str().to_owned()), None);
        answer.extend(iss.map(|iss| ("iss", iss)));
        let encoded = || Serializer::new(String::new()).extend_pairs(&answer).finish();
        match spoilt("always-in-query", self.response_mode, ResponseMode::Query) {
            ResponseMode::Query => Way::Link(with_query(&self.redirect_uri, &encoded())),
            ResponseMode::Fragment => Way::Link(with_fragment(&self.redirect_uri, &encoded())),
            ResponseMode::FormPost => Way::Form {
                action: self.redirect_uri.clone(),
                fields: answer,
            },
        }
    }
}

async fn proven(
    id: &ClientId,
    redirect_uri: Option<&str>,
    clients: &Directory,
) -> Result<(Arc<Client>, String), Error> {
    let client = clients.client(id).await?;
    let client =
        client.ok_or_else(|| Error::invalid_request("client_id names no client that is registered here"))?;
    let redirect_uri = client.redirect_uri(redirect_uri)?.to_owned();
    Ok((client, redirect_uri))
}

/// How the answer to a request goes back that has not been judged yet: what is wrong with it takes the same way. One
/// that asks for tokens gets nothing in the query, which servers log (Multiple Response Type Encoding Practices §5);
/// an app's private scheme takes no form.
fn response_mode(params: &Params, redirect_uri: &str) -> ResponseMode {
    let mut words = params.get("response_type").unwrap_or_default().split(' ');
    let usual = match words.any(|word| matches!(word, "token" | "id_token")) {
        true => spoilt("error-in-query", ResponseMode::Fragment, ResponseMode::Query),
        false => ResponseMode::Query,
    };
    let asked = params.get("response_mode").and_then(|mode| mode.parse().ok());
    match asked {
        Some(ResponseMode::FormPost) if takes_forms(redirect_uri) => ResponseMode::FormPost,
        Some(ResponseMode::Fragment) => ResponseMode::Fragment,
        Some(ResponseMode::FormPost | ResponseMode::Query) | None => usual,
    }
}

pub(crate) fn takes_forms(redirect_uri: &str) -> bool {
    redirect_uri.starts_with("https:") || redirect_uri.starts_with("http:")
}
