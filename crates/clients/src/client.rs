//! A client: RFC 6749 §2. What it registered, and the questions that endpoints ask of that.

use protocol::{
    ClientAuthMethod, ClientCertificate, ClientId, Confirmation, Error, GrantType, RedirectUri, Timestamp,
    wire_enum,
};

use crate::{Metadata, certificates};

wire_enum! {
    /// Whether an operator vouches for a client.
    pub enum Trust {
        /// It registered itself: shown as such, never answered silently, no offline access.
        Unverified => "unverified",
        Trusted => "trusted",
    }
}

/// A registered client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    pub id: ClientId,
    /// Rises when a user would see another client; asks for consent again.
    pub version: i64,
    /// Rises only when everything of the client is revoked; tokens carry it.
    pub generation: i64,
    pub trust: Trust,
    pub metadata: Metadata,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Client {
    pub fn new(id: ClientId, trust: Trust, metadata: Metadata, now: Timestamp) -> Self {
        Self {
            id,
            version: 1,
            generation: 1,
            trust,
            metadata,
            created_at: now,
            updated_at: now,
        }
    }

    /// The redirect URI a request may use: the one it names, when that is registered (RFC 9700 §2.1), or the
    /// only one there is when it names none (RFC 6749 §3.1.2.3). That OpenID Connect always wants it named is
    /// for the authorization endpoint to say.
    ///
    /// # Errors
    /// `invalid_request`, to be shown on a page of ours: nothing here may be redirected to.
    pub fn redirect_uri<'u>(&'u self, given: Option<&'u str>) -> Result<&'u str, Error> {
        let own = &self.metadata.redirect_uris;
        match (given, own.as_slice()) {
            (Some(given), _) if self.admits(own, given) || protocol::defect("any-redirect-uri") => Ok(given),
            (Some(_), _) => Err(Error::invalid_request(
                "redirect_uri is not registered for this client; it has to match to the byte",
            )),
            (None, [only]) => Ok(only.as_str()),
            (None, [first, ..]) if protocol::defect("first-redirect-uri") => Ok(first.as_str()),
            (None, []) => Err(Error::invalid_request("this client has no redirect URI")),
            (None, _) => Err(Error::invalid_request(
                "the parameter redirect_uri is missing, and this client has registered several",
            )),
        }
    }

    /// Whether a logout request may lead here: OpenID Connect RP-Initiated Logout §2.
    ///
    /// # Errors
    /// `invalid_request`, to be shown on a page of ours: nothing here may be redirected to.
    pub fn post_logout_redirect_uri<'u>(&self, given: &'u str) -> Result<&'u str, Error> {
        let uris = &self.metadata.post_logout_redirect_uris;
        match self.admits(uris, given) || protocol::defect("any-post-logout-redirect-uri") {
            true => Ok(given),
            false => Err(Error::invalid_request(
                "post_logout_redirect_uri is not registered for this client; it has to match to the byte",
            )),
        }
    }

    fn admits(&self, registered: &[RedirectUri], given: &str) -> bool {
        let admits = |own: &RedirectUri| own.admits(given, self.metadata.application_type);
        registered.iter().any(admits)
    }

    /// Whether it cannot keep a secret (RFC 6749 §2.1).
    pub fn is_public(&self) -> bool {
        match self.metadata.token_endpoint_auth_method {
            ClientAuthMethod::None => true,
            ClientAuthMethod::ClientSecretBasic
            | ClientAuthMethod::ClientSecretPost
            | ClientAuthMethod::ClientSecretJwt
            | ClientAuthMethod::PrivateKeyJwt
            | ClientAuthMethod::TlsClientAuth
            | ClientAuthMethod::SelfSignedTlsClientAuth => false,
        }
    }

    /// Whether it authenticates by a secret that we gave it.
    pub fn has_secret(&self) -> bool {
        self.metadata.has_secret()
    }

    /// Whether it sends that secret. One that signs with it never does, and whoever sends it has found it somewhere.
    pub fn sends_secret(&self) -> bool {
        self.has_secret() && self.metadata.token_endpoint_auth_method != ClientAuthMethod::ClientSecretJwt
    }

    /// To what tokens of a request with this certificate are bound: RFC 8705 §3. Nothing, unless the client registered
    /// for that: it may call APIs that know of no certificates.
    ///
    /// # Errors
    /// `invalid_request` when it did, and shows none.
    pub fn confirmation(
        &self,
        certificate: Option<&ClientCertificate>,
    ) -> Result<Option<Confirmation>, Error> {
        if !self.metadata.tls_client_certificate_bound_access_tokens {
            return Ok(None);
        }
        let certificate = certificate.ok_or_else(|| {
            Error::invalid_request(
                "this client registered for tokens bound to its certificate: use the token_endpoint in \
                 mtls_endpoint_aliases, with the certificate",
            )
        })?;
        Ok(Some(certificates::confirmation(certificate)))
    }

    /// Whether an authorization request needs a code challenge: always for a public client, whatever its
    /// record says, because nothing else binds its codes to it (RFC 9700 §2.1.1).
    pub fn requires_pkce(&self) -> bool {
        self.is_public() || self.metadata.require_pkce
    }

    pub fn may_use(&self, grant_type: GrantType) -> bool {
        self.metadata.grant_types.contains(&grant_type)
    }

    /// Whether refresh tokens are made for it. They outlive the session, so somebody has to vouch for the client.
    pub fn may_refresh(&self) -> bool {
        match self.trust {
            Trust::Trusted => self.may_use(GrantType::RefreshToken),
            Trust::Unverified => false,
        }
    }

    /// Whether it may ask for this scope token. Whether the token means anything is another question.
    pub fn may_ask(&self, token: &str) -> bool {
        match &self.metadata.scope {
            Some(scope) => scope.contains(token),
            None => true,
        }
    }

    /// What people see on a page in this language (a BCP 47 tag).
    pub fn name_in(&self, language: &str) -> String {
        match self.metadata.client_names.speaking(language) {
            Some(name) => name.to_owned(),
            None => self.shown_name(),
        }
    }

    /// What people see: its name, else where its redirect URI leads, else its id.
    pub fn shown_name(&self) -> String {
        if let Some(name) = &self.metadata.client_name {
            return name.clone();
        }
        match self.metadata.redirect_uris.first() {
            Some(uri) => uri.shown_host(),
            None => self.id.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::{ApplicationType, Scope};

    use super::*;

    fn client(uris: &[&str]) -> Client {
        let register = |text: &&str| RedirectUri::register(text, ApplicationType::Native).unwrap();
        let metadata = Metadata {
            application_type: ApplicationType::Native,
            redirect_uris: uris.iter().map(register).collect(),
            ..Metadata::default()
        };
        Client::new("c".into(), Trust::Trusted, metadata, Timestamp::from_secs(0))
    }

    #[test]
    fn a_request_may_leave_out_the_only_redirect_uri() {
        let one = client(&["https://a.test/cb"]);
        assert_eq!(one.redirect_uri(None).unwrap(), "https://a.test/cb");
        assert!(client(&[]).redirect_uri(None).is_err());
        assert!(
            client(&["https://a.test/cb", "https://b.test/cb"])
                .redirect_uri(None)
                .is_err()
        );
    }

    #[test]
    fn c001_a_named_redirect_uri_has_to_be_a_registered_one() {
        let two = client(&["https://a.test/cb", "http://127.0.0.1/cb"]);
        for given in ["https://a.test/cb", "http://127.0.0.1:50000/cb"] {
            assert_eq!(two.redirect_uri(Some(given)).unwrap(), given);
        }
        for given in ["", "https://a.test/cb/", "https://a.test", "http://localhost/cb"] {
            assert!(two.redirect_uri(Some(given)).is_err(), "{given}");
            assert!(client(&[]).redirect_uri(Some(given)).is_err(), "{given}");
        }
    }

    #[test]
    fn c001_where_logout_may_lead_is_registered_apart_from_where_sign_in_may() {
        let mut client = client(&["https://a.test/cb"]);
        assert!(client.post_logout_redirect_uri("https://a.test/cb").is_err());
        let uri = RedirectUri::register("https://a.test/bye", ApplicationType::Web).unwrap();
        client.metadata.post_logout_redirect_uris = vec![uri];
        assert_eq!(
            client.post_logout_redirect_uri("https://a.test/bye").unwrap(),
            "https://a.test/bye"
        );
        for given in [
            "",
            "https://a.test/bye?x=1",
            "https://a.test/bye/",
            "https://a.test/",
        ] {
            assert!(client.post_logout_redirect_uri(given).is_err(), "{given}");
        }
        assert!(client.redirect_uri(Some("https://a.test/bye")).is_err());
    }

    #[test]
    fn c006_a_public_client_needs_pkce_whatever_its_record_says() {
        for (method, required, expected) in [
            (ClientAuthMethod::None, true, true),
            (ClientAuthMethod::None, false, true),
            (ClientAuthMethod::ClientSecretBasic, true, true),
            (ClientAuthMethod::ClientSecretBasic, false, false),
            (ClientAuthMethod::ClientSecretPost, false, false),
        ] {
            let mut client = client(&[]);
            client.metadata.token_endpoint_auth_method = method;
            client.metadata.require_pkce = required;
            assert_eq!(client.requires_pkce(), expected, "{method} {required}");
        }
    }

    #[test]
    fn a_record_limits_grants_and_scopes() {
        let mut client = client(&[]);
        assert!(client.may_use(GrantType::AuthorizationCode));
        assert!(!client.may_use(GrantType::RefreshToken));
        assert!(client.may_ask("anything"));
        client.metadata.scope = Some(Scope::from_tokens(["openid"]));
        assert!(client.may_ask("openid") && !client.may_ask("email"));
    }

    #[test]
    fn a_client_without_a_name_is_shown_as_the_place_it_leads_to() {
        let mut named = client(&["https://a.test:8443/cb"]);
        assert_eq!(named.shown_name(), "a.test:8443");
        named.metadata.client_name = Some("Shop".to_owned());
        assert_eq!(named.shown_name(), "Shop");
        named.metadata.client_names = [("fr".to_owned(), "Boutique".to_owned())].into_iter().collect();
        assert_eq!(
            (named.name_in("fr"), named.name_in("en")),
            ("Boutique".to_owned(), "Shop".to_owned())
        );
        assert_eq!(client(&[]).shown_name(), "c");
    }
}
