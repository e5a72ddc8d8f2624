//! C064: every form of ours counts only when our own page sent it, in the browser that it was made for. C086: with the
//! cookies of another it does nothing either.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use accounts::users::User;

use super::{
    NEW, OFFLINE, another, app_pages, asked, assert_same, at_home, contents, enter, moving, on_both,
    password_form, unverified, values, verification,
};
use crate::harness::visitor::Form;
use crate::harness::world::PASSWORD;
use crate::harness::{Answer, Letters, Visitor, World};

/// What a form meets that came from our own origin, but with a token or a cookie that is not its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Met {
    /// 403.
    Refused,
    /// The flow is of another browser: a page says that it has expired.
    Expired,
    /// Nobody is signed in, so they are led to do that first.
    SignInFirst,
    /// The page that asks whether to sign out is shown anew.
    AskedAnew,
}

/// A form of ours, filled in so that it would do what it is for.
pub(crate) struct Row<'w> {
    pub(crate) name: &'static str,
    template: &'static str,
    pub(crate) visitor: Visitor<'w>,
    pub(crate) form: Form,
    /// With no cookies at all.
    bare: Met,
    /// With the cookies of a browser in which another person is signed in.
    of_another: Met,
    /// With the token of another page of the same browser.
    crossed: Met,
    /// Sent as it should be.
    works: u16,
}

/// Forms that are not answered by us: they go to apps, or are the demo's.
const NOT_OURS: [&str; 3] = ["leave.html", "form_post.html", "demo/home.html"];

impl<'w> Row<'w> {
    /// A form for anybody, bound to the browser.
    fn of(name: &'static str, template: &'static str, visitor: Visitor<'w>, form: Form) -> Self {
        Self {
            name,
            template,
            visitor,
            form,
            bare: Met::Refused,
            of_another: Met::Refused,
            crossed: Met::Refused,
            works: 303,
        }
    }

    /// One that goes on with a flow.
    fn in_flow(name: &'static str, template: &'static str, visitor: Visitor<'w>, form: Form) -> Self {
        Self {
            bare: Met::Expired,
            of_another: Met::Expired,
            ..Self::of(name, template, visitor, form)
        }
    }

    /// One of a page of the account.
    fn own(name: &'static str, template: &'static str, visitor: Visitor<'w>, form: Form) -> Self {
        Self {
            bare: Met::SignInFirst,
            ..Self::of(name, template, visitor, form)
        }
    }
}

fn signing_in(page: &Answer, user: &User) -> Form {
    let form = page.form().with("username", user.email.shown());
    form.with("password", PASSWORD)
}

/// Forms of the way to an app, each with a person and a browser of its own.
async fn on_the_way<'w>(world: &'w World, rows: &mut Vec<Row<'w>>) {
    let app = world.app().await;
    for (name, decision) in [("sign in to an app", None), ("cancel", Some("cancel"))] {
        let (user, mut visitor) = (world.user().await, world.visitor());
        let form = signing_in(&visitor.open(&app.url(&[])).await, &user);
        let form = match decision {
            Some(decision) => form.with("decision", decision),
            None => form,
        };
        rows.push(Row::in_flow(name, "login.html", visitor, form));
    }
    let user = world.user().await;
    let mut visitor = at_home(world, &user).await;
    let form = signing_in(&visitor.open(&app.url(&[("prompt", "login")])).await, &user);
    rows.push(Row::in_flow("sign in once more", "login.html", visitor, form));

    let mut visitor = world.visitor();
    let form = signing_in(&visitor.open("/account").await, &user);
    rows.push(Row::in_flow(
        "sign in to a page of ours",
        "login.html",
        visitor,
        form,
    ));

    let mut visitor = at_home(world, &user).await;
    let other = world.user().await;
    enter(&mut visitor, &other, PASSWORD).await;
    let page = visitor.open(&app.url(&[("prompt", "select_account")])).await;
    let form = page.form().with("account", &page.accounts()[user.email.shown()]);
    rows.push(Row::in_flow("choose an account", "choose.html", visitor, form));

    let mut visitor = at_home(world, &user).await;
    enter(&mut visitor, &other, PASSWORD).await;
    let page = visitor.open(&app.url(&[("prompt", "select_account")])).await;
    let form = page.form().with("remove", &page.accounts()[other.email.shown()]);
    rows.push(Row::in_flow("remove an account", "choose.html", visitor, form));

    for decision in ["allow", "deny"] {
        let user = world.user().await;
        let mut visitor = at_home(world, &user).await;
        let page = visitor.open(&app.url(&[])).await;
        assert!(page.asks_for_consent(), "{}", page.body);
        let form = page.form().with("decision", decision);
        rows.push(Row::in_flow(decision, "consent.html", visitor, form));
    }
    for decision in ["sign-out", "stay"] {
        let mut visitor = at_home(world, &user).await;
        let form = visitor.open("/logout").await.form().with("decision", decision);
        rows.push(Row {
            of_another: Met::AskedAnew,
            ..Row::of(decision, "sign_out.html", visitor, form)
        });
    }
}

