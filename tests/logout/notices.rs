//! Apps told behind the browser's back: OpenID Connect Back-Channel Logout 1.0.

use std::collections::BTreeSet;

use revocation::Act;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use super::*;
use crate::harness::Installation;
use crate::harness::app::{answer, header, payload};
use crate::harness::rp::{Posted, Site};
use crate::harness::visitor;
use crate::harness::world::PASSWORD;

/// Far above what it takes to send one.
const LIMIT: Duration = Duration::from_secs(30);
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// An app that hears of logouts at this site.
async fn told_at(url: &str, world: &World) -> App {
    world
        .app_with(json!({
            "post_logout_redirect_uris": [BYE],
            "backchannel_logout_uri": url,
            "backchannel_logout_session_required": true,
        }))
        .await
}

async fn listening(site: &Site, world: &World) -> App {
    told_at(&site.put("/ended", "text/html", ""), world).await
}

/// How many notices for an app are still to be delivered.
async fn waiting(app: &App, world: &World) -> i64 {
    const OF_CLIENT: &str = "SELECT COUNT(*) FROM logout_notices WHERE client_id = $1";
    let mut conn = world.db.reader().await.expect("a connection");
    let (count,): (i64,) = db::run!(&mut conn, |c| sqlx::query_as(OF_CLIENT)
        .bind(&app.id)
        .fetch_one(c))
    .expect("a count");
    count
}

async fn nothing_waits(app: &App, world: &World) {
    let deadline = Instant::now() + LIMIT;
    while waiting(app, world).await > 0 {
        assert!(
            Instant::now() < deadline,
            "{} are left",
            waiting(app, world).await
        );
        sleep(Duration::from_millis(20)).await;
    }
}

/// The claims of a notice that is as it should be.
pub(crate) async fn claims_of(notice: &Posted, app: &App, world: &World) -> Value {
    assert_eq!(notice.content_type, "application/x-www-form-urlencoded");
    let token = notice
        .body
        .strip_prefix("logout_token=")
        .expect("the only parameter");
    assert!(!token.contains(['&', '=']), "{token}");
    let head = header(token);
    assert_eq!(
        (&head["typ"], &head["alg"]),
        (&json!("logout+jwt"), &json!("RS256"))
    );

    let jwks = world.visitor().get("/jwks").await.body;
    let keys = jws::KeySet::parse(jwks.as_bytes(), None).expect("a key set");
    let parsed = jws::Unverified::parse(token).expect("a token");
    let verdict = parsed.verify(&keys, &[jws::Alg::Rs256], jws::Typ::Is("logout+jwt"));
    assert!(verdict.is_ok(), "{:?}", verdict.err());

    let claims = payload(token);
    let names: BTreeSet<&str> = claims
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    let expected = ["iss", "sub", "aud", "iat", "exp", "jti", "sid", "events"];
    assert_eq!(names, expected.into());
    assert_eq!(claims["iss"], world.issuer.as_str());
    assert_eq!(claims["aud"], app.id.as_str());
    assert_eq!(claims["events"], json!({ EVENT: {} }));
    let number = |name: &str| claims[name].as_i64().expect("a number");
    assert!((number("iat") - world.now().as_secs()).abs() < 300);
    assert!((1..=120).contains(&(number("exp") - number("iat"))), "{claims}");
    assert!(
        claims["jti"].as_str().is_some_and(|jti| jti.len() >= 22),
        "{claims}"
    );
    claims
}

