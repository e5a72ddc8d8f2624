//! The provider's metadata and keys: OpenID Connect Discovery §3 and §4, RFC 8414 §2 and §3, RFC 7517 §5. What the
//! document says is tried, member by member.

use std::collections::BTreeSet;
use std::time::Duration;

use accounts::claims::Claim;
use accounts::users::User;
use http::header::IF_NONE_MATCH;
use jose::{Content, EncryptionKey};
use keyring::{Policy, Start};
use protocol::SigningAlg;
use serde_json::{Value, json};

use crate::harness::app::{Tokens, VERIFIER, answer, basic, header, payload, post, userinfo};
use crate::harness::visitor::client;
use crate::harness::{Answer, App, World, rp};
use crate::logout::notices;

const DOCUMENTS: [&str; 2] = [
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
];

everywhere! {
    async fn both_well_known_addresses_say_the_same_but_for_what_is_ours_alone(world: World) {
        let mut visitor = world.visitor();
        let (one, other) = (visitor.get(DOCUMENTS[0]).await, visitor.get(DOCUMENTS[1]).await);
        let mut expected = other.json();
        // The official suite warns of members of the OpenID document that no specification names.
        let own = expected.as_object_mut().unwrap().remove("revocation_feed_endpoint");
        assert!(own.is_some());
        assert_eq!(one.json(), expected);
        for answer in [one, other] {
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(answer.json()["issuer"], world.issuer.as_str());
        }
        // An issuer without a path has no other address.
        assert_eq!(
            visitor
                .get("/.well-known/oauth-authorization-server/x")
                .await
                .status,
            404
        );
    }

    async fn every_member_of_the_document_is_true(world: World) {
        let document = world.visitor().get(DOCUMENTS[1]).await.json();
        let (app, user) = (world.app().await, known_user(&world).await);
        let members = document.as_object().unwrap();
        assert!(members.len() > 20);
        for (name, value) in members {
            assert!(!value.is_null() && value != "" && value != &json!([]), "{name}");
            is_true(
                name,
                value,
                &document,
                &Trial {
                    world: &world,
                    app: &app,
                    user: &user,
                },
            )
            .await;
        }
        // Discovery §3 and RFC 8414 §2: what every client needs.
        for name in [
            "issuer",
            "authorization_endpoint",
            "token_endpoint",
            "userinfo_endpoint",
            "jwks_uri",
            "scopes_supported",
            "response_types_supported",
            "subject_types_supported",
            "id_token_signing_alg_values_supported",
            "code_challenge_methods_supported",
            "token_endpoint_auth_methods_supported",
        ] {
            assert!(members.contains_key(name), "{name}");
        }
    }

    async fn c044_each_published_key_has_one_name_one_use_one_algorithm_and_no_secret(world: World) {
        let answer = world.visitor().get("/jwks").await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (200, Some("application/json"))
        );
        let set = answer.json();
        assert_eq!(set.as_object().unwrap().len(), 1);
        let keys = set["keys"].as_array().unwrap();
        let mut kids = BTreeSet::new();
        let mut algorithms = BTreeSet::new();
        for key in keys {
            let members: BTreeSet<&str> = key.as_object().unwrap().keys().map(String::as_str).collect();
            let numbers: &[&str] = match key["kty"].as_str().unwrap() {
                "RSA" => &["n", "e"],
                "EC" => &["crv", "x", "y"],
                _ => &["crv", "x"],
            };
            let mut expected: BTreeSet<&str> = ["kty", "use", "alg", "kid"]
                .iter()
                .chain(numbers)
                .copied()
                .collect();
            // One key on a curve is for ECDH-ES with and without wrapping.
            if (&key["kty"], &key["use"]) == (&json!("EC"), &json!("enc")) {
                expected.remove("alg");
            }
            assert_eq!(members, expected);
            assert!(kids.insert(key["kid"].as_str().unwrap()), "a name twice");
            algorithms.insert((key["use"].as_str().unwrap(), key["alg"].as_str().unwrap_or("ECDH")));
            if key["kty"] == "RSA" {
                // 2048 bits are 342 characters of base64url.
                assert!(
                    key["n"].as_str().unwrap().len() >= 342 && key["e"] == "AQAB",
                    "{key}"
                );
            } else {
                let curve = (key["kty"].as_str().unwrap(), key["crv"].as_str().unwrap());
                assert!([("EC", "P-256"), ("OKP", "Ed25519")].contains(&curve), "{key}");
            }
        }
        let signing = ["ES256", "EdDSA", "PS256", "RS256"].map(|alg| ("sig", alg));
        let decrypting = ["ECDH", "RSA-OAEP-256"].map(|alg| ("enc", alg));
        assert_eq!(algorithms, signing.into_iter().chain(decrypting).collect());
    }

    async fn who_has_the_document_already_is_told_so(world: World) {
        for path in [DOCUMENTS[0], DOCUMENTS[1], "/jwks"] {
            let first = world.visitor().get(path).await;
            let etag = first.header("etag").unwrap().to_owned();
            assert!(etag.starts_with('"') && etag.len() > 20, "{etag}");
            assert_eq!(first.header("cache-control"), Some("public, max-age=300"));
            for (held, fresh) in [
                (etag.as_str(), true),
                (&format!("W/{etag}"), true),
                (&format!("\"x\", {etag}"), true),
                ("*", true),
                ("\"x\"", false),
                (etag.trim_matches('"'), false),
                ("", false),
            ] {
                let again = answer(client().get(world.at(path)).header(IF_NONE_MATCH, held)).await;
                assert_eq!(again.status == 304, fresh, "{path} {held}");
                assert_eq!(again.body.is_empty(), fresh);
                assert_eq!(again.header("etag"), Some(etag.as_str()));
                assert_eq!(again.header("cache-control"), Some("public, max-age=300"));
            }
        }
    }
}

