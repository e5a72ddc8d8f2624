//! How many connections there may be, of everybody and of one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Limits;
use crate::settings::TrustedProxies;

pub(super) struct Seats {
    taken: Arc<Mutex<Taken>>,
    total: usize,
    per_address: Option<usize>,
    exempt: TrustedProxies,
}

#[derive(Default)]
struct Taken {
    total: usize,
    of: HashMap<IpAddr, usize>,
}

/// The right to one connection, given back when dropped.
pub(super) struct Seat {
    taken: Arc<Mutex<Taken>>,
    /// The address it counts for, unless that is exempt.
    of: Option<IpAddr>,
}

impl Seats {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            taken: Arc::default(),
            total: limits.connections,
            per_address: limits.per_address,
            exempt: limits.exempt.clone(),
        }
    }

    pub(super) fn take(&self, address: IpAddr) -> Option<Seat> {
        let address = address.to_canonical();
        let of = (!self.exempt.contains(address)).then(|| holder(address));
        let mut taken = lock(&self.taken);
        if taken.total >= self.total {
            return None;
        }
        if let Some(of) = of {
            let own = taken.of.entry(of).or_default();
            if self.per_address.is_some_and(|most| *own >= most) {
                return None;
            }
            *own += 1;
        }
        taken.total += 1;
        Some(Seat {
            taken: Arc::clone(&self.taken),
            of,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.total = taken.total.saturating_sub(1);
        let Some(of) = self.of else { return };
        if let Some(own) = taken.of.get_mut(&of) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.of.remove(&of);
            }
        }
    }
}

/// Who has an IPv6 address has the 2^64 of its network.
fn holder(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::tests::short_limits;

    #[test]
    fn c099_seats_are_counted_per_network_and_given_back() {
        let seats = Seats::new(&Limits {
            connections: 5,
            per_address: Some(2),
            exempt: TrustedProxies::parse("192.0.2.1").unwrap(),
            ..short_limits()
        });
        let take = |address: &str| seats.take(address.parse().unwrap());
        let first = take("2001:db8::1");
        let _second = take("2001:db8::ffff");
        assert!(take("2001:db8::2").is_none());
        let _v4 = [take("10.0.0.1"), take("::ffff:10.0.0.1")];
        assert!(take("10.0.0.1").is_none());

        drop(first);
        let _proxy = [take("192.0.2.1").unwrap(), take("192.0.2.1").unwrap()];
        assert!(take("192.0.2.1").is_none(), "the total holds for everybody");
        drop(_v4);
        assert!(take("192.0.2.1").is_some());
        assert!(take("10.0.0.1").is_some());
        let refused = lock(&seats.taken).of.len();
        assert_eq!(refused, 1, "addresses without a connection are forgotten");
    }
}
