//! The writes of the token endpoint, in batches: a code claimed, a family moved on, a mint recorded.
//!
//! A fixed list of set statements. The first is the guard of every mint: approval, client, user, consent and
//! session are live at this very moment, whatever was read before; whatever it does not return gets nothing.

use std::collections::{HashMap, HashSet};

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

/// [`LOCK`], [`ADVANCE`] and the rotation of families in one statement, for batches of nothing but refreshes on
/// PostgreSQL: there the way to the database and back takes longer than the work.
///
/// All of it sees one instant, which is before the locks were got. That is enough: whatever ends an approval writes
/// into its row, and whoever rotates a family locks its approval, so a row that changed meanwhile is judged again as
/// it is now (PostgreSQL, §13.2.1).
const REFRESH: &str = concat!(
    "WITH s AS MATERIALIZED (SELECT * FROM json_to_recordset($1::json) AS \
       s(id text, until bigint, now bigint, family text, generation bigint, idle bigint)), \
     locked AS MATERIALIZED (SELECT a.approval_id FROM approvals a \
       WHERE a.approval_id IN (SELECT s.id FROM s) ORDER BY a.approval_id FOR UPDATE), \
     minted AS (UPDATE approvals SET access_until = GREATEST(approvals.access_until, s.until) \
       FROM s JOIN locked ON locked.approval_id = s.id WHERE approvals.approval_id = s.id AND ",
    live!("s.now"),
    " RETURNING approvals.approval_id), \
     moved AS (UPDATE families SET generation = s.generation + 1, reached_at = s.now, \
       idle_until = LEAST(families.expires_at, s.idle) FROM s JOIN minted ON minted.approval_id = s.id \
       WHERE families.family_id = s.family AND families.approval_id = s.id \
       AND families.generation = s.generation AND families.idle_until > s.now AND families.expires_at > s.now \
       RETURNING families.approval_id) \
     SELECT minted.approval_id, moved.approval_id IS NOT NULL \
     FROM minted LEFT JOIN moved ON moved.approval_id = minted.approval_id"
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
        let only_refreshes = writes.iter().all(|write| matches!(write.kind, Kind::Rotate(..)));
        match only_refreshes && conn.is_postgres() {
            true => Box::pin(refresh(writes, conn)),
            false => Box::pin(carry_out(writes, conn)),
        }
    }
}

/// A row of [`REFRESH`].
#[derive(Serialize)]
struct Refresh<'a> {
    #[serde(flatten)]
    advance: Advance<'a>,
    family: &'a FamilyId,
    generation: i64,
    idle: Timestamp,
}

async fn refresh(writes: &[Write], conn: &mut Conn) -> db::Result<Vec<Written>> {
    let rows = db::batch::rows(writes.iter().filter_map(|write| {
        let moving = write.moves()?;
        Some(Refresh {
            advance: write.advance(),
            family: moving.family,
            generation: moving.generation,
            idle: moving.idle(),
        })
    }))?;
    let Some(rows) = rows else {
        return Ok(Vec::new());
    };
    let minted: Vec<(String, bool)> = run!(conn, |c| sqlx::query_as(REFRESH).bind(&rows).fetch_all(c))?;
    let minted: HashMap<String, bool> = minted.into_iter().collect();
    let outcome = |write: &Write| match minted.get(write.approval.as_str()) {
        Some(true) => Written::Done,
        Some(false) => Written::Lost,
        None => Written::Ended,
    };
    Ok(writes.iter().map(outcome).collect())
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
    let rows = db::batch::rows(writes.iter().map(Write::advance))?;
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
    fn advance(&self) -> Advance<'_> {
        Advance {
            id: &self.approval,
            until: self.access_until,
            now: self.now,
        }
    }

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
