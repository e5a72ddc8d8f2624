//! Tokens that were seen before. Decides which need no second look at their signature.
//!
//! A token is recognised by the SHA-256 of all its bytes, and only as long as it lives and the keys are those that
//! vouched for it; whether it was revoked is asked each time. Only what was verified is kept, so that nobody without
//! a token of the issuer makes memory grow.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest as sha2};
use protocol::Timestamp;
use protocol::access_token::Claims;

use crate::feed::set::Marks;

/// A SHA-256.
pub(crate) type Digest = [u8; 32];

/// A power of two; each has its own lock, held for a look at a map.
const SHARDS: usize = 32;

/// What is known of a token.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) claims: Arc<Claims>,
    pub(crate) marks: Option<Marks>,
    /// Of the keys that vouched for it.
    pub(crate) version: u64,
}

/// Tokens by their digest, a bounded number.
pub(crate) struct Seen {
    shards: Box<[Mutex<Shard>]>,
    /// Half of what a shard may hold.
    half: usize,
}

/// Two halves: what is asked for moves to the younger; when that is full, the older goes.
#[derive(Default)]
struct Shard {
    young: HashMap<Digest, Arc<Known>>,
    old: HashMap<Digest, Arc<Known>>,
}

pub(crate) fn digest(bytes: &[u8]) -> Digest {
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(sha2(&SHA256, bytes).as_ref()) {
        *to = *from;
    }
    out
}

impl Seen {
    /// Room for so many tokens; with none, each is verified each time.
    pub(crate) fn new(tokens: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            half: tokens.div_ceil(SHARDS * 2),
        }
    }

    /// A token that lives and was verified by these keys.
    pub(crate) fn find(&self, digest: &Digest, version: u64, now: Timestamp) -> Option<Arc<Known>> {
        let mut shard = self.shard(digest)?.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match shard.young.get(digest) {
            Some(known) => Arc::clone(known),
            None => {
                let known = shard.old.remove(digest)?;
                shard.insert(*digest, Arc::clone(&known), self.half);
                known
            }
        };
        (known.version == version && now < known.claims.exp).then_some(known)
    }

    pub(crate) fn keep(&self, digest: &Digest, known: Arc<Known>) {
        if let Some(shard) = self.shard(digest).filter(|_| self.half > 0) {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.insert(*digest, known, self.half);
        }
    }

    fn shard(&self, digest: &Digest) -> Option<&Mutex<Shard>> {
        let [first, ..] = digest;
        self.shards.get(usize::from(*first) % SHARDS)
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seen").finish_non_exhaustive()
    }
}

impl Shard {
    fn insert(&mut self, digest: Digest, known: Arc<Known>, half: usize) {
        if self.young.len() >= half && !self.young.contains_key(&digest) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest, known);
    }
}

#[cfg(test)]
mod tests {
    use protocol::Scope;
    use protocol::access_token::Audience;

    use super::*;

    fn known(exp: i64, version: u64) -> Arc<Known> {
        let at = Timestamp::from_secs;
        let claims = Claims {
            iss: "https://id.test".to_owned(),
            sub: "user".into(),
            aud: Audience::One("https://api.test".to_owned()),
            exp: at(exp),
            iat: at(0),
            jti: "token".into(),
            client_id: "app".into(),
            scope: Scope::default(),
            approval: "approval".into(),
            client_generation: 0,
            auth_time: None,
            acr: None,
            roles: Vec::new(),
            cnf: None,
        };
        Arc::new(Known {
            claims: Arc::new(claims),
            marks: None,
            version,
        })
    }

    #[test]
    fn a_token_is_known_until_it_expires_or_the_keys_are_others() {
        let (seen, now) = (Seen::new(64), Timestamp::from_secs(100));
        let own = digest(b"token");
        seen.keep(&own, known(101, 7));
        assert!(seen.find(&own, 7, now).is_some());
        assert!(seen.find(&own, 8, now).is_none());
        assert!(seen.find(&own, 7, Timestamp::from_secs(101)).is_none());
        assert!(seen.find(&digest(b"tokem"), 7, now).is_none());
    }

    #[test]
    fn as_many_are_kept_as_there_is_room_for_and_those_in_use_stay() {
        let (seen, now) = (Seen::new(640), Timestamp::from_secs(0));
        let favourite = digest(b"favourite");
        seen.keep(&favourite, known(9, 0));
        for number in 0..100_000_u32 {
            seen.keep(&digest(&number.to_be_bytes()), known(9, 0));
            assert!(seen.find(&favourite, 0, now).is_some(), "{number}");
        }
        let held = |shard: &Mutex<Shard>| {
            let shard = shard.lock().unwrap();
            shard.young.len() + shard.old.len()
        };
        let kept = seen.shards.iter().map(held).sum::<usize>();
        assert!((320..=640).contains(&kept), "{kept}");
    }

    #[test]
    fn without_room_nothing_is_kept() {
        let seen = Seen::new(0);
        seen.keep(&digest(b"token"), known(9, 0));
        assert!(seen.find(&digest(b"token"), 0, Timestamp::from_secs(0)).is_none());
    }
}
