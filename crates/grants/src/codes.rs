//! Authorization codes: RFC 6749 §4.1.2.
//!
//! A code is a MAC over its flow and approval: nothing usable is stored, any replica can say it again, and a
//! guess finds no row. The row holds what a redemption must match.

use std::collections::HashSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::batch::rows;
use db::{Conn, execute, run, set};
use protocol::opaque::{self, Kind};
use protocol::pkce::{CodeChallenge, CodeVerifier};
use protocol::{ApprovalId, Error, FlowId, Secret, Timestamp};
use seal::Key;
use serde::Serialize;

use crate::approvals::{self, Approval};

/// RFC 6749 §4.1.2 recommends ten minutes at most; a redirect takes seconds.
pub const LIFETIME: Duration = Duration::from_secs(60);

const ID_LEN: usize = 16;

/// What a code stands for, and what redeeming it must match.
#[derive(Clone, Debug)]
pub struct Code {
    pub approval: Approval,
    pub secret_id: String,
    pub redirect_uri: String,
    pub redirect_uri_implied: bool,
    pub code_challenge: Option<CodeChallenge>,
    pub nonce: Option<String>,
    pub expires_at: Timestamp,
    pub claimed_at: Option<Timestamp>,
}

const INSERT: &str = "INSERT INTO codes \
    (approval_id, secret_id, redirect_uri, redirect_uri_implied, code_challenge, nonce, expires_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
const CLAIM: (&str, &str) = set!(
    "UPDATE codes SET claimed_at = s.now FROM ",
    (id text, now bigint),
    " WHERE codes.approval_id = s.id AND codes.claimed_at IS NULL AND codes.expires_at > s.now \
     RETURNING codes.approval_id"
);

/// The code of an approval.
fn of(approval: &ApprovalId, flow: &FlowId, key: &Key) -> Option<Secret> {
    let id = id_bytes(approval.as_str())?;
    let code = seal::mac(key, &[b"code", flow.as_str().as_bytes(), &id]);
    Some(opaque::encode(
        Kind::AuthorizationCode,
        &[&id[..], &code].concat(),
    ))
}

/// The approval that a presented code claims to be of. Proves nothing yet.
pub fn claimed_approval(code: &str) -> Option<ApprovalId> {
    let payload = opaque::decode(Kind::AuthorizationCode, code)?;
    let id = payload.get(..ID_LEN).filter(|_| payload.len() == ID_LEN + 32)?;
    Some(URL_SAFE_NO_PAD.encode(id).into())
}

fn id_bytes(id: &str) -> Option<[u8; ID_LEN]> {
    URL_SAFE_NO_PAD.decode(id).ok()?.try_into().ok()
}

impl Code {
    /// Whether the text presented is this code: the whole of it, in constant time.
    pub fn is(&self, presented: &str, key: &Key) -> bool {
        self.text(key).is_some_and(|own| own == Secret::from(presented))
    }

    /// The code itself. An approval that no flow ended in has none.
    pub fn text(&self, key: &Key) -> Option<Secret> {
        let flow = self.approval.user()?.flow_id.as_ref()?;
        of(&self.approval.id, flow, key)
    }

    /// What RFC 6749 §4.1.3 and RFC 7636 §4.6 ask of a redemption, apart from the client and single use.
    ///
    /// # Errors
    /// `invalid_grant` or `invalid_request`; the code stays as it was.
    pub fn verify(&self, redirect_uri: Option<&str>, verifier: Option<&CodeVerifier>) -> Result<(), Error> {
        match redirect_uri {
            Some(given) if given == self.redirect_uri => {}
            Some(_) if protocol::defect("redirect-uri-of-another-request") => {}
            // It was not in the authorization request, so it need not be here.
            None if self.redirect_uri_implied => {}
            Some(_) => {
                return Err(Error::invalid_grant(
                    "redirect_uri differs from the one in the authorization request",
                ));
            }
            None => return Err(Error::invalid_request("the parameter redirect_uri is missing")),
        }
        match (&self.code_challenge, verifier) {
            (Some(challenge), Some(verifier)) if challenge.matches(verifier) => Ok(()),
            _ if protocol::defect("pkce-ignored") => Ok(()),
            (Some(_), Some(_)) => Err(Error::invalid_grant(
                "code_verifier does not match the code_challenge of the request",
            )),
            (Some(_), None) => Err(Error::invalid_grant(
                "code_verifier is missing: the request had a code_challenge",
            )),
            // An attacker who strips the challenge from the request must not find the verifier ignored.
            (None, Some(_)) => Err(Error::invalid_grant(
                "code_verifier was sent, but the request had no code_challenge",
            )),
            (None, None) => Ok(()),
        }
    }
}

