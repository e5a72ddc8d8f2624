//! `user import` every night beside a server at which people sign in.

use accounts::email::Email;
use accounts::users::{self, User};
use serde_json::{Value, json};

use crate::harness::process::run;
use crate::harness::{Visitor, World};

/// crypt_blowfish's tests: of "U*U", and of "U*U*".
const FIRST: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
const SECOND: &str = "$2b$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK";
const OWN: &str = "another horse, another battery";

async fn john(world: &World) -> User {
    let mut conn = world.db.reader().await.expect("a connection");
    let email = Email::parse("john@example.com").expect("an address");
    let found = users::by_email(&email, &mut conn).await.expect("the database");
    found.expect("an imported user")
}

/// Whether somebody comes in with this password, in a browser of their own.
async fn signed_in<'w>(world: &'w World, password: &str) -> Option<Visitor<'w>> {
    let mut visitor = world.visitor();
    let page = visitor.open("/account").await;
    let home = visitor.sign_in_with(&page, "john@example.com", password).await;
    home.has("<h1>Your account</h1>").then_some(visitor)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_runs_every_night_signs_nobody_out_and_takes_no_password_back() {
    for database in [db::testing::sqlite_url(), db::testing::postgres_url().await] {
        let url = match &database {
            db::Url::Sqlite(path) => format!("sqlite://{}", path.display()),
            db::Url::Postgres(url) => url.clone(),
        };
        let world = World::on(database).await;
        let folder = tempfile::tempdir().unwrap();
        let import = async |hash: &str| {
            let record = json!({ "email": "john@example.com", "password_hash": hash });
            std::fs::write(folder.path().join("people.json"), record.to_string()).unwrap();
            let environment = [("COUNTERSIGN_DATABASE_URL", url.as_str())];
            let ended = run(
                folder.path(),
                &["user", "import", "people.json", "--json"],
                &environment,
                "",
            )
            .await;
            assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
            let told: Value = serde_json::from_str(&ended.stdout).unwrap();
            assert_eq!(told["has_password"], true);
            told["password_kept"]
                .as_bool()
                .expect("whether the password was kept")
        };

        assert!(!import(FIRST).await);
        assert!(!import(FIRST).await, "nobody has changed it");
        let mut own = signed_in(&world, "U*U").await.expect("the imported password");
        let rehashed = john(&world).await;
        assert!(
            rehashed
                .password_hash
                .as_ref()
                .unwrap()
                .as_str()
                .starts_with("$argon2id$")
        );
        for _ in 0..2 {
            assert!(import(FIRST).await);
            assert_eq!(john(&world).await, rehashed);
            assert!(
                own.open("/account").await.has("<h1>Your account</h1>"),
                "still signed in"
            );
        }

        // A password that its owner chose outlives the file that does not know of it.
        let page = own.open("/account/password").await;
        let form = page.form().with("current", "U*U").with("password", OWN);
        let answer = own.submit(&form).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        assert!(import(FIRST).await);
        assert!(
            own.open("/account").await.has("<h1>Your account</h1>"),
            "still signed in"
        );
        assert!(signed_in(&world, "U*U").await.is_none());
        assert!(signed_in(&world, OWN).await.is_some());

        // Another hash is another password: everybody is out, once.
        assert!(!import(SECOND).await);
        assert!(own.open("/account").await.asks_to_sign_in());
        assert!(signed_in(&world, OWN).await.is_none());
        let mut own = signed_in(&world, "U*U*").await.expect("the new password");
        assert!(import(SECOND).await);
        assert!(
            own.open("/account").await.has("<h1>Your account</h1>"),
            "still signed in"
        );
        // People read it as well.
        let record = json!({ "email": "john@example.com", "password_hash": SECOND });
        let environment = [("COUNTERSIGN_DATABASE_URL", url.as_str())];
        let ended = run(
            folder.path(),
            &["user", "import", "-"],
            &environment,
            &record.to_string(),
        )
        .await;
        assert!(
            ended
                .stdout
                .ends_with("  john@example.com  updated, password kept\n"),
            "{ended:?}"
        );
    }
}
