//! What changes while sessions, codes and tokens are out: registrations that are cut back (C024), passwords and
//! addresses (C067).

use accounts::email::Email;
use accounts::users::{Draft, User};
use events::Context;
use protocol::SigningAlg;
use serde_json::{Value, json};

use crate::harness::app::userinfo;
use crate::harness::{App, Visitor, World};

const OFFLINE: &[(&str, &str)] = &[("scope", "openid offline_access")];

everywhere! {
    /// Each grant, on each replica, after what allowed it has been taken back.
    async fn c024_a_registration_that_was_cut_back_counts_for_every_grant(world: World) {
        let api = world.resource(SigningAlg::Es256).await;
        let scope = api.scopes.keys().next().expect("a scope");
        let user = world.user().await;
        let document = |grants: Value| json!({
            "client_name": "Test app", "redirect_uris": ["https://app.example.com/cb"], "grant_types": grants,
        });
        let machine_document = |scope: &str| json!({
            "grant_types": ["client_credentials"], "response_types": [], "redirect_uris": [], "scope": scope,
        });

        let app = world.app().await;
        let tokens = app.grant(&world, &user, OFFLINE).await;
        world.update(&app, document(json!(["authorization_code"]))).await;
        for _ in 0..2 {
            app.refresh(&world, tokens.refresh()).await.assert_refusal(400, "unauthorized_client");
        }
        world.update(&app, document(json!(["authorization_code", "refresh_token"]))).await;
        for _ in 0..2 {
            assert_eq!(app.refresh(&world, tokens.refresh()).await.status, 200, "it was not used up");
        }

        let machine = world.machine(scope).await;
        assert_eq!(machine.for_itself(&world, &api.identifier, "").await.status, 200);
        world.update(&machine, machine_document("another")).await;
        for _ in 0..2 {
            machine.for_itself(&world, &api.identifier, scope).await.assert_refusal(400, "invalid_scope");
        }
        world.update(&machine, document(json!(["authorization_code"]))).await;
        for _ in 0..2 {
            machine.for_itself(&world, &api.identifier, scope).await.assert_refusal(400, "unauthorized_client");
        }

        // A secret that has ended, with every grant.
        let (app, machine) = (world.app().await, world.machine(scope).await);
        let tokens = app.grant(&world, &user, OFFLINE).await;
        let code = app.code(&world, &user, OFFLINE).await;
        let given = machine.for_itself(&world, &api.identifier, "").await;
        assert_eq!(given.status, 200, "{}", given.body);
        for client in [&app, &machine] {
            end_secrets(&world, client).await;
        }
        world.heard().await;
        for _ in 0..2 {
            app.redeem(&world, &code).await.assert_refusal(401, "invalid_client");
            app.refresh(&world, tokens.refresh()).await.assert_refusal(401, "invalid_client");
            machine.for_itself(&world, &api.identifier, "").await.assert_refusal(401, "invalid_client");
            app.revoke(&world, tokens.refresh()).await.assert_refusal(401, "invalid_client");
            app.introspect(&world, tokens.refresh()).await.assert_refusal(401, "invalid_client");
        }
    }

    /// Whoever held the old password, or the old mailbox, is signed out everywhere.
    async fn c067_a_new_password_or_address_ends_sessions_and_what_hangs_from_them(world: World) {
        let app = world.app().await;
        for changed in [Changed::Password, Changed::Address] {
            let user = world.user().await;
            let (mut first, online) = app.sign_in(&world, &user, &[]).await;
            let (mut second, offline) = app.sign_in(&world, &user, OFFLINE).await;
            let code = first.get(&app.url(&[])).await.code();
            // A page that was open before asks again who it is.
            let mut third = world.visitor();
            let page = third.open(&app.url(&[])).await;
            let consent = third.sign_in(&page, user.email.shown()).await;
            assert!(consent.param("code").is_some(), "{}", consent.body);

            let mut draft = Draft::new(user.email.clone());
            draft.sub = Some(user.sub.clone());
            changed.in_draft(&mut draft, &world).await;
            upsert(&world, draft).await;

            for _ in 0..2 {
                for visitor in [&mut first, &mut second, &mut third] {
                    assert_signed_out(visitor, &app).await;
                }
                app.redeem(&world, &code).await.assert_refusal(400, "invalid_grant");
                userinfo(&world, online.access()).await.assert_refusal(401, "invalid_token");
                // What was allowed beyond the session is ended by its own acts.
                assert_eq!(app.refresh(&world, offline.refresh()).await.status, 200);
            }
        }
    }
}

async fn assert_signed_out(visitor: &mut Visitor<'_>, app: &App) {
    let silent = visitor.get(&app.url(&[("prompt", "none")])).await;
    silent.assert_error("login_required");
}

#[derive(Debug, Clone, Copy)]
enum Changed {
    Password,
    Address,
}

impl Changed {
    async fn in_draft(self, draft: &mut Draft, world: &World) {
        match self {
            // That of another user: nobody here asks what it is.
            Self::Password => draft.password_hash = world.user().await.password_hash,
            Self::Address => {
                let other = format!("new-{}", draft.email.shown());
                draft.email = Email::parse(&other).expect("an address");
            }
        }
    }
}

async fn upsert(world: &World, draft: Draft) -> User {
    let now = world.now();
    let done = world.db.transact(move |conn| {
        Box::pin(async move { revocation::import_user(draft, &Context::command_line(), conn, now).await })
    });
    done.await.expect("the same user").0
}

async fn end_secrets(world: &World, client: &App) {
    let (id, now) = (client.id.as_str().into(), world.now());
    let ended = world.db.transact(move |conn| {
        Box::pin(async move {
            clients::secrets::delete_all(&id, &Context::command_line(), conn, now).await?;
            events::changes::bump(events::changes::Topic::Clients, conn).await
        })
    });
    ended.await.expect("the database");
}