/// Writes the code of a new approval.
///
/// # Errors
/// When the database fails.
pub async fn insert(code: &Code, conn: &mut Conn) -> db::Result<()> {
    execute!(
        conn,
        sqlx::query(INSERT)
            .bind(code.approval.id.as_str())
            .bind(&code.secret_id)
            .bind(&code.redirect_uri)
            .bind(code.redirect_uri_implied)
            .bind(code.code_challenge.as_ref().map(CodeChallenge::as_str))
            .bind(&code.nonce)
            .bind(code.expires_at.as_secs())
    )?;
    Ok(())
}

macro_rules! select {
    ($which:literal) => {
        concat!(
            "SELECT k.secret_id, k.redirect_uri, k.redirect_uri_implied, k.code_challenge, k.nonce, k.expires_at, \
             k.claimed_at, ",
            approvals::columns!(),
            " FROM codes k JOIN approvals a ON a.approval_id = k.approval_id WHERE k.approval_id ",
            $which
        )
    };
}

/// # Errors
/// When the database fails.
pub async fn by_approval(id: &ApprovalId, conn: &mut Conn) -> db::Result<Option<Code>> {
    const BY_APPROVAL: &str = select!("= $1");
    let row: Option<Row> = run!(conn, |c| sqlx::query_as(BY_APPROVAL)
        .bind(id.as_str())
        .fetch_optional(c))?;
    row.map(Code::try_from).transpose()
}

/// The codes of those of these approvals that have one.
///
/// # Errors
/// When the database fails.
pub async fn by_approvals(ids: &[&ApprovalId], conn: &mut Conn) -> db::Result<Vec<Code>> {
    const BY_APPROVALS: (&str, &str) = (
        select!("IN (SELECT value FROM json_each($1))"),
        select!("= ANY(ARRAY(SELECT json_array_elements_text($1::json)))"),
    );
    let Some(ids) = rows(ids.iter())? else {
        return Ok(Vec::new());
    };
    let statement = conn.either(BY_APPROVALS.0, BY_APPROVALS.1);
    let found: Vec<Row> = run!(conn, |c| sqlx::query_as(statement).bind(&ids).fetch_all(c))?;
    found.into_iter().map(Code::try_from).collect()
}

/// Claims the codes of these approvals, each at its own moment; returns those it could. Of any number of
/// callers, one is told yes.
///
/// # Errors
/// When the database fails.
pub async fn claim_all(
    codes: impl Iterator<Item = (&ApprovalId, Timestamp)>,
    conn: &mut Conn,
) -> db::Result<HashSet<String>> {
    #[derive(Serialize)]
    struct Row<'c> {
        id: &'c ApprovalId,
        now: Timestamp,
    }
    crate::returned(CLAIM, rows(codes.map(|(id, now)| Row { id, now }))?, conn).await
}

#[derive(sqlx::FromRow)]
struct Row {
    #[sqlx(flatten)]
    approval: approvals::Row,
    secret_id: String,
    redirect_uri: String,
    redirect_uri_implied: bool,
    code_challenge: Option<String>,
    nonce: Option<String>,
    expires_at: i64,
    claimed_at: Option<i64>,
}

impl TryFrom<Row> for Code {
    type Error = db::Error;

    fn try_from(row: Row) -> db::Result<Self> {
        Ok(Self {
            approval: row.approval.try_into()?,
            secret_id: row.secret_id,
            redirect_uri: row.redirect_uri,
            redirect_uri_implied: row.redirect_uri_implied,
            code_challenge: row
                .code_challenge
                .map(CodeChallenge::try_from)
                .transpose()
                .map_err(db::Error::corrupt)?,
            nonce: row.nonce,
            expires_at: Timestamp::from_secs(row.expires_at),
            claimed_at: row.claimed_at.map(Timestamp::from_secs),
        })
    }
}
