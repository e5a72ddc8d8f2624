//! Authorization requests that a client pushed: RFC 9126 §2.2. Kept by the digest of their reference, which begins an
//! authorization for a minute; the request then stays for as long as that authorization may go on, because the browser
//! carries nothing but the reference.

use std::time::Duration;

use db::{Conn, execute, run};
use protocol::{ClientId, Timestamp};

use crate::Flow;
use crate::flow::{self, ByReference, Request};

/// How long a reference begins an authorization.
pub const LIFETIME: Duration = Duration::from_secs(60);

/// Who pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pusher {
    /// A client that somebody vouches for, and that proved who it is.
    Proven,
    /// A client that anybody may have registered: it does not fill the table.
    Unverified,
    /// Anybody who says to be this client: strangers do not fill the table, and it takes those of many networks to keep its users
    /// out. Whoever asks counts what comes from one network as well.
    Anybody,
}

impl Pusher {
    /// Bytes of a request, as JSON.
    const fn room(self) -> usize {
        match self {
            Self::Proven => 16 * 1024,
            Self::Unverified | Self::Anybody => 3 * 1024,
        }
    }

    /// Requests within [`LIFETIME`].
    const fn most(self) -> Option<i64> {
        match self {
            Self::Proven => None,
            Self::Unverified => Some(200),
            Self::Anybody => Some(2_000),
        }
    }
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The reference: 256 random bits.
    As(String),
    TooLarge,
    TooMany,
}

const RECENT: &str = "SELECT COUNT(*) FROM pushed_requests WHERE client_id = $1 AND expires_at > $2";
const KEEP: &str = "INSERT INTO pushed_requests (digest, client_id, flow, expires_at, ends_at) \
    VALUES ($1, $2, $3, $4, $5)";

/// Keeps the flow that will come of a request. Expects a connection inside a transaction.
///
/// # Errors
/// The database's failures.
pub async fn keep(flow: &Flow, by: Pusher, conn: &mut Conn, now: Timestamp) -> db::Result<Kept> {
    let client_id = flow.request().client_id.as_str();
    let json = serde_json::to_string(flow).map_err(db::Error::corrupt)?;
    if json.len() > by.room() {
        return Ok(Kept::TooLarge);
    }
    if let Some(most) = by.most() {
        let (recent,): (i64,) = run!(conn, |c| sqlx::query_as(RECENT)
            .bind(client_id)
            .bind(now.as_secs())
            .fetch_one(c))?;
        if recent >= most {
            return Ok(Kept::TooMany);
        }
    }
    let reference = protocol::random::token();
    execute!(
        conn,
        sqlx::query(KEEP)
            .bind(seal::digest(&reference))
            .bind(client_id)
            .bind(json)
            .bind((now + LIFETIME).as_secs())
            .bind((now + flow::LIFETIME).as_secs())
    )?;
    Ok(Kept::As(reference))
}

const BEGIN: &str =
    "SELECT flow FROM pushed_requests WHERE digest = $1 AND client_id = $2 AND expires_at > $3";

/// The flow that this client may begin by this reference.
///
/// # Errors
/// The database's failures.
pub async fn begin(
    reference: &str,
    client_id: &ClientId,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Option<Flow>> {
    let row: Option<(String,)> = run!(conn, |c| sqlx::query_as(BEGIN)
        .bind(seal::digest(reference))
        .bind(client_id.as_str())
        .bind(now.as_secs())
        .fetch_optional(c))?;
    let flow: Option<Flow> = row.map(read).transpose()?;
    Ok(flow.map(|flow| flow.kept(reference.to_owned())))
}

const GO_ON: &str = "SELECT flow FROM pushed_requests WHERE digest = $1 AND ends_at > $2";

/// The flow of which a browser carried this.
///
/// # Errors
/// The database's failures.
pub async fn flow<R: Request>(
    carried: ByReference<R>,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Option<Flow<R>>> {
    let row: Option<(String,)> = run!(conn, |c| sqlx::query_as(GO_ON)
        .bind(seal::digest(carried.reference()))
        .bind(now.as_secs())
        .fetch_optional(c))?;
    let kept: Option<Flow<R>> = row.map(read).transpose()?;
    Ok(kept.map(|kept| carried.of(kept)))
}

fn read<R: Request>((json,): (String,)) -> db::Result<Flow<R>> {
    serde_json::from_str(&json)
        .map_err(|error| db::Error::corrupt(format_args!("pushed_requests.flow: {error}")))
}

const FORGET: &str = "DELETE FROM pushed_requests WHERE digest IN \
    (SELECT digest FROM pushed_requests WHERE ends_at <= $1 LIMIT $2)";

/// Deletes what has ended, at most so many. How many there were.
///
/// # Errors
/// The database's failures.
pub async fn forget(most: u32, conn: &mut Conn, now: Timestamp) -> db::Result<u64> {
    Ok(execute!(
        conn,
        sqlx::query(FORGET).bind(now.as_secs()).bind(i64::from(most))
    )?)
}
