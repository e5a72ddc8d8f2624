//! Asking the issuer about one token: RFC 7662. Decides how often and how long, because it is done for each request
//! while the feed is lost, and the issuer may be lost for the same reason.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::{ACCEPT, CONTENT_TYPE};
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use url::form_urlencoded::Serializer;

use crate::FeedError;
use crate::credentials::Credentials;
use crate::issuer::{Issuer, MAX_BODY};
use crate::seen::Digest;

/// Questions under way at a time.
const MOST: usize = 32;
/// Whoever waits longer than that for their turn and the answer is refused.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an answer counts: what was true a second ago may be a token that is revoked now.
const FRESH: Duration = Duration::from_secs(1);
/// Answers at hand.
const MAX_ANSWERS: usize = 4096;

#[derive(Debug)]
pub(crate) struct Introspection {
    turns: Semaphore,
    answers: Mutex<HashMap<Digest, (Instant, bool)>>,
}

/// RFC 7662 §2.2; the token's claims we know by ourselves.
#[derive(Deserialize)]
struct Answer {
    active: bool,
}

impl Default for Introspection {
    fn default() -> Self {
        Self {
            turns: Semaphore::new(MOST),
            answers: Mutex::default(),
        }
    }
}

impl Introspection {
    pub(crate) async fn is_active(
        &self,
        token: &str,
        digest: &Digest,
        issuer: &Issuer,
        credentials: &Credentials,
    ) -> Result<bool, FeedError> {
        if let Some(active) = self.known(digest) {
            return Ok(active);
        }
        let asked = async {
            let _turn = self.turns.acquire().await;
            // Who waited before us may have asked the same.
            if let Some(active) = self.known(digest) {
                return Ok(active);
            }
            let began = Instant::now();
            let active = ask(token, issuer, credentials).await?;
            self.keep(digest, began, active);
            Ok(active)
        };
        timeout(PATIENCE, asked).await.map_err(|_| FeedError::Silent)?
    }

    fn known(&self, digest: &Digest) -> Option<bool> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, active) = answers.get(digest)?;
        (at.elapsed() < FRESH).then_some(*active)
    }

    fn keep(&self, digest: &Digest, at: Instant, active: bool) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= MAX_ANSWERS {
            answers.retain(|_, (at, _)| at.elapsed() < FRESH);
        }
        if answers.len() < MAX_ANSWERS {
            answers.insert(*digest, (at, active));
        }
    }
}

async fn ask(token: &str, issuer: &Issuer, credentials: &Credentials) -> Result<bool, FeedError> {
    let url = issuer.introspection_endpoint().await?;
    let form = Serializer::new(String::new())
        .append_pair("token", token)
        .append_pair("token_type_hint", "access_token")
        .finish();
    let request = issuer
        .http()
        .post(url)
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(form);
    let mut response = credentials.sign(request).await?.send().await?;
    match response.status() {
        StatusCode::OK => {}
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            return Err(FeedError::Refused(status));
        }
        status => return Err(FeedError::Status(status)),
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(FeedError::Unreadable("an answer longer than 64 KiB"));
        }
        body.extend_from_slice(&chunk);
    }
    let answer: Answer = serde_json::from_slice(&body)
        .map_err(|_| FeedError::Unreadable("it does not say whether the token is active"))?;
    Ok(answer.active)
}
