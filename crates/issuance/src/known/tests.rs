use std::time::Instant;

use clients::{Client, Directory, Keys, Metadata, Recipients, Trust, records};
use db::testing::{both, postgres_url, sqlite_url};
use db::{Conn, execute};
use events::Context;
use jws::Meant;
use keyring::{Keyring, MasterKey, Policy};
use protocol::{Issuer, Scope};

use super::*;
use crate::{Bearer, Gate, Proof, Refused, Target};

/// Far above what it takes on a loaded machine: whoever reaches it never hears.
const LIMIT: Duration = Duration::from_secs(20);
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const LATER: Timestamp = Timestamp::from_secs(1_800_000_000 + 15 * 60);

/// A process, as far as it judges and mints, and clients that act for themselves.
struct Scene {
    db: Database,
    known: Known,
    gate: Gate,
    bearer: Bearer,
}

impl Scene {
    async fn new(db: &Database, changes: Watcher) -> Self {
        let keyring = Keyring::open(db, MasterKey::ephemeral(), Policy::default(), NOW);
        let keyring = keyring.await.unwrap();
        let directory = Directory::open(db, changes.clone()).await.unwrap();
        let keys = Keys::new(egress::Egress::new(Default::default()).unwrap());
        let recipients = Recipients {
            clients: directory,
            keys,
            vault: crate::vault(&keyring),
        };
        let known = Known::open(db, changes).await.unwrap();
        tokio::spawn(known.clone().follow());
        let issuer = Issuer::parse("https://id.example.com").unwrap();
        Self {
            db: db.clone(),
            gate: Gate::new(
                db.clone(),
                keyring.clone(),
                recipients,
                known.clone(),
                issuer.clone(),
            ),
            bearer: Bearer::new(db.clone(), keyring, known.clone(), issuer),
            known,
        }
    }

    async fn client(&self) -> Client {
        let client = Client::new(ClientId::random(), Trust::Trusted, Metadata::default(), NOW);
        let own = client.clone();
        write(&self.db, move |conn| {
            Box::pin(async move { records::insert(&own, &Context::server(), conn).await })
        })
        .await;
        client
    }

    async fn mint(&self, client: &Client) -> Result<(ApprovalId, String), protocol::Error> {
        let granted = (Scope::default(), Target::default());
        let entitlement = self.gate.for_itself(client, granted, NOW).await?;
        let approval = entitlement.approval.id.clone();
        Ok((approval, self.gate.sign(entitlement).await?.access_token))
    }

    async fn believes(&self, token: &str) -> bool {
        match self
            .bearer
            .judge(token, Meant::Anyone, Proof::NotAsked, NOW)
            .await
        {
            Ok(_) => true,
            Err(Refused::Ended | Refused::Revoked) => false,
            Err(other) => panic!("{other:?}"),
        }
    }
}

async fn write<F>(db: &Database, work: F)
where
    F: for<'c> FnOnce(&'c mut Conn) -> db::BoxFuture<'c, db::Result<()>> + Send + 'static,
{
    db.transact(work).await.unwrap();
}

#[derive(Clone, Copy)]
enum Told {
    /// As every act does it.
    ByRecord,
    /// Behind the server's back: what shows whether it asked the database.
    ToNobody,
}

async fn end(db: &Database, id: &ApprovalId, told: Told) {
    const END: &str = "UPDATE approvals SET ended_at = 1 WHERE approval_id = $1";
    let id = id.clone();
    write(db, move |conn| {
        Box::pin(async move {
            execute!(conn, sqlx::query(END).bind(id.as_str()))?;
            match told {
                Told::ByRecord => revocations::approvals_ended(&[(id, LATER)], conn, NOW).await,
                Told::ToNobody => Ok(()),
            }
        })
    })
    .await;
}

