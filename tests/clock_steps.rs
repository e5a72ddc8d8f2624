//! C110: the clock is set an hour forward or back, and right again. What has ended stays ended, and what lives is
//! there when the clock is right.

use std::time::Duration;

use countersign::background;
use revocation::Act;

use crate::harness::app::userinfo;
use crate::harness::{Answer, Visitor, World};

const HOUR: i64 = 3600;
const OFFLINE: &[(&str, &str)] = &[("scope", "openid offline_access")];

on_both_databases! {
    async fn c110_a_clock_that_steps_an_hour_and_back_revives_nothing_and_kills_nothing_for_good(world: World) {
        let app = world.app().await;
        for step in [HOUR, -HOUR] {
            let user = world.user().await;
            let (mut visitor, kept) = app.sign_in(&world, &user, OFFLINE).await;
            let grant = async || app.grant(&world, &user, OFFLINE).await;
            let (ended, returned) = (grant().await, grant().await);
            let [used, unused, early] = {
                let mut codes = Vec::new();
                for _ in 0..3 {
                    codes.push(visitor.get(&app.url(OFFLINE)).await.code());
                }
                <[String; 3]>::try_from(codes).expect("three")
            };
            let leaver = world.user().await;
            let (mut gone, other) = app.sign_in(&world, &leaver, &[]).await;
            world.end(Act::EndSession(world.sessions(&leaver).await.remove(0))).await;
            assert_eq!(app.redeem(&world, &used).await.status, 200);
            assert_eq!(app.revoke(&world, ended.refresh()).await.status, 200);
            assert_eq!(app.revoke(&world, returned.access()).await.status, 200);

            let nothing_revived = async |gone: &mut Visitor<'_>| {
                app.refresh(&world, ended.refresh()).await.assert_refusal(400, "invalid_grant");
                for token in [ended.access(), returned.access(), other.access()] {
                    assert_eq!(userinfo(&world, token).await.status, 401, "{step}");
                }
                gone.get(&app.url(&[("prompt", "none"), ("scope", "openid")])).await.assert_error("login_required");
            };

            world.step(step);
            clean_up(&world).await;
            nothing_revived(&mut gone).await;
            // Sessions and refresh tokens live for days: an hour is nothing to them, in either direction.
            assert!(visitor.get(&app.url(&[("prompt", "none"), ("scope", "openid")])).await.param("code").is_some());
            let moved = refreshed(&app.refresh(&world, kept.refresh()).await);
            // Shorter lives follow the clock: by more than its leeway nothing is believed that is not of now.
            assert_eq!(userinfo(&world, kept.access()).await.status, 401, "{step}");
            let redeemed = app.redeem(&world, &early).await;
            assert_eq!(redeemed.status, if step > 0 { 400 } else { 200 }, "{}", redeemed.body);

            world.step(-step);
            clean_up(&world).await;
            nothing_revived(&mut gone).await;
            app.redeem(&world, &used).await.assert_refusal(400, "invalid_grant");
            assert_eq!(userinfo(&world, kept.access()).await.status, 200, "{step}");
            let moved = refreshed(&app.refresh(&world, &moved).await);
            refreshed(&app.refresh(&world, &moved).await);
            let redeemed = app.redeem(&world, &unused).await;
            assert_eq!(redeemed.status, 200, "{step}: {}", redeemed.body);
            assert!(visitor.get(&app.url(&[("prompt", "none"), ("scope", "openid")])).await.param("code").is_some());
        }
    }

    async fn c110_what_is_past_is_deleted_once_no_step_of_the_clock_could_bring_it_back(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        app.grant(&world, &user, &[]).await;
        let count = async || {
            let rows = world.row_counts().await;
            let of = |name: &str| rows.iter().find(|(table, _)| table == name).expect("a table").1;
            (of("approvals"), of("browsers"))
        };
        let before = count().await;
        world.pass(Duration::from_secs(40 * 24 * 60 * 60));
        clean_up(&world).await;
        assert_eq!(count().await, (before.0 - 1, before.1 - 1));
    }
}

/// As it happens every minute.
async fn clean_up(world: &World) {
    background::forget(&world.db, world.now())
        .await
        .expect("the database");
}

fn refreshed(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["refresh_token"]
        .as_str()
        .expect("a refresh token")
        .to_owned()
}
