//! Refreshing: RFC 6749 §6, by the verdicts of [`grants::families`].

use db::Conn;
use grants::Family;
use grants::families::{self, Holder, Presented, Verdict};
use keyring::Purpose;
use protocol::{Error, Scope, Timestamp};

use crate::reads::{Found, Read};
use crate::writes::{Kind, Write, Written};
use crate::{ACCESS_TOKEN_LIFE, Entitlement, Gate, Means, Refusal, Target, ended, live};

/// How often a request looks again after losing a race. Each loss means that another request for the same
/// family was served in between.
const ATTEMPTS: usize = 8;

impl Gate {
    /// Answers a refresh token that was checked to be ours and the client's. The scope is what the client asks
    /// the access token to carry; the family's own never changes.
    ///
    /// # Errors
    /// [`Refusal::Reused`] when a token older than a lost answer can explain came back; [`Refusal::Ahead`] for one
    /// that is newer than its family.
    pub async fn refresh(
        &self,
        mut family: Family,
        presented: &Presented,
        holder: Holder,
        (scope, target): (Scope, Target),
        now: Timestamp,
    ) -> Result<Entitlement, Refusal> {
        let scope = target.of(&scope);
        let means = self.means(&family.approval, &scope, &target, now).await?;
        for _ in 0..ATTEMPTS {
            let generation = match family.judge(presented.generation, holder, now) {
                Verdict::Rotate => family.generation.saturating_add(1),
                Verdict::Repeat => family.generation,
                Verdict::SuspectedReuse | Verdict::ProvenReuse => {
                    return Err(Refusal::Reused(family.approval.id));
                }
                Verdict::Expired => return Err(Error::invalid_grant("the refresh token has expired").into()),
                Verdict::Unknown => return Err(Refusal::Ahead(family.approval.created_at)),
            };
            let (id, from) = (family.id.clone(), family.generation);
            let write = Write {
                approval: family.approval.id.clone(),
                access_until: now + ACCESS_TOKEN_LIFE,
                kind: match generation == from {
                    true => Kind::Repeat(id, from),
                    false => Kind::Rotate(id, from),
                },
                now,
            };
            match self.writes.submit(write).await? {
                Written::Done => {
                    return self
                        .entitle(family, generation, (scope, target, means), now)
                        .await;
                }
                Written::Ended => return Err(ended().into()),
                Written::Lost => {
                    let read = families::by_id(&family.id, &mut self.db.reader().await?).await?;
                    family = read.ok_or_else(ended)?;
                }
            }
        }
        Err(Error::temporarily_unavailable("a refresh token family is contended").into())
    }

    async fn entitle(
        &self,
        family: Family,
        generation: i64,
        (scope, target, means): (Scope, Target, Means),
        now: Timestamp,
    ) -> Result<Entitlement, Refusal> {
        let secret = self.keyring.secret_by_id(Purpose::Refresh, &family.secret_id);
        let secret = secret.ok_or_else(|| Error::server_error("the secret of a refresh token is gone"))?;
        let released = self.released(&family.approval).await?;
        Ok(Entitlement {
            refresh_token: family.token(generation, &secret.key),
            approval: family.approval,
            scope,
            target,
            // OpenID Connect Core §12.2: a refreshed ID token should have none.
            nonce: None,
            released,
            issued_at: now,
            means,
            confirmation: None,
        })
    }
}

impl Gate {
    /// Whether a refresh token that was checked to be ours would be answered now. Changes nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn would_refresh(
        &self,
        family: &Family,
        presented: &Presented,
        holder: Holder,
        conn: &mut Conn,
        now: Timestamp,
    ) -> Result<bool, Error> {
        match family.judge(presented.generation, holder, now) {
            Verdict::Rotate | Verdict::Repeat => Ok(live::is_live(&family.approval.id, conn, now).await?),
            Verdict::SuspectedReuse | Verdict::ProvenReuse | Verdict::Expired | Verdict::Unknown => Ok(false),
        }
    }

    /// Finds the family of a presented token and checks that we made it. Changes nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn family(&self, presented: &Presented) -> Result<Option<Family>, Error> {
        let read = Read::Family(presented.family_id.clone());
        let Found::Family(family) = self.reads.submit(read).await? else {
            return Ok(None);
        };
        let secret = self.keyring.secret_by_id(Purpose::Refresh, &family.secret_id);
        let ours = secret.is_some_and(|secret| family.made(presented, &secret.key));
        Ok(ours.then_some(*family))
    }
}
