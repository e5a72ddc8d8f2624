//! The JWK set: RFC 7517 §5. Every key that signs, will sign, or has signed a token that may still be valid; and those
//! to which clients may encrypt (`use` tells them apart).

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use jws::KeySet;
use protocol::{SigningAlg, Timestamp};

use crate::snapshot::Snapshot;
use crate::{Policy, Stage, decryption};

/// The set as bytes, made once per change.
#[derive(Debug)]
pub struct Published {
    /// The JSON document.
    pub json: Bytes,
    /// A strong validator: RFC 9110 §8.8.3.
    pub etag: HeaderValue,
    /// The same keys, for checking our own signatures.
    pub keys: KeySet,
    /// These, and those that have left the set: for hints, which may be as old as a session. Never those that were
    /// withdrawn.
    pub ever: KeySet,
    of: Arc<Snapshot>,
    from: Timestamp,
    until: Timestamp,
}

impl Published {
    pub(crate) fn of(snapshot: &Arc<Snapshot>, policy: &Policy, now: Timestamp) -> Self {
        let (mut keys, mut gone) = (Vec::new(), Vec::new());
        let mut until = Timestamp::from_secs(i64::MAX);
        for alg in SigningAlg::ALL {
            let (lives, next) = snapshot.lives(*alg, policy, now);
            for life in lives {
                let key = life.held.key.public_jwk();
                match life.stage {
                    Stage::Published | Stage::Signing | Stage::Retired => keys.push(key),
                    Stage::Gone => gone.push(key),
                    Stage::Withdrawn => {}
                }
            }
            until = next.map_or(until, |change| change.min(until));
        }
        let reading = &snapshot.decryption.held;
        let next = decryption::next_change(reading, now);
        until = next.map_or(until, |change| change.min(until));
        let public = decryption::in_use(reading, now).map(|held| held.key.public_jwk());
        let all: Vec<_> = keys.iter().cloned().chain(public).collect();
        let json = serde_json::json!({ "keys": all }).to_string();
        let etag = HeaderValue::from_str(&format!("\"{}\"", seal::digest(&json)));
        let etag = etag.unwrap_or(HeaderValue::from_static("\"\""));
        // Only keys for signatures are taken up.
        let usable = |json: &str| KeySet::parse(json.as_bytes(), None).unwrap_or_default();
        gone.extend(keys);
        Self {
            keys: usable(&json),
            ever: usable(&serde_json::json!({ "keys": gone }).to_string()),
            json: json.into(),
            etag,
            of: snapshot.clone(),
            from: now,
            until,
        }
    }

    /// Of these keys, whoever made it and when: one that was begun before they were read may be put here after.
    pub(crate) fn is_current(&self, snapshot: &Arc<Snapshot>, now: Timestamp) -> bool {
        Arc::ptr_eq(&self.of, snapshot) && self.from <= now && now < self.until
    }
}