on_both_databases! {
    async fn c045_a_verifier_with_a_cache_of_five_minutes_never_meets_an_unknown_key(world: World) {
        let (app, user, policy) = (world.app().await, world.user().await, Policy::default());
        let algorithms = SigningAlg::ALL;
        let mut verifier = Verifier::new(&world, &app, &user).await;
        let first = verifier.pass(Duration::ZERO).await;
        assert_eq!(verifier.published().await, 4);

        world
            .keyring()
            .rotate(algorithms, Start::Announced, &events::Context::server(), world.now())
            .await
            .unwrap();
        assert_eq!(verifier.published().await, 8);
        for time in [Duration::ZERO, policy.announce / 2, policy.announce / 2 - SECOND] {
            assert_eq!(
                verifier.pass(time).await,
                first,
                "signs before it was announced for long enough"
            );
        }
        let second = verifier.pass(SECOND).await;
        assert!(second.is_disjoint(&first), "{second:?} {first:?}");
        // The retired keys stay until nothing that they signed can be valid.
        verifier.pass(policy.keep - SECOND).await;
        assert_eq!(verifier.published().await, 8);
        verifier.pass(SECOND).await;
        assert_eq!(verifier.published().await, 4);

        // By themselves, every ninety days.
        let due = policy.rotate_every - policy.announce - policy.keep;
        assert_eq!(verifier.pass(due - SECOND).await, second);
        world.keyring().maintain(world.now()).await.unwrap();
        assert_eq!(verifier.published().await, 4);
        assert_eq!(verifier.pass(SECOND).await, second);
        world.keyring().maintain(world.now()).await.unwrap();
        assert_eq!(verifier.published().await, 8);
        assert_eq!(verifier.pass(policy.announce - SECOND).await, second);
        let third = verifier.pass(SECOND).await;
        assert!(third.is_disjoint(&second));

        verifier.pass(SECOND).await;
        // At once, when asked: whoever fetches sees it, and what was signed before stays good.
        world
            .keyring()
            .rotate(algorithms, Start::Now, &events::Context::server(), world.now())
            .await
            .unwrap();
        verifier.fetch().await;
        let fourth = verifier.pass(Duration::ZERO).await;
        assert!(fourth.is_disjoint(&third));
        // The two before it have still signed what is alive.
        assert_eq!(verifier.published().await, 12);
    }

    async fn the_validator_of_the_keys_changes_with_the_keys(world: World) {
        let mut visitor = world.visitor();
        let before = visitor.get("/jwks").await;
        world.pass(Duration::from_secs(60 * 60));
        assert_eq!(visitor.get("/jwks").await.header("etag"), before.header("etag"));
        world
            .keyring()
            .rotate(&[SigningAlg::Es256], Start::Announced, &events::Context::server(), world.now())
            .await
            .unwrap();
        let after = visitor.get("/jwks").await;
        assert_ne!(after.header("etag"), before.header("etag"));
        let again = client()
            .get(world.at("/jwks"))
            .header(IF_NONE_MATCH, before.header("etag").unwrap());
        assert_eq!(answer(again).await.status, 200);
    }
}

