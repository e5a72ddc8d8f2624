//! What becomes of tokens while revocations are not heard of.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::StatusCode;
use serde_json::json;

use super::feed::{PACE, eventually, eventually_connected, eventually_lost, following};
use super::issuer::{Issuer, START};
use super::revocations::{BEAT, Stream};
use super::{api, call};
use crate::{Error, FeedError, FeedState, LostFeed};

#[tokio::test]
async fn an_unreadable_event_loses_the_feed_instead_of_being_passed_over() {
    for bad in [
        json!({ "session": "s" }),
        json!({ "approval": 7 }),
        json!({ "client": "c" }),
    ] {
        let issuer = Issuer::start().await;
        let verifier = following(&issuer)
            .when_feed_is_lost(LostFeed::FailClosed { after: PACE.silence })
            .await
            .unwrap();
        let token = issuer.token(&json!({}));
        assert!(verifier.verify(&token).await.is_ok());
        issuer.revocations.end(bad, START);
        eventually_lost(&verifier).await;
        eventually("closed", async || {
            matches!(verifier.verify(&token).await, Err(Error::FeedLost(_)))
        })
        .await;
    }
}

#[tokio::test]
async fn an_event_whose_number_is_not_its_own_loses_the_feed_and_so_does_a_beat_that_went_back() {
    let bends: [fn(String) -> String; 4] = [
        |text| text.replace("id: F.1.13\ndata: {\"ap", "id: F.1.12\ndata: {\"ap"),
        |text| text.replace("id: F.1.13\ndata: {\"ap", "data: {\"ap"),
        |text| text.replace("{\"sequence\":13}", "{\"sequence\":12}"),
        |text| text.replace("{\"sequence\":13}", "{}"),
    ];
    for bend in bends {
        let issuer = Issuer::start().await;
        let verifier = following(&issuer).await.unwrap();
        eventually("a stream", async || {
            issuer.revocations.open.load(Ordering::SeqCst) == 1
        })
        .await;
        issuer.revocations.with(|book| book.bend = bend);
        issuer.revocations.end(json!({ "approval": "a1" }), START);
        eventually("lost", async || verifier.feed().unwrap().problem.is_some()).await;
        // Its whole says what the stream does not.
        eventually("known", async || verifier.feed().unwrap().records == 1).await;
    }
}

#[tokio::test]
async fn a_stream_that_says_nothing_is_lost_though_it_stands() {
    let issuer = Issuer::start().await;
    let verifier = following(&issuer).await.unwrap();
    eventually_connected(&verifier).await;
    tokio::time::sleep(2 * BEAT).await;
    issuer.revocations.with(|book| book.stream = Stream::Silent);
    let began = Instant::now();
    eventually_lost(&verifier).await;
    assert!(began.elapsed() > PACE.silence / 2);
    eventually("noticed", async || verifier.feed().unwrap().problem.is_some()).await;
    issuer.revocations.with(|book| book.stream = Stream::Flowing);
    eventually_connected(&verifier).await;
}

#[tokio::test]
async fn a_lost_feed_fails_open_or_closed_as_its_author_wants() {
    let issuer = Issuer::start().await;
    let policy = |policy| following(&issuer).when_feed_is_lost(policy);
    let after = PACE.silence * 2;
    let open = policy(LostFeed::FailOpen).await.unwrap();
    let closed = policy(LostFeed::FailClosed { after: PACE.silence })
        .await
        .unwrap();
    let later = policy(LostFeed::FailClosed { after }).await.unwrap();
    let token = issuer.token(&json!({}));
    for verifier in [&open, &closed, &later] {
        assert!(verifier.verify(&token).await.is_ok());
    }

    let lost_at = Instant::now();
    issuer
        .revocations
        .with(|book| book.status = Some(StatusCode::BAD_GATEWAY));
    issuer.revocations.cut();
    for verifier in [&open, &closed, &later] {
        eventually_lost(verifier).await;
    }
    eventually("closed", async || {
        matches!(closed.verify(&token).await, Err(Error::FeedLost(_)))
    })
    .await;
    let in_time = later.verify(&token).await.is_ok();
    assert!(in_time || lost_at.elapsed() > after);
    eventually("closed", async || later.verify(&token).await.is_err()).await;
    assert!(later.feed().unwrap().staleness.unwrap() >= after);
    assert!(open.verify(&token).await.is_ok());
    let (status, headers) = call(&api(closed.clone()), &token).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(headers.contains_key("retry-after"));

    issuer.revocations.with(|book| book.status = None);
    for verifier in [&open, &closed, &later] {
        eventually_connected(verifier).await;
        assert!(verifier.verify(&token).await.is_ok());
    }
}

