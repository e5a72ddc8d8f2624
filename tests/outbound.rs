//! Where apps send the server by what they register: C050 to C053. Each member with a URL is put to the test, also one
//! that is added tomorrow.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clients::registrations::quota::Hours;
use registry::{Admission, Terms};
use revocation::Act;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::harness::app::{answer, post};
use crate::harness::rp::{self, Key, asserted, assertion};
use crate::harness::world::Own;
use crate::harness::{App, World, visitor};

/// Far above what any of it takes.
const LIMIT: Duration = Duration::from_secs(30);

/// A port of this machine, and how often anybody came.
struct Trap {
    url: String,
    came: Arc<AtomicUsize>,
}

impl Trap {
    async fn set() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let came = Arc::new(AtomicUsize::new(0));
        let counted = came.clone();
        let url = url(&listener);
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { url, came }
    }
}

fn url(listener: &TcpListener) -> String {
    format!(
        "https://localhost:{}/x",
        listener.local_addr().expect("bound").port()
    )
}

/// A server that may go to `localhost`, or one that may not.
async fn world(may_go_home: bool) -> World {
    let mut egress = rp::egress();
    if !may_go_home {
        egress.private_hosts.clear();
    }
    let own = Own {
        egress: Some(egress),
        registration: Some(Terms {
            admission: Admission::Open,
            hours: Hours::Free,
            ..Terms::default()
        }),
        ..Own::default()
    };
    World::sqlite_with(own).await
}

/// The members of a registration that hold URLs.
fn members() -> BTreeSet<&'static str> {
    let source = include_str!("../crates/clients/src/metadata.rs");
    let fields = source
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("pub ")?.split_once(':'));
    let names = fields.map(|(name, _)| name);
    names
        .filter(|name| name.ends_with("_uri") || name.ends_with("_uris"))
        .collect()
}

/// Registers this URL as this member, and does what has the server ask it, if anything has. Whether it would.
async fn lead(member: &str, url: &str, world: &World) -> bool {
    match member {
        "jwks_uri" => drop(ask_by_keys_at(url, world).await),
        "request_uris" => drop(ask_by_request_at(url, world).await),
        "sector_identifier_uri" => drop(ask_by_sector_at(url, world).await),
        "logo_uri" => {
            let app = world.app_with(json!({ "logo_uri": url })).await;
            const TRIES: &str = "SELECT tries FROM client_logos WHERE client_id = $1";
            tried_twice(TRIES, &app, world).await;
        }
        "backchannel_logout_uri" => {
            let app = world.app_with(json!({ "backchannel_logout_uri": url })).await;
            let user = world.user().await;
            app.grant(world, &user, &[]).await;
            let session = world.sessions(&user).await.remove(0);
            world.end(Act::EndSession(session)).await;
            const TRIES: &str = "SELECT tries FROM logout_notices WHERE client_id = $1";
            tried_twice(TRIES, &app, world).await;
        }
        // Only browsers ever go there.
        "redirect_uris" | "post_logout_redirect_uris" => {
            sign_in_and_out(json!({ member: [url], "redirect_uris": [url] }), world).await;
            return false;
        }
        "client_uri" | "policy_uri" | "tos_uri" | "frontchannel_logout_uri" | "initiate_login_uri" => {
            sign_in_and_out(json!({ member: url, "redirect_uris": [url] }), world).await;
            return false;
        }
        // A name in certificates.
        "tls_client_auth_san_uri" => {
            let method = "tls_client_auth";
            let app = world
                .app_with(json!({ "token_endpoint_auth_method": method, member: url }))
                .await;
            assert!(world.visitor().open(&app.url(&[])).await.asks_to_sign_in());
            return false;
        }
        other => panic!("{other} is new: say here what has the server ask it, or that nothing does"),
    }
    true
}

async fn ask_by_keys_at(url: &str, world: &World) -> String {
    let metadata = json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": url });
    let app = world.app_with(metadata).await;
    let claims = assertion(&app.id, &world.issuer, world.now().as_secs(), &json!({}));
    let mut params = asserted(Key::new("ES256").sign(&claims)).to_vec();
    params.push(("grant_type", "refresh_token".to_owned()));
    params.push(("refresh_token", "none".to_owned()));
    let answer = post(world, "/token", &[], &params).await;
    answer.assert_refusal(401, "invalid_client");
    answer.body
}

