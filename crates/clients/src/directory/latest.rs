//! What the database says now, asked once for all who want to know.
//!
//! The attack is a stranger who makes up names: each of them is not in memory, and each *no* has to be one of now.
//! All who wait are told by one reading that began after they came, and between two readings lies a pause.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// Between the beginnings of two readings.
const PAUSE: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(super) struct Latest<T>(Mutex<Option<Reading<T>>>);

#[derive(Debug)]
struct Reading<T> {
    began: Instant,
    outcome: db::Result<T>,
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Copy> Latest<T> {
    /// # Errors
    /// When the reading that answers failed.
    pub(super) async fn read(&self, reading: impl AsyncFnOnce() -> db::Result<T>) -> db::Result<T> {
        let came = Instant::now();
        let mut last = self.0.lock().await;
        if let Some(before) = &*last {
            if before.began >= came {
                return before.told();
            }
            sleep_until(before.began + PAUSE).await;
        }
        let began = Instant::now();
        let outcome = reading().await;
        let now = Reading { began, outcome };
        let told = now.told();
        *last = Some(now);
        told
    }
}

impl<T: Copy> Reading<T> {
    fn told(&self) -> db::Result<T> {
        match &self.outcome {
            Ok(known) => Ok(*known),
            Err(error) => Err(error.again()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::task::JoinSet;
    use tokio::time::sleep;

    use super::*;

    #[tokio::test]
    async fn a_flood_is_answered_by_readings_that_began_after_it_and_keep_their_distance() {
        let (latest, readings) = (Arc::new(Latest::default()), Arc::new(AtomicU32::new(0)));
        let began = Instant::now();
        for _ in 0..3 {
            let before = readings.load(Ordering::Relaxed);
            let mut askers = JoinSet::new();
            for _ in 0..1_000 {
                let (latest, readings) = (latest.clone(), readings.clone());
                askers.spawn(async move {
                    let reading = async || {
                        let reading = readings.fetch_add(1, Ordering::Relaxed) + 1;
                        sleep(Duration::from_millis(1)).await;
                        Ok(reading)
                    };
                    latest.read(reading).await.unwrap()
                });
            }
            while let Some(told) = askers.join_next().await {
                assert!(told.unwrap() > before, "told what was known before it asked");
            }
        }
        let readings = readings.load(Ordering::Relaxed);
        assert!(
            (3..30).contains(&readings),
            "{readings} readings for 3000 questions"
        );
        assert!(began.elapsed() >= PAUSE * (readings - 1), "{readings} readings");
    }

    #[tokio::test]
    async fn who_comes_during_a_reading_waits_for_the_next() {
        let latest = Latest::default();
        let slow = latest.read(async || {
            sleep(Duration::from_millis(20)).await;
            Ok(1)
        });
        let late = async {
            sleep(Duration::from_millis(1)).await;
            latest.read(async || Ok(2)).await
        };
        let (first, second) = tokio::join!(slow, late);
        assert_eq!((first.unwrap(), second.unwrap()), (1, 2));
    }

    #[tokio::test]
    async fn a_failure_is_told_to_all_who_waited_and_to_nobody_after() {
        let latest: Latest<u8> = Latest::default();
        let slow = latest.read(async || {
            sleep(Duration::from_millis(5)).await;
            Ok(1)
        });
        let away = || latest.read(async || Err(db::Error::Away));
        let never = || latest.read(async || panic!("the reading before answers this one too"));
        let (slow, failed, told) = tokio::join!(slow, away(), never());
        assert_eq!(slow.unwrap(), 1);
        for told in [failed, told] {
            assert_eq!(told.unwrap_err().to_string(), db::Error::Away.to_string());
        }
        assert_eq!(latest.read(async || Ok(3)).await.unwrap(), 3);
    }
}
