//! C107: whoever hangs up in the middle of a request or of its answer leaves nothing half done.

use std::time::Duration;

use futures_util::future::join_all;
use grants::codes;
use grants::families::Presented;
use tokio::time::sleep;

use crate::harness::dice::Dice;
use crate::harness::wire::{HangUp, Wire};
use crate::harness::{App, World};

/// Half of them with codes, half with refresh tokens.
const HANG_UPS: usize = 1000;
const PEERS: usize = 20;
const EACH: usize = HANG_UPS / 2 / PEERS;

/// Fewer bytes than any answer that grants has: whoever waits for more than there is hangs up too late.
const LONGEST_READ: usize = 1000;
/// Longer than what one request writes takes, also on a loaded machine.
const SETTLED: Duration = Duration::from_millis(500);

const OFFLINE: &[(&str, &str)] = &[("scope", "openid offline_access")];

on_both_databases! {
    async fn c107_five_hundred_hang_ups_leave_each_code_unclaimed_or_with_its_family(world: World) {
        let app = world.app().await;
        let mut dice = Dice::new(0xC107);
        let peers = (0..PEERS).map(|_| leave_with_codes(&world, &app, dice.split()));
        let codes: Vec<String> = join_all(peers).await.into_iter().flatten().collect();
        assert_eq!(codes.len(), HANG_UPS / 2);
        let states = settled(&world, &codes).await;

        let claimed = states.iter().filter(|state| state.claimed).count();
        assert!(claimed > 50 && codes.len() - claimed > 50, "only {claimed} were claimed, or all");
        let mut wire = Wire::connect(world.origin()).await.expect("a connection");
        for (code, state) in codes.iter().zip(states) {
            let (minted, family) = (state.minted, state.family_generation);
            assert_eq!((minted, family), (state.claimed, state.claimed.then_some(1)), "a half state");
            let again = wire.exchange(&app.redemption(code)).await.expect("an answer");
            let expected = if state.claimed { 400 } else { 200 };
            assert_eq!(again.status, expected, "{}", again.body);
        }
    }

    async fn c107_five_hundred_hang_ups_never_lose_a_refresh_token(world: World) {
        let app = world.public_app().await;
        let mut dice = Dice::new(0xC107 + 1);
        let peers = (0..PEERS).map(|_| leave_with_refresh_tokens(&world, &app, dice.split()));
        let moved_unseen: usize = join_all(peers).await.into_iter().sum();
        assert!(moved_unseen > 0, "no answer was ever lost");
    }
}

/// Hangs up once with each of many codes.
async fn leave_with_codes(world: &World, app: &App, mut dice: Dice) -> Vec<String> {
    let user = world.user().await;
    let mut visitor = world.visitor();
    let mut codes = Vec::new();
    for _ in 0..EACH {
        let redirect = visitor.authorize(&app.url(OFFLINE), user.email.shown()).await;
        let code = redirect.param("code").expect("a code");
        leave_midway(world, &app.redemption(&code), &mut dice).await;
        codes.push(code);
    }
    codes
}

/// Hangs up again and again with the newest refresh token that was ever read, and now and then reads the answer.
/// Says how often the family had moved on without the answer being seen.
async fn leave_with_refresh_tokens(world: &World, app: &App, mut dice: Dice) -> usize {
    let user = world.user().await;
    let redirect = world
        .visitor()
        .authorize(&app.url(OFFLINE), user.email.shown())
        .await;
    let mut known = app.tokens(world, &redirect).await.refresh().to_owned();
    let mut wire = Wire::connect(world.origin()).await.expect("a connection");
    let mut moved_unseen = 0;
    for turn in 1..=EACH {
        leave_midway(world, &app.refreshing(&known), &mut dice).await;
        if turn == EACH || dice.one_in(3) {
            let before = generation(world, &known).await;
            let answer = wire.exchange(&app.refreshing(&known)).await.expect("an answer");
            assert_eq!(answer.status, 200, "after {turn} hang-ups: {}", answer.body);
            let next = answer.json()["refresh_token"]
                .as_str()
                .expect("a refresh token")
                .to_owned();
            let (old, new) = (presented(&known).generation, presented(&next).generation);
            assert_eq!(new, old + 1, "one step, however often it was asked for");
            moved_unseen += usize::from(before == new);
            known = next;
        }
    }
    moved_unseen
}

/// Sends some of a request, or all of it and reads some of the answer; then is gone.
async fn leave_midway(world: &World, request: &[u8], dice: &mut Dice) {
    let how = if dice.one_in(2) {
        HangUp::Close
    } else {
        HangUp::Reset
    };
    let mut wire = Wire::connect(world.origin()).await.expect("a connection");
    // The server may have closed first: that is its right.
    let _ = match dice.below(3) {
        0 => wire.send(&request[..dice.below(request.len())]).await,
        1 => {
            let sent = wire.send(request).await;
            sleep(Duration::from_micros(dice.below(10_000) as u64)).await;
            sent
        }
        _ => match wire.send(request).await {
            Ok(()) => wire.read_up_to(dice.below(LONGEST_READ)).await,
            Err(error) => Err(error),
        },
    };
    wire.hang_up(how);
}

#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
struct State {
    claimed: bool,
    /// Whether an access token of it may be alive.
    minted: bool,
    family_generation: Option<i64>,
}

/// The state of each code once nothing moves any more.
async fn settled(world: &World, codes: &[String]) -> Vec<State> {
    let mut states = states(world, codes).await;
    loop {
        sleep(SETTLED).await;
        let later = self::states(world, codes).await;
        if later == states {
            return states;
        }
        states = later;
    }
}

async fn states(world: &World, codes: &[String]) -> Vec<State> {
    const STATE: &str = "SELECT k.claimed_at IS NOT NULL AS claimed, a.access_until > a.created_at AS minted, \
        f.generation AS family_generation \
        FROM codes k JOIN approvals a ON a.approval_id = k.approval_id \
        LEFT JOIN families f ON f.approval_id = k.approval_id WHERE k.approval_id = $1";
    let mut conn = world.db.reader().await.expect("a connection");
    let mut states = Vec::with_capacity(codes.len());
    for code in codes {
        let approval = codes::claimed_approval(code).expect("a code");
        let state = db::run!(&mut conn, |c| sqlx::query_as(STATE)
            .bind(approval.as_str())
            .fetch_one(c));
        states.push(state.expect("the row of a code"));
    }
    states
}

/// The generation that the family of a refresh token stands at.
async fn generation(world: &World, refresh_token: &str) -> i64 {
    let mut conn = world.db.reader().await.expect("a connection");
    let row: (i64,) = db::run!(&mut conn, |c| sqlx::query_as(
        "SELECT generation FROM families WHERE family_id = $1"
    )
    .bind(presented(refresh_token).family_id.as_str())
    .fetch_one(c))
    .expect("the family");
    row.0
}

fn presented(refresh_token: &str) -> Presented {
    Presented::parse(refresh_token).expect("a refresh token")
}