const SECOND: Duration = Duration::from_secs(1);
const CACHE: Duration = Duration::from_secs(5 * 60);

/// A resource server that fetches the keys every five minutes, and a user who signs in all the time.
struct Verifier<'w> {
    world: &'w World,
    app: &'w App,
    user: &'w User,
    held: jws::KeySet,
    fetched_at: protocol::Timestamp,
    issued: Vec<String>,
}

impl<'w> Verifier<'w> {
    async fn new(world: &'w World, app: &'w App, user: &'w User) -> Self {
        let (held, fetched_at) = (jws::KeySet::default(), world.now());
        let mut verifier = Self {
            world,
            app,
            user,
            held,
            fetched_at,
            issued: Vec::new(),
        };
        verifier.fetch().await;
        verifier
    }

    async fn fetch(&mut self) {
        let jwks = self.world.visitor().get("/jwks").await.body;
        self.held = jws::KeySet::parse(jwks.as_bytes(), None).expect("a key set");
        self.fetched_at = self.world.now();
    }

    /// Those that sign.
    async fn published(&self) -> usize {
        let set = self.world.visitor().get("/jwks").await.json();
        let keys = set["keys"].as_array().expect("keys");
        keys.iter().filter(|key| key["use"] == "sig").count()
    }

    /// Time passes, keys are as old as they may be, and every token that is alive has to verify by them. The names
    /// of the keys that signed the newest.
    async fn pass(&mut self, time: Duration) -> BTreeSet<String> {
        if time > CACHE {
            self.world.pass(time - CACHE);
            self.fetch().await;
            self.world.pass(CACHE);
        } else {
            self.world.pass(time);
            if self.world.now().since(self.fetched_at) > CACHE {
                self.fetch().await;
            }
        }
        let tokens = self.app.grant(self.world, self.user, &[]).await;
        let newest = [tokens.access().to_owned(), tokens.text("id_token").to_owned()];
        assert_eq!(userinfo(self.world, tokens.access()).await.status, 200);
        let now = self.world.now().as_secs();
        self.issued.extend(newest.clone());
        self.issued
            .retain(|token| payload(token)["exp"].as_i64().expect("exp") > now);
        for token in &self.issued {
            let token = jws::Unverified::parse(token).expect("a token");
            let typ = [jws::Typ::Is("at+jwt"), jws::Typ::JwtOrAbsent];
            let verdict = typ.map(|typ| token.verify(&self.held, jws::Alg::ALL, typ).is_ok());
            assert_eq!(
                verdict.iter().filter(|good| **good).count(),
                1,
                "{token:?} {time:?}"
            );
        }
        newest
            .iter()
            .map(|token| header(token)["kid"].as_str().expect("a kid").to_owned())
            .collect()
    }
}

struct Trial<'w> {
    world: &'w World,
    app: &'w App,
    user: &'w User,
}