#[tokio::test]
async fn a_finding_needs_no_database_until_what_it_is_about_ends() {
    both(|db| async move {
        let scene = Scene::new(&db, Watcher::start(&db).await.unwrap()).await;
        let (client, other) = (scene.client().await, scene.client().await);
        let (approval, token) = scene.mint(&client).await.unwrap();
        let (others, others_token) = scene.mint(&other).await.unwrap();
        assert!(scene.believes(&token).await && scene.believes(&others_token).await);
        end(&db, &approval, Told::ToNobody).await;
        assert!(scene.believes(&token).await, "the database was asked");
        assert_eq!(scene.mint(&client).await.unwrap().0, approval);

        // An act of this process is seen at once, and by what it concerns.
        end(&db, &others, Told::ByRecord).await;
        assert!(!scene.believes(&others_token).await);
        assert_ne!(scene.mint(&other).await.unwrap().0, others);
        let heard = async {
            while scene.known.current().is_none() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(LIMIT, heard).await.unwrap();
        let found = scene.known.standing(&client.id, client.generation);
        assert_eq!(
            found.map(|standing| standing.id),
            Some(approval),
            "all was forgotten"
        );
    })
    .await;
}

#[tokio::test]
async fn every_kind_of_record_is_obeyed_at_once() {
    both(|db| async move {
        let scene = Scene::new(&db, Watcher::start(&db).await.unwrap()).await;
        for kind in Kind::ALL {
            let client = scene.client().await;
            let (approval, token) = scene.mint(&client).await.unwrap();
            assert!(scene.believes(&token).await);
            let claims = scene.bearer.read(&token, Meant::Anyone, NOW).unwrap();
            let kid = jws::Unverified::parse(&token).unwrap().kid().unwrap().to_owned();
            write(&db, move |conn| {
                Box::pin(async move {
                    match kind {
                        Kind::Approval => revocations::approvals_ended(&[(approval, LATER)], conn, NOW).await,
                        Kind::Client => revocations::client_ended(&claims.client_id, 2, LATER, conn).await,
                        Kind::Token => revocations::token_ended(&claims.jti, LATER, conn).await,
                        Kind::Key => revocations::key_withdrawn(&kid, LATER, conn).await,
                    }
                })
            })
            .await;
            assert!(!scene.believes(&token).await, "{kind}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_another_process_ends_is_heard_of() {
    for url in [sqlite_url(), postgres_url().await] {
        let db = Database::connect(&url).await.unwrap();
        db.migrate().await.unwrap();
        let scene = Scene::new(&db, Watcher::start(&db).await.unwrap()).await;
        let other = Database::connect(&url).await.unwrap();
        for _ in 0..3 {
            let (approval, token) = scene.mint(&scene.client().await).await.unwrap();
            assert!(scene.believes(&token).await);
            end(&other, &approval, Told::ByRecord).await;
            let answered = Instant::now();
            while scene.believes(&token).await {
                assert!(answered.elapsed() < LIMIT, "never heard of");
                sleep(Duration::from_millis(1)).await;
            }
        }
    }
}

#[tokio::test]
async fn what_no_record_names_makes_everything_forgotten() {
    both(|db| async move {
        let scene = Scene::new(&db, Watcher::start(&db).await.unwrap()).await;
        let (approval, token) = scene.mint(&scene.client().await).await.unwrap();
        assert!(scene.believes(&token).await);
        end(&db, &approval, Told::ToNobody).await;
        write(&db, |conn| Box::pin(revocations::without_record(conn))).await;
        assert!(!scene.believes(&token).await);
    })
    .await;
}

#[test]
fn who_has_heard_nothing_for_a_second_asks_the_database() {
    let ears = tokio::runtime::Runtime::new().unwrap();
    let own = tokio::runtime::Runtime::new().unwrap();
    let url = own.block_on(postgres_url());
    let db = own.block_on(Database::connect(&url)).unwrap();
    own.block_on(db.migrate()).unwrap();
    // One who listens on another connection, and then not any more.
    let changes = ears.block_on(async {
        let db = Database::connect(&url).await.unwrap();
        Watcher::start(&db).await.unwrap()
    });
    own.block_on(async {
        let scene = Scene::new(&db, changes).await;
        let (approval, token) = scene.mint(&scene.client().await).await.unwrap();
        assert!(scene.believes(&token).await);
        end(&db, &approval, Told::ToNobody).await;
        assert!(scene.believes(&token).await, "the database was asked");
        ears.shutdown_background();
        sleep(SILENCE + Duration::from_millis(200)).await;
        assert!(!scene.believes(&token).await);
    });
}

#[tokio::test]
async fn a_finding_of_before_an_end_is_not_kept_after_it() {
    both(|db| async move {
        let scene = Scene::new(&db, Watcher::start(&db).await.unwrap()).await;
        let before = scene.known.before();
        scene.known.held().forget(None, before.0 + 1);
        let standing = Standing {
            id: ApprovalId::random(),
            client_generation: 1,
            created_at: NOW,
        };
        scene.known.keep_standing("late".into(), standing.clone(), before);
        let now = scene.known.before();
        scene.known.keep_standing("in time".into(), standing, now);
        let mut held = scene.known.held();
        assert!(held.standing.get(&ClientId::from("late")).is_none());
        assert!(held.standing.get(&ClientId::from("in time")).is_some());
    })
    .await;
}
