//! Lines of the security checklist that hold for every page of ours alike, each in one table: C061 to C064, C066 to C068,
//! C073, C076 to C078, C086, C087.

mod changes;
mod corpora;
mod echo;
pub(crate) mod forms;
mod mailed;
mod owners;
mod steps;

use std::collections::BTreeMap;

use account::{Mails, Outbox};
use accounts::email::Email;
use accounts::users::{self, User};
use protocol::SignUp;

use crate::harness::letters::world_with;
use crate::harness::visitor::Form;
use crate::harness::world::{Own, PASSWORD};
use crate::harness::{Answer, Letters, Visitor, World};

const NEW: &str = "another horse, another battery";
const OFFLINE: &[(&str, &str)] = &[("scope", "openid offline_access")];

/// Mail is sent, and everybody may make an account.
pub(crate) async fn open(database: db::Url) -> (World, Letters) {
    let own = Own {
        sign_up: Some(SignUp::Open),
        ..Own::default()
    };
    world_with(database, own).await
}

/// On each database in turn.
macro_rules! on_both {
    ($($(#[$meta:meta])* async fn $name:ident($world:ident: World, $letters:ident: Letters) $body:block)+) => {$(
        $(#[$meta])*
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            for database in [db::testing::sqlite_url(), db::testing::postgres_url().await] {
                let ($world, $letters) = $crate::lines::open(database).await;
                $body
            }
        }
    )+};
}
use on_both;

/// A browser in which this person has signed in to their account.
async fn at_home<'w>(world: &'w World, user: &User) -> Visitor<'w> {
    let mut visitor = world.visitor();
    enter(&mut visitor, user, PASSWORD).await;
    visitor
}

/// Signs in to the account, whoever else is signed in there.
async fn enter(visitor: &mut Visitor<'_>, user: &User, password: &str) {
    let page = visitor.open("/account/switch?other=1").await;
    let home = visitor.sign_in_with(&page, user.email.shown(), password).await;
    assert!(home.has("<h1>Your account</h1>"), "{}", home.body);
    assert!(home.has(user.email.shown()), "{}", home.body);
}

async fn unverified(world: &World) -> User {
    world.user_with(|draft| draft.email_verified = Some(false)).await
}

async fn reload(world: &World, user: &User) -> User {
    let mut conn = world.db.reader().await.expect("a connection");
    let user = users::by_sub(&user.sub, &mut conn).await.expect("the database");
    user.expect("the user")
}

async fn by_address(world: &World, address: &str) -> Option<User> {
    let mut conn = world.db.reader().await.expect("a connection");
    let email = Email::parse(address).expect("an address");
    users::by_email(&email, &mut conn).await.expect("the database")
}

fn another(user: &User) -> String {
    user.email.shown().replace("alex-", "new-")
}

/// Asks at `/recover` or `/signup`, and says what link came of it.
async fn asked(visitor: &mut Visitor<'_>, path: &str, address: &str, letters: &Letters) -> String {
    let before = letters.links(address);
    let page = visitor.open(path).await;
    let answer = visitor.submit(&page.form().with("username", address)).await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    letters.newest_link(address, before + 1).await
}

/// As `countersign user verify` does.
async fn verification(world: &World, user: &User, letters: &Letters) -> String {
    let before = letters.links(user.email.shown());
    let outbox = Outbox::new(world.keyring().clone(), Mails::Counted);
    let (sub, now) = (user.sub.clone(), world.now());
    let queued = world
        .db
        .transact(move |conn| Box::pin(async move { outbox.verify(&sub, "en", conn, now).await }));
    queued.await.expect("a queued mail");
    letters.newest_link(user.email.shown(), before + 1).await
}

/// Whoever is signed in wants this address; says what link came to it.
async fn moving(visitor: &mut Visitor<'_>, address: &str, password: &str, letters: &Letters) -> String {
    let before = letters.links(address);
    let page = visitor.open("/account/email").await;
    let form = page.form().with("email", address).with("current", password);
    let answer = visitor.submit(&form).await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    letters.newest_link(address, before + 1).await
}

/// The form that changes the password, filled in; apps stay.
async fn password_form(visitor: &mut Visitor<'_>, new: &str) -> Form {
    let page = visitor.open("/account/password").await;
    page.form().with("current", PASSWORD).with("password", new)
}

/// The pages of the apps that a person allowed.
async fn app_pages(visitor: &mut Visitor<'_>) -> Vec<String> {
    let page = visitor.open("/account/apps").await;
    let links = page.body.split("class=\"row row-app\" href=\"").skip(1);
    let links = links.map(|rest| rest.split('"').next().expect("a path").to_owned());
    links.collect()
}

/// The values of buttons and fields of this name.
fn values(page: &Answer, name: &str) -> Vec<String> {
    let mark = format!("name=\"{name}\" value=\"");
    let found = page.body.split(&mark).skip(1);
    found
        .map(|rest| rest.split('"').next().expect("a value").to_owned())
        .collect()
}

/// The value of the cookie whose name has this word.
fn cookie(visitor: &Visitor<'_>, word: &str) -> Option<String> {
    let found = visitor.cookies.iter().find(|(name, _)| name.contains(word));
    found.map(|(_, value)| value.clone())
}

fn expect_home(page: &Answer, user: &User) {
    assert!(
        page.has("<h1>Your account</h1>") && page.has(user.email.shown()),
        "{}",
        page.body
    );
}

/// Every row of every table, as text.
async fn contents(world: &World) -> BTreeMap<String, String> {
    let tables = world.row_counts().await;
    let mut conn = world.db.reader().await.expect("a connection");
    let mut contents = BTreeMap::new();
    for (table, _) in tables {
        let statement = match conn.is_postgres() {
            true => format!("SELECT COALESCE(string_agg(t::text, ';' ORDER BY t::text), '') FROM {table} t"),
            false => {
                let columns = sqlx::AssertSqlSafe(format!("SELECT name FROM pragma_table_info('{table}')"));
                let names: Vec<(String,)> =
                    db::run!(&mut conn, |c| sqlx::query_as(columns).fetch_all(c)).expect("the columns");
                let quoted: Vec<String> = names
                    .into_iter()
                    .map(|(name,)| format!("quote({name})"))
                    .collect();
                let row = quoted.join("||','||");
                format!(
                    "SELECT COALESCE(group_concat(x, ';'), '') FROM (SELECT {row} AS x FROM {table} ORDER BY 1)"
                )
            }
        };
        let statement = sqlx::AssertSqlSafe(statement);
        let (text,): (String,) =
            db::run!(&mut conn, |c| sqlx::query_as(statement).fetch_one(c)).expect("the rows");
        contents.insert(table, text);
    }
    contents
}

/// Fails with the tables that are not as they were.
#[track_caller]
fn assert_same(what: &str, before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) {
    let changed: Vec<_> = after
        .iter()
        .filter(|(table, rows)| before.get(*table) != Some(rows))
        .collect();
    assert!(changed.is_empty(), "{what} changed {changed:#?}");
}
