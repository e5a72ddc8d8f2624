//! Revocations reach a resource server, and what happens when they do not.

use std::future::IntoFuture as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::StatusCode;
use serde_json::{Value, json};

use super::issuer::{Issuer, START};
use super::revocations::{BEAT, Stream};
use super::{api, call};
use crate::feed::Pace;
use crate::{Builder, Credentials, Error, FeedError, FeedState, LostFeed, Verifier};

pub(super) const PACE: Pace = Pace {
    silence: Duration::from_millis(1500),
    patience: Duration::from_secs(3),
    pause: Duration::from_millis(5),
    longest_pause: Duration::from_millis(50),
    proper_stream: Duration::from_millis(500),
    wait: Duration::from_secs(1),
    polling: Duration::from_millis(700),
    between_polls: Duration::from_millis(50),
};

pub(super) fn following(issuer: &Issuer) -> Builder {
    issuer
        .builder()
        .revocation_feed(Credentials::basic("https://api.test/", "s:e c"))
        .pace(PACE)
}

/// Waits for what has to become true, and not for longer than it may take on a busy machine.
pub(super) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(super) async fn eventually_refused(verifier: &Verifier, token: &str) {
    eventually("refused as revoked", async || {
        matches!(verifier.verify(token).await, Err(Error::Revoked))
    })
    .await;
}

pub(super) async fn eventually_lost(verifier: &Verifier) {
    eventually("lost", async || {
        matches!(verifier.feed().unwrap().state, FeedState::Lost { .. })
    })
    .await;
}

pub(super) async fn eventually_connected(verifier: &Verifier) {
    eventually("connected", async || {
        matches!(verifier.feed().unwrap().state, FeedState::Connected { .. })
    })
    .await;
}

/// Beats have gone by, so that whatever was told has arrived.
pub(super) async fn eventually_at(verifier: &Verifier, n: u64) {
    eventually("has come so far", async || {
        verifier.feed().unwrap().sequence == Some(n)
    })
    .await;
}

pub(super) fn of(approval: &str, client: &str, generation: i64, jti: &str) -> Value {
    json!({ "approval": approval, "client_id": client, "client_generation": generation, "jti": jti })
}