/// Forms of recovery, sign-up and verification.
async fn by_mail<'w>(world: &'w World, letters: &Letters, rows: &mut Vec<Row<'w>>) {
    let user = unverified(world).await;
    let late = verification(world, &user, letters).await;
    world.pass(Duration::from_secs(30 * 60));
    let mut visitor = world.visitor();
    let form = visitor.get(&late).await.form();
    rows.push(Row::of("another link", "account/dead_link.html", visitor, form));
    let link = verification(world, &user, letters).await;
    let mut visitor = world.visitor();
    let form = visitor.get(&link).await.form();
    rows.push(Row::of(
        "confirm an address",
        "account/verify.html",
        visitor,
        form,
    ));

    let new = format!("zoe-{}", user.email.shown());
    for (path, address, [ask, again]) in [
        (
            "/recover",
            user.email.shown(),
            ["account/recover.html", "account/sent.html"],
        ),
        (
            "/signup",
            &new,
            ["account/sign_up.html", "account/sign_up_sent.html"],
        ),
    ] {
        let mut visitor = world.visitor();
        let form = visitor.get(path).await.form().with("username", address);
        let mut patient = world.visitor();
        let sent = patient.open(path).await.form().with("username", address);
        let sent = patient.submit(&sent).await;
        let sent = patient.follow(sent).await;
        let sent = sent.form();
        assert_eq!(sent.value("username"), address);
        rows.push(Row::of(path, ask, visitor, form));
        rows.push(Row::of("ask again", again, patient, sent));
    }
    let link = asked(&mut world.visitor(), "/recover", user.email.shown(), letters).await;
    let mut visitor = world.visitor();
    let form = visitor.get(&link).await.form().with("password", NEW);
    rows.push(Row::of("recover", "account/password.html", visitor, form));
    let moved = world.user().await;
    let mut owner = at_home(world, &moved).await;
    let link = moving(&mut owner, &another(&moved), PASSWORD, letters).await;
    let form = owner.open(&link).await.form();
    assert_eq!(owner.submit(&form).await.status, 303);
    letters.newest_link(moved.email.shown(), 1).await;
    let link = asked(&mut world.visitor(), "/recover", moved.email.shown(), letters).await;
    let mut visitor = world.visitor();
    let form = visitor.get(&link).await.form().with("password", NEW);
    rows.push(Row::of("take back", "account/take_back.html", visitor, form));
    let link = asked(&mut world.visitor(), "/signup", &new, letters).await;
    let mut visitor = world.visitor();
    let form = visitor
        .get(&link)
        .await
        .form()
        .with("name", "Zoe")
        .with("password", NEW);
    rows.push(Row::of(
        "make an account",
        "account/sign_up_account.html",
        visitor,
        form,
    ));
}