everywhere! {
    async fn c056_c065_an_app_is_told_which_session_of_whom_has_ended(world: World) {
        let site = Site::open().await;
        let (app, deaf, user) = (listening(&site, &world).await, self::app(&world).await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        visitor.authorize(&deaf.url(&[]), user.email.shown()).await;
        let elsewhere = app.grant(&world, &user, &[]).await;
        assert_eq!(site.posted().len(), 0, "nothing has ended");

        visitor.get(&logout_of(&tokens)).await.assert_leads_to(BYE);
        let told = site.await_posted(1).await;
        nothing_waits(&app, &world).await;
        assert_eq!((site.posted().len(), told[0].path.as_str()), (1, "/ended"), "once");
        let claims = claims_of(&told[0], &app, &world).await;
        assert_eq!(claims["sub"], tokens.id()["sub"]);
        assert_eq!(claims["sid"], tokens.id()["sid"]);
        assert_ne!(claims["sid"], elsewhere.id()["sid"]);
    }

    async fn every_session_of_a_browser_whose_accounts_sign_out_is_told_of(world: World) {
        let site = Site::open().await;
        let (app, one, two) = (listening(&site, &world).await, world.user().await, world.user().await);
        let (mut visitor, first) = app.sign_in(&world, &one, &[]).await;
        let redirect = visitor.add(&app, &two).await;
        let second = app.tokens(&world, &redirect).await;
        let page = visitor.open("/logout").await;
        visitor.decide(&page, "sign-out").await.assert_signed_out();

        let mut told = BTreeSet::new();
        for notice in site.await_posted(2).await {
            let claims = claims_of(&notice, &app, &world).await;
            told.insert((claims["sub"].to_string(), claims["sid"].to_string()));
        }
        let of = |tokens: &Tokens| (tokens.id()["sub"].to_string(), tokens.id()["sid"].to_string());
        assert_eq!(told, [of(&first), of(&second)].into());
    }

    async fn an_operator_who_ends_what_a_person_has_tells_of_every_session(world: World) {
        for act in [Act::DisableUser, Act::RevokeUser] {
            let site = Site::open().await;
            let (app, user) = (listening(&site, &world).await, world.user().await);
            let mut sessions = BTreeSet::new();
            // Also where nothing of the session is left but what outlives it.
            for changes in [&[][..], &OFFLINE] {
                let tokens = app.grant(&world, &user, changes).await;
                sessions.insert(tokens.id()["sid"].to_string());
            }
            world.end(act(user.sub.clone())).await;
            let mut told = BTreeSet::new();
            for notice in site.await_posted(2).await {
                told.insert(claims_of(&notice, &app, &world).await["sid"].to_string());
            }
            assert_eq!(told, sessions);
        }
    }
}

/// The sessions that these notices are about; each is as it should be, and for that person.
async fn sids(notices: &[Posted], app: &App, of: &Tokens, world: &World) -> BTreeSet<String> {
    let mut sids = BTreeSet::new();
    for notice in notices {
        let claims = claims_of(notice, app, world).await;
        assert_eq!(claims["sub"], of.id()["sub"]);
        sids.insert(claims["sid"].to_string());
    }
    sids
}

/// Two apps, two devices of one person, and a neighbour: whom what is done on the pages of the account concerns.
struct Household<'w> {
    sites: [Site; 2],
    apps: [App; 2],
    user: User,
    /// The device at which it is done: signed in to both apps.
    here: Visitor<'w>,
    at_here: [Tokens; 2],
    /// The other: signed in to both as well.
    at_there: [Tokens; 2],
}

impl<'w> Household<'w> {
    async fn of(world: &'w World) -> Self {
        let sites = [Site::open().await, Site::open().await];
        let apps = [
            listening(&sites[0], world).await,
            listening(&sites[1], world).await,
        ];
        let (user, neighbour) = (world.user().await, world.user().await);
        let [one, two] = &apps;
        let (here, at_here) = both(one, two, &user, world).await;
        let (_there, at_there) = both(one, two, &user, world).await;
        both(one, two, &neighbour, world).await;
        Self {
            sites,
            apps,
            user,
            here,
            at_here,
            at_there,
        }
    }

