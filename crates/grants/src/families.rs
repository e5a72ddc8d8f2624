//! Refresh tokens: RFC 6749 §6, with rotation that a lost response cannot break.
//!
//! A token is family ‖ generation ‖ MAC. The row holds the current generation *g* and when it was reached.
//! Presenting *g* moves on to *g+1*. Presenting *g−1* means its successor was never used, so the answer may
//! have been lost: *g* is said again. Anything older proves that two parties hold tokens of one family.

use std::collections::HashSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::batch::rows;
use db::{Conn, execute, run, set};
use protocol::opaque::{self, Kind};
use protocol::{ApprovalId, ClientId, Confirmation, FamilyId, Secret, Timestamp};
use seal::Key;
use serde::Serialize;

use crate::approvals::{self, Approval};

/// Without use for this long, a family ends.
pub const IDLE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// However much it is used, a family ends after this.
pub const ABSOLUTE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long a public client may ask again for an answer it lost.
pub const RETRY_WINDOW: Duration = Duration::from_secs(60);

const ID_LEN: usize = 16;
const GENERATION_LEN: usize = 8;

/// A family with the approval it belongs to.
#[derive(Clone, Debug)]
pub struct Family {
    pub id: FamilyId,
    pub approval: Approval,
    pub client_id: ClientId,
    pub secret_id: String,
    salt: String,
    pub generation: i64,
    pub reached_at: Timestamp,
    pub idle_until: Timestamp,
    pub expires_at: Timestamp,
    /// What whoever refreshes has to prove besides who they are: a public client proves nothing else (RFC 8705 §4).
    pub confirmation: Option<Confirmation>,
}

/// A refresh token, taken apart. Proves nothing until its MAC was checked.
#[derive(Clone, Debug)]
pub struct Presented {
    pub family_id: FamilyId,
    pub generation: i64,
    code: [u8; 32],
}

/// Whether its holder has to prove who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    Public,
    /// A client that authenticates, or one whose tokens are bound to what only it can prove.
    Confidential,
}

/// What presenting a token of a family means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The current one: move on.
    Rotate,
    /// The one before, its successor unused: say the current one again.
    Repeat,
    /// The one before, by a public client, too late for a lost answer.
    SuspectedReuse,
    /// Older: its successor has been used, so two parties hold tokens.
    ProvenReuse,
    /// Beyond what this database knows: it was restored to an older state.
    Unknown,
    Expired,
}

const INSERT: (&str, &str) = set!(
    "INSERT INTO families (family_id, approval_id, client_id, secret_id, salt, generation, reached_at, idle_until, \
     expires_at, cnf) SELECT s.id, s.approval, s.client, s.secret, s.salt, s.generation, s.reached, s.idle, \
     s.expires, s.cnf FROM ",
    (id text, approval text, client text, secret text, salt text, generation bigint, reached bigint, idle bigint,
     expires bigint, cnf text),
    ""
);
const ROTATE: (&str, &str) = set!(
    "UPDATE families SET generation = s.generation + 1, reached_at = s.now, \
     idle_until = CASE WHEN families.expires_at < s.idle THEN families.expires_at ELSE s.idle END FROM ",
    (id text, generation bigint, now bigint, idle bigint),
    " WHERE families.family_id = s.id AND families.generation = s.generation AND families.idle_until > s.now \
     AND families.expires_at > s.now RETURNING families.family_id"
);
const STANDING: (&str, &str) = set!(
    "SELECT f.family_id FROM families f JOIN ",
    (id text, generation bigint, now bigint, idle bigint),
    " ON f.family_id = s.id WHERE f.generation = s.generation AND f.idle_until > s.now AND f.expires_at > s.now"
);

/// A family that a write expects at a generation.
#[derive(Debug, Clone, Copy)]
pub struct Moving<'f> {
    pub family: &'f FamilyId,
    pub generation: i64,
    pub now: Timestamp,
}

impl<'f> Moving<'f> {
    /// Until when it is good if nobody uses it, and if its absolute end is not before.
    pub fn idle(&self) -> Timestamp {
        self.now + IDLE
    }

    fn row(self) -> impl Serialize + use<'f> {
        #[derive(Serialize)]
        struct Row<'f> {
            id: &'f FamilyId,
            generation: i64,
            now: Timestamp,
            idle: Timestamp,
        }
        Row {
            id: self.family,
            generation: self.generation,
            now: self.now,
            idle: self.idle(),
        }
    }
}

impl Presented {
    pub fn parse(token: &str) -> Option<Self> {
        let payload = opaque::decode(Kind::RefreshToken, token)?;
        let (id, rest) = payload.split_at_checked(ID_LEN)?;
        let (generation, code) = rest.split_at_checked(GENERATION_LEN)?;
        Some(Self {
            family_id: URL_SAFE_NO_PAD.encode(id).into(),
            generation: i64::from_be_bytes(generation.try_into().ok()?),
            code: code.try_into().ok()?,
        })
    }
}

