//! Accounts by invitation: what an operator types, and what comes of it.

use std::time::Duration;

use accounts::email::Email;
use accounts::sign_ups::{self, Way};
use futures_util::future::join_all;
use http::StatusCode;
use protocol::SignUp;
use serde_json::Value;

use super::{NEW, make, user};
use crate::harness::letters::world_with;
use crate::harness::process::{Process, free_port, run};
use crate::harness::smtp::MailServer;
use crate::harness::visitor::Form;
use crate::harness::world::Own;
use crate::harness::{Letters, Visitor, World};

async fn world_by(mode: Option<SignUp>, database: db::Url) -> (World, Letters) {
    let own = Own {
        sign_up: mode,
        ..Own::default()
    };
    world_with(database, own).await
}

/// As `countersign user invite` makes it.
async fn invitation(world: &World, way: Way, address: &str) -> String {
    let (email, now) = (Email::parse(address).unwrap(), world.now());
    let made = world
        .db
        .transact(move |conn| Box::pin(async move { sign_ups::make(way, &email, None, conn, now).await }));
    let link = made.await.expect("a link");
    format!("{}/signup/account?link={}", world.issuer, link.expose())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_makes_one_account_within_a_week_where_invitations_count() {
    for database in [db::testing::sqlite_url(), db::testing::postgres_url().await] {
        let (world, letters) = world_by(Some(SignUp::Invitation), database).await;
        let handed = invitation(&world, Way::Handed, "hand@example.com").await;
        let mailed = invitation(&world, Way::Invited, "mail@example.com").await;
        let late = invitation(&world, Way::Handed, "late@example.com").await;
        let asked = invitation(&world, Way::Asked, "asked@example.com").await;
        let refused = world.visitor().get(&asked).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        assert!(refused.has("You need an invitation"), "{}", refused.body);

        world.pass(Duration::from_secs(7 * 24 * 60 * 60 - 60));
        for (link, address, verified) in [
            (&handed, "hand@example.com", false),
            (&mailed, "mail@example.com", true),
        ] {
            let mut visitor = world.visitor();
            let answer = make(&mut visitor, link, "Zoe", NEW).await;
            assert_eq!(answer.status, 303, "{}", answer.body);
            assert!(visitor.follow(answer).await.has("Your account is ready"));
            let made = user(&world, address).await.expect("an account");
            assert_eq!(
                made.email_verified, verified,
                "who is handed a link has shown nothing of the address"
            );
            assert_eq!(world.visitor().get(link).await.status, StatusCode::GONE);
        }
        world.pass(Duration::from_secs(60));
        let expired = world.visitor().get(&late).await;
        assert_eq!(expired.status, StatusCode::GONE);
        assert!(
            expired.has("This invitation has expired") && !expired.has("signup-again"),
            "{}",
            expired.body
        );
        assert_eq!(letters.settled().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_counts_where_everybody_may_come_and_not_where_nobody_may() {
    for (mode, status) in [
        (Some(SignUp::Open), StatusCode::OK),
        (None, StatusCode::FORBIDDEN),
    ] {
        let (world, _letters) = world_by(mode, db::testing::sqlite_url()).await;
        let link = invitation(&world, Way::Handed, "zoe@example.com").await;
        let page = world.visitor().get(&link).await;
        assert_eq!(page.status, status, "{}", page.body);
        assert_eq!(page.has("name=\"password\""), status == StatusCode::OK);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r07_of_many_who_use_one_invitation_at_once_one_succeeds() {
    for database in [db::testing::sqlite_url(), db::testing::postgres_url().await] {
        let (world, _letters) = world_by(Some(SignUp::Invitation), database).await;
        let link = invitation(&world, Way::Invited, "zoe@example.com").await;
        let mut forms: Vec<(Visitor<'_>, Form)> = Vec::new();
        for n in 0..20 {
            let mut visitor = world.visitor();
            let page = visitor.get(&link).await;
            forms.push((visitor, page.form().with("password", &format!("{NEW} {n}"))));
        }
        let answers = join_all(forms.iter_mut().map(|(visitor, form)| visitor.submit(form))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 303).count(), 1);
        assert!(answers.iter().all(|answer| !answer.status.is_server_error()));
    }
}

/// The whole of it as an operator has it: the command, a server, and a link that is handed over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn user_invite_hands_out_a_link_that_works_at_a_running_server() {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let issuer = format!("http://127.0.0.1:{port}");
    let environment = [
        ("COUNTERSIGN_ISSUER", issuer.as_str()),
        ("COUNTERSIGN_SIGN_UP", "invitation"),
    ];
    let process = Process::serve(folder.path(), &[], &environment, port).await;
    let file = folder.path().join("data/countersign.db");
    let database = format!("sqlite://{}", file.display()).parse().unwrap();
    let world = World::beside(&issuer, &database).await;
    let invite = async |arguments: &[&str]| {
        let all = [&["user", "invite", "--email"], arguments].concat();
        run(folder.path(), &all, &environment, "").await
    };
    let ended = invite(&["Zoe@Example.com", "--json"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(told["email"], "Zoe@example.com");
    let link = told["invitation_url"].as_str().unwrap();
    let mut visitor = world.visitor();
    let page = visitor.get("/signup").await;
    assert!(
        page.status == 403 && page.has("You need an invitation"),
        "{}",
        page.body
    );
    let answer = make(&mut visitor, link, "Zoe", NEW).await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    assert!(user(&world, "zoe@example.com").await.is_some());

    let again = invite(&["ZOE@example.com"]).await;
    assert!(
        again.code == Some(1) && again.stderr.contains("has an account"),
        "{again:?}"
    );
    let mail = invite(&["new@example.com", "--mail"]).await;
    assert!(
        mail.code == Some(1) && mail.stderr.contains("no mail is sent"),
        "{mail:?}"
    );
    let odd = invite(&["nobody"]).await;
    assert!(odd.code == Some(1) && odd.stderr.lines().count() == 1, "{odd:?}");
    let log = process.stderr();
    assert!(!log.contains("cs_ml_"), "{log}");
    let trail = events::audit::newest(100, &mut world.db.reader().await.unwrap())
        .await
        .unwrap();
    let invited: Vec<_> = trail
        .iter()
        .filter(|event| event.kind == "user.invited")
        .collect();
    assert_eq!((invited.len(), &invited[0].details["way"]), (1, &"handed".into()));
}

/// What waits is listed, and what was taken back makes no account: at the page, and at a form that was open before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_sees_who_is_invited_and_takes_invitations_back() {
    for database in [db::testing::sqlite_url(), db::testing::postgres_url().await] {
        let url = match &database {
            db::Url::Sqlite(path) => format!("sqlite://{}", path.display()),
            db::Url::Postgres(url) => url.clone(),
        };
        let (world, _letters) = world_by(Some(SignUp::Invitation), database).await;
        let folder = tempfile::tempdir().unwrap();
        let environment = [
            ("COUNTERSIGN_DATABASE_URL", url.as_str()),
            ("COUNTERSIGN_ISSUER", world.issuer.as_str()),
            ("COUNTERSIGN_SIGN_UP", "invitation"),
        ];
        let command = async |line: &str| {
            let arguments: Vec<&str> = line.split(' ').collect();
            run(folder.path(), &arguments, &environment, "").await
        };
        let json = async |line: &str| {
            let ended = command(&format!("{line} --json")).await;
            assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
            serde_json::from_str::<Value>(&ended.stdout).unwrap()
        };
        let none = command("user invitation list").await;
        assert!(
            none.code == Some(0) && none.stdout.contains("nobody is invited"),
            "{none:?}"
        );
        let one = json("user invite --email one@example.com").await;
        let two = json("user invite --email two@example.com").await;
        let list = json("user invitation list").await;
        let listed = |email: &str| {
            let mut all = list.as_array().unwrap().iter();
            all.find(|item| item["email"] == email).unwrap()
        };
        for invited in [&one, &two] {
            let item = listed(invited["email"].as_str().unwrap());
            assert_eq!(
                (&item["invitation_id"], &item["mailed"]),
                (&invited["invitation_id"], &false.into())
            );
        }
        assert!(!list.to_string().contains("cs_ml_"), "{list}");

        let (first, second) = (
            one["invitation_url"].as_str().unwrap(),
            two["invitation_url"].as_str().unwrap(),
        );
        let mut visitor = world.visitor();
        let open = visitor.get(first).await;
        let id = one["invitation_id"].as_str().unwrap();
        let told = json(&format!("user invitation withdraw {id}")).await;
        assert_eq!(told, serde_json::json!({ "invitation_id": id }));
        let late = visitor.submit(&open.form().with("password", NEW)).await;
        for answer in [late, world.visitor().get(first).await] {
            answer.assert_page(410, "This invitation was taken back");
        }
        assert!(user(&world, "one@example.com").await.is_none());
        assert_eq!(make(&mut visitor, second, "Two", NEW).await.status, 303);
        for id in [id, two["invitation_id"].as_str().unwrap(), "none"] {
            let ended = command(&format!("user invitation withdraw {id}")).await;
            assert!(ended.code == Some(1) && ended.stderr.contains(id), "{ended:?}");
        }
        assert_eq!(json("user invitation list").await, serde_json::json!([]));

        let trail = events::audit::newest(100, &mut world.db.reader().await.unwrap())
            .await
            .unwrap();
        let of = |kind: &str| {
            let events = trail.iter().filter(|event| event.kind == kind);
            events
                .map(|event| event.details["invitation_id"].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            of("user.invited"),
            [one["invitation_id"].clone(), two["invitation_id"].clone()]
        );
        assert_eq!(of("invitation.withdrawn"), [one["invitation_id"].clone()]);
        assert_eq!(of("invitation.accepted"), [two["invitation_id"].clone()]);
    }
}

/// The whole of it as an operator has it: settings, the commands, a server, a relay; and an account made by what came.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_is_mailed_through_the_operators_relay_unless_it_was_taken_back_before() {
    let relay = MailServer::open().await;
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let issuer = format!("http://127.0.0.1:{port}");
    let url = relay.url();
    let environment = [
        ("COUNTERSIGN_ISSUER", issuer.as_str()),
        ("COUNTERSIGN_SIGN_UP", "invitation"),
        ("COUNTERSIGN_MAIL_SMTP_URL", url.as_str()),
        ("COUNTERSIGN_MAIL_FROM", "Example <no-reply@example.com>"),
    ];
    let json = async |line: &str| {
        let arguments: Vec<&str> = line.split(' ').chain(["--json"]).collect();
        let ended = run(folder.path(), &arguments, &environment, "").await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
        serde_json::from_str::<Value>(&ended.stdout).unwrap()
    };
    // No server runs yet: both wait in the queue, and one is taken back.
    let kept = json("user invite --email Zoe@example.com --mail").await;
    assert_eq!(
        (&kept["email"], &kept["mailed"]),
        (&"Zoe@example.com".into(), &true.into())
    );
    assert!(
        kept.get("invitation_url").is_none(),
        "whoever invites does not see the link: {kept}"
    );
    let gone = json("user invite --email gone@example.com --mail").await;
    let list = json("user invitation list").await;
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert!(
        list.as_array().unwrap().iter().all(|item| item["mailed"] == true),
        "{list}"
    );
    json(&format!(
        "user invitation withdraw {}",
        gone["invitation_id"].as_str().unwrap()
    ))
    .await;

    let process = Process::serve(folder.path(), &[], &environment, port).await;
    let mail = relay.received(1).await.remove(0);
    assert_eq!(
        (&*mail.from, &*mail.to),
        ("no-reply@example.com", "Zoe@example.com")
    );
    assert_eq!(
        mail.head("Subject").as_deref(),
        Some("You're invited to Countersign")
    );
    let link = mail.link();
    assert!(
        link.starts_with(&format!("{issuer}/signup/account?link=cs_ml_")),
        "{link}"
    );

    let file = folder.path().join("data/countersign.db");
    let world = World::beside(&issuer, &format!("sqlite://{}", file.display()).parse().unwrap()).await;
    let mut visitor = world.visitor();
    let answer = make(&mut visitor, &link, "Zoe", NEW).await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    let made = user(&world, "zoe@example.com").await.expect("an account");
    assert!(made.email_verified, "they read the mail of it");
    assert_eq!(json("user invitation list").await, serde_json::json!([]));

    // One that is taken back after it was mailed works no more.
    let third = json("user invite --email third@example.com --mail").await;
    let link = relay.received(2).await.remove(1).link();
    json(&format!(
        "user invitation withdraw {}",
        third["invitation_id"].as_str().unwrap()
    ))
    .await;
    let page = world.visitor().get(&link).await;
    page.assert_page(410, "This invitation was taken back");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(relay.count(), 2, "nobody else was written to");
    let log = process.stderr();
    for secret in [
        "cs_ml_",
        "oe@example.com",
        "third@example.com",
        "gone@example.com",
    ] {
        assert!(!log.contains(secret), "{secret} is in the log: {log}");
    }
}
