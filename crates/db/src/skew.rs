//! The clock of the database server: looked at to warn the operator, never to decide anything.
//!
//! Replicas compare what they write with their own clocks. They need not agree to the second; but a replica that
//! is minutes off lets tokens live too long, and PostgreSQL is the one clock that all of them can see (C110).

use protocol::Timestamp;

use crate::{Database, Result, run};

impl Database {
    /// By how many seconds `now` is ahead of the clock of the database server; negative when it is behind. `None`
    /// on SQLite, which has no clock of its own.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn skew(&self, now: Timestamp) -> Result<Option<i64>> {
        const NOW: &str = "SELECT CAST(extract(epoch FROM clock_timestamp()) AS BIGINT)";
        let mut conn = self.reader().await?;
        if !conn.is_postgres() {
            return Ok(None);
        }
        let (theirs,): (i64,) = run!(&mut conn, |c| sqlx::query_as(NOW).fetch_one(c))?;
        Ok(Some(now.as_secs().saturating_sub(theirs)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use protocol::Clock;

    use crate::testing::both;

    #[tokio::test]
    async fn c110_a_clock_that_differs_from_the_servers_shows() {
        both(|db| async move {
            let (now, hour) = (Clock::System.now(), Duration::from_secs(3600));
            let has_a_clock = db.reader().await.unwrap().is_postgres();
            for (told, ahead) in [(now, 0), (now + hour, 3600), (now - hour, -3600)] {
                match db.skew(told).await.unwrap() {
                    Some(skew) => assert!(has_a_clock && (skew - ahead).abs() < 30, "{skew} for {ahead}"),
                    None => assert!(!has_a_clock),
                }
            }
        })
        .await;
    }
}