impl Family {
    /// A new family at its first generation.
    pub fn begin(
        approval: Approval,
        secret_id: String,
        confirmation: Option<Confirmation>,
        now: Timestamp,
    ) -> Self {
        Self {
            id: FamilyId::random(),
            client_id: approval.client_id.clone(),
            approval,
            secret_id,
            salt: protocol::random::id(),
            generation: 1,
            reached_at: now,
            idle_until: now + IDLE,
            expires_at: now + ABSOLUTE,
            confirmation,
        }
    }

    /// The token of a generation.
    pub fn token(&self, generation: i64, key: &Key) -> Option<Secret> {
        let id = URL_SAFE_NO_PAD.decode(self.id.as_str()).ok()?;
        let code = self.code(generation, key);
        Some(opaque::encode(
            Kind::RefreshToken,
            &[&id, &generation.to_be_bytes()[..], &code].concat(),
        ))
    }

    /// Whether we made this token.
    pub fn made(&self, presented: &Presented, key: &Key) -> bool {
        seal::same(&self.code(presented.generation, key), &presented.code)
    }

    fn row(&self) -> impl Serialize {
        #[derive(Serialize)]
        struct Row<'f> {
            id: &'f FamilyId,
            approval: &'f ApprovalId,
            client: &'f ClientId,
            secret: &'f str,
            salt: &'f str,
            generation: i64,
            reached: Timestamp,
            idle: Timestamp,
            expires: Timestamp,
            cnf: Option<String>,
        }
        Row {
            id: &self.id,
            approval: &self.approval.id,
            client: &self.client_id,
            secret: &self.secret_id,
            salt: &self.salt,
            generation: self.generation,
            reached: self.reached_at,
            idle: self.idle_until,
            expires: self.expires_at,
            cnf: self
                .confirmation
                .as_ref()
                .map(|own| serde_json::json!(own).to_string()),
        }
    }

    fn code(&self, generation: i64, key: &Key) -> [u8; 32] {
        let parts = [
            b"refresh",
            self.id.as_str().as_bytes(),
            &generation.to_be_bytes(),
            self.salt.as_bytes(),
        ];
        seal::mac(key, &parts)
    }

    /// What presenting the token of `generation` means now.
    pub fn judge(&self, generation: i64, holder: Holder, now: Timestamp) -> Verdict {
        if now >= self.idle_until || now >= self.expires_at {
            return Verdict::Expired;
        }
        match self.generation.checked_sub(generation) {
            Some(0) => Verdict::Rotate,
            Some(1) => match holder {
                // Proof of who asks makes a late retry harmless: only the client itself can have sent it.
                Holder::Confidential => Verdict::Repeat,
                Holder::Public if now < self.reached_at + RETRY_WINDOW => Verdict::Repeat,
                Holder::Public => Verdict::SuspectedReuse,
            },
            Some(behind) if behind > 1 => Verdict::ProvenReuse,
            _ => Verdict::Unknown,
        }
    }
}

/// Writes new families.
///
/// # Errors
/// When the database fails.
pub async fn insert_all(families: impl Iterator<Item = &Family>, conn: &mut Conn) -> db::Result<()> {
    let Some(rows) = rows(families.map(Family::row))? else {
        return Ok(());
    };
    let statement = conn.either(INSERT.0, INSERT.1);
    execute!(conn, sqlx::query(statement).bind(&rows))?;
    Ok(())
}

macro_rules! select {
    ($which:literal) => {
        concat!(
            "SELECT f.family_id, f.secret_id, f.salt, f.generation, f.reached_at, f.idle_until, f.expires_at, f.cnf, ",
            approvals::columns!(),
            " FROM families f JOIN approvals a ON a.approval_id = f.approval_id WHERE f.family_id ",
            $which
        )
    };
}

/// # Errors
/// When the database fails.
pub async fn by_id(id: &FamilyId, conn: &mut Conn) -> db::Result<Option<Family>> {
    const BY_ID: &str = select!("= $1");
    let row: Option<Row> = run!(conn, |c| sqlx::query_as(BY_ID)
        .bind(id.as_str())
        .fetch_optional(c))?;
    row.map(Family::try_from).transpose()
}

/// Those of these families that there are.
///
/// # Errors
/// When the database fails.
pub async fn by_ids(ids: &[&FamilyId], conn: &mut Conn) -> db::Result<Vec<Family>> {
    const BY_IDS: (&str, &str) = (
        select!("IN (SELECT value FROM json_each($1))"),
        select!("= ANY(ARRAY(SELECT json_array_elements_text($1::json)))"),
    );
    let Some(ids) = rows(ids.iter())? else {
        return Ok(Vec::new());
    };
    let statement = conn.either(BY_IDS.0, BY_IDS.1);
    let found: Vec<Row> = run!(conn, |c| sqlx::query_as(statement).bind(&ids).fetch_all(c))?;
    found.into_iter().map(Family::try_from).collect()
}

