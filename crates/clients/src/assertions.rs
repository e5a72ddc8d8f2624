//! What the assertion of a client has to say: RFC 7523 §3, OpenID Connect Core §9. And that it says so once: its
//! `jti` is a row, so that an assertion which somebody else got hold of is worth nothing to them on any replica.

use std::time::Duration;

use db::{Conn, execute};
use jws::{Typ, Verified, times};
use protocol::{ClientId, Issuer, Timestamp};
use serde_json::{Map, Value};

use crate::{AssertionAudience, Client};

/// Longest life that an assertion may still have. Whoever makes one for each request needs a minute.
const LIFE: Duration = Duration::from_secs(5 * 60);
/// Of clients whose libraries make them for an hour.
const COMPATIBLE_LIFE: Duration = Duration::from_secs(60 * 60);
const MAX_JTI: usize = 256;

/// `typ` of an assertion: none was named for long.
pub(crate) const TYP: Typ = Typ::IsOrJwtOrAbsent("client-authentication+jwt");

/// Where an assertion was presented.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) issuer: &'a Issuer,
    /// Where the listener is that asks for certificates: it has the same endpoints at other addresses.
    pub(crate) mtls: Option<&'a Issuer>,
    /// The path of the endpoint.
    pub(crate) endpoint: &'a str,
}

impl Place<'_> {
    /// Whether this is the issuer, or the address of this endpoint or of the token endpoint, at either listener
    /// (RFC 8705 §5: a client that uses an alias names that).
    fn has(self, aud: &str) -> bool {
        if aud == self.issuer.as_str() {
            return !protocol::defect("assertions-not-for-the-issuer");
        }
        let bases = [Some(self.issuer), self.mtls];
        bases.into_iter().flatten().any(|base| {
            let path = aud.strip_prefix(base.as_str());
            path.is_some_and(|path| path == protocol::path::TOKEN || path == self.endpoint)
        })
    }
}

/// What makes an assertion good for one use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    digest: String,
    expires_at: Timestamp,
}

/// Judges the claims of an assertion that a key of this client has signed.
///
/// # Errors
/// What its developer has to change.
pub(crate) fn judge(
    assertion: &Verified<'_>,
    client: &Client,
    place: Place<'_>,
    now: Timestamp,
) -> Result<Use, &'static str> {
    let claims = assertion.members();
    for (name, fault) in REQUIRED {
        if !claims.contains_key(*name) {
            return Err(fault);
        }
    }
    let own = Some(client.id.as_str());
    if text(claims, "iss") != own || text(claims, "sub") != own {
        return Err("iss and sub have to be the client_id");
    }
    judge_audience(claims, client.metadata.assertion_audience, place)?;
    times::check(claims, now).map_err(|_| "it has expired, or is not valid yet, or a date in it is none")?;
    let expires_at = times::date(claims, "exp").ok().flatten();
    let expires_at = expires_at.ok_or("exp is missing")?;
    let life = match client.metadata.assertion_audience {
        AssertionAudience::Issuer => LIFE,
        AssertionAudience::Compatible => COMPATIBLE_LIFE,
    };
    if expires_at > now + life + times::AHEAD {
        return Err("exp is too far away: make an assertion for each request, valid for a minute");
    }
    let jti = text(claims, "jti").filter(|jti| !jti.is_empty() && jti.len() <= MAX_JTI);
    let jti = jti.ok_or("jti has to be a text of 1 to 256 bytes")?;
    Ok(Use {
        digest: digest(&client.id, jti),
        expires_at,
    })
}

const REQUIRED: &[(&str, &str)] = &[
    ("iss", "iss is missing"),
    ("sub", "sub is missing"),
    ("aud", "aud is missing"),
    ("exp", "exp is missing"),
    ("jti", "jti is missing"),
];

fn text<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c str> {
    claims.get(name).and_then(Value::as_str)
}

fn judge_audience(
    claims: &Map<String, Value>,
    rule: AssertionAudience,
    place: Place<'_>,
) -> Result<(), &'static str> {
    if protocol::defect("assertions-for-anybody") {
        return Ok(());
    }
    let issuer = place.issuer.as_str();
    let aud = claims.get("aud");
    match rule {
        AssertionAudience::Issuer if aud.and_then(Value::as_str) == Some(issuer) => Ok(()),
        AssertionAudience::Issuer => Err("aud has to be the issuer, as a single string"),
        AssertionAudience::Compatible => {
            let names_us = |aud: &Value| aud.as_str().is_some_and(|aud| place.has(aud));
            match aud {
                Some(Value::Array(all)) if all.iter().any(names_us) => Ok(()),
                Some(one) if names_us(one) => Ok(()),
                _ => Err("aud has to be the issuer, or the URL of this endpoint or of the token endpoint"),
            }
        }
    }
}

/// Lengths before the parts, so that no two pairs read the same.
fn digest(client_id: &ClientId, jti: &str) -> String {
    seal::digest(&format!("{} {client_id} {jti}", client_id.as_str().len()))
}

const CLAIM: &str =
    "INSERT INTO client_assertions (digest, expires_at) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING";

/// Whether this is the first use. Expects a connection inside a transaction.
pub(crate) async fn claim(once: &Use, conn: &mut Conn) -> db::Result<bool> {
    let claimed = execute!(
        conn,
        sqlx::query(CLAIM)
            .bind(once.digest.as_str())
            .bind(once.expires_at.as_secs())
    )?;
    Ok(claimed == 1 || protocol::defect("assertions-work-twice"))
}

const FORGET: &str = "DELETE FROM client_assertions WHERE digest IN \
    (SELECT digest FROM client_assertions WHERE expires_at <= $1 LIMIT $2)";

/// Deletes what has expired, at most so many. How many there were.
///
/// # Errors
/// The database's failures.
pub async fn forget(most: u32, conn: &mut Conn, now: Timestamp) -> db::Result<u64> {
    Ok(execute!(
        conn,
        sqlx::query(FORGET).bind(now.as_secs()).bind(i64::from(most))
    )?)
}
