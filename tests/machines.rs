//! Clients that act for themselves: RFC 6749 §4.4.

use std::collections::BTreeSet;
use std::time::Duration;

use clients::Trust;
use events::Context;
use oauth2::TokenResponse as _;
use protocol::SigningAlg;
use revocation::Act;
use serde_json::{Value, json};

use crate::harness::app::{basic, header, payload, userinfo};
use crate::harness::process::{Process, free_port, run};
use crate::harness::visitor::client;
use crate::harness::world::Own;
use crate::harness::{App, World};
use crate::introspection::{access, api, assert_active, assert_inactive};
use crate::relying_party::Carrier;

everywhere! {
    async fn a_machine_gets_a_token_for_its_api_and_nothing_else(world: World) {
        for alg in [SigningAlg::Es256, SigningAlg::Rs256] {
            let (api, scope) = api(&world, alg).await;
            let machine = world.machine(&format!("{scope} openid")).await;
            let answer = machine.for_itself(&world, &api.identifier, &format!("{scope} openid unknown")).await;
            let token = access(&answer);
            let members: BTreeSet<String> = answer.json().as_object().unwrap().keys().cloned().collect();
            let expected = ["access_token", "token_type", "expires_in", "scope"];
            assert_eq!(members, expected.map(str::to_owned).into());
            assert_eq!(answer.json()["scope"], *scope);
            assert_eq!(answer.json()["expires_in"], 900);
            assert_eq!(answer.header("cache-control"), Some("no-store"));

            let (head, claims) = (header(&token), payload(&token));
            assert_eq!((&head["typ"], &head["alg"]), (&json!("at+jwt"), &json!(alg)));
            assert_eq!(claims["sub"], *machine.id);
            assert_eq!(claims["client_id"], *machine.id);
            assert_eq!(claims["aud"], *api.identifier);
            assert!(claims.get("auth_time").is_none() && claims.get("acr").is_none(), "{claims}");

            let verifier = verifier::Verifier::discover(&world.issuer).audience(&*api.identifier).await.unwrap();
            let believed = verifier.verify(&token).await.unwrap();
            assert!(believed.scope.contains(&scope) && !believed.scope.contains("openid"));
            for _ in 0..2 {
                userinfo(&world, &token).await.assert_refusal(401, "invalid_token");
            }
            let about = assert_active(&machine.introspect(&world, &token).await);
            assert_eq!((&about["sub"], &about["scope"]), (&json!(machine.id), &json!(scope)));
        }
    }

    async fn without_a_scope_a_machine_gets_what_it_registered_at_that_api(world: World) {
        let ((one, a), (two, b)) = (api(&world, SigningAlg::Es256).await, api(&world, SigningAlg::Es256).await);
        let machine = world.machine(&format!("{a} {b} profile")).await;
        let answer = machine.for_itself(&world, &one.identifier, "").await;
        assert_eq!(answer.json()["scope"], *a, "{}", answer.body);

        let both = vec![
            ("grant_type", "client_credentials".to_owned()),
            ("resource", one.identifier.clone()),
            ("resource", two.identifier.clone()),
        ];
        let answer = machine.token(&world, both).await;
        assert_eq!(payload(&access(&answer))["aud"], json!([one.identifier, two.identifier]));
        let scope: BTreeSet<&str> = [a.as_str(), b.as_str()].into();
        let answer = answer.json();
        let given: BTreeSet<&str> = answer["scope"].as_str().unwrap().split(' ').collect();
        assert_eq!(given, scope);
    }

    async fn c012_c024_whoever_may_not_act_for_itself_gets_no_token(world: World) {
        let (api, scope) = api(&world, SigningAlg::Es256).await;
        let (other, other_scope) = crate::introspection::api(&world, SigningAlg::Rs256).await;
        let machine = world.machine(&format!("{scope} {other_scope} openid offline_access")).await;
        let own = api.identifier.as_str();
        let issuer = world.issuer.clone();
        for (resource, asked, error) in [
            ("", scope.as_str(), "invalid_target"),
            ("https://unknown.example.com/", &scope, "invalid_target"),
            (issuer.as_str(), &scope, "invalid_target"),
            (own.trim_end_matches('/'), &scope, "invalid_target"),
            (own, "unknown", "invalid_scope"),
            (own, "openid", "invalid_scope"),
            (own, "openid profile offline_access", "invalid_scope"),
            // Registered, but of another API.
            (own, &other_scope, "invalid_scope"),
            (own, "a\"b", "invalid_scope"),
        ] {
            let answer = machine.for_itself(&world, resource, asked).await;
            answer.assert_refusal(400, error);
        }
        let mixed = vec![
            ("grant_type", "client_credentials".to_owned()),
            ("resource", own.to_owned()),
            ("resource", other.identifier.clone()),
        ];
        machine.token(&world, mixed).await.assert_refusal(400, "invalid_target");

        // A scope of the API, which this one did not register.
        let narrow = world.machine(&other_scope).await;
        narrow.for_itself(&world, own, &scope).await.assert_refusal(400, "invalid_scope");
        let bare = world.app_with(json!({ "grant_types": ["client_credentials", "authorization_code"] })).await;
        bare.for_itself(&world, own, &scope).await.assert_refusal(400, "invalid_scope");
        for app in [world.app().await, world.public_app().await] {
            app.for_itself(&world, own, &scope).await.assert_refusal(400, "unauthorized_client");
        }
        // It chose its scopes itself.
        world.trust(&machine, Trust::Unverified).await;
        machine.for_itself(&world, own, &scope).await.assert_refusal(400, "unauthorized_client");
        world.trust(&machine, Trust::Trusted).await;
        access(&machine.for_itself(&world, own, &scope).await);

        let stranger = App { secret: Some("cs_cs_wrong".into()), ..machine.clone() };
        stranger.for_itself(&world, own, &scope).await.assert_refusal(401, "invalid_client");
        let as_public = App { secret: None, ..machine.clone() };
        as_public.for_itself(&world, own, &scope).await.assert_refusal(401, "invalid_client");
        let api = world.asking(&api).await;
        api.for_itself(&world, own, &scope).await.assert_refusal(401, "invalid_client");
    }

    async fn a_machines_tokens_cost_no_row_but_the_first(world: World) {
        let (api, scope) = api(&world, SigningAlg::Es256).await;
        let machine = world.machine(&scope).await;
        let mint = || machine.for_itself(&world, &api.identifier, &scope);
        // However many replicas are asked at once, one approval stands for all.
        let answers = futures_util::future::join_all((0..40).map(|_| mint())).await;
        let tokens: Vec<Value> = answers.iter().map(|answer| payload(&access(answer))).collect();
        let approvals: BTreeSet<&str> = tokens.iter().map(|it| it["approval"].as_str().unwrap()).collect();
        let ids: BTreeSet<&str> = tokens.iter().map(|it| it["jti"].as_str().unwrap()).collect();
        assert_eq!((approvals.len(), ids.len()), (1, 40));
        const ROWS: &str = "SELECT approval_id FROM approvals WHERE client_id = $1";
        let mut conn = world.db.reader().await.unwrap();
        let rows: Vec<(String,)> =
            db::run!(&mut conn, |c| sqlx::query_as(ROWS).bind(&machine.id).fetch_all(c)).unwrap();
        assert_eq!(rows.len(), 1);
    }

    async fn c093_a_machine_that_comes_back_under_its_id_is_another_one(world: World) {
        let (api, scope) = api(&world, SigningAlg::Es256).await;
        let asking = world.asking(&api).await;
        let id = format!("machine-{}", protocol::random::id());
        let import = async || {
            let document = json!({
                "client_id": id, "grant_types": ["client_credentials"], "response_types": [], "scope": scope,
            });
            let now = world.now();
            let imported = world.db.transact(move |conn| {
                Box::pin(async move { registry::import(&document, Trust::Trusted, &clients::Vault::closed(), &Context::server(), conn, now).await })
            });
            App::new(imported.await.expect("a valid client"))
        };
        let first = import().await;
        let token = access(&first.for_itself(&world, &api.identifier, &scope).await);
        for _ in 0..2 {
            assert_active(&asking.introspect(&world, &token).await);
        }

        world.end(Act::DeleteClient(id.as_str().into())).await;
        for _ in 0..2 {
            assert_inactive(&asking.introspect(&world, &token).await);
            first.for_itself(&world, &api.identifier, &scope).await.assert_refusal(401, "invalid_client");
        }

        let second = import().await;
        for _ in 0..2 {
            first.for_itself(&world, &api.identifier, &scope).await.assert_refusal(401, "invalid_client");
            assert_inactive(&asking.introspect(&world, &token).await);
            let new = access(&second.for_itself(&world, &api.identifier, &scope).await);
            assert_active(&asking.introspect(&world, &new).await);
            assert_active(&second.introspect(&world, &new).await);
            assert_ne!(payload(&new)["approval"], payload(&token)["approval"]);
        }
        // A registration that chooses no id never gets one that was there.
        assert_ne!(world.machine(&scope).await.id, id);
    }

    async fn the_oauth2_crate_gets_a_token_for_a_machine_and_asks_about_it(world: World) {
        use oauth2::TokenIntrospectionResponse as _;
        let (api, scope) = api(&world, SigningAlg::Es256).await;
        let (machine, asking) = (world.machine(&scope).await, world.asking(&api).await);
        let carrier = Carrier(&world);
        let tokens = library(&machine, &world.issuer)
            .exchange_client_credentials()
            .add_scope(oauth2::Scope::new(scope.clone()))
            .add_extra_param("resource", &api.identifier)
            .request_async(&carrier)
            .await
            .unwrap();
        assert!(tokens.refresh_token().is_none());
        for caller in [&machine, &asking] {
            let rp = library(caller, &world.issuer);
            let about = rp.introspect(tokens.access_token()).request_async(&carrier).await.unwrap();
            assert!(about.active());
            assert_eq!(about.client_id().map(|id| id.as_str()), Some(machine.id.as_str()));
            assert_eq!(about.sub(), Some(machine.id.as_str()));
            assert_eq!(about.scopes(), Some(&vec![oauth2::Scope::new(scope.clone())]));
            assert!(about.exp() > about.iat());
        }
        let unknown = oauth2::AccessToken::new("unknown".to_owned());
        let about = library(&asking, &world.issuer);
        let about = about.introspect(&unknown).request_async(&carrier).await.unwrap();
        assert!(!about.active());
    }
}