/// Moves families from their generations to the next; returns those it could. Of any number of callers, one is
/// told yes.
///
/// # Errors
/// When the database fails.
pub async fn rotate_all(
    families: impl Iterator<Item = Moving<'_>>,
    conn: &mut Conn,
) -> db::Result<HashSet<String>> {
    crate::returned(ROTATE, rows(families.map(Moving::row))?, conn).await
}

/// The families that still stand at their generations.
///
/// # Errors
/// When the database fails.
pub async fn standing(
    families: impl Iterator<Item = Moving<'_>>,
    conn: &mut Conn,
) -> db::Result<HashSet<String>> {
    crate::returned(STANDING, rows(families.map(Moving::row))?, conn).await
}

#[derive(sqlx::FromRow)]
struct Row {
    #[sqlx(flatten)]
    approval: approvals::Row,
    family_id: String,
    secret_id: String,
    salt: String,
    generation: i64,
    reached_at: i64,
    idle_until: i64,
    expires_at: i64,
    cnf: Option<String>,
}

impl TryFrom<Row> for Family {
    type Error = db::Error;

    fn try_from(row: Row) -> db::Result<Self> {
        let approval = Approval::try_from(row.approval)?;
        let confirmation = row.cnf.map(|json| serde_json::from_str(&json)).transpose();
        let confirmation =
            confirmation.map_err(|error| db::Error::corrupt(format_args!("families.cnf: {error}")))?;
        Ok(Self {
            id: row.family_id.into(),
            client_id: approval.client_id.clone(),
            approval,
            secret_id: row.secret_id,
            salt: row.salt,
            generation: row.generation,
            reached_at: Timestamp::from_secs(row.reached_at),
            idle_until: Timestamp::from_secs(row.idle_until),
            expires_at: Timestamp::from_secs(row.expires_at),
            confirmation,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn family(generation: i64) -> Family {
        let approval = Approval {
            id: protocol::ApprovalId::random(),
            client_id: ClientId::from("client"),
            client_generation: 0,
            party: approvals::Party::Service,
            scope: protocol::Scope::default(),
            resources: Vec::new(),
            claims: Default::default(),
            created_at: NOW,
            ended_at: None,
        };
        Family {
            generation,
            ..Family::begin(approval, "secret".into(), None, NOW)
        }
    }

    #[test]
    fn the_table_of_verdicts() {
        let family = family(5);
        let late = NOW + RETRY_WINDOW;
        let before_late = Timestamp::from_secs(late.as_secs() - 1);
        let table = [
            (5, Holder::Public, NOW, Verdict::Rotate),
            (5, Holder::Confidential, late, Verdict::Rotate),
            (4, Holder::Public, NOW, Verdict::Repeat),
            (4, Holder::Public, before_late, Verdict::Repeat),
            (4, Holder::Public, late, Verdict::SuspectedReuse),
            (4, Holder::Confidential, late, Verdict::Repeat),
            (3, Holder::Public, NOW, Verdict::ProvenReuse),
            (3, Holder::Confidential, NOW, Verdict::ProvenReuse),
            (1, Holder::Confidential, NOW, Verdict::ProvenReuse),
            (6, Holder::Public, NOW, Verdict::Unknown),
            (i64::MAX, Holder::Public, NOW, Verdict::Unknown),
            (i64::MIN, Holder::Public, NOW, Verdict::Unknown),
            (5, Holder::Public, NOW + IDLE, Verdict::Expired),
            (3, Holder::Confidential, NOW + ABSOLUTE, Verdict::Expired),
        ];
        for (generation, holder, now, expected) in table {
            assert_eq!(
                family.judge(generation, holder, now),
                expected,
                "{generation} {holder:?} {now}"
            );
        }
    }

    #[test]
    fn c026_only_the_whole_token_of_its_own_generation_is_ours() {
        let (family, key) = (family(1), Key::random());
        let token = family.token(1, &key).unwrap();
        let presented = Presented::parse(token.expose()).unwrap();
        assert!(family.made(&presented, &key));
        assert!(!family.made(
            &Presented {
                generation: 2,
                ..presented.clone()
            },
            &key
        ));
        assert!(!family.made(&presented, &Key::random()));
        assert!(
            !Family {
                salt: "other".into(),
                ..family
            }
            .made(&presented, &key)
        );
        for text in [
            &token.expose()[1..],
            &token.expose().to_uppercase(),
            "",
            "cs_rt_",
            &format!("{}A", token.expose()),
        ] {
            assert!(Presented::parse(text).is_none(), "{text}");
        }
    }
}