#[tokio::test]
async fn whatever_is_revoked_is_refused_and_nothing_else() {
    let issuer = Issuer::start().await;
    let verifier = following(&issuer).await.unwrap();
    let api = api(verifier.clone());
    let tokens: Vec<String> = [
        of("a1", "c1", 0, "t1"),
        of("a2", "c2", 4, "t2"),
        of("a3", "c2", 5, "t3"),
        of("a4", "c4", 0, "t4"),
        of("a5", "c5", 0, "t5"),
    ]
    .iter()
    .map(|claims| issuer.token(claims))
    .collect();
    for token in &tokens {
        assert_eq!(call(&api, token).await.0, StatusCode::OK);
    }
    for (members, revoked) in [
        (json!({ "approval": "a1" }), 0),
        (json!({ "client": "c2", "generation": 5 }), 1),
        (json!({ "token": "t4" }), 3),
    ] {
        assert!(verifier.verify(&tokens[revoked]).await.is_ok());
        issuer.revocations.end(members, START);
        eventually_refused(&verifier, &tokens[revoked]).await;
        let (status, headers) = call(&api, &tokens[revoked]).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert_eq!(
            super::challenge(&headers),
            "Bearer error=\"invalid_token\", error_description=\"the access token has been revoked\""
        );
    }
    for alive in [2, 4] {
        assert!(verifier.verify(&tokens[alive]).await.is_ok());
    }
    let status = verifier.feed().unwrap();
    assert_eq!((status.records, status.sequence), (3, Some(19)));
    assert!(status.staleness.unwrap() < Duration::from_secs(2) && status.problem.is_none());
    assert_eq!(issuer.revocations.snapshots.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_was_revoked_before_is_refused_from_the_first_token_on() {
    let issuer = Issuer::start().await;
    issuer.revocations.end(json!({ "approval": "a1" }), START);
    let (ended, alive) = (
        issuer.token(&of("a1", "c", 0, "t1")),
        issuer.token(&of("a2", "c", 0, "t2")),
    );
    // Whether it asks at start or with the first token.
    for verifier in [
        following(&issuer).await.unwrap(),
        following(&issuer).build().unwrap(),
    ] {
        assert!(matches!(verifier.verify(&ended).await, Err(Error::Revoked)));
        assert!(verifier.verify(&alive).await.is_ok());
    }
}

#[tokio::test]
async fn a_record_that_has_expired_weighs_nothing() {
    let issuer = Issuer::start().await;
    issuer
        .revocations
        .end(json!({ "approval": "a1", "until": START - 1 }), START);
    let verifier = following(&issuer).await.unwrap();
    assert_eq!(verifier.feed().unwrap().records, 0);
}

#[tokio::test]
async fn c046_a_withdrawn_key_is_refused_at_once_and_its_successor_taken() {
    let issuer = Issuer::start().await;
    let verifier = following(&issuer).await.unwrap();
    let old = issuer.token(&json!({}));
    assert!(verifier.verify(&old).await.is_ok());

    let stolen = issuer.keys.lock().unwrap()[0].kid().to_owned();
    issuer.rotate();
    issuer.keys.lock().unwrap().truncate(1);
    let fetches = issuer.asked();
    issuer.pass(5);
    issuer.revocations.end(json!({ "key": stolen }), START);
    eventually_refused(&verifier, &old).await;
    // The clock stands still: neither the age of the keys nor an unknown kid makes anybody fetch again.
    eventually("the new keys are fetched", async || issuer.asked() == fetches + 1).await;
    let new = issuer.token(&json!({}));
    eventually("the new key is known", async || {
        verifier.verify(&new).await.is_ok()
    })
    .await;
    for _ in 0..50 {
        assert!(matches!(verifier.verify(&old).await, Err(Error::Revoked)));
    }
    assert_eq!(issuer.asked(), fetches + 1);
    // Whoever looks for a key ten seconds after the first fetch is not told that there was one meanwhile.
    issuer.pass(5);
    issuer.rotate();
    assert!(verifier.verify(&issuer.token(&json!({}))).await.is_ok());
    assert_eq!(issuer.past_caches.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn c046_a_withdrawn_key_that_a_cache_goes_on_to_give_out_vouches_for_nothing() {
    let issuer = Issuer::start().await;
    let verifier = following(&issuer).await.unwrap();
    let stolen = issuer.keys.lock().unwrap()[0].kid().to_owned();
    let fetches = issuer.asked();
    let n = issuer.revocations.end(json!({ "key": stolen }), START);
    eventually_at(&verifier, n).await;
    eventually("looks again", async || issuer.asked() >= fetches + 2).await;
    let inner = verifier.inner();
    let held = inner.keys.current(inner.clock.now()).await.unwrap();
    assert!(!held.set.has_kid(&stolen));

    // The successor is found without the time that a look for an unknown key would need, and missing until then.
    issuer.rotate();
    issuer.keys.lock().unwrap().truncate(1);
    let new = issuer.token(&json!({}));
    eventually("the new key is known", async || {
        let verdict = verifier.verify(&new).await;
        assert!(
            matches!(verdict, Ok(_) | Err(Error::Unavailable(_))),
            "{verdict:?}"
        );
        verdict.is_ok()
    })
    .await;
}

#[tokio::test]
async fn the_feed_is_followed_again_after_a_panic_in_the_authors_code() {
    let issuer = Issuer::start().await;
    let panics = Arc::new(AtomicBool::new(false));
    let own = Arc::clone(&panics);
    let source = move || {
        assert!(!own.load(Ordering::SeqCst), "a bug of the author");
        async { Ok::<_, std::io::Error>("a-token".to_owned()) }
    };
    let builder = issuer.builder().revocation_feed(Credentials::token(source));
    let verifier = builder.pace(PACE).await.unwrap();
    let token = issuer.token(&of("a1", "c", 0, "t"));
    assert!(verifier.verify(&token).await.is_ok());
    eventually("a stream", async || {
        issuer.revocations.open.load(Ordering::SeqCst) == 1
    })
    .await;
    panics.store(true, Ordering::SeqCst);
    issuer.revocations.cut();
    eventually("told", async || {
        let problem = verifier.feed().unwrap().problem;
        problem.is_some_and(|problem| problem.contains("has ended"))
    })
    .await;
    issuer.revocations.end(json!({ "approval": "a1" }), START);
    panics.store(false, Ordering::SeqCst);
    eventually_refused(&verifier, &token).await;
    eventually_connected(&verifier).await;
}

#[tokio::test]
async fn the_feed_is_followed_again_after_the_end_of_the_runtime_it_was_first_needed_in() {
    let issuer = Issuer::start().await;
    let verifier = following(&issuer).build().unwrap();
    let token = issuer.token(&of("a1", "c", 0, "t"));
    let (first, seen) = (verifier.clone(), token.clone());
    let used = tokio::task::spawn_blocking(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        runtime.block_on(first.verify(&seen)).is_ok()
    });
    assert!(used.await.unwrap());
    tokio::time::sleep(PACE.longest_pause).await;
    issuer.revocations.end(json!({ "approval": "a1" }), START);
    // The first that needs it waits for what was ended meanwhile.
    assert!(matches!(verifier.verify(&token).await, Err(Error::Revoked)));
}

#[tokio::test]
async fn a_cut_stream_is_gone_on_with_where_it_broke() {
    let issuer = Issuer::start().await;
    let verifier = following(&issuer).await.unwrap();
    eventually("a stream", async || {
        issuer.revocations.open.load(Ordering::SeqCst) == 1
    })
    .await;
    let n = issuer.revocations.end(json!({ "approval": "a1" }), START);
    eventually_at(&verifier, n).await;
    tokio::time::sleep(PACE.proper_stream).await;

    // What is revoked while nobody listens is told afterwards.
    issuer
        .revocations
        .with(|book| book.status = Some(StatusCode::UNAUTHORIZED));
    issuer.revocations.cut();
    eventually_lost(&verifier).await;
    let later = issuer.revocations.end(json!({ "approval": "a2" }), START);
    issuer.revocations.with(|book| book.status = None);
    eventually_at(&verifier, later).await;
    eventually_connected(&verifier).await;
    assert_eq!(
        issuer.revocations.with(|book| book.last_event_id.clone()),
        format!("F.1.{n}")
    );
    let token = issuer.token(&of("a2", "c", 0, "t"));
    assert!(matches!(verifier.verify(&token).await, Err(Error::Revoked)));
    assert_eq!(issuer.revocations.snapshots.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn where_streams_do_not_last_it_polls_and_tries_again_later() {
    let issuer = Issuer::start().await;
    issuer.revocations.with(|book| book.stream = Stream::Cut);
    let verifier = following(&issuer).await.unwrap();
    let polls = || issuer.revocations.polls.load(Ordering::SeqCst);
    eventually("polls", async || polls() > 0).await;
    let n = issuer.revocations.end(json!({ "approval": "a1" }), START);
    eventually_at(&verifier, n).await;
    let token = issuer.token(&of("a1", "c", 0, "t"));
    assert!(matches!(verifier.verify(&token).await, Err(Error::Revoked)));
    assert!(issuer.revocations.streams.load(Ordering::SeqCst) >= 3);

    issuer.revocations.with(|book| book.stream = Stream::Flowing);
    eventually("a stream", async || {
        issuer.revocations.open.load(Ordering::SeqCst) == 1
    })
    .await;
    assert_eq!(issuer.revocations.snapshots.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn where_streams_are_refused_it_polls_and_where_connections_are_too_many_it_does_not_wait() {
    for (status, waits) in [(502, "1"), (504, "1"), (406, "1"), (503, "1"), (429, "0")] {
        let issuer = Issuer::start().await;
        let status = StatusCode::from_u16(status).unwrap();
        issuer.revocations.with(|book| book.stream_status = Some(status));
        let verifier = following(&issuer).await.unwrap();
        let polls = || issuer.revocations.polls.load(Ordering::SeqCst);
        eventually("polls", async || polls() > 0).await;
        let n = issuer.revocations.end(json!({ "approval": "a1" }), START);
        eventually_at(&verifier, n).await;
        let token = issuer.token(&of("a1", "c", 0, "t"));
        assert!(matches!(verifier.verify(&token).await, Err(Error::Revoked)));
        let last_wait = issuer.revocations.with(|book| book.last_wait.clone());
        assert_eq!(last_wait.as_deref(), Some(waits), "{status}");
    }
}

#[tokio::test]
async fn an_endpoint_that_has_moved_is_found() {
    let issuer = Issuer::start().await;
    let good = issuer.metadata.lock().unwrap()["revocation_feed_endpoint"].clone();
    for (moved, problem) in [
        (format!("{}/nowhere", issuer.url), "404"),
        ("https://other.test/revocations".to_owned(), "own origin"),
    ] {
        issuer.metadata.lock().unwrap()["revocation_feed_endpoint"] = moved.into();
        let verifier = following(&issuer).build().unwrap();
        assert!(verifier.verify(&issuer.token(&json!({}))).await.is_ok());
        let text = verifier.feed().unwrap().problem.unwrap();
        assert!(text.contains(problem), "{text}");
        issuer.metadata.lock().unwrap()["revocation_feed_endpoint"] = good.clone();
        eventually_connected(&verifier).await;
    }
}

#[tokio::test]
async fn an_issuer_that_does_not_stream_is_polled() {
    let issuer = Issuer::start().await;
    issuer.revocations.with(|book| book.stream = Stream::None);
    let verifier = following(&issuer).await.unwrap();
    let n = issuer.revocations.end(json!({ "token": "t1" }), START);
    eventually_at(&verifier, n).await;
    let token = issuer.token(&of("a", "c", 0, "t1"));
    assert!(matches!(verifier.verify(&token).await, Err(Error::Revoked)));
}

#[tokio::test]
async fn after_a_restore_a_new_snapshot_is_taken_and_the_old_set_serves_until_then() {
    let issuer = Issuer::start().await;
    let verifier = following(&issuer).await.unwrap();
    let (first, second) = (
        issuer.token(&of("a1", "c", 0, "t1")),
        issuer.token(&of("a2", "c", 0, "t2")),
    );
    let of_client = issuer.token(&of("a3", "c3", 4, "t3"));
    issuer.revocations.end(json!({ "approval": "a1" }), START);
    issuer
        .revocations
        .end(json!({ "client": "c3", "generation": 5 }), START);
    eventually_refused(&verifier, &first).await;
    eventually_refused(&verifier, &of_client).await;

    // The new feed begins lower; its snapshot cannot be read at first.
    issuer.revocations.with(|book| {
        book.feed = "F.2".to_owned();
        (book.n, book.records) = (4, Vec::new());
        book.text = Some("{}".to_owned());
    });
    issuer.revocations.cut();
    let snapshots = || issuer.revocations.snapshots.load(Ordering::SeqCst);
    eventually("asks for the whole", async || snapshots() > 3).await;
    assert!(matches!(verifier.verify(&first).await, Err(Error::Revoked)));
    assert!(verifier.verify(&second).await.is_ok());

    issuer.revocations.end(json!({ "approval": "a2" }), START);
    issuer.revocations.with(|book| book.text = None);
    eventually_refused(&verifier, &second).await;
    // What had ended stays so, though the issuer has forgotten it; generations are counted anew.
    assert!(matches!(verifier.verify(&first).await, Err(Error::Revoked)));
    assert!(verifier.verify(&of_client).await.is_ok());
    assert_eq!(verifier.feed().unwrap().sequence, Some(7));
}

#[tokio::test]
async fn credentials_go_to_the_issuer_as_it_wants_them_and_to_nobody_else() {
    let issuer = Issuer::start().await;
    let authorization = || issuer.revocations.with(|book| book.authorization.clone());
    let verifier = following(&issuer).await.unwrap();
    // https%3A%2F%2Fapi.test%2F:s%3Ae+c
    assert_eq!(
        authorization(),
        "Basic aHR0cHMlM0ElMkYlMkZhcGkudGVzdCUyRjpzJTNBZStj"
    );
    assert!(!format!("{verifier:?}").contains("s:e c"));

    let source = || async { Ok::<_, std::io::Error>("a-token".to_owned()) };
    let by_token = issuer
        .builder()
        .revocation_feed(Credentials::token(source))
        .pace(PACE);
    drop(by_token.clone().await.unwrap());
    assert_eq!(authorization(), "Bearer a-token");
    let introspect = by_token.when_feed_is_lost(LostFeed::Introspect);
    assert!(matches!(introspect.build(), Err(Error::Setting(_))));

    let host = issuer.url.trim_end_matches("/tenant").to_owned();
    let other = host.replace("127.0.0.1", "localhost");
    for endpoint in [
        format!("{other}/elsewhere"),
        "https://other.test/revocations".to_owned(),
        "http://api.test/revocations".to_owned(),
        format!("{}/elsewhere", host.replace("http:", "https:")),
        "elsewhere".to_owned(),
    ] {
        issuer.metadata.lock().unwrap()["revocation_feed_endpoint"] = endpoint.clone().into();
        match following(&issuer).await {
            Err(Error::FeedLost(Some(cause))) => assert!(matches!(*cause, FeedError::Endpoint), "{cause}"),
            other => panic!("{endpoint}: {other:?}"),
        }
    }
    assert_eq!(issuer.revocations.elsewhere.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_task_ends_with_the_last_clone() {
    let issuer = Issuer::start().await;
    let open = || issuer.revocations.open.load(Ordering::SeqCst);
    let verifier = following(&issuer).await.unwrap();
    let clone = verifier.clone();
    eventually("a stream", async || open() == 1).await;
    drop(verifier);
    tokio::time::sleep(4 * BEAT).await;
    assert_eq!(open(), 1);
    drop(clone);
    eventually("no stream", async || open() == 0).await;
}

#[tokio::test]
async fn a_big_snapshot_is_taken_in_and_kept_small() {
    let issuer = Issuer::start().await;
    issuer.revocations.with(|book| {
        book.n = 20_000;
        book.records = (1..=20_000)
            .map(|n| {
                (
                    n,
                    json!({ "n": n, "approval": format!("a{n}"), "until": START + 900 }).to_string(),
                )
            })
            .collect();
    });
    let verifier = following(&issuer).await.unwrap();
    let status = verifier.feed().unwrap();
    assert_eq!((status.records, status.sequence), (20_000, Some(20_000)));
    assert!(status.bytes / 20_000 < 32, "{}", status.bytes);
    for (approval, revoked) in [("a1", true), ("a20000", true), ("a20001", false), ("a0", false)] {
        let verdict = verifier.verify(&issuer.token(&of(approval, "c", 0, "t"))).await;
        assert_eq!(matches!(verdict, Err(Error::Revoked)), revoked, "{approval}");
    }
}

#[tokio::test]
async fn fifty_resource_servers_hear_of_it_within_a_fraction_of_a_second() {
    let issuer = Issuer::start().await;
    let verifiers: Vec<Verifier> = join_all((0..50).map(|_| following(&issuer).into_future()))
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    eventually("all streams", async || {
        issuer.revocations.open.load(Ordering::SeqCst) == 50
    })
    .await;
    let token = issuer.token(&of("a1", "c", 0, "t"));
    for verifier in &verifiers {
        assert!(verifier.verify(&token).await.is_ok());
    }
    issuer.revocations.end(json!({ "approval": "a1" }), START);
    join_all(
        verifiers
            .iter()
            .map(|verifier| eventually_refused(verifier, &token)),
    )
    .await;
}

#[tokio::test]
async fn settings_that_cannot_be_show_when_it_is_built() {
    let issuer = Issuer::start().await;
    let builder = || issuer.builder();
    let seconds = Duration::from_secs;
    let closed_after = |after| following(&issuer).when_feed_is_lost(LostFeed::FailClosed { after });
    for bad in [
        builder().leeway(seconds(9)),
        builder().leeway(seconds(61)),
        builder().algorithms([]),
        builder().when_feed_is_lost(LostFeed::FailOpen),
        closed_after(PACE.silence - Duration::from_millis(1)),
        Verifier::discover(&issuer.url).audience(""),
    ] {
        assert!(matches!(bad.build(), Err(Error::Setting(_))));
    }
    for good in [
        builder().leeway(seconds(10)),
        builder().leeway(seconds(60)),
        closed_after(PACE.silence),
    ] {
        assert!(good.build().is_ok());
    }
}
