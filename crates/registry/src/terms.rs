//! On what terms clients register themselves: what the operator has set, and what no registrant may choose (C058).

use clients::registrations::Vouched;
use clients::registrations::quota::Hours;
use clients::{AssertionAudience, Metadata, Trust, shown};
use protocol::{
    BRAND, ClientAuthMethod, ClientCertificates, Error, GrantType, ResponseTypes, SigningAlgs, scope,
    wire_enum,
};
use serde_json::Value;

use crate::answers;
use crate::document::{Document, invalid};
use crate::metadata::metadata;

wire_enum! {
    /// Who may register a client over HTTP.
    pub enum Admission {
        /// Nobody. Clients that registered before keep managing themselves.
        Closed => "closed",
        /// Whoever holds an initial access token.
        Token => "token",
        Open => "open",
    }
}

/// The operator's settings about clients that register themselves.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub admission: Admission,
    /// What such a client is to people.
    pub trust: Trust,
    /// Whether all of them need PKCE. A client may bind itself to it in any case; none is freed by its own wish.
    pub require_pkce: bool,
    /// Whom what such a client signs may name as its audience. It may be stricter with itself.
    pub assertion_audience: AssertionAudience,
    pub hours: Hours,
    /// By which algorithms the server signs.
    pub signing: SigningAlgs,
    /// What the authorization endpoint admits: a record that says more would not be true.
    pub response_types: ResponseTypes,
    /// And by which certificates clients can prove themselves.
    pub certificates: ClientCertificates,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            admission: Admission::Closed,
            trust: Trust::Unverified,
            require_pkce: true,
            assertion_audience: AssertionAudience::Issuer,
            hours: Hours::Counted,
            signing: SigningAlgs::default(),
            response_types: ResponseTypes::Code,
            certificates: ClientCertificates::None,
        }
    }
}

impl Terms {
    /// The metadata in force for a client that registers itself with this document.
    pub(crate) fn metadata(&self, document: &Value, vouched: &Vouched) -> Result<Metadata, Error> {
        if Document::new(document)?.holds("software_statement") {
            return Err(Error::unapproved_software_statement(
                "software statements are not supported here: leave software_statement out",
            ));
        }
        let mut metadata = metadata(document)?;
        if metadata.names().any(|name| shown::is_of(BRAND, name)) {
            return Err(invalid(
                "client_name",
                "the name of this server is in it; only the people who run the server give it to a client",
            ));
        }
        let own_wish = Document::new(document)?.flag("require_pkce")?;
        let public = metadata.token_endpoint_auth_method == ClientAuthMethod::None;
        if Document::new(document)?.word("assertion_audience", AssertionAudience::ALL)?
            != Some(AssertionAudience::Issuer)
        {
            metadata.assertion_audience = self.assertion_audience;
        }
        metadata.require_pkce = self.require_pkce || public || own_wish == Some(true);
        answers::signable(&metadata, self.signing)?;
        let admitted = self.response_types.admitted();
        if !metadata.response_types.iter().all(|own| admitted.contains(own)) {
            return Err(invalid(
                "response_types",
                "this server admits the response type code only",
            ));
        }
        if !self.certificates.admit(metadata.token_endpoint_auth_method) {
            return Err(invalid(
                "token_endpoint_auth_method",
                "this server knows no such certificates: see token_endpoint_auth_methods_supported in its metadata",
            ));
        }
        if metadata.tls_client_certificate_bound_access_tokens
            && self.certificates == ClientCertificates::None
        {
            return Err(invalid(
                "tls_client_certificate_bound_access_tokens",
                "this server asks for no certificates, so it has nothing to bind tokens to",
            ));
        }
        // Also of one that an operator vouches for later: that is about what it shows to people.
        if metadata
            .scope
            .as_ref()
            .is_some_and(|own| own.contains(scope::REVOCATIONS))
        {
            return Err(invalid(
                "scope",
                "revocations is for clients to which an operator gives it",
            ));
        }
        if metadata.grant_types.contains(&GrantType::ClientCredentials) && !self.admits_machines(vouched) {
            return Err(invalid(
                "grant_types",
                "client_credentials is for clients that an operator registered or vouched for",
            ));
        }
        Ok(metadata)
    }

    /// Nobody is asked what a client that acts for itself may do: a stranger must not be one.
    fn admits_machines(&self, vouched: &Vouched) -> bool {
        match (self.trust, vouched) {
            (Trust::Trusted, Vouched::ByToken(_)) => true,
            (Trust::Trusted, Vouched::ByNobody) | (Trust::Unverified, _) => false,
        }
    }
}
