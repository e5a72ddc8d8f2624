//! Many requests at one instant for the same thing: single use, rotation and double clicks under C027 and C104, mailed
//! links and names under R07 and R09.

mod accounts;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use grants::families::Presented;

use crate::harness::app::{Tokens, userinfo};
use crate::harness::wire::Crowd;
use crate::harness::{Answer, Visitor, World};

/// Requests of one burst, all of them in flight at once.
const PARALLEL: usize = 1000;
const ROUNDS: usize = 5;
/// Clicks of an impatient person.
const CLICKS: usize = 32;

const OFFLINE: &[(&str, &str)] = &[("scope", "openid offline_access")];

everywhere! {
    async fn c104_of_a_thousand_redemptions_of_one_code_one_succeeds_and_its_tokens_end(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = world.visitor();
        let redirect = visitor.authorize(&app.url(OFFLINE), user.email.shown()).await;
        let bystander = app.tokens(&world, &redirect).await;

        let mut crowd = Crowd::gather(&world, PARALLEL).await;
        for round in 1..=ROUNDS {
            let redirect = visitor.authorize(&app.url(OFFLINE), user.email.shown()).await;
            let code = redirect.param("code").expect("a code");
            let mut answers = crowd.ask(&app.redemption(&code)).await;
            let expected = [("200".to_owned(), 1), ("400 invalid_grant".to_owned(), PARALLEL - 1)];
            assert_eq!(tally(&answers), expected.into(), "round {round}");

            answers.retain(|answer| answer.status == 200);
            let won = Tokens { body: answers[0].json() };
            assert_eq!(userinfo(&world, won.access()).await.status, 401, "round {round}");
            let refreshed = app.refresh(&world, won.refresh()).await;
            assert_eq!(outcome(&refreshed), "400 invalid_grant", "round {round}");
        }
        // The replays ended what came of their codes and nothing else.
        assert_eq!(userinfo(&world, bystander.access()).await.status, 200);
        assert_eq!(app.refresh(&world, bystander.refresh()).await.status, 200);
    }

    async fn c027_a_thousand_refreshes_of_one_token_get_the_same_successor(world: World) {
        let (app, user) = (world.public_app().await, world.user().await);
        let redirect = world.visitor().authorize(&app.url(OFFLINE), user.email.shown()).await;
        let tokens = app.tokens(&world, &redirect).await;
        let mut current = tokens.refresh().to_owned();
        assert_eq!(generation(&world, &current).await, 1);

        let mut crowd = Crowd::gather(&world, PARALLEL).await;
        for round in 1..=ROUNDS {
            let answers = crowd.ask(&app.refreshing(&current)).await;
            assert_eq!(tally(&answers), [("200".to_owned(), PARALLEL)].into(), "round {round}");

            let tokens: Vec<Tokens> = answers.iter().map(|answer| Tokens { body: answer.json() }).collect();
            let successors: BTreeSet<&str> = tokens.iter().map(Tokens::refresh).collect();
            assert_eq!(successors.len(), 1, "round {round}");
            let access: BTreeSet<&str> = tokens.iter().map(Tokens::access).collect();
            assert_eq!(access.len(), PARALLEL, "each has an access token of its own");

            current = tokens[0].refresh().to_owned();
            let presented = Presented::parse(&current).expect("a refresh token");
            assert_eq!(presented.generation, round as i64 + 1);
            assert_eq!(generation(&world, &current).await, presented.generation, "round {round}");
            assert_eq!(userinfo(&world, tokens[PARALLEL - 1].access()).await.status, 200, "round {round}");
        }
    }

    async fn a_consent_sent_by_many_clicks_is_one_approval_and_one_redirect(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = world.visitor();
        let page = visitor.open(&app.url(OFFLINE)).await;
        let page = visitor.sign_in(&page, user.email.shown()).await;
        let form = page.form().with("decision", "allow");

        let clicks = (0..CLICKS).map(|_| {
            let (mut twin, form) = (twin(&visitor), form.clone());
            async move {
                let answer = twin.submit(&form).await;
                twin.follow(answer).await
            }
        });
        let redirects = join_all(clicks).await;
        let places: BTreeSet<Option<String>> = redirects.iter().map(Answer::location).collect();
        assert_eq!(places.len(), 1, "{places:?}");
        for table in ["approvals", "consents"] {
            assert_eq!(rows_of(&world, table, &app.id).await, 1, "{table}");
        }
        app.tokens(&world, &redirects[0]).await;
    }

    async fn sign_ins_of_one_browser_at_one_instant_all_succeed(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = world.visitor();
        visitor.authorize(&app.url(&[]), user.email.shown()).await;
        let page = visitor.open(&app.url(&[("prompt", "login")])).await;
        let form = page.form().with("username", user.email.shown()).with("password", crate::harness::world::PASSWORD);

        let clicks = (0..CLICKS).map(|_| {
            let (mut twin, form) = (twin(&visitor), form.clone());
            async move {
                let answer = twin.submit(&form).await;
                assert_eq!(answer.status, 303, "{}", answer.body);
                twin
            }
        });
        let twins = join_all(clicks).await;
        let mut names = BTreeSet::new();
        for mut twin in twins {
            names.insert(browser_cookie(&twin));
            let redirect = twin.get(&app.url(&[("prompt", "none")])).await;
            assert!(redirect.param("code").is_some(), "{:?}", redirect.location());
        }
        assert_eq!(names.len(), CLICKS, "no cookie is given twice");

        // The cookie from before the sign-ins names nobody any more.
        assert!(!names.contains(&browser_cookie(&visitor)));
        let redirect = visitor.get(&app.url(&[("prompt", "none")])).await;
        assert_eq!(redirect.param("error").as_deref(), Some("login_required"));
    }
}

/// Another tab of the same browser.
fn twin<'w>(visitor: &Visitor<'w>) -> Visitor<'w> {
    let mut twin = visitor.elsewhere();
    twin.cookies.clone_from(&visitor.cookies);
    twin
}

fn browser_cookie(visitor: &Visitor<'_>) -> String {
    let mut cookies = visitor.cookies.iter();
    let (_, value) = cookies
        .find(|(name, _)| name.contains("cs_browser"))
        .expect("a signed-in browser");
    value.clone()
}

/// How many answers there were of each kind.
fn tally(answers: &[Answer]) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for answer in answers {
        *tally.entry(outcome(answer)).or_default() += 1;
    }
    tally
}

/// The status, and the error code when there is one.
fn outcome(answer: &Answer) -> String {
    let status = answer.status.as_str();
    match answer.status.is_success() {
        true => status.to_owned(),
        false => format!("{status} {}", answer.json()["error"].as_str().unwrap_or_default()),
    }
}

/// The generation that the family of a refresh token stands at.
async fn generation(world: &World, refresh_token: &str) -> i64 {
    let presented = Presented::parse(refresh_token).expect("a refresh token");
    let mut conn = world.db.reader().await.expect("a connection");
    let row: (i64,) = db::run!(&mut conn, |c| sqlx::query_as(
        "SELECT generation FROM families WHERE family_id = $1"
    )
    .bind(presented.family_id.as_str())
    .fetch_one(c))
    .expect("the family");
    row.0
}

async fn rows_of(world: &World, table: &str, client_id: &str) -> i64 {
    let count = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table} WHERE client_id = $1"));
    let mut conn = world.db.reader().await.expect("a connection");
    let row: (i64,) =
        db::run!(&mut conn, |c| sqlx::query_as(count).bind(client_id).fetch_one(c)).expect("a count");
    row.0
}