    /// What the apps were told, once each was told so often and nothing is left to tell.
    async fn told(&self, counts: [usize; 2], world: &World) -> [BTreeSet<String>; 2] {
        let mut told = [BTreeSet::new(), BTreeSet::new()];
        for (at, count) in counts.into_iter().enumerate() {
            let notices = self.sites[at].await_posted(count).await;
            nothing_waits(&self.apps[at], world).await;
            assert_eq!(self.sites[at].posted().len(), count, "once for each session");
            told[at] = sids(&notices, &self.apps[at], &self.at_here[at], world).await;
        }
        told
    }
}

/// One browser, signed in to both apps.
async fn both<'w>(one: &App, two: &App, user: &User, world: &'w World) -> (Visitor<'w>, [Tokens; 2]) {
    let (mut visitor, first) = one.sign_in(world, user, &[]).await;
    let redirect = visitor.authorize(&two.url(&[]), user.email.shown()).await;
    let second = two.tokens(world, &redirect).await;
    (visitor, [first, second])
}

fn sid(tokens: &Tokens) -> String {
    tokens.id()["sid"].to_string()
}

everywhere! {
    async fn access_that_is_removed_signs_the_person_out_of_that_app_on_every_device(world: World) {
        let mut home = Household::of(&world).await;
        let consent = {
            let mut conn = world.db.reader().await.expect("a connection");
            let found = grants::consents::of(&home.user.sub, &home.apps[0].id.as_str().into(), &mut conn).await;
            found.expect("the database").expect("a consent").id
        };
        let page = home.here.open(&format!("/account/apps/{consent}")).await;
        let answer = home.here.submit(&page.form()).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        let told = home.told([2, 0], &world).await;
        assert_eq!(told[0], [sid(&home.at_here[0]), sid(&home.at_there[0])].into());
        world.heard_elsewhere().await;
        for tokens in [&home.at_here, &home.at_there] {
            assert_eq!(userinfo(&world, tokens[0].access()).await.status, 401);
            assert_eq!(userinfo(&world, tokens[1].access()).await.status, 200, "the other app stays");
        }
        assert!(!home.here.open("/account").await.asks_to_sign_in(), "the person stays signed in here");
        // A second click tells nobody again.
        home.here.submit(&page.form()).await;
        home.told([2, 0], &world).await;
    }

    async fn signing_out_everywhere_else_is_told_to_the_apps_of_those_sessions_alone(world: World) {
        let mut home = Household::of(&world).await;
        let page = home.here.open("/account/sessions").await;
        let answer = home.here.submit(&page.form().with("others", "yes")).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        let told = home.told([1, 1], &world).await;
        assert_eq!(told, [[sid(&home.at_there[0])].into(), [sid(&home.at_there[1])].into()]);
        world.heard_elsewhere().await;
        assert_eq!(userinfo(&world, home.at_there[0].access()).await.status, 401);
        assert_eq!(userinfo(&world, home.at_here[0].access()).await.status, 200);
    }

    async fn an_account_that_is_to_be_deleted_is_signed_out_of_every_app_at_once(world: World) {
        let mut home = Household::of(&world).await;
        let page = home.here.open("/account/delete").await;
        let form = page.form().with("current", PASSWORD).with("email", home.user.email.shown());
        let answer = home.here.submit(&form).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        let told = home.told([2, 2], &world).await;
        for (told, (here, there)) in told.iter().zip(home.at_here.iter().zip(&home.at_there)) {
            assert_eq!(*told, [sid(here), sid(there)].into());
        }
        world.heard_elsewhere().await;
        for tokens in home.at_here.iter().chain(&home.at_there) {
            assert_eq!(userinfo(&world, tokens.access()).await.status, 401);
        }
    }
}

