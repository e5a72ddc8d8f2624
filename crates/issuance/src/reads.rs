//! The reads of the token endpoint, in batches: what codes and refresh tokens stand for. They decide nothing: what
//! can change is looked at again by the guard of the write.

use std::collections::HashMap;

use db::{Access, Batch, BoxFuture, Conn};
use grants::{Code, Family, codes, families};
use protocol::{ApprovalId, FamilyId};

/// One read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Family(FamilyId),
    /// The code of an approval.
    Code(ApprovalId),
}

/// What was found.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    Nothing,
    Family(Box<Family>),
    Code(Box<Code>),
}

#[derive(Debug)]
pub(crate) struct Reads;

impl Batch for Reads {
    const ACCESS: Access = Access::Read;

    type Command = Read;
    type Answer = Found;

    fn key(read: &Read) -> &str {
        match read {
            Read::Family(id) => id.as_str(),
            Read::Code(id) => id.as_str(),
        }
    }

    fn shares(first: &Read, later: &Read) -> bool {
        first == later
    }

    fn run<'c>(reads: &'c [Read], conn: &'c mut Conn) -> BoxFuture<'c, db::Result<Vec<Found>>> {
        Box::pin(carry_out(reads, conn))
    }
}

async fn carry_out(reads: &[Read], conn: &mut Conn) -> db::Result<Vec<Found>> {
    let (mut family_ids, mut approval_ids) = (Vec::new(), Vec::new());
    for read in reads {
        match read {
            Read::Family(id) => family_ids.push(id),
            Read::Code(id) => approval_ids.push(id),
        }
    }
    let families = families::by_ids(&family_ids, conn).await?;
    let mut families: HashMap<_, _> = families
        .into_iter()
        .map(|family| (family.id.clone(), family))
        .collect();
    let codes = codes::by_approvals(&approval_ids, conn).await?;
    let mut codes: HashMap<_, _> = codes
        .into_iter()
        .map(|code| (code.approval.id.clone(), code))
        .collect();
    let mut found = |read: &Read| match read {
        Read::Family(id) => families
            .remove(id)
            .map_or(Found::Nothing, |family| Found::Family(Box::new(family))),
        Read::Code(id) => codes
            .remove(id)
            .map_or(Found::Nothing, |code| Found::Code(Box::new(code))),
    };
    Ok(reads.iter().map(&mut found).collect())
}