type Library = oauth2::basic::BasicClient<
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointSet,
    oauth2::EndpointSet,
    oauth2::EndpointSet,
>;

/// The client as the oauth2 crate knows it.
fn library(app: &App, issuer: &str) -> Library {
    let at = |path: &str| format!("{issuer}{path}");
    let secret = app.secret.as_ref().expect("a secret").expose().to_owned();
    oauth2::basic::BasicClient::new(oauth2::ClientId::new(app.id.clone()))
        .set_client_secret(oauth2::ClientSecret::new(secret))
        .set_token_uri(oauth2::TokenUrl::new(at("/token")).unwrap())
        .set_introspection_url(oauth2::IntrospectionUrl::new(at("/introspect")).unwrap())
        .set_revocation_url(oauth2::RevocationUrl::new(at("/revoke")).unwrap())
}

/// The crate insists on https for revocation, so the server believes that it is reached that way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oauth2_crate_gives_a_token_back() {
    let own = Own {
        issuer: Some("https://id.example.com"),
        ..Own::default()
    };
    let world = World::sqlite_with(own).await;
    let (api, scope) = api(&world, SigningAlg::Es256).await;
    let machine = world.machine(&scope).await;
    let token = access(&machine.for_itself(&world, &api.identifier, &scope).await);
    let other = access(&machine.for_itself(&world, &api.identifier, &scope).await);
    let rp = library(&machine, &world.issuer);
    let revoked = rp.revoke_token(oauth2::StandardRevocableToken::AccessToken(
        oauth2::AccessToken::new(token.clone()),
    ));
    revoked.unwrap().request_async(&Carrier(&world)).await.unwrap();
    assert_inactive(&machine.introspect(&world, &token).await);
    assert_active(&machine.introspect(&world, &other).await);
}