/// Tries what a member of the document promises. One that nothing here tries has no place in the document.
async fn is_true(name: &str, value: &Value, document: &Value, trial: &Trial<'_>) {
    let Trial { world, app, user } = trial;
    let words: Vec<&str> = value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    match name {
        "issuer" => {
            assert_eq!(value, &world.issuer);
            assert_eq!(app.grant(world, user, &[]).await.id()["iss"], *value);
        }
        "authorization_endpoint" | "token_endpoint" | "userinfo_endpoint" | "jwks_uri" => {
            flow_by(document, trial).await;
        }
        "registration_endpoint" => {
            let metadata = json!({ "redirect_uris": ["https://app.example.com/cb"] });
            let endpoint = world.route(value.as_str().expect("a URL"));
            let registered = answer(client().post(endpoint).json(&metadata)).await;
            assert_eq!(registered.status, 201, "{}", registered.body);
            let registered = registered.json();
            let uri = world.route(registered["registration_client_uri"].as_str().expect("a URL"));
            let token = registered["registration_access_token"].as_str().expect("a token");
            let read = answer(client().get(uri).bearer_auth(token)).await.json();
            assert_eq!(read["client_id"], registered["client_id"]);
        }
        "backchannel_logout_supported" | "backchannel_logout_session_supported" => {
            assert_eq!(value, true);
            let site = rp::Site::open().await;
            let metadata = json!({ "backchannel_logout_uri": site.put("/ended", "text/html", "") });
            let app = world.app_with(metadata).await;
            let (mut visitor, tokens) = app.sign_in(world, user, &[]).await;
            let request = format!("/logout?id_token_hint={}", tokens.text("id_token"));
            visitor.open(&request).await;
            let told = site.await_posted(1).await;
            let claims = notices::claims_of(&told[0], &app, world).await;
            assert_eq!(claims["sid"], tokens.id()["sid"]);
        }
        "frontchannel_logout_supported" | "frontchannel_logout_session_supported" => {
            assert_eq!(value, true);
            let metadata = json!({ "frontchannel_logout_uri": "https://app.example.com/out" });
            let app = world.app_with(metadata).await;
            let (mut visitor, tokens) = app.sign_in(world, user, &[]).await;
            let sid = tokens.id()["sid"].as_str().expect("a sid").to_owned();
            let page = visitor
                .open(&format!("/logout?id_token_hint={}", tokens.text("id_token")))
                .await;
            assert!(
                page.has("<iframe src=\"https://app.example.com/out?iss="),
                "{}",
                page.body
            );
            assert!(page.has(&format!("&#38;sid={sid}\"")), "{}", page.body);
        }
        "end_session_endpoint" => {
            let (mut visitor, tokens) = app.sign_in(world, user, &[]).await;
            let endpoint = value.as_str().expect("a URL");
            let request = format!("{endpoint}?id_token_hint={}", tokens.text("id_token"));
            assert!(visitor.open(&request).await.has("<h1>Signed out</h1>"));
            assert_eq!(userinfo(world, tokens.access()).await.status, 401);
        }
        "scopes_supported" => {
            let tokens = app.grant(world, user, &[("scope", &words.join(" "))]).await;
            let granted: BTreeSet<&str> = tokens.text("scope").split(' ').collect();
            assert_eq!(granted, words.iter().copied().collect());
        }
        "response_types_supported" | "response_modes_supported" => {
            let parameter = if name == "response_types_supported" {
                "response_type"
            } else {
                "response_mode"
            };
            for word in words {
                let redirect = world
                    .visitor()
                    .authorize(&app.url(&[(parameter, word)]), user.email.shown())
                    .await;
                app.tokens(world, &redirect).await;
            }
        }
        "grant_types_supported" => {
            assert_eq!(
                words,
                ["authorization_code", "refresh_token", "client_credentials"]
            );
            let api = world.resource(SigningAlg::Es256).await;
            let own = api.scopes.keys().next().expect("a scope");
            let scope = format!("openid offline_access {own}");
            let app = world
                .app_with(json!({ "grant_types": words, "scope": scope }))
                .await;
            assert_eq!(app.for_itself(world, &api.identifier, own).await.status, 200);
            let tokens = app
                .grant(world, user, &[("scope", "openid offline_access")])
                .await;
            assert_eq!(app.refresh(world, tokens.refresh()).await.status, 200);
        }
        "prompt_values_supported" => {
            let (mut visitor, _) = app.sign_in(world, user, &[]).await;
            for word in words {
                let answer = visitor.open(&app.url(&[("prompt", word)])).await;
                let met = match word {
                    "none" => answer.param("code").is_some(),
                    "login" => answer.asks_to_sign_in(),
                    "select_account" => answer.has("<h1>Choose an account</h1>"),
                    "consent" => answer.asks_for_consent(),
                    other => panic!("nothing tries prompt={other}"),
                };
                assert!(met, "{word}: {}", answer.body);
            }
        }
        "acr_values_supported" => {
            let acr = app.grant(world, user, &[]).await.id()["acr"].clone();
            assert_eq!(value, &json!([acr]));
        }
        "subject_types_supported" => {
            assert_eq!(words, ["public", "pairwise"]);
            let own = app.grant(world, user, &[]).await.id()["sub"].clone();
            for (word, alike) in [("public", true), ("pairwise", false)] {
                let other = world.app_with(json!({ "subject_type": word })).await;
                let other = other.grant(world, user, &[]).await.id()["sub"].clone();
                assert_eq!(own == other, alike, "{word}");
            }
        }
        "id_token_signing_alg_values_supported" => {
            assert_eq!(words, ["RS256", "PS256", "ES256", "EdDSA", "HS256"]);
            for word in words {
                let app = world
                    .app_with(json!({ "id_token_signed_response_alg": word }))
                    .await;
                let tokens = app.grant(world, user, &[]).await;
                assert_eq!(header(tokens.text("id_token"))["alg"], word);
            }
        }
        "userinfo_signing_alg_values_supported" => {
            assert_eq!(words, ["RS256", "PS256", "ES256", "EdDSA", "HS256"]);
            for word in words {
                let app = world
                    .app_with(json!({ "userinfo_signed_response_alg": word }))
                    .await;
                let tokens = app.grant(world, user, &[]).await;
                let told = userinfo(world, tokens.access()).await.body;
                assert_eq!(header(&told)["alg"], word);
            }
        }
        "id_token_encryption_alg_values_supported" | "id_token_encryption_enc_values_supported" => {
            let [algs, encs] = ["alg", "enc"]
                .map(|part| words_of(document, &format!("id_token_encryption_{part}_values_supported")));
            for (alg, enc) in pairs(&algs, &encs) {
                let app = encrypted_to("id_token", alg, enc, world).await;
                let tokens = app.grant(world, user, &[]).await;
                let outer = header(tokens.text("id_token"));
                assert_eq!((&outer["alg"], &outer["enc"]), (&json!(alg), &json!(enc)));
            }
        }
        "userinfo_encryption_alg_values_supported" | "userinfo_encryption_enc_values_supported" => {
            let [algs, encs] = ["alg", "enc"]
                .map(|part| words_of(document, &format!("userinfo_encryption_{part}_values_supported")));
            for (alg, enc) in pairs(&algs, &encs) {
                let app = encrypted_to("userinfo", alg, enc, world).await;
                let tokens = app.grant(world, user, &[]).await;
                let outer = header(&userinfo(world, tokens.access()).await.body);
                assert_eq!((&outer["alg"], &outer["enc"]), (&json!(alg), &json!(enc)));
            }
        }
        "token_endpoint_auth_methods_supported" => {
            for word in words {
                authenticates_by(word, trial).await;
            }
        }
        "token_endpoint_auth_signing_alg_values_supported"
        | "revocation_endpoint_auth_signing_alg_values_supported"
        | "introspection_endpoint_auth_signing_alg_values_supported" => {
            assert_eq!(words, ["RS256", "PS256", "ES256", "EdDSA", "HS256"]);
            for alg in ["RS256", "PS256", "ES256", "EdDSA", "HS256"] {
                let (method, key_alg) = match alg {
                    "HS256" => ("client_secret_jwt", "ES256"),
                    alg => ("private_key_jwt", alg),
                };
                let (app, key) = proving_by(method, key_alg, world).await;
                let tokens = granted(&app, &key, trial).await;
                let endpoint = name.replace("_auth_signing_alg_values_supported", "");
                if endpoint != "token_endpoint" {
                    let answer = asked((&app, &key), method, &document[endpoint], tokens.access(), world);
                    assert_eq!(answer.await.status, 200, "{name} {alg}");
                }
            }
        }
        "revocation_endpoint" | "revocation_endpoint_auth_methods_supported" => {
            assert_eq!(
                words_of(document, "revocation_endpoint_auth_methods_supported"),
                [
                    "client_secret_basic",
                    "client_secret_post",
                    "client_secret_jwt",
                    "private_key_jwt",
                    "none"
                ]
            );
            for word in words_of(document, "revocation_endpoint_auth_methods_supported") {
                let (app, key) = proving_by(word, "ES256", world).await;
                let tokens = granted(&app, &key, trial).await;
                let answer = asked(
                    (&app, &key),
                    word,
                    &document["revocation_endpoint"],
                    tokens.access(),
                    world,
                )
                .await;
                assert_eq!(answer.status, 200, "{word}: {}", answer.body);
                assert_eq!(userinfo(world, tokens.access()).await.status, 401, "{word}");
            }
        }
        "revocation_feed_endpoint" => {
            assert_eq!(value, &json!(format!("{}/revocations", world.issuer)));
            let api = world.resource(SigningAlg::Es256).await;
            let reader = world.asking(&api).await;
            let secret = reader.secret.as_ref().expect("a secret").expose();
            let request = client()
                .get(world.route(value.as_str().expect("a URL")))
                .header("authorization", basic(&reader.id, secret));
            crate::revocations::read(&answer(request).await, 0, world).await;
        }
        "introspection_endpoint" | "introspection_endpoint_auth_methods_supported" => {
            let all = words_of(document, "introspection_endpoint_auth_methods_supported");
            assert_eq!(
                all,
                [
                    "client_secret_basic",
                    "client_secret_post",
                    "client_secret_jwt",
                    "private_key_jwt"
                ]
            );
            for word in all {
                let (app, key) = proving_by(word, "ES256", world).await;
                let tokens = granted(&app, &key, trial).await;
                let answer = asked(
                    (&app, &key),
                    word,
                    &document["introspection_endpoint"],
                    tokens.access(),
                    world,
                )
                .await;
                assert_eq!(answer.json()["active"], true, "{word}: {}", answer.body);
            }
        }
        "code_challenge_methods_supported" => {
            for word in words {
                let url = app.url(&[("code_challenge_method", word)]);
                let redirect = world.visitor().authorize(&url, user.email.shown()).await;
                app.tokens(world, &redirect).await;
            }
        }
        "claim_types_supported" => {
            assert_eq!(words, ["normal"]);
            let tokens = app.grant(world, user, &[]).await;
            let claims = userinfo(world, tokens.access()).await.json();
            assert!(claims.get("_claim_names").is_none() && claims.get("name").is_some());
        }
        "claims_supported" => {
            let tokens = app
                .grant(world, user, &[("scope", "openid profile email address phone")])
                .await;
            let claims = userinfo(world, tokens.access()).await.json();
            let seen: BTreeSet<String> = [tokens.id(), claims]
                .iter()
                .flat_map(|claims| {
                    claims
                        .as_object()
                        .expect("an object")
                        .keys()
                        .cloned()
                        .collect::<Vec<_>>()
                })
                .collect();
            assert_eq!(
                words
                    .iter()
                    .map(|word| (*word).to_owned())
                    .collect::<BTreeSet<_>>(),
                seen
            );
        }
        "ui_locales_supported" => {
            for word in words {
                let page = world.visitor().open(&app.url(&[("ui_locales", word)])).await;
                assert!(page.has(&format!("<html lang=\"{word}\"")), "{}", page.body);
            }
        }
        "authorization_response_iss_parameter_supported" => {
            assert_eq!(value, true);
            let redirect = world.visitor().get(&app.url(&[("prompt", "none")])).await;
            assert_eq!(redirect.param("iss").as_deref(), Some(world.issuer.as_str()));
        }
        "claims_parameter_supported" => {
            assert_eq!(value, true);
            let asked = "{\"id_token\":{\"name\":null},\"userinfo\":{\"phone_number\":null}}";
            let tokens = app
                .grant(world, user, &[("scope", "openid"), ("claims", asked)])
                .await;
            assert!(tokens.id()["name"].is_string());
            let told = userinfo(world, tokens.access()).await.json();
            assert!(told["phone_number"].is_string() && told.get("name").is_none());
        }
        "request_parameter_supported" => {
            assert_eq!(value, true);
            let answer = world.visitor().get(&app.url(&[("request", "a.b.c")])).await;
            answer.assert_error("invalid_request_object");
        }
        "request_object_signing_alg_values_supported" => {
            assert_eq!(words, ["RS256", "PS256", "ES256", "EdDSA", "HS256"]);
            for alg in words {
                let claims = json!({ "state": "signed" });
                let (app, object) = match alg {
                    "HS256" => {
                        let app = world.app_with(json!({ "request_object_signing_alg": alg })).await;
                        let secret = app.secret.as_ref().unwrap().expose();
                        let object = rp::sign_by_secret(&claims, secret);
                        (app, object)
                    }
                    _ => {
                        let known = ["RS256", "PS256", "ES256", "EdDSA"];
                        let key = rp::Key::new(known.into_iter().find(|own| *own == alg).unwrap());
                        (
                            world.app_with(json!({ "jwks": key.jwks() })).await,
                            key.sign(&claims),
                        )
                    }
                };
                let url = app.url(&[("request", &object), ("prompt", "none")]);
                let answer = world.visitor().get(&url).await;
                assert_eq!(answer.param("state").as_deref(), Some("signed"), "{alg}");
            }
        }
        "request_object_encryption_alg_values_supported"
        | "request_object_encryption_enc_values_supported" => {
            let [algs, encs] = ["alg", "enc"].map(|part| {
                words_of(
                    document,
                    &format!("request_object_encryption_{part}_values_supported"),
                )
            });
            let jwks: Value = serde_json::from_str(&world.visitor().get("/jwks").await.body).unwrap();
            for (alg, enc) in pairs(&algs, &encs) {
                let key = rp::Key::new("ES256");
                let metadata = json!({
                    "jwks": key.jwks(),
                    "request_object_encryption_alg": alg, "request_object_encryption_enc": enc,
                });
                let app = world.app_with(metadata).await;
                let [alg, enc] = [json!(alg), json!(enc)];
                let ours = EncryptionKey::choose(&jwks, serde_json::from_value(alg).unwrap()).unwrap();
                let object = key.sign(&json!({ "state": "encrypted" }));
                let enc = serde_json::from_value(enc).unwrap();
                let object = ours.encrypt(enc, Content::SignedJwt, object.as_bytes()).unwrap();
                let url = app.url(&[("request", &object), ("prompt", "none")]);
                let answer = world.visitor().get(&url).await;
                assert_eq!(answer.param("state").as_deref(), Some("encrypted"));
            }
        }
        "request_uri_parameter_supported" | "require_request_uri_registration" => {
            assert_eq!(value, true);
            let (site, key) = (rp::Site::open().await, rp::Key::new("ES256"));
            let object = key.sign(&json!({ "state": "signed" }));
            let url = site.put("/r", "application/jwt", object);
            for (registered, answered) in [
                (json!([url]), "login_required"),
                (json!([]), "invalid_request_uri"),
            ] {
                let app = world
                    .app_with(json!({ "jwks": key.jwks(), "request_uris": registered }))
                    .await;
                let answer = world
                    .visitor()
                    .get(&app.url(&[("request_uri", &url), ("prompt", "none")]))
                    .await;
                answer.assert_error(answered);
            }
        }
        "pushed_authorization_request_endpoint" => {
            let path = value.as_str().expect("a URL").replace(&world.issuer, "");
            let answer = app.call(world, &path, app.request()).await;
            assert_eq!(answer.status, 201, "{}", answer.body);
        }
        "require_pushed_authorization_requests" => {
            assert_eq!(value, false);
            assert!(world.visitor().get(&app.url(&[])).await.location().is_some());
        }
        other => panic!("nothing tries {other}"),
    }
}

