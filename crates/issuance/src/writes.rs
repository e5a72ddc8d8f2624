//! The writes of the token endpoint, in batches: a code claimed, a family moved on, a mint recorded.
//!
//! A fixed list of set statements. The first is the guard of every mint: approval, client, user, consent and
//! session are live at this very moment, whatever was read before; whatever it does not return gets nothing.

use std::collections::HashSet;

use db::{Access, Batch, BoxFuture, Conn, execute, run, set};
use grants::families::Moving;
use grants::{Family, codes, families};
use protocol::{ApprovalId, FamilyId, Timestamp};
use serde::Serialize;

use crate::live::live;

/// One write.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) approval: ApprovalId,
    /// Until when its access token lives: an ending has to be told until then.
    pub(crate) access_until: Timestamp,
    pub(crate) kind: Kind,
    pub(crate) now: Timestamp,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Claims the code of the approval and begins its family.
    Redeem(Option<Box<Family>>),
    /// Moves a family from this generation to the next.
    Rotate(FamilyId, i64),
    /// Changes nothing, if the family still stands at this generation: its token is said again.
    Repeat(FamilyId, i64),
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Done,
    /// The code was claimed, or the family moved on, since it was read.
    Lost,
    /// Approval, client, user, consent or session is no longer live.
    Ended,
}

/// Locks the approvals in the order of their ids, so that the batches of two replicas cannot wait for each other.
const LOCK: &str = "SELECT a.approval_id FROM approvals a WHERE a.approval_id IN \
    (SELECT s.id FROM json_to_recordset($1::json) AS s(id text)) ORDER BY a.approval_id FOR UPDATE";

const ADVANCE: (&str, &str) = set!(
    "UPDATE approvals SET access_until = CASE WHEN approvals.access_until < s.until THEN s.until \
     ELSE approvals.access_until END FROM ",
    (id text, until bigint, now bigint),
    concat!(
        " WHERE approvals.approval_id = s.id AND ",
        live!("s.now"),
        " RETURNING approvals.approval_id"
    )
);

#[derive(Debug)]
pub(crate) struct Writes;

impl Batch for Writes {
    const ACCESS: Access = Access::Write;

    type Command = Write;
    type Answer = Written;

    fn key(write: &Write) -> &str {
        write.approval.as_str()
    }

    /// Whoever presents the same refresh token in the same moment gets the same successor. Of two who present
    /// the same code, the second has to be told so.
    fn shares(first: &Write, later: &Write) -> bool {
        match (&first.kind, &later.kind) {
            (Kind::Rotate(family, from), Kind::Rotate(other, other_from)) => {
                (family, from) == (other, other_from)
            }
            (Kind::Repeat(family, at), Kind::Repeat(other, other_at)) => (family, at) == (other, other_at),
            _ => false,
        }
    }

    fn run<'c>(writes: &'c [Write], conn: &'c mut Conn) -> BoxFuture<'c, db::Result<Vec<Written>>> {
        Box::pin(carry_out(writes, conn))
    }
}

async fn carry_out(writes: &[Write], conn: &mut Conn) -> db::Result<Vec<Written>> {
    let live = advance(writes, conn).await?;
    let live_writes = || {
        writes
            .iter()
            .filter(|write| live.contains(write.approval.as_str()))
    };

    let codes: Vec<_> = live_writes()
        .filter(|write| matches!(write.kind, Kind::Redeem(_)))
        .collect();
    let claimed = codes::claim_all(codes.iter().map(|write| (&write.approval, write.now)), conn).await?;
    let begun = codes
        .iter()
        .filter(|write| claimed.contains(write.approval.as_str()));
    families::insert_all(begun.filter_map(|write| write.begins()), conn).await?;

    let rotated = families::rotate_all(live_writes().filter_map(Write::moves), conn).await?;
    let standing = families::standing(live_writes().filter_map(Write::stands), conn).await?;

    let outcome = |write: &Write| {
        let held = match &write.kind {
            _ if !live.contains(write.approval.as_str()) => return Written::Ended,
            Kind::Redeem(_) => claimed.contains(write.approval.as_str()),
            Kind::Rotate(family, _) => rotated.contains(family.as_str()),
            Kind::Repeat(family, _) => standing.contains(family.as_str()),
        };
        if held { Written::Done } else { Written::Lost }
    };
    Ok(writes.iter().map(outcome).collect())
}

/// A row of [`ADVANCE`].
#[derive(Serialize)]
struct Advance<'a> {
    id: &'a ApprovalId,
    until: Timestamp,
    now: Timestamp,
}

/// Records the mints that are allowed and returns their approvals.
async fn advance(writes: &[Write], conn: &mut Conn) -> db::Result<HashSet<String>> {
    let rows = db::batch::rows(writes.iter().map(|write| Advance {
        id: &write.approval,
        until: write.access_until,
        now: write.now,
    }))?;
    let Some(rows) = rows else {
        return Ok(HashSet::new());
    };
    if conn.is_postgres() {
        execute!(conn, sqlx::query(LOCK).bind(&rows))?;
    }
    let statement = conn.either(ADVANCE.0, ADVANCE.1);
    let live: Vec<(String,)> = run!(conn, |c| sqlx::query_as(statement).bind(&rows).fetch_all(c))?;
    Ok(live.into_iter().map(|(id,)| id).collect())
}

impl Write {
    fn begins(&self) -> Option<&Family> {
        match &self.kind {
            Kind::Redeem(family) => family.as_deref(),
            Kind::Rotate(..) | Kind::Repeat(..) => None,
        }
    }

    fn moves(&self) -> Option<Moving<'_>> {
        match &self.kind {
            Kind::Rotate(family, from) => Some(Moving {
                family,
                generation: *from,
                now: self.now,
            }),
            Kind::Redeem(_) | Kind::Repeat(..) => None,
        }
    }

    fn stands(&self) -> Option<Moving<'_>> {
        match &self.kind {
            Kind::Repeat(family, at) => Some(Moving {
                family,
                generation: *at,
                now: self.now,
            }),
            Kind::Redeem(_) | Kind::Rotate(..) => None,
        }
    }
}