everywhere! {
    /// There is no sign-in by another provider yet, so nobody has a logout to tell us. What we tell apps ends nothing
    /// here either, wherever it is brought back.
    async fn c084_a_logout_token_that_comes_back_ends_nothing(world: World) {
        let site = Site::open().await;
        let (app, user) = (listening(&site, &world).await, world.user().await);
        let (mut kept, _) = app.sign_in(&world, &user, &[]).await;
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        visitor.get(&logout_of(&tokens)).await.assert_leads_to(BYE);
        let told = site.await_posted(1).await.remove(0);
        let token = told.body.strip_prefix("logout_token=").expect("a token");

        let metadata = world.visitor().get("/.well-known/openid-configuration").await.json();
        let endpoints = metadata.as_object().expect("an object").iter();
        for (name, endpoint) in endpoints.filter(|(name, _)| name.ends_with("_endpoint")) {
            let at = world.route(endpoint.as_str().expect("a URL"));
            let request = visitor::client().post(at).form(&[("logout_token", token)]);
            let answer = answer(request).await;
            assert!(answer.status.is_client_error() || answer.status.is_redirection(), "{name} {}", answer.status);
        }
        kept.open(&logout(&[("logout_token", token)])).await.assert_asks();
        let hinted = logout(&[("id_token_hint", token), ("post_logout_redirect_uri", BYE)]);
        let answer = kept.open(&hinted).await;
        assert!(answer.location().is_none(), "{:?}", answer.location());
        assert_eq!(userinfo(&world, token).await.status, 401);
        assert!(kept.is_signed_in(&app).await, "it lives");
    }
}