/// A sign-in that knows no address but those of the document.
async fn flow_by(document: &Value, Trial { world, app, user }: &Trial<'_>) {
    let at = |name: &str| document[name].as_str().unwrap_or_else(|| panic!("no {name}"));
    let (_, query) = app
        .url(&[])
        .split_once('?')
        .map(|(path, query)| (path.to_owned(), query.to_owned()))
        .expect("a query");
    let url = format!("{}?{query}", at("authorization_endpoint"));
    let redirect = world.visitor().authorize(&url, user.email.shown()).await;
    let params = [
        ("grant_type", "authorization_code"),
        ("code", &redirect.code()),
        ("redirect_uri", &app.redirect_uri),
        ("code_verifier", VERIFIER),
    ];
    let secret = app.secret.as_ref().map(|secret| secret.expose());
    let request = client()
        .post(world.route(at("token_endpoint")))
        .basic_auth(&app.id, secret)
        .form(&params);
    let tokens = answer(request).await.json();
    let access = tokens["access_token"].as_str().expect("an access token");
    let claims = answer(
        client()
            .get(world.route(at("userinfo_endpoint")))
            .bearer_auth(access),
    )
    .await;
    assert_eq!(claims.json()["sub"], user.sub.as_str());
    let keys = answer(client().get(world.route(at("jwks_uri")))).await.body;
    let keys = jws::KeySet::parse(keys.as_bytes(), None).expect("a key set");
    let token = jws::Unverified::parse(access).expect("a token");
    let meant = jws::Meant::For(at("issuer"));
    jws::access_token::verify(&token, &keys, at("issuer"), meant, world.now()).expect("a valid token");
}