/// Forms of the account, each of a person of its own.
async fn of_the_account<'w>(world: &'w World, letters: &Letters, rows: &mut Vec<Row<'w>>) {
    let user = world.user().await;
    let mut visitor = at_home(world, &world.user().await).await;
    enter(&mut visitor, &user, PASSWORD).await;
    let page = visitor.open("/account/switch").await;
    let form = page.form().with("account", &values(&page, "account")[0]);
    rows.push(Row::own("switch", "account/own/switch.html", visitor, form));
    let mut visitor = at_home(world, &world.user().await).await;
    enter(&mut visitor, &user, PASSWORD).await;
    let page = visitor.open("/account/switch").await;
    let form = page.form().with("remove", &values(&page, "remove")[0]);
    let remove = "remove from the browser";
    rows.push(Row::own(remove, "account/own/switch.html", visitor, form));

    for (name, field) in [("end a session", "session"), ("end the others", "others")] {
        let user = world.user().await;
        let mut visitor = at_home(world, &user).await;
        at_home(world, &user).await;
        let page = visitor.open("/account/sessions").await;
        let form = page
            .form()
            .with(field, values(&page, field).last().expect("a button"));
        rows.push(Row::own(name, "account/own/devices.html", visitor, form));
    }

    let mut visitor = at_home(world, &world.user().await).await;
    let page = visitor.open("/account/sessions").await;
    let form = page.form().with("device", &values(&page, "device")[0]);
    let form = form.with("name", "Kitchen");
    rows.push(Row::own(
        "name a device",
        "account/own/devices.html",
        visitor,
        form,
    ));

    let (user, app) = (world.user().await, world.app().await);
    app.grant(world, &user, OFFLINE).await;
    let mut visitor = at_home(world, &user).await;
    let path = app_pages(&mut visitor).await.remove(0);
    let form = visitor.open(&path).await.form();
    rows.push(Row::own("remove an app", "account/own/app.html", visitor, form));

    let mut visitor = at_home(world, &world.user().await).await;
    let form = password_form(&mut visitor, NEW).await;
    rows.push(Row::own(
        "another password",
        "account/own/password.html",
        visitor,
        form,
    ));

    let mut visitor = at_home(world, &world.user().await).await;
    let form = visitor
        .open("/account/profile")
        .await
        .form()
        .with("nickname", "Lex");
    rows.push(Row::own("profile", "account/own/profile.html", visitor, form));

    let user = world.user().await;
    let mut visitor = at_home(world, &user).await;
    let page = visitor.open("/account/email").await;
    let form = page
        .form()
        .with("email", &another(&user))
        .with("current", PASSWORD);
    rows.push(Row::own(
        "another address",
        "account/own/email.html",
        visitor,
        form,
    ));

    let user = world.user().await;
    let mut visitor = at_home(world, &user).await;
    let link = moving(&mut visitor, &another(&user), PASSWORD, letters).await;
    let form = visitor.open(&link).await.form();
    rows.push(Row::own(
        "confirm another address",
        "account/own/confirm_email.html",
        visitor,
        form,
    ));

    let mut visitor = at_home(world, &world.user().await).await;
    let form = visitor.open("/account/export").await.form();
    rows.push(Row {
        works: 200,
        ..Row::own("export", "account/own/data.html", visitor, form)
    });

    for is_done in [false, true] {
        let user = world.user().await;
        let mut visitor = at_home(world, &user).await;
        let form = visitor.open("/account/delete").await.form();
        let form = form.with("email", user.email.shown()).with("current", PASSWORD);
        let row = match is_done {
            false => Row::own("delete", "account/own/delete.html", visitor, form),
            true => {
                assert_eq!(visitor.submit(&form).await.status, 303);
                // Sent again it says what the first said, to nobody but the browser that sent that.
                Row {
                    crossed: Met::SignInFirst,
                    ..Row::own("delete, once more", "account/own/delete.html", visitor, form)
                }
            }
        };
        rows.push(row);
    }
}

/// Every form of ours, filled in, each in a browser of its own.
pub(crate) async fn all_forms<'w>(world: &'w World, letters: &Letters) -> Vec<Row<'w>> {
    let mut rows = Vec::new();
    by_mail(world, letters, &mut rows).await;
    on_the_way(world, &mut rows).await;
    of_the_account(world, letters, &mut rows).await;
    rows
}

fn assert_met(what: &str, met: Met, answer: &Answer) {
    let location = answer.location().unwrap_or_default();
    let is_met = match met {
        Met::Refused => answer.status == 403 && answer.has("Request rejected"),
        Met::Expired => answer.status == 400 && answer.has("This sign-in request has expired"),
        Met::SignInFirst => answer.status == 303 && location.starts_with("/login?flow="),
        Met::AskedAnew => answer.status == 303 && location.starts_with("/logout"),
    };
    assert!(
        is_met,
        "{what}: {met:?}, but {} {location} {}",
        answer.status, answer.body
    );
    for cookie in answer.headers.get_all("set-cookie") {
        let cookie = cookie.to_str().expect("a readable cookie");
        assert!(cookie.starts_with("cs_flow_"), "{what}: {cookie}");
    }
}