on_both_databases! {
    async fn c056_an_app_that_was_away_for_ten_minutes_is_told_once_it_is_back(world: World) {
        let site = Site::open().await;
        let (app, user) = (listening(&site, &world).await, world.user().await);
        site.take_away("/ended");
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        visitor.get(&logout_of(&tokens)).await.assert_leads_to(BYE);
        site.await_posted(1).await;
        for tries in 2..5 {
            world.pass(Duration::from_secs(200));
            site.await_posted(tries).await;
        }
        assert_eq!(waiting(&app, &world).await, 1);
        site.put("/ended", "text/html", "");
        world.pass(Duration::from_secs(600));
        let told = site.await_posted(5).await;
        nothing_waits(&app, &world).await;
        assert_eq!(site.posted().len(), 5);

        // Each try is another token, for whoever takes each only once.
        let mut jtis = BTreeSet::new();
        for notice in &told {
            let token = notice.body.strip_prefix("logout_token=").expect("a token");
            jtis.insert(payload(token)["jti"].to_string());
        }
        assert_eq!(jtis.len(), told.len());
        // By now the session is long gone, and the token that tells of it is of now.
        claims_of(&told[4], &app, &world).await;
    }

    async fn who_signs_out_does_not_wait_for_an_app_that_never_answers(world: World) {
        // It takes the connection and says nothing.
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("https://localhost:{}/ended", silent.local_addr().expect("bound").port());
        let site = Site::open().await;
        let (app, other, user) = (told_at(&url, &world).await, listening(&site, &world).await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        visitor.authorize(&other.url(&[]), user.email.shown()).await;
        visitor.get(&logout_of(&tokens)).await.assert_leads_to(BYE);
        assert_eq!(waiting(&app, &world).await, 1, "it has not heard");
        // Nor does the app that does answer.
        site.await_posted(1).await;
        assert_eq!(waiting(&app, &world).await, 1);
    }

    async fn an_app_is_told_although_its_approval_was_forgotten(world: World) {
        let site = Site::open().await;
        let (app, user) = (listening(&site, &world).await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        world.pass(Duration::from_secs(12 * 60 * 60));
        let now = world.now();
        let forgotten = world.db.transact(move |conn| Box::pin(async move {
            revocation::remember_clients(conn, now).await?;
            grants::approvals::forget(conn, now).await
        }));
        assert_eq!(forgotten.await.expect("the database"), 1);
        visitor.get(&logout_of(&tokens)).await.assert_leads_to(BYE);
        let told = site.await_posted(1).await;
        assert_eq!(claims_of(&told[0], &app, &world).await["sid"], tokens.id()["sid"]);
    }

    async fn nobody_is_told_where_the_app_no_longer_wants_to_hear(world: World) {
        let site = Site::open().await;
        let (app, gone, user) = (listening(&site, &world).await, listening(&site, &world).await, world.user().await);
        site.take_away("/ended");
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        visitor.authorize(&gone.url(&[]), user.email.shown()).await;
        visitor.get(&logout_of(&tokens)).await.assert_leads_to(BYE);
        site.await_posted(2).await;
        world.update(&app, json!({ "redirect_uris": [app.redirect_uri] })).await;
        world.end(Act::DeleteClient(gone.id.as_str().into())).await;
        world.pass(Duration::from_secs(600));
        nothing_waits(&app, &world).await;
        nothing_waits(&gone, &world).await;
        assert_eq!(site.posted().len(), 2);
    }

    async fn an_app_that_never_comes_back_is_given_up(world: World) {
        let site = Site::open().await;
        let (app, user) = (listening(&site, &world).await, world.user().await);
        site.take_away("/ended");
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        visitor.get(&logout_of(&tokens)).await.assert_leads_to(BYE);
        site.await_posted(1).await;
        const ALMOST: &str = "UPDATE logout_notices SET tries = 29, due_at = 0 WHERE client_id = $1";
        let id = app.id.clone();
        let aged = world.db.transact(move |conn| Box::pin(async move {
            // The row of the first try may just be about to be written back.
            db::execute!(conn, sqlx::query(ALMOST).bind(id)).map_err(db::Error::from)
        }));
        assert_eq!(aged.await.expect("the database"), 1);
        nothing_waits(&app, &world).await;
        assert_eq!(site.posted().len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c056_a_notice_outlives_the_server_that_was_to_deliver_it() {
    for database in [db::testing::sqlite_url(), db::testing::postgres_url().await] {
        let installation = Installation::on(database);
        let mut server = installation.start().await;
        let world = installation.world().await;
        let site = Site::open().await;
        let (app, user) = (listening(&site, &world).await, world.user().await);
        site.take_away("/ended");
        world.heard().await;
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        visitor.get(&logout_of(&tokens)).await.assert_leads_to(BYE);
        site.await_posted(1).await;
        server.kill_dash_nine();
        assert_eq!(waiting(&app, &world).await, 1);

        // As when the pause is over, or the lease of who was killed.
        let now = world.now().as_secs();
        let passed = world.db.transact(move |conn| {
            Box::pin(async move {
                const DUE: &str = "UPDATE logout_notices SET due_at = $1";
                db::execute!(conn, sqlx::query(DUE).bind(now)).map_err(db::Error::from)
            })
        });
        passed.await.expect("the database");
        site.put("/ended", "text/html", "");
        let _server = installation.start().await;
        let told = site.await_posted(2).await;
        nothing_waits(&app, &world).await;
        assert_eq!(claims_of(&told[1], &app, &world).await["sid"], tokens.id()["sid"]);
    }
}

#[tokio::test]
async fn the_command_line_registers_where_an_app_hears_of_a_logout() {
    let folder = tempfile::tempdir().expect("a folder");
    let client = async |arguments: &[&str]| {
        let all: Vec<&str> = ["client", "--json"].iter().chain(arguments).copied().collect();
        let ran = run(folder.path(), &all, &[], "").await;
        serde_json::from_str::<Value>(&ran.stdout).map_err(|_| ran.stderr)
    };
    let (flag, url) = ("--backchannel-logout-uri", "https://app.example.com/ended");
    let cb = "https://app.example.com/cb";
    let created = client(&["create", "--name", "A", "--redirect-uri", cb, flag, url])
        .await
        .expect("a client");
    assert_eq!(created["backchannel_logout_uri"], url);
    let id = created["client_id"].as_str().expect("an id");
    let refused = client(&["update", id, flag, "http://app.example.com/ended"]).await;
    assert!(refused.is_err_and(|text| text.contains("backchannel_logout_uri")));
    let none = client(&["update", id, flag, ""]).await.expect("a client");
    assert_eq!(none.get("backchannel_logout_uri"), None);
}