fn words_of<'d>(document: &'d Value, name: &str) -> Vec<&'d str> {
    let words = document[name].as_array().expect("an array");
    words.iter().filter_map(Value::as_str).collect()
}

/// A request about a token, by a client that authenticates so.
async fn asked(
    (app, key): (&App, &rp::Key),
    method: &str,
    endpoint: &Value,
    token: &str,
    world: &World,
) -> Answer {
    let request = client().post(world.route(endpoint.as_str().expect("an endpoint")));
    let secret = app.secret.as_ref().map(|secret| secret.expose());
    let request = match (method, secret) {
        ("client_secret_basic", Some(secret)) => request
            .header("authorization", basic(&app.id, secret))
            .form(&[("token", token)]),
        ("client_secret_post", Some(secret)) => request.form(&[
            ("token", token),
            ("client_id", &app.id),
            ("client_secret", secret),
        ]),
        ("none", None) => request.form(&[("token", token), ("client_id", &app.id)]),
        ("private_key_jwt", None) => {
            let claims = rp::assertion(&app.id, &world.issuer, world.now().as_secs(), &json!({}));
            let mut params = vec![("token", token.to_owned())];
            params.extend(rp::asserted(key.sign(&claims)));
            request.form(&params)
        }
        ("client_secret_jwt", Some(_)) => {
            let mut params = vec![("token", token.to_owned())];
            params.extend(rp::asserted(app.asserting(world)));
            request.form(&params)
        }
        other => panic!("nothing tries {other:?}"),
    };
    answer(request).await
}

