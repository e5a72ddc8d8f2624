//! The same for what people do themselves: recovery, sign-up, verification, the account.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::ground::{Draft, cookies};
use super::{CALLERS, assert_still_serves, call};
use crate::harness::dice::Dice;
use crate::harness::{Letters, World};
use crate::lines::forms::all_forms;

/// On each database.
const REQUESTS: usize = 24_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c102_bent_requests_at_the_pages_of_people_meet_no_failure_and_no_panic() {
    for database in [db::testing::sqlite_url(), db::testing::postgres_url().await] {
        let (world, letters) = crate::lines::open(database).await;
        let drafts = ground(&world, &letters).await;
        let mut dice = Dice::new(0xC102 + 2);
        let callers = (0..CALLERS).map(|_| {
            let caller = call(world.router(), drafts.clone(), REQUESTS / CALLERS, dice.split());
            tokio::spawn(caller)
        });
        let mut met: BTreeMap<u16, usize> = BTreeMap::new();
        for caller in join_all(callers).await {
            for (status, count) in caller.expect("no failure") {
                *met.entry(status).or_default() += count;
            }
        }
        eprintln!("{met:?}");
        assert_eq!(met.values().sum::<usize>(), REQUESTS);
        // Deep enough: pages that want something else typed, links that are dead, things that are not there.
        for status in [200, 303, 400, 403, 404, 405, 410, 413] {
            assert!(met.contains_key(&status), "no {status}: {met:?}");
        }
        assert_still_serves(&world).await;
    }
}

/// Every form of ours, and every page, with cookies that are alive.
async fn ground(world: &World, letters: &Letters) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for row in all_forms(world, letters).await {
        let path = row
            .form
            .action
            .strip_prefix(world.issuer.as_str())
            .unwrap_or(&row.form.action);
        let jar = cookies(&row.visitor);
        let mut draft = Draft::post(path, &[])
            .with(&jar)
            .with(&("origin", world.issuer.clone()));
        draft.form = Some(row.form.fields.clone());
        drafts.push(draft);
        // The page behind it, with what it carries.
        let mut page = Draft::get(path, &[]).with(&jar);
        let carried = ["link", "flow"];
        page.query = row
            .form
            .fields
            .into_iter()
            .filter(|(name, _)| carried.contains(&name.as_str()))
            .collect();
        drafts.push(page);
        let pages: &[&str] = match row.name {
            // Who is signed in sees all of these; who is not is led to that.
            "switch" | "profile" => &[
                "/account",
                "/account/apps",
                "/account/activity",
                "/account/export",
                "/account/deleted",
                "/.well-known/change-password",
            ],
            "/recover" => &[
                "/recover/sent",
                "/recover/done",
                "/verify/sent",
                "/verify/done",
                "/account",
            ],
            "/signup" => &[
                "/signup/sent",
                "/signup/done",
                "/account/apps/x",
                "/account/email/confirm",
            ],
            _ => &[],
        };
        let queries = [
            ("before", "0"),
            ("sent", "1"),
            ("done", "1"),
            ("other", "1"),
            ("to", "x"),
            ("flow", "x"),
        ];
        for path in pages {
            let queries = queries.map(|(name, value)| (name, value.to_owned()));
            drafts.push(Draft::get(path, &queries).with(&jar));
        }
    }
    drafts
}