#[tokio::test]
async fn without_a_first_snapshot_what_fails_closed_is_closed() {
    let issuer = Issuer::start().await;
    issuer
        .revocations
        .with(|book| book.status = Some(StatusCode::BAD_GATEWAY));
    let token = issuer.token(&json!({}));
    let closed = LostFeed::FailClosed {
        after: Duration::from_secs(3600),
    };
    let verifier = following(&issuer).when_feed_is_lost(closed).build().unwrap();
    assert!(matches!(verifier.verify(&token).await, Err(Error::FeedLost(_))));
    assert!(matches!(
        following(&issuer).when_feed_is_lost(closed).await,
        Err(Error::FeedLost(_))
    ));
    // And what fails open goes on, and says so.
    let verifier = following(&issuer).await.unwrap();
    assert!(verifier.verify(&token).await.is_ok());
    let status = verifier.feed().unwrap();
    assert!(matches!(status.state, FeedState::Lost { .. }) && status.staleness.is_none());
}

#[tokio::test]
async fn a_lost_feed_can_be_replaced_by_asking() {
    let issuer = Issuer::start().await;
    let verifier = following(&issuer)
        .when_feed_is_lost(LostFeed::Introspect)
        .await
        .unwrap();
    let tokens: Vec<String> = (0..200)
        .map(|n| issuer.token(&json!({ "jti": n.to_string() })))
        .collect();
    let asked = || issuer.revocations.introspections.load(Ordering::SeqCst);
    assert!(verifier.verify(&tokens[0]).await.is_ok());
    assert_eq!(asked(), 0);

    // The endpoint of the feed fails, the one for questions does not.
    let url = issuer.url.clone();
    issuer.metadata.lock().unwrap()["revocation_feed_endpoint"] = format!("{url}/nowhere").into();
    let verifier = following(&issuer)
        .when_feed_is_lost(LostFeed::Introspect)
        .build()
        .unwrap();
    assert!(verifier.verify(&tokens[0]).await.is_ok());
    assert_eq!(asked(), 1);
    // Many who ask the same at once are told by one answer, and many questions wait for their turn.
    assert!(
        join_all((0..100).map(|_| verifier.verify(&tokens[1])))
            .await
            .iter()
            .all(Result::is_ok)
    );
    assert!(asked() <= 2 + 32, "{}", asked());
    let all = join_all(tokens.iter().map(|token| verifier.verify(token))).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    assert!(issuer.revocations.most_introspections.load(Ordering::SeqCst) <= 32);

    // An answer counts for a second.
    issuer.revocations.with(|book| book.active = false);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(matches!(verifier.verify(&tokens[1]).await, Err(Error::Revoked)));
    // Who cannot be asked about anything lets nobody in.
    issuer
        .revocations
        .with(|book| book.status = Some(StatusCode::BAD_GATEWAY));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(matches!(
        verifier.verify(&tokens[1]).await,
        Err(Error::FeedLost(Some(_)))
    ));
}

#[tokio::test]
async fn credentials_that_are_refused_show_at_start_whatever_the_policy() {
    let issuer = Issuer::start().await;
    for status in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN] {
        issuer.revocations.with(|book| book.status = Some(status));
        match following(&issuer).await {
            Err(Error::FeedLost(Some(cause))) => assert!(matches!(*cause, FeedError::Refused(_)), "{cause}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn an_issuer_without_a_feed_stops_nobody_who_fails_open() {
    let issuer = Issuer::start().await;
    let endpoint = issuer
        .metadata
        .lock()
        .unwrap()
        .as_object_mut()
        .unwrap()
        .remove("revocation_feed_endpoint");
    let verifier = following(&issuer).await.unwrap();
    assert!(verifier.verify(&issuer.token(&json!({}))).await.is_ok());
    assert!(
        verifier
            .feed()
            .unwrap()
            .problem
            .unwrap()
            .contains("revocation_feed_endpoint")
    );
    // An issuer that is renewed is found out.
    issuer.metadata.lock().unwrap()["revocation_feed_endpoint"] = endpoint.unwrap();
    eventually_connected(&verifier).await;
}