async fn ask_by_request_at(url: &str, world: &World) -> String {
    let app = world.app_with(json!({ "request_uris": [url] })).await;
    let asked = app.url(&[("request_uri", url), ("prompt", "none")]);
    let answer = world.visitor().get(&asked).await;
    answer.assert_error("invalid_request_uri");
    answer.param("error_description").expect("a description")
}

async fn ask_by_sector_at(url: &str, world: &World) -> String {
    let document = json!({
        "redirect_uris": ["https://app.example.com/cb"], "subject_type": "pairwise", "sector_identifier_uri": url,
    });
    let answer = answer(visitor::client().post(world.at("/register")).json(&document)).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    answer.body
}

async fn sign_in_and_out(metadata: Value, world: &World) {
    let (app, user) = (world.app_with(metadata).await, world.user().await);
    let (mut visitor, _) = app.sign_in(world, &user, &[]).await;
    let page = visitor.open("/logout").await;
    let page = visitor.decide(&page, "sign-out").await;
    assert!(page.has("Signed out"), "{}", page.body);
}

/// Waits until the second try, by which the first is over.
async fn tried_twice(tries_of: &'static str, app: &App, world: &World) {
    for most in [1, 2] {
        let deadline = Instant::now() + LIMIT;
        loop {
            let mut conn = world.db.reader().await.expect("a connection");
            let tries: Option<(i64,)> = db::run!(&mut conn, |c| sqlx::query_as(tries_of)
                .bind(&app.id)
                .fetch_optional(c))
            .expect("a row");
            if tries.is_some_and(|(tries,)| tries >= most) {
                break;
            }
            assert!(Instant::now() < deadline, "{tries:?} of {most}");
            sleep(Duration::from_millis(20)).await;
        }
        world.pass(Duration::from_secs(600));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c050_c053_no_member_of_a_registration_leads_into_our_network() {
    let (open, guarded) = (world(true).await, world(false).await);
    for member in members() {
        // That the trap would snap shows first.
        let trap = Trap::set().await;
        let leads = lead(member, &trap.url, &open).await;
        assert_eq!(trap.came.load(Ordering::SeqCst) > 0, leads, "{member}");

        let trap = Trap::set().await;
        lead(member, &trap.url, &guarded).await;
        assert_eq!(trap.came.load(Ordering::SeqCst), 0, "{member}");
    }
}

/// Ports of a host on the public internet are known to everybody; those of ours are not. The cause is what is looked
/// at: nobody was asked, so no answer can be late or another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c052_an_open_a_closed_and_a_silent_port_of_our_network_look_the_same() {
    let world = world(false).await;
    let open = Trap::set().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let closed = url(&TcpListener::bind("127.0.0.1:0").await.expect("a port"));
    let (mut answers, mut times) = ([(); 3].map(|()| BTreeSet::new()), Vec::new());
    for url in [&open.url, &closed, &url(&silent)] {
        let began = Instant::now();
        let told = [
            ask_by_keys_at(url, &world).await,
            ask_by_request_at(url, &world).await,
            ask_by_sector_at(url, &world).await,
        ];
        times.push(began.elapsed());
        for (answers, told) in answers.iter_mut().zip(told) {
            answers.insert(told);
        }
    }
    assert!(answers.iter().all(|all| all.len() == 1), "{answers:?}");
    // One that was waited for would take five seconds.
    assert!(
        times.iter().all(|time| *time < Duration::from_secs(4)),
        "{times:?}"
    );
    assert_eq!(open.came.load(Ordering::SeqCst), 0);
}

/// Clients whose id is the URL of a document about them are not built: then such an id is that of nobody, and nobody is
/// asked who it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c055_a_client_id_that_is_a_url_is_nobody_and_nothing_is_fetched() {
    let (world, trap) = (world(true).await, Trap::set().await);
    let metadata = world.visitor().get("/.well-known/openid-configuration").await;
    assert!(!metadata.has("client_id_metadata_document_supported"));
    let app = App {
        id: trap.url.clone(),
        secret: None,
        redirect_uri: trap.url.clone(),
    };
    world.visitor().open(&app.url(&[])).await.assert_rejected();
    for path in ["/token", "/par", "/revoke"] {
        let mut params = app.request();
        params.extend([
            ("grant_type", "refresh_token".to_owned()),
            ("refresh_token", "none".to_owned()),
            ("token", "none".to_owned()),
        ]);
        let answer = post(&world, path, &[], &params).await;
        answer.assert_refusal(401, "invalid_client");
    }
    assert_eq!(trap.came.load(Ordering::SeqCst), 0);
}