on_both! {
    async fn c064_c086_no_form_of_ours_does_anything_unless_our_page_sent_it_in_its_own_browser(world: World, letters: Letters) {
        let mut rows = all_forms(&world, &letters).await;
        let found = templates_with_forms();
        let named: BTreeSet<&str> = rows.iter().map(|row| row.template).chain(NOT_OURS).collect();
        assert_eq!(named, found.keys().map(String::as_str).collect(), "every form is in the table");
        for (template, forms) in found.iter().filter(|(template, _)| !NOT_OURS.contains(&template.as_str())) {
            let in_table = rows.iter().filter(|row| row.template == template).count();
            assert!(in_table >= *forms, "{template} has {forms} forms, and {in_table} are in the table");
        }

        let eve = world.user().await;
        let evil = at_home(&world, &eve).await.cookies;
        letters.settled().await;
        let issuer = world.issuer.clone();
        let own = [("origin", issuer.as_str())];
        let foreign: &[&[(&str, &str)]] = &[
            &[],
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
            &[("origin", "http://127.0.0.1:9")],
            &[("sec-fetch-site", "cross-site"), own[0]],
            &[("sec-fetch-site", "same-site"), own[0]],
            &[("sec-fetch-site", "none"), own[0]],
            &[own[0], ("origin", "https://evil.example")],
        ];
        for row in &mut rows {
            let before = contents(&world).await;
            let cookies = row.visitor.cookies.clone();
            for headers in foreign {
                let answer = row.visitor.submit_from(&row.form, headers).await;
                assert_met(&format!("{} with {headers:?}", row.name), Met::Refused, &answer);
            }
            let other = if row.form.action.ends_with("/recover") { "/signup" } else { "/recover" };
            let crossed = row.visitor.get(other).await.form();
            let token = row.form.value("csrf").to_owned();
            let altered = format!("{}{}", if token.starts_with('A') { "B" } else { "A" }, &token[1..]);
            for wrong in ["", "x", &altered, crossed.value("csrf")] {
                let answer = row.visitor.submit(&row.form.clone().with("csrf", wrong)).await;
                assert_met(&format!("{} with the token {wrong:?}", row.name), row.crossed, &answer);
                row.visitor.cookies = cookies.clone();
            }
            let answer = row.visitor.submit(&row.form.clone().without("csrf")).await;
            assert_met(&format!("{} without a token", row.name), row.crossed, &answer);
            for (cookies, met) in [(BTreeMap::new(), row.bare), (evil.clone(), row.of_another)] {
                let mut stranger = world.visitor();
                stranger.cookies = cookies;
                let answer = stranger.submit_from(&row.form, &[("origin", "https://evil.example")]).await;
                assert_met(&format!("{} of a stranger elsewhere", row.name), Met::Refused, &answer);
                let answer = stranger.submit(&row.form).await;
                assert_met(&format!("{} of a stranger", row.name), met, &answer);
            }
            row.visitor.cookies = cookies;
            assert_same(row.name, &before, &contents(&world).await);
        }
        // The measure is a good one: each of them would have done what it is for.
        for row in &mut rows {
            let answer = row.visitor.submit(&row.form).await;
            assert_eq!(answer.status, row.works, "{}: {}", row.name, answer.body);
            let location = answer.location().unwrap_or_default();
            assert!(!location.starts_with("/login"), "{}: {location}", row.name);
        }
    }
}

/// The templates that have a form which is sent by POST.
fn templates_with_forms() -> BTreeMap<String, usize> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../templates");
    let mut found = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the templates") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a template");
            let name = path.strip_prefix(&root).expect("a template of ours");
            let name = name.to_string_lossy().into_owned();
            let forms = text.matches("<form").count();
            if forms > 0 {
                found.insert(name, forms);
            }
        }
    }
    found
}
