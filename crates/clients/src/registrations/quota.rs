//! How many clients anybody may register (D3, C059): rows that strangers write are bounded.
//!
//! Three bounds: for each network and for all together by the hour, and for all that nobody has used yet. What is
//! counted is counted in the transaction of the registration, so a refused one leaves no row. One row of each hour
//! is taken by everybody: two registrations cannot both be the last one that fits.

use db::{Conn, execute, run};
use events::Context;
use protocol::{Error, Timestamp};

use super::HOUR;

/// From one network in an hour: a classroom behind one address gets by.
const PER_NETWORK: i64 = 30;
const TOGETHER: i64 = 600;
/// Registered and not used yet.
const UNUSED: i64 = 5_000;

/// Whether the hours count. What is unused is bounded in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hours {
    Counted,
    /// Where an operator has switched rate limits off.
    Free,
}

/// No network is spelled so.
const ALL: &str = "*";

const TAKE: &str = "INSERT INTO registration_counts (began_at, network, registrations) VALUES ($1, $2, 1) \
    ON CONFLICT (began_at, network) DO UPDATE SET registrations = registration_counts.registrations + 1 \
    WHERE registration_counts.registrations < $3 RETURNING registrations";
const COUNT_UNUSED: &str = "SELECT COUNT(*) FROM registrations WHERE unused_until IS NOT NULL";

const COUNTED: &str = "SELECT registrations FROM registration_counts WHERE began_at = $1 AND network = $2";

/// Whether there seems to be room. A crowd that is refused takes no lock and keeps no writer busy.
///
/// # Errors
/// As [`take`].
pub async fn look(hours: Hours, by: &Context, conn: &mut Conn, now: Timestamp) -> Result<(), Error> {
    let began_at = hour_of(now);
    for bound in bounds(hours, by) {
        let counted: Option<(i64,)> = run!(conn, |c| sqlx::query_as(COUNTED)
            .bind(began_at)
            .bind(bound.network.as_str())
            .fetch_optional(c))
        .map_err(db::Error::from)?;
        if counted.is_some_and(|(counted,)| counted >= bound.most) {
            return Err(bound.refusal(now));
        }
    }
    Ok(())
}

/// Takes the place of one registration by anybody. Expects the transaction that makes it.
///
/// # Errors
/// 429 with the time after which there may be room.
pub async fn take(hours: Hours, by: &Context, conn: &mut Conn, now: Timestamp) -> Result<(), Error> {
    let began_at = hour_of(now);
    for bound in bounds(hours, by) {
        if !take_one(began_at, &bound.network, bound.most, conn).await? {
            return Err(bound.refusal(now));
        }
    }
    let unused = run!(conn, |c| sqlx::query_as::<_, (i64,)>(COUNT_UNUSED).fetch_one(c))
        .map_err(db::Error::from)?
        .0;
    if unused >= UNUSED {
        return Err(Error::too_many(
            "too many registered clients wait for their first use; try again later, or ask for an initial \
             access token",
            HOUR,
        ));
    }
    Ok(())
}

struct Bound {
    network: String,
    most: i64,
    fault: &'static str,
}

/// The one of all comes first: whoever holds it is alone.
fn bounds(hours: Hours, by: &Context) -> [Bound; 2] {
    let (together, per_network) = match hours {
        Hours::Counted => (TOGETHER, PER_NETWORK),
        Hours::Free => (i64::MAX, i64::MAX),
    };
    let all = Bound {
        network: ALL.to_owned(),
        most: together,
        fault: "too many clients were registered here within the hour; try again later, or ask for an initial \
                access token",
    };
    let own = Bound {
        network: by.network(),
        most: per_network,
        fault: "too many clients were registered from your network within the hour; try again later, or ask \
                for an initial access token",
    };
    [all, own]
}

impl Bound {
    fn refusal(&self, now: Timestamp) -> Error {
        let passed = now.since(Timestamp::from_secs(hour_of(now)));
        Error::too_many(self.fault, HOUR.saturating_sub(passed))
    }
}

async fn take_one(began_at: i64, network: &str, most: i64, conn: &mut Conn) -> db::Result<bool> {
    let taken: Option<(i64,)> = run!(conn, |c| sqlx::query_as(TAKE)
        .bind(began_at)
        .bind(network)
        .bind(most)
        .fetch_optional(c))?;
    Ok(taken.is_some())
}

fn hour_of(now: Timestamp) -> i64 {
    let length = i64::try_from(HOUR.as_secs()).unwrap_or(i64::MAX);
    now.as_secs().div_euclid(length).saturating_mul(length)
}

const SWEEP: &str = "DELETE FROM registration_counts WHERE (began_at, network) IN \
    (SELECT began_at, network FROM registration_counts WHERE began_at < $1 ORDER BY began_at LIMIT $2)";

/// Forgets the counts of hours that are over, at most `limit`; says how many those were.
///
/// # Errors
/// When the database fails.
pub async fn sweep(limit: u32, conn: &mut Conn, now: Timestamp) -> db::Result<u64> {
    Ok(execute!(
        conn,
        sqlx::query(SWEEP).bind(hour_of(now)).bind(i64::from(limit))
    )?)
}