/// Each word once, with one of the others.
fn pairs<'d>(algs: &[&'d str], encs: &[&'d str]) -> Vec<(&'d str, &'d str)> {
    let longest = algs.len().max(encs.len());
    let pair = |at: usize| (algs[at % algs.len()], encs[at % encs.len()]);
    (0..longest).map(pair).collect()
}

/// An app to which this is told encrypted.
async fn encrypted_to(what: &str, alg: &str, enc: &str, world: &World) -> App {
    let keys = jose::Family::ALL.iter().map(|family| {
        let mut jwk = jose::DecryptionKey::generate(*family)
            .expect("a key")
            .public_jwk();
        jwk.as_object_mut().expect("an object").remove("alg");
        jwk
    });
    let metadata = json!({
        "jwks": { "keys": keys.collect::<Vec<_>>() },
        format!("{what}_encrypted_response_alg"): alg,
        format!("{what}_encrypted_response_enc"): enc,
    });
    world.app_with(metadata).await
}

/// An app registered for this method, with a key for it.
async fn proving_by(method: &str, alg: &'static str, world: &World) -> (App, rp::Key) {
    let key = rp::Key::new(alg);
    let metadata = match method {
        "private_key_jwt" => json!({ "token_endpoint_auth_method": method, "jwks": key.jwks() }),
        _ => json!({ "token_endpoint_auth_method": method }),
    };
    (world.app_with(metadata).await, key)
}

