//! Threads that work with private RSA keys, and a bounded number of seats before them.
//!
//! Decides who waits for a signature, or for a token to be read. One by RSA holds a core for as long as twenty by ES256; made where requests are
//! served, a flood of them would hold up all the others. Who finds no seat is told to come back, and takes it *before*
//! anything is claimed: a code used up for an answer that nobody signs would be lost to its user.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::{io, thread};

use protocol::SigningAlg;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use zeroize::Zeroizing;

use crate::jwe::Refused;
use crate::{DecryptionKey, Encrypted, Error, Family, SigningKey};

/// Requests that may wait for an RSA signature, or be on their way to one. It takes a core a second or two to serve
/// them all.
pub const SEATS: usize = 4096;

/// Behind any number of clones. Its threads end with the last of them.
#[derive(Clone, Debug)]
pub struct Pool {
    jobs: mpsc::Sender<Job>,
    seats: Arc<Semaphore>,
}

/// Room for the signatures of one request.
#[derive(Debug)]
pub struct Seat(Option<OwnedSemaphorePermit>);

#[derive(Debug)]
enum Job {
    Sign {
        key: SigningKey,
        typ: &'static str,
        payload: Vec<u8>,
        reply: oneshot::Sender<Result<String, Error>>,
    },
    Read {
        key: DecryptionKey,
        token: Arc<Encrypted>,
        reply: oneshot::Sender<Result<Zeroizing<Vec<u8>>, Refused>>,
    },
}

impl Pool {
    /// As many threads as there are cores.
    ///
    /// # Errors
    /// When the operating system grants no thread.
    pub fn start() -> io::Result<Self> {
        let (jobs, waiting) = mpsc::channel();
        let waiting = Arc::new(Mutex::new(waiting));
        for number in 0..thread::available_parallelism()?.get() {
            let waiting = waiting.clone();
            thread::Builder::new()
                .name(format!("signature-{number}"))
                .spawn(move || work(&waiting))?;
        }
        Ok(Self {
            jobs,
            seats: Arc::new(Semaphore::new(SEATS)),
        })
    }

    /// Room for signatures with these algorithms; what is signed on the spot needs none.
    ///
    /// # Errors
    /// [`Error::Busy`], at once, when all seats are taken.
    pub fn seat(&self, algs: &[SigningAlg]) -> Result<Seat, Error> {
        match algs.iter().copied().any(takes_long) {
            false => Ok(Seat(None)),
            true => match self.seats.clone().try_acquire_owned() {
                Ok(taken) => Ok(Seat(Some(taken))),
                Err(_) => Err(Error::Busy),
            },
        }
    }

    /// Signs as [`SigningKey::sign`], on the spot or by a thread. The seat is one for this algorithm.
    ///
    /// # Errors
    /// When the claims cannot be written as JSON; [`Error::Busy`] when a seat is needed and this is none.
    pub async fn sign(
        &self,
        key: &SigningKey,
        typ: &'static str,
        claims: &impl Serialize,
        seat: &Seat,
    ) -> Result<String, Error> {
        if !takes_long(key.alg()) {
            return key.sign(typ, claims);
        }
        if seat.0.is_none() {
            return Err(Error::Busy);
        }
        let (reply, signed) = oneshot::channel();
        let job = Job::Sign {
            key: key.clone(),
            typ,
            payload: serde_json::to_vec(claims).map_err(Error::Claims)?,
            reply,
        };
        self.jobs.send(job).map_err(|_| Error::Busy)?;
        signed.await.map_err(|_| Error::Busy)?
    }

    /// Reads as [`DecryptionKey::decrypt`], on the spot or by a thread.
    ///
    /// # Errors
    /// [`Error::Busy`], at once, when all seats are taken; within, when the token is refused.
    pub async fn decrypt(
        &self,
        key: &DecryptionKey,
        token: &Arc<Encrypted>,
    ) -> Result<Result<Zeroizing<Vec<u8>>, Refused>, Error> {
        match key.family() {
            Family::P256 => return Ok(key.decrypt(token)),
            Family::Rsa => {}
        }
        let _seat = self.seats.try_acquire().map_err(|_| Error::Busy)?;
        let (reply, read) = oneshot::channel();
        let job = Job::Read {
            key: key.clone(),
            token: token.clone(),
            reply,
        };
        self.jobs.send(job).map_err(|_| Error::Busy)?;
        read.await.map_err(|_| Error::Busy)
    }
}

fn takes_long(alg: SigningAlg) -> bool {
    match alg {
        SigningAlg::Rs256 | SigningAlg::Ps256 => true,
        SigningAlg::Es256 | SigningAlg::EdDsa => false,
    }
}

/// Until nobody can ask any more. Who has gone is not worth the work.
fn work(waiting: &Mutex<mpsc::Receiver<Job>>) {
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(job) = next() {
        match job {
            Job::Sign {
                key,
                typ,
                payload,
                reply,
            } if !reply.is_closed() => {
                // Gone meanwhile.
                let _ = reply.send(key.sign_payload(typ, &payload));
            }
            Job::Read { key, token, reply } if !reply.is_closed() => {
                let _ = reply.send(key.decrypt(&token));
            }
            Job::Sign { .. } | Job::Read { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use jws::{Alg, KeySet, Typ, Unverified, VerifyingKey};
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_pool_signs_for_many_at_once_and_each_gets_their_own() {
        let pool = Pool::start().unwrap();
        for alg in SigningAlg::ALL.iter().copied() {
            let key = SigningKey::generate(alg).unwrap();
            let keys: KeySet = [VerifyingKey::from_jwk(&key.public_jwk(), None).unwrap()]
                .into_iter()
                .collect();
            let asked: Vec<_> = (0..100)
                .map(|n| {
                    let (pool, key) = (pool.clone(), key.clone());
                    tokio::spawn(async move {
                        let seat = pool.seat(&[alg]).unwrap();
                        pool.sign(&key, "JWT", &json!({ "n": n }), &seat).await.unwrap()
                    })
                })
                .collect();
            for (n, token) in asked.into_iter().enumerate() {
                let token = token.await.unwrap();
                let parsed = Unverified::parse(&token).unwrap();
                let verified = parsed.verify(&keys, Alg::ALL, Typ::Is("JWT")).unwrap();
                let claims: serde_json::Value = verified.claims().unwrap();
                assert_eq!(claims["n"], n);
            }
        }
        assert_eq!(pool.seats.available_permits(), SEATS, "every seat was given back");
    }

    #[tokio::test]
    async fn c075_who_finds_no_seat_is_told_at_once_and_what_is_quick_needs_none() {
        let pool = Pool::start().unwrap();
        let taken: Vec<Seat> = (0..SEATS)
            .map(|_| pool.seat(&[SigningAlg::Rs256]).unwrap())
            .collect();
        let both = [SigningAlg::Es256, SigningAlg::Rs256];
        assert!(matches!(pool.seat(&both), Err(Error::Busy)));
        let none = pool.seat(&[SigningAlg::Es256]).unwrap();
        let [quick, slow] = both.map(|alg| SigningKey::generate(alg).unwrap());
        assert!(pool.sign(&quick, "JWT", &json!({}), &none).await.is_ok());
        let refused = pool.sign(&slow, "JWT", &json!({}), &none).await;
        assert!(matches!(refused, Err(Error::Busy)));
        drop(taken);
        let seat = pool.seat(&both).unwrap();
        for key in [quick, slow] {
            assert!(pool.sign(&key, "JWT", &json!({}), &seat).await.is_ok());
        }
    }
}