/// From the command line to a token and back: with what `resource create` and `client create` print.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_makes_a_machine_and_an_api_that_asks_about_it() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let issuer = format!("http://127.0.0.1:{port}");
    let environment = [
        ("COUNTERSIGN_ISSUER", issuer.as_str()),
        ("COUNTERSIGN_LIMITS", "off"),
    ];
    let command = async |line: &[&str]| {
        let ended = run(folder.path(), &[&["--json"], line].concat(), &environment, "").await;
        assert_eq!(ended.code, Some(0), "{line:?}: {}", ended.stderr);
        serde_json::from_str::<Value>(&ended.stdout).unwrap()
    };
    const API: &str = "https://api.example.com/v1";
    let api = command(&[
        "resource",
        "create",
        "--identifier",
        API,
        "--scope",
        "reports.read=Read reports",
    ])
    .await;
    assert_eq!(
        (&api["identifier"], &api["client_id"]),
        (&json!(API), &json!(API))
    );
    let machine = command(&[
        "client",
        "create",
        "--name",
        "Nightly",
        "--grant-type",
        "client_credentials",
        "--scope",
        "reports.read",
    ])
    .await;
    assert_eq!(machine["response_types"], json!([]));
    assert_eq!(machine["redirect_uris"], json!([]));

    let _server = Process::serve(folder.path(), &[], &environment, port).await;
    let form = async |path: &str, caller: (&Value, &Value), params: &[(&str, &str)]| {
        let (id, secret) = (caller.0.as_str().unwrap(), caller.1.as_str().unwrap());
        let request = client().post(format!("{issuer}{path}")).form(params);
        let answer = request
            .header("authorization", basic(id, secret))
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let caller = (&machine["client_id"], &machine["client_secret"]);
    let asked = [("grant_type", "client_credentials"), ("resource", API)];
    let (status, tokens) = form("/token", caller, &asked).await;
    assert_eq!(
        (status, &tokens["scope"]),
        (200, &json!("reports.read")),
        "{tokens}"
    );
    let token = [("token", tokens["access_token"].as_str().unwrap())];
    let ask = |secret: Value| {
        let (api, form) = (&api, &form);
        async move { form("/introspect", (&api["client_id"], &secret), &token).await }
    };
    assert_eq!(ask(api["client_secret"].clone()).await.1["active"], true);

    // A second secret, and the first one ends.
    let listed = command(&["resource", "secret", "list", API]).await;
    let first = listed[0]["secret_id"].as_str().unwrap().to_owned();
    let added = command(&["resource", "secret", "add", API]).await;
    assert_eq!(added["client_id"], API);
    for secret in [&api["client_secret"], &added["client_secret"]] {
        assert_eq!(ask(secret.clone()).await.1["active"], true);
    }
    command(&["resource", "secret", "delete", API, &first]).await;
    // The server hears of it by a notice.
    while ask(api["client_secret"].clone()).await.0 != 401 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(ask(added["client_secret"].clone()).await.1["active"], true);
    let listed = command(&["resource", "secret", "list", API]).await;
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    // Shown once only.
    let shown = command(&["resource", "show", API]).await;
    assert!(shown.get("client_secret").is_none(), "{shown}");

    command(&["client", "delete", "--", machine["client_id"].as_str().unwrap()]).await;
    // Another process ended it: the server hears of that as well.
    while ask(added["client_secret"].clone()).await != (200, json!({ "active": false })) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