async fn granted(app: &App, key: &rp::Key, Trial { world, user, .. }: &Trial<'_>) -> Tokens {
    let code = app.code(world, user, &[]).await;
    let by_key = app.assert_by(key, world, "/token", app.exchanging(&code)).await;
    let by_key = match by_key.status.as_u16() {
        401 if app.secret.is_some() => app.assert_by_secret(world, "/token", app.exchanging(&code)).await,
        _ => by_key,
    };
    let answer = match by_key.status.as_u16() {
        200 => by_key,
        _ => app.redeem(world, &code).await,
    };
    assert_eq!(answer.status, 200, "{}", answer.body);
    Tokens { body: answer.json() }
}

async fn authenticates_by(method: &str, Trial { world, user, .. }: &Trial<'_>) {
    let (app, key) = proving_by(method, "RS256", world).await;
    let code = app.code(world, user, &[]).await;
    let answer = match (method, &app.secret) {
        ("private_key_jwt", None) => app.assert_by(&key, world, "/token", app.exchanging(&code)).await,
        ("client_secret_jwt", Some(_)) => app.assert_by_secret(world, "/token", app.exchanging(&code)).await,
        ("client_secret_basic", Some(_)) | ("none", None) => app.redeem(world, &code).await,
        ("client_secret_post", Some(secret)) => {
            let params = [
                ("grant_type", "authorization_code".to_owned()),
                ("code", code),
                ("redirect_uri", app.redirect_uri.clone()),
                ("code_verifier", VERIFIER.to_owned()),
                ("client_id", app.id.clone()),
                ("client_secret", secret.expose().to_owned()),
            ];
            post(world, "/token", &[], &params).await
        }
        (other, _) => panic!("nothing tries {other}"),
    };
    assert_eq!(answer.status, 200, "{method}: {}", answer.body);
}

/// A user of whom every claim is known.
pub(crate) async fn known_user(world: &World) -> User {
    let texts = |claim: Claim| match claim {
        Claim::Profile | Claim::Picture | Claim::Website => json!("https://example.com/ada"),
        Claim::Birthdate => json!("1815-12-10"),
        Claim::Zoneinfo => json!("Europe/London"),
        Claim::Locale => json!("en-GB"),
        Claim::Address => json!({ "locality": "London" }),
        Claim::PhoneNumberVerified => json!(true),
        _ => json!("+44 20"),
    };
    let kept = |claim: &Claim| !matches!(claim, Claim::Email | Claim::EmailVerified | Claim::UpdatedAt);
    world
        .user_with(|draft| {
            for claim in Claim::ALL.iter().copied().filter(kept) {
                draft.claims.set(claim, texts(claim)).expect("a valid claim");
            }
        })
        .await
}
