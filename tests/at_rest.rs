//! What a thief of the database finds: C047, C048, and the first half of C113.

pub(crate) mod loot;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use protocol::SigningAlg;
use protocol::opaque::{self, Kind};

use self::loot::{Loot, Sealed, Vault};
use crate::harness::world::PASSWORD;
use crate::harness::{Installation, World};

const OFFLINE: &[(&str, &str)] = &[("scope", "openid profile email offline_access")];

async fn both() -> [db::Url; 2] {
    [db::testing::sqlite_url(), db::testing::postgres_url().await]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c047_c048_a_stolen_database_holds_no_credential_and_no_key() {
    for database in both().await {
        let installation = Installation::on(database);
        let _server = installation.start().await;
        let world = installation.world().await;
        let (mut secrets, digest) = use_everything(&world).await;
        secrets.push((
            "a secret that signs".to_owned(),
            signing_secret(&installation).await,
        ));
        let vault = Vault::open(&installation, &world).await;
        let loot = Loot::take(&installation, &world).await;

        // The loot is all there is: what may be in it, is.
        for known in [digest, "@example.com".to_owned(), vault.kids[0].clone()] {
            assert!(loot.holds(known.as_bytes()), "{known} should be stored");
        }
        for (name, secret) in secrets.iter().chain(&vault.secrets) {
            for form in forms(secret) {
                assert!(!loot.holds(&form), "{name} is stored as {}", form.escape_ascii());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c047_a_sealed_key_opens_under_its_own_key_purpose_and_row_only() {
    for database in both().await {
        let installation = Installation::on(database);
        let mut server = installation.start().await;
        let vault = Vault::open(&installation, &installation.world().await).await;
        let [first, second, ..] = &vault.sealed[..] else {
            panic!("too little is sealed")
        };
        assert!(first.open(&vault.master, &first.purpose, &first.row).is_ok());
        for (key, purpose, row) in [
            (seal::Key::random(), first.purpose.as_str(), first.row.as_str()),
            (vault.master.clone(), "another purpose", &first.row),
            (vault.master.clone(), &first.purpose, &second.row),
        ] {
            assert!(first.open(&key, purpose, row).is_err(), "{purpose} {row}");
        }
        server.terminate().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c047_a_server_refuses_to_start_on_ciphertexts_that_changed_places() {
    for database in both().await {
        let installation = Installation::on(database);
        let mut server = installation.start().await;
        server.terminate().await;
        let rotated = installation.run(&["keys", "rotate", "--alg", "ES256"]).await;
        assert_eq!(rotated.code, Some(0), "{rotated:?}");

        let world = installation.world().await;
        let vault = Vault::open(&installation, &world).await;
        let secrets: Vec<&Sealed> = vault.sealed.iter().filter(|it| it.is_purpose_secret()).collect();
        let keys: Vec<&Sealed> = vault
            .sealed
            .iter()
            .filter(|it| it.alg.as_deref() == Some("ES256"))
            .collect();
        // Of one kind and length: nothing but the place tells them apart.
        for pair in [secrets, keys] {
            let [one, other, ..] = pair[..] else {
                panic!("not two of a kind")
            };
            exchange(&world, one, other).await;
            let ended = installation.run(&["serve"]).await;
            assert_eq!(ended.code, Some(1), "{ended:?}");
            assert!(
                ended.stderr.contains("does not open under the master key"),
                "{ended:?}"
            );
            restore(&world, one, other).await;
            installation.start().await.terminate().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c113_two_fresh_installations_share_no_secret_and_know_nobody() {
    let mut met = BTreeSet::new();
    for database in both().await {
        let installation = Installation::on(database);
        let _server = installation.start().await;
        let world = installation.world().await;
        let vault = Vault::open(&installation, &world).await;
        assert_eq!(
            vault.secrets.len(),
            1 + SigningAlg::ALL.len() + jose::Family::ALL.len() + keyring::Purpose::ALL.len()
        );
        for (name, secret) in vault.secrets {
            assert!(met.insert(secret), "{name} is not new");
        }
        for kid in vault.kids {
            assert!(met.insert(kid.into_bytes()), "a key is not new");
        }
        for (table, rows) in world.row_counts().await {
            let nobody = [
                "users",
                "clients",
                "client_secrets",
                "resource_servers",
                "sessions",
            ];
            assert!(
                !nobody.contains(&table.as_str()) || rows == 0,
                "{table} has {rows} rows"
            );
        }
    }
}

/// The whole way of an app and a person. Answers with every secret that was on it, by name, and with the stored
/// form of one of them.
async fn use_everything(world: &World) -> (Vec<(String, Vec<u8>)>, String) {
    let (app, user) = (world.app().await, world.user().await);
    let mut visitor = world.visitor();
    let redirect = visitor.authorize(&app.url(OFFLINE), user.email.shown()).await;
    let code = redirect.param("code").expect("a code");
    let tokens = app.tokens(world, &redirect).await;
    let refreshed = app.refresh(world, tokens.refresh()).await.json();
    let unused = visitor.authorize(&app.url(OFFLINE), user.email.shown()).await;
    let secret = app.secret.as_ref().expect("a confidential app").expose();

    let mut secrets = vec![("the password".to_owned(), PASSWORD.into())];
    let opaque = [
        (Kind::ClientSecret, secret.to_owned()),
        (Kind::AuthorizationCode, code),
        (Kind::AuthorizationCode, unused.param("code").expect("a code")),
        (Kind::RefreshToken, tokens.refresh().to_owned()),
        (
            Kind::RefreshToken,
            refreshed["refresh_token"].as_str().expect("a token").to_owned(),
        ),
    ];
    let cookies = visitor
        .cookies
        .iter()
        .filter(|(name, _)| name.starts_with("cs_browser"));
    let browser = cookies.map(|(_, value)| (Kind::Browser, value.clone()));
    for (kind, text) in opaque.into_iter().chain(browser) {
        let payload = opaque::decode(kind, &text).expect("a value of ours");
        // The last 256 bits are the secret; what stands before them may name a row.
        secrets.push((
            format!("the secret of a {kind:?}"),
            payload[payload.len() - 32..].to_vec(),
        ));
        secrets.push((format!("a {kind:?}"), text.into_bytes()));
    }
    for jwt in [tokens.access(), tokens.text("id_token")] {
        let signature = jwt.rsplit('.').next().expect("three parts");
        secrets.push(("the signature of a token".to_owned(), signature.into()));
    }
    for (name, value) in &visitor.cookies {
        secrets.push((format!("the cookie {name}"), value.clone().into_bytes()));
    }
    assert!(
        secrets.len() >= 17,
        "a cookie is missing: {:?}",
        visitor.cookies.keys()
    );
    (secrets, seal::digest(secret))
}

/// That of a client which signs with it: the database has more of it than its digest.
async fn signing_secret(installation: &Installation) -> Vec<u8> {
    let create = [
        "client",
        "create",
        "--name",
        "Signs",
        "--redirect-uri",
        "https://a.test/cb",
        "--json",
    ];
    let created = installation
        .run(&[&create[..], &["--auth-method", "client_secret_jwt"]].concat())
        .await;
    assert_eq!(created.code, Some(0), "{created:?}");
    let created: serde_json::Value = serde_json::from_str(&created.stdout).expect("JSON");
    let secret = created["client_secret"].as_str().expect("a secret").to_owned();
    let payload = opaque::decode(Kind::ClientSecret, &secret).expect("a value of ours");
    assert_eq!(payload.len(), 64);
    secret.into_bytes()
}

/// The ways in which bytes could have been written down, alone or in the midst of others: in base64 three bytes are
/// four characters, so there are three ways to begin.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![secret.to_vec(), hex.into_bytes()];
    for skipped in 0..3 {
        let rest = &secret[skipped..];
        let whole = &rest[..rest.len() - rest.len() % 3];
        forms.push(STANDARD_NO_PAD.encode(whole).into_bytes());
        forms.push(URL_SAFE_NO_PAD.encode(whole).into_bytes());
    }
    forms
}

async fn exchange(world: &World, one: &Sealed, other: &Sealed) {
    loot::put(world, one, &other.value).await;
    loot::put(world, other, &one.value).await;
}

async fn restore(world: &World, one: &Sealed, other: &Sealed) {
    loot::put(world, one, &one.value).await;
    loot::put(world, other, &other.value).await;
}
