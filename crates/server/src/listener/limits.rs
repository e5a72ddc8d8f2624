//! How long and how many: the numbers of the listener, in one place so that tests can shorten them.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::settings::{RateLimits, Settings, TrustedProxies};

#[derive(Clone, Debug)]
pub struct Limits {
    /// From accepting, or from the first byte of a later request, until its headers are there.
    pub head: Duration,
    /// Without a byte in either direction. Longer than the minute for which common proxies keep a connection:
    /// it has to be them who close it, or a request of theirs meets a closed one.
    pub idle: Duration,
    /// Between two pieces of a request body.
    pub body: Duration,
    /// From the headers until the answer begins.
    pub total: Duration,
    /// For which the peer may go on sending after our last answer, so that it reads the answer to a request that
    /// we refused half-way instead of a reset.
    pub linger: Duration,
    /// For requests to finish after the order to stop.
    pub grace: Duration,
    /// Connections of everybody together.
    pub connections: usize,
    /// Connections of one address, or of one /64 of IPv6; `None` for no such limit.
    pub per_address: Option<usize>,
    /// Whether sign-ins that fail are bounded.
    pub sign_ins: RateLimits,
    /// Proxies bring many clients over few connections; their number is not limited per address.
    pub exempt: TrustedProxies,
}

/// What the process keeps for its database, files and answers.
const RESERVED_DESCRIPTORS: u64 = 256;
/// Enough for `connections` and everything else.
const WANTED_DESCRIPTORS: u64 = 16 * 1024;

impl Limits {
    /// The limits for these settings and for the descriptors this process may open.
    pub fn new(settings: &Settings) -> Self {
        let connections = connections_within(raised_descriptor_limit());
        Self {
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            body: Duration::from_secs(10),
            total: Duration::from_secs(30),
            linger: Duration::from_millis(500),
            grace: Duration::from_secs(10),
            connections,
            per_address: match settings.limits {
                RateLimits::On => Some((connections / 4).max(1)),
                RateLimits::Off => None,
            },
            sign_ins: settings.limits,
            exempt: settings.trusted_proxies.clone(),
        }
    }
}

/// Without free descriptors the database cannot be reached either, so connections never take the last.
fn connections_within(descriptors: u64) -> usize {
    let free = descriptors
        .saturating_sub(RESERVED_DESCRIPTORS)
        .max(descriptors / 2);
    usize::try_from(free.clamp(1, 10_000)).unwrap_or(1)
}

/// Many systems start a process with 1024 descriptors and let it have more when it asks.
fn raised_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.current.unwrap_or(WANTED_DESCRIPTORS);
    let wanted = limit
        .maximum
        .unwrap_or(WANTED_DESCRIPTORS)
        .min(WANTED_DESCRIPTORS);
    if wanted <= current {
        return current;
    }
    let raised = Rlimit {
        current: Some(wanted),
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => wanted,
        Err(_) => current,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_database() {
        for (descriptors, connections) in [
            (0, 1),
            (64, 32),
            (1024, 768),
            (4096, 3840),
            (1_048_576, 10_000),
            (u64::MAX, 10_000),
        ] {
            assert_eq!(connections_within(descriptors), connections);
        }
    }
}
