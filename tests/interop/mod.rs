//! Sign-in, userinfo, refresh and logout through certified libraries of other languages, each at its default settings
//! but for what a test names: openid-client (JavaScript) and Authlib (Python) against the real binary behind HTTPS.
//!
//! Each has a small app beside this file. The browser in between is the tests' own person without JavaScript, who can
//! be made to bring the app something else than what we sent: that a library refuses this shows that it looks.

mod authlib;
mod openid_client;
mod program;

use accounts::users::User;
use serde_json::{Value, json};
use url::Url;

use crate::harness::app::header;
use crate::harness::{Answer, Visitor, World};
use program::Program;

const CALLBACK: &str = "https://app.example.com/cb";
const BYE: &str = "https://app.example.com/bye";
const SCOPE: &str = "openid profile email offline_access";

/// What an app of these tests registers, and this besides.
fn metadata(more: Value) -> Value {
    let mut document = json!({
        "client_name": "Test app",
        "redirect_uris": [CALLBACK],
        "post_logout_redirect_uris": [BYE],
        "grant_types": ["authorization_code", "refresh_token"],
    });
    extend(&mut document, more);
    document
}

/// What an app is told to be, and this besides.
fn task(world: &World, more: Value) -> Value {
    let mut task = json!({ "issuer": world.issuer, "redirect_uri": CALLBACK, "bye": BYE, "scope": SCOPE });
    extend(&mut task, more);
    task
}

fn extend(document: &mut Value, more: Value) {
    let Value::Object(more) = more else {
        panic!("not an object: {more}");
    };
    document.as_object_mut().expect("an object").extend(more);
}

/// The whole way; returns what the app found.
async fn the_whole_way(world: &World, mut app: Program) -> Value {
    let user = world.user().await;
    let mut visitor = world.visitor();
    let url = app.sends().await;
    let answer = visitor.authorize(&url, user.email.shown()).await;
    app.tell(&answer.location().expect("a redirect"));

    let mut answer = visitor.open(&app.sends().await).await;
    // Only where the app could not say whose session it means: its ID token was encrypted to it.
    let asked = answer.has("id=\"logout-confirm\"");
    if asked {
        answer = visitor.decide(&answer, "sign-out").await;
    }
    let way_back = answer.location().unwrap_or_else(|| offered(&answer));
    let another = world.app().await.url(&[("prompt", "none")]);
    let silent = visitor.open(&another).await;
    assert_eq!(silent.param("error").as_deref(), Some("login_required"));
    app.tell(&way_back);

    let found = app.done().await;
    assert_found(&found, &user);
    assert_eq!(asked, id_token_alg(&found) == "ECDH-ES", "{found:#}");
    found
}

/// The way back that a page offers as a link.
fn offered(page: &Answer) -> String {
    let (_, rest) = page
        .body
        .split_once(&format!("href=\"{BYE}"))
        .unwrap_or_else(|| panic!("no way back: {}", page.body));
    format!("{BYE}{}", rest.split('"').next().expect("a part"))
}

#[track_caller]
fn assert_found(found: &Value, user: &User) {
    let email = user.email.shown();
    assert_eq!(found["sub"], user.sub.to_string(), "{found:#}");
    assert_eq!(
        (&found["email"], &found["email_again"]),
        (&json!(email), &json!(email)),
        "{found:#}"
    );
    assert_eq!(found["rotated"], true, "{found:#}");
    assert_eq!(found["bye"], BYE, "{found:#}");
    assert_eq!(found["bye_state"], true, "{found:#}");
    assert_eq!(
        found["after"], "invalid_grant",
        "a refresh token that was given back: {found:#}"
    );
}

/// Whether the app asked with PKCE.
fn challenged(found: &Value) -> bool {
    let request = found["request"].as_str().expect("a query");
    request.contains("code_challenge_method=S256") && request.contains("code_challenge=")
}

/// How the ID token that the app accepted is signed.
fn id_token_alg(found: &Value) -> Value {
    header(found["id_token"].as_str().expect("an ID token"))["alg"].clone()
}

/// What the app refuses when the browser brings another request to us, or another answer back.
async fn refused(
    world: &World,
    mut app: Program,
    request: impl FnOnce(&mut Url),
    answer: impl FnOnce(&mut Url),
) -> Value {
    let user = world.user().await;
    let mut visitor: Visitor<'_> = world.visitor();
    let mut url = Url::parse(&app.sends().await).expect("a URL");
    request(&mut url);
    let redirect = visitor.authorize(url.as_str(), user.email.shown()).await;
    let mut url = Url::parse(&redirect.location().expect("a redirect")).expect("a URL");
    answer(&mut url);
    app.tell(url.as_str());
    app.refused().await
}

/// The address with another value of this parameter.
fn other(url: &mut Url, name: &str, value: &str) {
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    assert!(pairs.iter().any(|(own, _)| own == name), "no {name}: {url}");
    let pairs = pairs.into_iter().map(|(own, old)| match own == name {
        true => (own, value.to_owned()),
        false => (own, old),
    });
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    url.set_query(Some(&query));
}

fn as_sent(_: &mut Url) {}
