//! Redeeming an authorization code: RFC 6749 §4.1.3.

use grants::{Code, Family, codes};
use keyring::Purpose;
use protocol::{Confirmation, Error, Timestamp};

use crate::reads::{Found, Read};
use crate::writes::{Kind, Write, Written};
use crate::{ACCESS_TOKEN_LIFE, Entitlement, Gate, Refusal, Target, ended};

impl Gate {
    /// Claims a code that was verified and writes what hangs from it, in one guarded write: of a
    /// thousand presenters one is served, and the others prove that the code has leaked.
    ///
    /// # Errors
    /// [`Refusal::Reused`] when it was claimed before: OAuth 2.1 §4.1.3 ends what came of it.
    pub async fn redeem(
        &self,
        code: Code,
        target: Target,
        // What refreshing will have to prove.
        confirmation: Option<Confirmation>,
        now: Timestamp,
    ) -> Result<Entitlement, Refusal> {
        if code.claimed_at.is_some() && !protocol::defect("code-twice") {
            return Err(Refusal::Reused(code.approval.id));
        }
        if now >= code.expires_at {
            return Err(Error::invalid_grant("the authorization code has expired").into());
        }
        let secret = self.keyring.secret(Purpose::Refresh).map_err(Error::from)?;
        let (approval, nonce) = (code.approval.clone(), code.nonce.clone());
        let offline = approval.user().is_some_and(|user| user.offline);
        let family = offline.then(|| Family::begin(approval.clone(), secret.id.clone(), confirmation, now));
        let scope = target.of(&approval.scope);
        // What can fail comes before the claim: a code used up for an answer that nobody gets is lost to its user.
        let released = self.released(&approval).await?;
        let means = self.means(&approval, &scope, &target, now).await?;
        let write = Write {
            approval: approval.id.clone(),
            access_until: now + ACCESS_TOKEN_LIFE,
            kind: Kind::Redeem(family.clone().map(Box::new)),
            now,
        };
        match self.writes.submit(write).await? {
            Written::Done => {}
            Written::Lost if protocol::defect("code-twice") => {}
            Written::Ended => return Err(ended().into()),
            Written::Lost => return Err(Refusal::Reused(approval.id)),
        }

        let refresh_token = family.and_then(|family| family.token(family.generation, &secret.key));
        Ok(Entitlement {
            approval,
            scope,
            target,
            refresh_token,
            nonce,
            released,
            issued_at: now,
            means,
            confirmation: None,
        })
    }
}

impl Gate {
    /// Finds the code that was presented and checks that we made it. Changes nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn code(&self, presented: &str) -> Result<Option<Code>, Error> {
        let Some(approval) = codes::claimed_approval(presented) else {
            return Ok(None);
        };
        let Found::Code(code) = self.reads.submit(Read::Code(approval)).await? else {
            return Ok(None);
        };
        let secret = self.keyring.secret_by_id(Purpose::Code, &code.secret_id);
        let ours = secret.is_some_and(|secret| code.is(presented, &secret.key));
        Ok(ours.then_some(*code))
    }
}
