//! Ending things: tokens that a client gives back (RFC 7009), and everything else that ends an authorization,
//! as apps and resource servers meet it on every replica.

use accounts::users::User;
use clients::ResourceServer;
use grants::consents;
use http::Method;
use protocol::{ConsentId, SigningAlg};
use revocation::Act;
use serde_json::json;

use crate::harness::app::{Tokens, answer, basic, post, userinfo};
use crate::harness::visitor::client;
use crate::harness::{Answer, App, World};

/// With refresh tokens, and without. The scopes are those of userinfo and of one API.
struct Request {
    resource: String,
    offline: String,
    online: String,
}

impl Request {
    fn of(api: &ResourceServer) -> Self {
        let own = api.scopes.keys().next().expect("a scope");
        Self {
            resource: api.identifier.clone(),
            offline: format!("openid offline_access {own}"),
            online: format!("openid {own}"),
        }
    }

    fn offline(&self) -> [(&'static str, &str); 2] {
        [("scope", &self.offline), ("resource", &self.resource)]
    }

    fn online(&self) -> [(&'static str, &str); 2] {
        [("scope", &self.online), ("resource", &self.resource)]
    }
}

fn tokens(answer: &Answer) -> Tokens {
    assert_eq!(answer.status, 200, "{}", answer.body);
    Tokens { body: answer.json() }
}

/// Userinfo and the resource server believe the token, on every replica, or none of them does.
async fn believed(world: &World, api: &App, token: &str) -> bool {
    let mut verdicts = Vec::new();
    for _ in 0..2 {
        let claims = userinfo(world, token).await;
        if claims.status != 200 {
            claims.assert_refusal(401, "invalid_token");
        }
        verdicts.push(claims.status == 200);
    }
    for _ in 0..2 {
        let about = api.introspect(world, token).await;
        let active = about.json()["active"] == json!(true);
        if !active {
            assert_eq!(about.json(), json!({ "active": false }));
        }
        verdicts.push(active);
    }
    assert!(
        verdicts.iter().all(|it| *it == verdicts[0]),
        "replicas differ: {verdicts:?}"
    );
    verdicts[0]
}

#[track_caller]
fn assert_done(answer: &Answer) {
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, ""));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

everywhere! {
    async fn c030_giving_back_a_refresh_token_ends_all_that_came_of_it(world: World) {
        let user = world.user().await;
        let api = world.resource(SigningAlg::Es256).await;
        let (request, asking) = (Request::of(&api), world.asking(&api).await);
        for app in [world.app().await, world.public_app().await] {
            for given_back in [0, 1, 2] {
                let first = app.grant(&world, &user, &request.offline()).await;
                let second = tokens(&app.refresh(&world, first.refresh()).await);
                let third = tokens(&app.refresh(&world, second.refresh()).await);
                let others = app.grant(&world, &user, &request.offline()).await;
                let all = [&first, &second, &third];
                for own in all {
                    assert!(believed(&world, &asking, own.access()).await);
                }
                assert_done(&app.revoke(&world, all[given_back].refresh()).await);
                for own in all {
                    assert!(!believed(&world, &asking, own.access()).await);
                }
                for _ in 0..2 {
                    app.refresh(&world, third.refresh()).await.assert_refusal(400, "invalid_grant");
                }
                // Again, and what is left of it: as good as done.
                assert_done(&app.revoke(&world, third.refresh()).await);
                assert_done(&app.revoke(&world, third.access()).await);

                assert!(believed(&world, &asking, others.access()).await, "another authorization has ended");
                tokens(&app.refresh(&world, others.refresh()).await);
            }
        }
    }

    async fn c030_giving_back_an_access_token_ends_that_one(world: World) {
        let user = world.user().await;
        let api = world.resource(SigningAlg::Es256).await;
        let (request, asking) = (Request::of(&api), world.asking(&api).await);
        let app = world.app().await;
        let first = app.grant(&world, &user, &request.offline()).await;
        let second = tokens(&app.refresh(&world, first.refresh()).await);
        for hint in ["access_token", "refresh_token", "unknown"] {
            let wrong_or_right = vec![("token", first.access().to_owned()), ("token_type_hint", hint.to_owned())];
            assert_done(&app.call(&world, "/revoke", wrong_or_right).await);
            world.heard_elsewhere().await;
            assert!(!believed(&world, &asking, first.access()).await);
        }
        assert!(believed(&world, &asking, second.access()).await);
        assert!(believed(&world, &asking, tokens(&app.refresh(&world, second.refresh()).await).access()).await);

        let machine = world.machine(&api.scopes.keys().next().unwrap().clone()).await;
        let own = [0, 1].map(|_| machine.for_itself(&world, &api.identifier, ""));
        let [one, two] = own;
        let (one, two) = (tokens(&one.await), tokens(&two.await));
        assert_done(&machine.revoke(&world, one.access()).await);
        for _ in 0..2 {
            assert_eq!(asking.introspect(&world, one.access()).await.json()["active"], false);
            assert_eq!(asking.introspect(&world, two.access()).await.json()["active"], true);
        }
    }

    async fn c030_a_token_of_another_client_is_left_alone_and_nothing_is_learned(world: World) {
        let user = world.user().await;
        let api = world.resource(SigningAlg::Es256).await;
        let (request, asking) = (Request::of(&api), world.asking(&api).await);
        let (owner, code) = (world.app().await, world.app().await.code(&world, &user, &[]).await);
        let own = owner.grant(&world, &user, &request.offline()).await;
        let expired = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.e30.AAAA";
        for thief in [world.app().await, world.public_app().await, world.machine("x").await] {
            for token in [own.refresh(), own.access(), own.text("id_token"), &code, expired, "noise", "cs_rt_noise"] {
                assert_done(&thief.revoke(&world, token).await);
            }
        }
        assert!(believed(&world, &asking, own.access()).await);
        tokens(&owner.refresh(&world, own.refresh()).await);
        // Its own ID token, and a code, are not of the kinds that can be given back.
        assert_done(&owner.revoke(&world, own.text("id_token")).await);
        assert!(believed(&world, &asking, own.access()).await);
    }

    async fn c010_c030_only_an_authenticated_client_gives_back(world: World) {
        let user = world.user().await;
        let api = world.resource(SigningAlg::Es256).await;
        let (request, asking) = (Request::of(&api), world.asking(&api).await);
        let app = world.app().await;
        let own = app.grant(&world, &user, &request.offline()).await;
        let presented = ("token", own.refresh().to_owned());
        for (caller, error) in [
            (App { secret: Some("cs_cs_wrong".into()), ..app.clone() }, "invalid_client"),
            (App { secret: None, ..app.clone() }, "invalid_client"),
            (App { id: "unknown".to_owned(), secret: None, ..app.clone() }, "invalid_client"),
            (asking.clone(), "invalid_client"),
        ] {
            caller.revoke(&world, &presented.1).await.assert_refusal(401, error);
        }
        post(&world, "/revoke", &[], std::slice::from_ref(&presented)).await.assert_refusal(401, "invalid_client");
        app.call(&world, "/revoke", vec![]).await.assert_refusal(400, "invalid_request");
        let twice = vec![presented.clone(), presented.clone()];
        app.call(&world, "/revoke", twice).await.assert_refusal(400, "invalid_request");
        let hint = ("token_type_hint", "refresh_token".to_owned());
        let hints = vec![presented.clone(), hint.clone(), hint];
        app.call(&world, "/revoke", hints).await.assert_refusal(400, "invalid_request");
        let got = client().get(world.at(&format!("/revoke?token={}", presented.1)));
        let secret = app.secret.as_ref().unwrap().expose();
        let got = got.header("authorization", basic(&app.id, secret)).send().await.unwrap();
        assert_eq!(got.status(), 405);
        assert!(believed(&world, &asking, own.access()).await);
        // In the body, too; what is unknown does not matter.
        let params = [
            presented,
            ("client_id", app.id.clone()),
            ("client_secret", secret.to_owned()),
            ("extra", "1".to_owned()),
            ("extra", "2".to_owned()),
        ];
        assert_done(&post(&world, "/revoke", &[], &params).await);
        world.heard_elsewhere().await;
        assert!(!believed(&world, &asking, own.access()).await);
    }

    async fn c095_pages_of_registered_origins_may_give_back_and_nobodys_may_introspect(world: World) {
        let app = world.public_app().await;
        let ask = async |method: Method, path: &str, origin: &str| {
            let request = client()
                .request(method.clone(), world.at(path))
                .header("origin", origin)
                .header("access-control-request-method", "POST")
                .form(&[("client_id", app.id.as_str()), ("token", "noise")]);
            let answer = request.send().await.unwrap();
            let admitted = answer.headers().get("access-control-allow-origin").is_some();
            let is_preflight = method == Method::OPTIONS && admitted;
            assert_eq!(answer.headers().contains_key("access-control-allow-methods"), is_preflight);
            assert!(answer.headers().get("access-control-allow-credentials").is_none());
            answer.headers().get("access-control-allow-origin").map(|it| it.to_str().unwrap().to_owned())
        };
        for method in [Method::OPTIONS, Method::POST] {
            for (origin, admitted) in [
                ("https://app.example.com", true),
                ("https://evil.example.com", false),
                ("http://app.example.com", false),
                ("null", false),
            ] {
                let allowed = ask(method.clone(), "/revoke", origin).await;
                assert_eq!(allowed, admitted.then(|| origin.to_owned()), "{method} {origin}");
                assert_eq!(ask(method.clone(), "/introspect", origin).await, None, "{method} {origin}");
            }
        }
    }

    /// What is broken under each grant, and what still works: each grant, on each replica, in the moment after.
    async fn c024_every_grant_refuses_at_once_when_its_ground_is_gone(world: World) {
        let api = world.resource(SigningAlg::Es256).await;
        let (request, asking) = (Request::of(&api), world.asking(&api).await);
        for broken in [
            Broken::ClientDeleted,
            Broken::UserDisabled,
            Broken::UserRevoked,
            Broken::ConsentWithdrawn,
            Broken::SessionEnded,
        ] {
            let (app, user, untouched) = (world.app().await, world.user().await, world.user().await);
            let theirs = app.grant(&world, &untouched, &request.offline()).await;
            let (mut visitor, offline) = app.sign_in(&world, &user, &request.offline()).await;
            let mut code = async |changes: &[(&'static str, &str)]| {
                visitor.authorize(&app.url(changes), user.email.shown()).await.param("code").expect("a code")
            };
            let online = tokens(&app.redeem(&world, &code(&request.online()).await).await);
            let codes = [code(&request.online()).await, code(&request.online()).await];
            let offline_code = code(&request.offline()).await;

            world.end(broken.act(&world, &app, &user).await).await;

            let survives = broken == Broken::SessionEnded;
            let refusal = |answer: &Answer| match broken {
                Broken::ClientDeleted => answer.assert_refusal(401, "invalid_client"),
                _ => answer.assert_refusal(400, "invalid_grant"),
            };
            for code in &codes {
                refusal(&app.redeem(&world, code).await);
            }
            if survives {
                tokens(&app.redeem(&world, &offline_code).await);
                tokens(&app.refresh(&world, offline.refresh()).await);
            } else {
                refusal(&app.redeem(&world, &offline_code).await);
                for _ in 0..2 {
                    refusal(&app.refresh(&world, offline.refresh()).await);
                }
            }
            assert!(!believed(&world, &asking, online.access()).await, "{broken:?}");
            assert_eq!(believed(&world, &asking, offline.access()).await, survives, "{broken:?}");
            for _ in 0..2 {
                let about = app.introspect(&world, offline.refresh()).await;
                match broken {
                    Broken::ClientDeleted => about.assert_refusal(401, "invalid_client"),
                    _ => assert_eq!(about.json()["active"], survives, "{broken:?}"),
                }
            }
            // Nobody else has lost anything, unless the client is gone.
            let gone = broken == Broken::ClientDeleted;
            assert_eq!(believed(&world, &asking, theirs.access()).await, !gone, "{broken:?}");
        }
    }

    /// C093: who comes back is another one, and has nothing of what was.
    async fn c093_a_user_who_comes_back_with_the_same_address_is_another_one(world: World) {
        let api = world.resource(SigningAlg::Es256).await;
        let (request, asking) = (Request::of(&api), world.asking(&api).await);
        let (app, user) = (world.app().await, world.user().await);
        let old = app.grant(&world, &user, &request.offline()).await;
        let sub = user.sub.clone();
        let deleted = world.db.transact(move |conn| {
            Box::pin(async move {
                const DELETE: &str = "DELETE FROM users WHERE sub = $1";
                db::execute!(conn, sqlx::query(DELETE).bind(sub.as_str())).map_err(db::Error::from)
            })
        });
        assert_eq!(deleted.await.unwrap(), 1);
        let email = user.email.clone();
        let again = world.user_with(|draft| draft.email = email).await;
        assert_ne!(again.sub, user.sub);
        for _ in 0..2 {
            app.refresh(&world, old.refresh()).await.assert_refusal(400, "invalid_grant");
        }
        assert!(!believed(&world, &asking, old.access()).await);
        let new = app.grant(&world, &again, &request.offline()).await;
        assert_eq!(new.id()["sub"], again.sub.as_str());
        assert!(believed(&world, &asking, new.access()).await);
    }

    async fn c030_no_refresh_succeeds_once_the_revocation_was_answered(world: World) {
        let user = world.user().await;
        let api = world.resource(SigningAlg::Es256).await;
        let (request, asking) = (Request::of(&api), world.asking(&api).await);
        let app = world.app().await;
        let http = client();
        for round in 0..3 {
            let first = app.grant(&world, &user, &request.offline()).await;
            let mut current = first.refresh().to_owned();
            for _ in 0..round {
                current = tokens(&app.refresh(&world, &current).await).refresh().to_owned();
            }
            let parallel = async |count: usize| {
                let asked = (0..count).map(|_| refresh(&http, &world, &app, &current));
                futures_util::future::join_all(asked).await
            };
            let (before, (revoked, after)) = tokio::join!(parallel(200), async {
                tokio::time::sleep(std::time::Duration::from_millis(20 * round)).await;
                // No replica needs to hear of it first.
                let revoked = app.call(&world, "/revoke", vec![("token", current.clone())]).await;
                // The 200 of before are still being answered; these begin when the revocation has been.
                (revoked, parallel(40).await)
            });
            assert_done(&revoked);
            // Whom a busy server sends away was not served either.
            let refused = |answer: &Answer| match answer.status.as_u16() {
                503 => answer.assert_refusal(503, "temporarily_unavailable"),
                _ => answer.assert_refusal(400, "invalid_grant"),
            };
            after.iter().for_each(refused);
            let (served, others): (Vec<_>, Vec<_>) = before.iter().partition(|answer| answer.status == 200);
            others.into_iter().for_each(refused);
            let served: Vec<Tokens> = served.into_iter().map(tokens).collect();
            app.refresh(&world, &current).await.assert_refusal(400, "invalid_grant");
            // Whoever was served just before has nothing that works either.
            for own in served.iter().take(5).chain(served.last()) {
                assert!(!believed(&world, &asking, own.access()).await);
                app.refresh(&world, own.refresh()).await.assert_refusal(400, "invalid_grant");
            }
            assert!(!believed(&world, &asking, first.access()).await);
        }
    }
}

/// A refresh by a client that is there already: making one takes longer than asking.
async fn refresh(http: &reqwest::Client, world: &World, app: &App, refresh_token: &str) -> Answer {
    let secret = app.secret.as_ref().expect("a secret").expose();
    let params = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
    let request = http.post(world.at("/token")).form(&params);
    answer(request.header("authorization", basic(&app.id, secret))).await
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    ClientDeleted,
    UserDisabled,
    UserRevoked,
    ConsentWithdrawn,
    SessionEnded,
}

impl Broken {
    async fn act(self, world: &World, app: &App, user: &User) -> Act {
        match self {
            Self::ClientDeleted => Act::DeleteClient(app.id.as_str().into()),
            Self::UserDisabled => Act::DisableUser(user.sub.clone()),
            Self::UserRevoked => Act::RevokeUser(user.sub.clone()),
            Self::ConsentWithdrawn => Act::WithdrawConsent(consent(world, app, user).await),
            Self::SessionEnded => Act::EndSession(world.sessions(user).await.remove(0)),
        }
    }
}

async fn consent(world: &World, app: &App, user: &User) -> ConsentId {
    let mut conn = world.db.reader().await.unwrap();
    let consent = consents::of(&user.sub, &app.id.as_str().into(), &mut conn).await;
    consent.unwrap().expect("a consent").id
}

on_both_databases! {
    async fn what_has_run_out_is_not_active(world: World) {
        let api = world.resource(SigningAlg::Es256).await;
        let (request, asking) = (Request::of(&api), world.asking(&api).await);
        let (app, user) = (world.app().await, world.user().await);
        let active = async |caller: &App, token: &str| caller.introspect(&world, token).await.json()["active"] == true;
        let first = app.grant(&world, &user, &request.offline()).await;
        world.pass(issuance::ACCESS_TOKEN_LIFE - std::time::Duration::from_secs(1));
        assert!(active(&asking, first.access()).await && active(&app, first.access()).await);
        world.pass(std::time::Duration::from_secs(1));
        assert!(!active(&asking, first.access()).await && !active(&app, first.access()).await);

        // Of a refresh token, whoever would be answered is active: the newest, and the one before it.
        let second = tokens(&app.refresh(&world, first.refresh()).await);
        assert!(active(&app, first.refresh()).await && active(&app, second.refresh()).await);
        let third = tokens(&app.refresh(&world, second.refresh()).await);
        assert!(!active(&app, first.refresh()).await && active(&app, second.refresh()).await);
        // Asking about it is not using it.
        tokens(&app.refresh(&world, second.refresh()).await);
        world.pass(grants::families::IDLE);
        assert!(!active(&app, third.refresh()).await);
        assert_done(&app.revoke(&world, third.refresh()).await);
    }

    async fn c030_what_cannot_be_written_is_not_answered_as_done(world: World) {
        let api = world.resource(SigningAlg::Es256).await;
        let (request, asking) = (Request::of(&api), world.asking(&api).await);
        let (app, user) = (world.app().await, world.user().await);
        let own = app.grant(&world, &user, &request.offline()).await;
        let machine = world.machine(api.scopes.keys().next().expect("a scope")).await;
        world.heard().await;
        // The last statement of the transaction fails.
        change(&world, "ALTER TABLE revocation_counter RENAME TO away").await;
        for token in [own.refresh(), own.access()] {
            app.revoke(&world, token).await.assert_refusal(500, "server_error");
        }
        change(&world, "ALTER TABLE away RENAME TO revocation_counter").await;
        assert!(believed(&world, &asking, own.access()).await, "half an act was kept");
        let own = tokens(&app.refresh(&world, own.refresh()).await);

        world.db.close().await;
        for answer in [
            app.revoke(&world, own.refresh()).await,
            app.revoke(&world, own.access()).await,
            app.introspect(&world, own.access()).await,
            asking.introspect(&world, own.access()).await,
            userinfo(&world, own.access()).await,
            machine.for_itself(&world, &api.identifier, "").await,
        ] {
            answer.assert_refusal(503, "temporarily_unavailable");
            assert!(answer.header("retry-after").is_some());
        }
    }
}

async fn change(world: &World, statement: &'static str) {
    let changed = world.db.transact(move |conn| {
        Box::pin(async move { db::execute!(conn, sqlx::query(statement)).map_err(db::Error::from) })
    });
    changed.await.unwrap();
}
