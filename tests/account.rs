//! The pages of the account over plain HTTP, without JavaScript: C020, C062, C064, C067, C068, C077, C086, C087, C092.

mod apps;
mod data;
mod devices;
mod frame;
mod mails;
mod password;
mod profile;
mod sessions;

use accounts::users::User;

use crate::harness::{Answer, Visitor, World};

/// A browser in which this person has signed in to their account.
async fn at_home<'w>(world: &'w World, user: &User) -> Visitor<'w> {
    let mut visitor = world.visitor();
    let page = visitor.open("/account").await;
    let home = visitor.sign_in(&page, user.email.shown()).await;
    assert!(home.has("<h1>Your account</h1>"), "{}", home.body);
    visitor
}

/// What the trail says about this person, as words, the oldest first.
async fn trail(world: &World, user: &User) -> Vec<String> {
    let mut conn = world.db.reader().await.expect("a connection");
    let events = events::audit::newest(1000, &mut conn).await.expect("the trail");
    let own = events
        .into_iter()
        .filter(|event| event.sub.as_deref() == Some(user.sub.as_str()));
    own.map(|event| event.kind).collect()
}

/// The values of buttons and fields of this name.
fn values(page: &Answer, name: &str) -> Vec<String> {
    let mark = format!("name=\"{name}\" value=\"");
    let found = page.body.split(&mark).skip(1);
    found
        .map(|rest| rest.split('"').next().expect("a value").to_owned())
        .collect()
}
