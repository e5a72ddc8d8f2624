//! How many may read at the same time: a resource server whose connections leak must not take everybody's place.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::Error;

/// Streams, waiting polls and snapshots under way.
const IN_ALL: usize = 4096;
/// Of one resource server with a process on each of its machines; each process has one stream.
const PER_CALLER: usize = 512;
const LATER: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, Default)]
pub(crate) struct Seats(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    in_all: usize,
    by_caller: HashMap<String, usize>,
}

/// Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Seats,
    caller: String,
}

impl Seats {
    /// # Errors
    /// 429 for a caller that has too many; 503 when there are too many in all.
    pub(crate) fn take(&self, caller: &str) -> Result<Seat, Error> {
        let mut taken = self.taken();
        if taken.in_all >= IN_ALL {
            return Err(Error::temporarily_unavailable("the feed has too many readers"));
        }
        let own = taken.by_caller.entry(caller.to_owned()).or_default();
        if *own >= PER_CALLER {
            return Err(Error::too_many(
                "this caller reads the feed on 512 connections already: close some first",
                LATER,
            ));
        }
        *own += 1;
        taken.in_all += 1;
        Ok(Seat {
            seats: self.clone(),
            caller: caller.to_owned(),
        })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        taken.in_all = taken.in_all.saturating_sub(1);
        if let Some(own) = taken.by_caller.get_mut(&self.caller) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.by_caller.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn a_caller_has_its_bound_and_all_have_theirs() {
        let seats = Seats::default();
        let mut held: Vec<Seat> = (0..PER_CALLER).map(|_| seats.take("a").unwrap()).collect();
        let refused = seats.take("a").unwrap_err();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        for caller in 1..IN_ALL / PER_CALLER {
            held.extend((0..PER_CALLER).map(|_| seats.take(&caller.to_string()).unwrap()));
        }
        let refused = seats.take("b").unwrap_err();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        held.clear();
        assert!(seats.taken().by_caller.is_empty());
        assert_eq!(seats.taken().in_all, 0);
        assert!(seats.take("a").is_ok());
    }
}
