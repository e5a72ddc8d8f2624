//! What leaves with the answer of the authorization endpoint: RFC 6749 §4.1.2, OpenID Connect Core §3.2.2.5 and
//! §3.3.2.5. It was written when this is said; only signatures are left to make.

use grants::Approval;
use protocol::{Error, ResponseType, Secret};
use serde_json::{Map, Value};

use crate::tokens::{Alongside, TOKEN_TYPE};
use crate::{ACCESS_TOKEN_LIFE, Entitlement, Gate, Means, Target};

/// An approval that was written, with its code.
#[derive(Debug)]
pub struct Granted {
    pub(crate) approval: Approval,
    pub(crate) response_type: ResponseType,
    pub(crate) code: Option<Secret>,
    pub(crate) nonce: Option<String>,
    /// What the ID token says about the user.
    pub(crate) released: Map<String, Value>,
}

impl Granted {
    pub fn code(&self) -> Option<&Secret> {
        self.code.as_ref()
    }
}

impl Gate {
    /// The parameters of the answer. Tokens are dated when the approval was written: said again, they end with the
    /// first ones.
    ///
    /// # Errors
    /// When a ring has no key.
    pub async fn say(
        &self,
        granted: Granted,
        target: Target,
        means: Means,
    ) -> Result<Vec<(&'static str, String)>, Error> {
        let Granted {
            approval,
            response_type,
            code,
            nonce,
            released,
        } = granted;
        let issued_at = approval.created_at;
        let entitlement = Entitlement {
            scope: target.of(&approval.scope),
            approval,
            target,
            refresh_token: None,
            nonce,
            released,
            issued_at,
            means,
            confirmation: None,
        };
        let code = code.as_ref().map(Secret::expose);
        let access_token = match response_type.has_token() {
            true => Some(self.access_token(&entitlement).await?),
            false => None,
        };
        let alongside = Alongside {
            code,
            access_token: access_token.as_deref(),
        };
        let id_token = match (response_type.has_id_token(), entitlement.approval.user()) {
            (true, Some(user)) => Some(self.id_token(&entitlement, user, alongside).await?),
            _ => None,
        };

        let mut params: Vec<(&'static str, String)> = Vec::new();
        params.extend(code.map(|code| ("code", code.to_owned())));
        if let Some(access_token) = access_token {
            params.push(("access_token", access_token));
            params.push(("token_type", TOKEN_TYPE.to_owned()));
            params.push(("expires_in", ACCESS_TOKEN_LIFE.as_secs().to_string()));
            params.push(("scope", entitlement.scope.to_string()));
        }
        params.extend(id_token.map(|id_token| ("id_token", id_token)));
        Ok(params)
    }
}
