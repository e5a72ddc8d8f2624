//! Tokens for a client that acts for itself: RFC 6749 §4.4, from its one standing approval.

use clients::{Client, records};
use grants::{Approval, Party, approvals};
use protocol::{ApprovalId, Error, Scope, Timestamp};

use crate::known::Standing;
use crate::{Entitlement, Gate, Target, live};

impl Gate {
    /// Entitles a client to an access token of its own, for these resource servers. Writes nothing, the first
    /// time excepted: whatever ends a standing approval is recorded whether or not a token is out.
    ///
    /// # Errors
    /// `invalid_client` when the client ended since it was authenticated.
    pub async fn for_itself(
        &self,
        client: &Client,
        (scope, target): (Scope, Target),
        now: Timestamp,
    ) -> Result<Entitlement, Error> {
        let (id, generation) = (&client.id, client.generation);
        let standing = match self.known.standing(id, generation) {
            Some(known) => known,
            None => self.find_standing(client, now).await?,
        };
        let approval = Approval {
            id: standing.id,
            client_id: id.clone(),
            client_generation: generation,
            party: Party::Service,
            scope: Scope::default(),
            resources: Vec::new(),
            claims: Default::default(),
            created_at: standing.created_at,
            ended_at: None,
        };
        Ok(Entitlement {
            means: self.means(&approval, &scope, &target, now).await?,
            approval,
            scope,
            target,
            refresh_token: None,
            nonce: None,
            released: Default::default(),
            issued_at: now,
            confirmation: None,
        })
    }

    async fn find_standing(&self, client: &Client, now: Timestamp) -> Result<Standing, Error> {
        let (id, generation) = (&client.id, client.generation);
        let before = self.known.before();
        let found = live::standing(id, generation, &mut self.db.reader().await?, now).await?;
        let found = match found {
            Some(found) => Some(found),
            None => self.establish(client, now).await?,
        };
        let (approval, created_at) =
            found.ok_or_else(|| Error::invalid_client("this client has been deleted or revoked"))?;
        let standing = Standing {
            id: approval,
            client_generation: generation,
            created_at,
        };
        self.known.keep_standing(id.clone(), standing.clone(), before);
        Ok(standing)
    }

    /// The standing approval of a client that has none yet, written while the client is held; `None` when the
    /// client is another by now.
    async fn establish(
        &self,
        client: &Client,
        now: Timestamp,
    ) -> db::Result<Option<(ApprovalId, Timestamp)>> {
        let (id, generation) = (client.id.clone(), client.generation);
        let work = self.db.transact(move |conn| {
            Box::pin(async move {
                let held = records::lock_live(&id, conn).await?;
                if held.is_none_or(|held| held.generation != generation) {
                    return Ok(None);
                }
                approvals::stand(&id, generation, conn, now).await?;
                live::standing(&id, generation, conn, now).await
            })
        });
        work.await
    }
}
