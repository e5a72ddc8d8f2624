//! The revocation feed as resource servers meet it (`docs/revocation.md`): who is let in, what is told in which form,
//! and what a restore of the database does to it.

use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clients::resources::{self, PublicKeys};
use clients::{ResourceServer, Trust};
use db::{Database, execute, run};
use events::{Context, audit, revocations};
use http::header::{
    ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, WWW_AUTHENTICATE,
};
use jws::{Alg, KeySet, Typ, Unverified};
use protocol::SigningAlg;
use reqwest::{RequestBuilder, Response};
use revocation::Act;
use serde_json::{Value, json};

use crate::harness::app::{answer, basic, basic_as_it_stands, payload, userinfo};
use crate::harness::rp::{Key, asserted, assertion};
use crate::harness::visitor::client;
use crate::harness::{Answer, App, Installation, World};
use crate::introspection::api;

/// Far above what anything here takes on a loaded machine.
const LIMIT: Duration = Duration::from_secs(30);

/// An answer that ends, taken apart and checked.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) feed: String,
    pub(crate) sequence: i64,
    pub(crate) records: Vec<Value>,
    text: String,
}

impl Told {
    /// Those of this name, by what they name.
    pub(crate) fn named(&self, name: &str) -> Vec<&str> {
        self.records
            .iter()
            .filter_map(|record| record[name].as_str())
            .collect()
    }
}

/// Reads an answer as a careful resource server does.
pub(crate) async fn read(answer: &Answer, after: i64, world: &World) -> Told {
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header(CONTENT_TYPE.as_str()), Some("application/x-ndjson"));
    assert_eq!(answer.header(CACHE_CONTROL.as_str()), Some("no-store"));
    let whole = answer.body.strip_suffix('\n').expect("whole lines");
    let (before, last) = whole.rsplit_once('\n').expect("two lines");
    let before = format!("{before}\n");
    let last: Value = serde_json::from_str(last).expect("a last line");
    let mut lines = before
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let first = lines.next().expect("a first line");
    let records: Vec<Value> = lines.collect();
    assert_eq!(first["issuer"], world.issuer.as_str());
    assert_eq!(first["after"], after);
    assert_eq!(last["records"], records.len());
    let numbers: Vec<i64> = records
        .iter()
        .map(|record| record["n"].as_i64().expect("a number"))
        .collect();
    assert!(
        numbers
            .iter()
            .all(|n| *n > after && *n <= first["sequence"].as_i64().unwrap()),
        "{numbers:?}"
    );
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");

    let keys = crate::harness::app::answer(client().get(world.at("/jwks")))
        .await
        .body;
    let keys = KeySet::parse(keys.as_bytes(), None).expect("a key set");
    let jws = Unverified::parse(last["jws"].as_str().expect("a signature")).expect("a JWS");
    let verified = jws
        .verify(&keys, &[Alg::Es256], Typ::Is("revocations+jwt"))
        .expect("our signature");
    let digest = seal::sha256(before.as_bytes());
    let iat = verified.members()["iat"].as_i64().expect("a time");
    assert!((iat - world.now().as_secs()).abs() < 60, "{iat}");
    let expected = json!({
        "iss": world.issuer, "iat": iat, "feed": first["feed"], "after": after, "sequence": first["sequence"],
        "records": records.len(), "digest": URL_SAFE_NO_PAD.encode(digest),
    });
    assert_eq!(&Value::Object(verified.members().clone()), &expected);
    Told {
        feed: first["feed"].as_str().expect("a feed").to_owned(),
        sequence: first["sequence"].as_i64().expect("a number"),
        records,
        text: answer.body.clone(),
    }
}

fn by_secret(world: &World, reader: &App, query: &str) -> RequestBuilder {
    let secret = reader.secret.as_ref().expect("a secret").expose();
    let url = world.at(&format!("/revocations{query}"));
    client().get(url).header(AUTHORIZATION, basic(&reader.id, secret))
}

async fn snapshot(world: &World, reader: &App) -> Told {
    read(&answer(by_secret(world, reader, "")).await, 0, world).await
}

async fn since(world: &World, reader: &App, held: &Told) -> Told {
    let query = format!("?after={}&feed={}", held.sequence, held.feed);
    read(
        &answer(by_secret(world, reader, &query)).await,
        held.sequence,
        world,
    )
    .await
}

async fn reader(world: &World) -> App {
    let (api, _) = api(world, SigningAlg::Es256).await;
    let reader = world.asking(&api).await;
    world.heard().await;
    reader
}

/// A stream of events, as it comes.
struct Events {
    response: Response,
    rest: String,
}

#[derive(Debug, Clone, PartialEq)]
struct Event {
    name: String,
    id: Option<String>,
    data: Value,
}

impl Events {
    async fn open(request: RequestBuilder) -> Self {
        let response = request
            .header(ACCEPT, "text/event-stream")
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        Self {
            response,
            rest: String::new(),
        }
    }

    async fn resume(request: RequestBuilder, id: &str) -> Self {
        Self::open(request.header("last-event-id", id)).await
    }

    /// The next one; none when the stream has ended.
    async fn next(&mut self) -> Option<Event> {
        let next = async {
            loop {
                if let Some((event, rest)) = self.rest.split_once("\n\n") {
                    let event = Event::parse(event);
                    self.rest = rest.to_owned();
                    return Some(event);
                }
                let chunk = self.response.chunk().await.ok().flatten()?;
                self.rest.push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
            }
        };
        tokio::time::timeout(LIMIT, next)
            .await
            .expect("an event, a beat or the end")
    }

    /// The next that is no beat.
    async fn news(&mut self) -> Event {
        loop {
            let event = self.next().await.expect("no end");
            if event.name != "beat" {
                return event;
            }
        }
    }

    /// What there was before the first beat.
    async fn backlog(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let event = self.next().await.expect("no end");
            if event.name == "beat" {
                return events;
            }
            events.push(event);
        }
    }

    async fn ends(&mut self) {
        while self.next().await.is_some() {}
    }
}

impl Event {
    fn parse(text: &str) -> Self {
        let field = |name: &str| {
            let mut lines = text
                .lines()
                .filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            lines.next().map(str::to_owned)
        };
        Self {
            name: field("event").expect("a name"),
            id: field("id"),
            data: serde_json::from_str(&field("data").expect("data")).expect("JSON"),
        }
    }
}

/// Records that somebody ended this token, which nobody has.
async fn end_some_token(world: &World) -> String {
    let jti = protocol::Jti::random();
    let (own, until) = (jti.clone(), world.now() + Duration::from_secs(600));
    let ended = world
        .db
        .transact(move |conn| Box::pin(async move { revocations::token_ended(&own, until, conn).await }));
    ended.await.expect("the database");
    jti.to_string()
}

async fn proof_by(key: &Key, world: &World, id: &str, params: &[(&str, String)]) -> Answer {
    let claims = assertion(id, &world.issuer, world.now().as_secs(), &json!({}));
    let mut form: Vec<(&str, String)> = params.to_vec();
    form.extend(asserted(key.sign(&claims)));
    answer(client().post(world.at("/revocations")).form(&form)).await
}

async fn give_keys(world: &World, api: &ResourceServer, keys: Option<PublicKeys>) {
    let (id, now) = (api.identifier.clone(), world.now());
    let given = world.db.transact(move |conn| {
        Box::pin(async move { resources::set_keys(&id, keys.as_ref(), &Context::server(), conn, now).await })
    });
    assert!(given.await.expect("the database"));
}

everywhere! {
    async fn a_snapshot_holds_what_every_kind_of_act_has_ended(world: World) {
        let (app, gone, user, reader) = (world.app().await, world.app().await, world.user().await, reader(&world).await);
        let before = snapshot(&world, &reader).await;
        let offline = [("scope", "openid offline_access")];
        let returned = app.grant(&world, &user, &offline).await;
        let kept = app.grant(&world, &user, &offline).await;
        assert_eq!(app.revoke(&world, returned.refresh()).await.status, 200);
        assert_eq!(app.revoke(&world, kept.access()).await.status, 200);
        world.end(Act::DeleteClient(gone.id.as_str().into())).await;
        let kid = protocol::random::id();
        let (own, until) = (kid.clone(), world.now() + Duration::from_secs(600));
        let withdrawn = world.db.transact(move |conn| {
            Box::pin(async move { revocations::key_withdrawn(&own, until, conn).await })
        });
        withdrawn.await.unwrap();

        let [whole, new] = [snapshot(&world, &reader).await, since(&world, &reader, &before).await];
        assert_eq!(whole.feed, before.feed);
        for told in [&whole, &new] {
            let approval = payload(returned.access())["approval"].as_str().unwrap().to_owned();
            assert!(told.named("approval").contains(&approval.as_str()), "{told:?}");
            let jti = payload(kept.access())["jti"].as_str().unwrap().to_owned();
            assert!(told.named("token").contains(&jti.as_str()));
            assert!(told.named("client").contains(&gone.id.as_str()));
            assert!(told.named("key").contains(&kid.as_str()));
            let of_client = told.records.iter().find(|record| record["client"] == gone.id.as_str()).unwrap();
            assert_eq!(of_client["generation"], 2);
            assert!(of_client["until"].as_i64().unwrap() > world.now().as_secs() + 900);
            // Nothing of people, and nothing of why.
            for member in told.records.iter().flat_map(|record| record.as_object().unwrap().keys()) {
                let known = ["n", "approval", "client", "token", "key", "generation", "until"];
                assert!(known.contains(&member.as_str()), "{member}");
            }
            for word in [user.sub.as_str(), user.email.shown(), "Alex", "session", "user"] {
                assert!(!told.text.contains(word), "{word}");
            }
        }
        // Given back twice, told once.
        let told = snapshot(&world, &reader).await;
        assert_eq!(app.revoke(&world, kept.access()).await.status, 200);
        let jti = payload(kept.access())["jti"].as_str().unwrap().to_owned();
        let of_token = |told: &Told| told.named("token").iter().filter(|own| **own == jti).count();
        assert_eq!((of_token(&told), of_token(&snapshot(&world, &reader).await)), (1, 1));
    }

    async fn only_resource_servers_and_those_an_operator_chose_are_let_in(world: World) {
        let (api, scope) = api(&world, SigningAlg::Es256).await;
        let reader = world.asking(&api).await;
        let (app, user) = (world.app().await, world.user().await);
        let machine = world.machine(&format!("{scope} revocations")).await;
        let other = world.machine(&scope).await;
        world.heard().await;
        let get = |token: &str| answer(client().get(world.at("/revocations")).bearer_auth(token));
        let own = |app: App| {
            let world = &world;
            async move {
                let form = vec![("grant_type", "client_credentials".to_owned())];
                app.token(world, form).await
            }
        };

        let given = own(machine.clone()).await;
        assert_eq!(given.json()["scope"], "revocations", "{}", given.body);
        let token = given.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(payload(&token)["aud"], world.issuer.as_str());
        read(&get(&token).await, 0, &world).await;
        let head = client().get(world.at("/revocations")).header(AUTHORIZATION, format!("bEARER {token}"));
        assert_eq!(answer(head).await.status, 200);
        // And by its secret itself, or in a form.
        read(&answer(by_secret(&world, &machine, "")).await, 0, &world).await;
        let form = client().post(world.at("/revocations")).bearer_auth(&token).form(&[("after", "0")]);
        read(&answer(form).await, 0, &world).await;

        // Nothing, or where nobody looks.
        for query in ["", &format!("?access_token={token}"), "?client_assertion=x&client_assertion_type=y"] {
            let refused = answer(client().get(world.at(&format!("/revocations{query}")))).await;
            refused.assert_refusal(401, "invalid_token");
            assert_eq!(refused.header(WWW_AUTHENTICATE.as_str()), Some("Bearer"));
        }
        let secret = reader.secret.as_ref().unwrap().expose();
        let in_body = [("client_id", reader.id.as_str()), ("client_secret", secret)];
        answer(client().post(world.at("/revocations")).form(&in_body)).await.assert_refusal(401, "invalid_token");
        // A wrong secret, or nobody's.
        for (id, secret) in [(reader.id.as_str(), "cs_cs_wrong"), ("urn:none", secret), (app.id.as_str(), secret)] {
            let header = basic(id, secret);
            let refused = answer(client().get(world.at("/revocations")).header(AUTHORIZATION, header)).await;
            refused.assert_refusal(401, "invalid_client");
            assert!(refused.header(WWW_AUTHENTICATE.as_str()).unwrap().starts_with("Basic"));
        }
        let scheme = client().get(world.at("/revocations")).header(AUTHORIZATION, "Digest x");
        answer(scheme).await.assert_refusal(401, "invalid_client");
        // Tokens of others, for others, or none.
        let for_api = machine.for_itself(&world, &api.identifier, &scope).await;
        let for_api = for_api.json()["access_token"].as_str().unwrap().to_owned();
        let of_user = app.grant(&world, &user, &[]).await;
        for (token, status, error) in [
            ("x", 401, "invalid_token"),
            (for_api.as_str(), 401, "invalid_token"),
            (of_user.text("id_token"), 401, "invalid_token"),
            (of_user.access(), 403, "insufficient_scope"),
        ] {
            let refused = get(token).await;
            refused.assert_refusal(status, error);
            assert!(refused.header(WWW_AUTHENTICATE.as_str()).unwrap().contains(error));
        }
        // Clients that were not given the scope; a person cannot give it.
        for app in [&app, &other] {
            answer(by_secret(&world, app, "")).await.assert_refusal(403, "insufficient_scope");
        }
        own(other.clone()).await.assert_refusal(400, "invalid_target");
        let asking = app.grant(&world, &user, &[("scope", "openid revocations")]).await;
        assert!(!asking.body["scope"].as_str().unwrap().contains("revocations"));
        // One that is trusted no more, with a token that is.
        world.trust(&machine, Trust::Unverified).await;
        for _ in 0..2 {
            get(&token).await.assert_refusal(403, "insufficient_scope");
        }
        world.trust(&machine, Trust::Trusted).await;
        world.end(Act::DeleteClient(machine.id.as_str().into())).await;
        for _ in 0..2 {
            get(&token).await.assert_refusal(401, "invalid_token");
        }
        // Nobody gives it to themselves.
        let document = json!({ "redirect_uris": ["https://a.test/cb"], "scope": "openid revocations" });
        let registered = answer(client().post(world.at("/register")).json(&document)).await;
        registered.assert_refusal(400, "invalid_client_metadata");
        assert!(registered.body.contains("revocations"), "{}", registered.body);
    }

    async fn a_resource_server_may_sign_instead_of_sending_a_secret(world: World) {
        let (api, _) = api(&world, SigningAlg::Es256).await;
        let (key, stranger) = (Key::new("ES256"), Key::new("ES256"));
        let id = api.identifier.as_str();
        proof_by(&key, &world, id, &[]).await.assert_refusal(401, "invalid_client");
        give_keys(&world, &api, Some(PublicKeys::Set(key.jwks()))).await;
        for _ in 0..2 {
            let told = read(&proof_by(&key, &world, id, &[]).await, 0, &world).await;
            let after = [("after", told.sequence.to_string()), ("feed", told.feed.clone())];
            read(&proof_by(&key, &world, id, &after).await, told.sequence, &world).await;
        }
        proof_by(&stranger, &world, id, &[]).await.assert_refusal(401, "invalid_client");
        proof_by(&key, &world, "urn:another", &[]).await.assert_refusal(401, "invalid_client");
        // Once, and meant for us.
        let claims = assertion(id, &world.issuer, world.now().as_secs(), &json!({}));
        let form = asserted(key.sign(&claims));
        let send = || answer(client().post(world.at("/revocations")).form(&form));
        assert_eq!(send().await.status, 200);
        for _ in 0..2 {
            send().await.assert_refusal(401, "invalid_client");
        }
        let claims = assertion(id, "https://other.example.com", world.now().as_secs(), &json!({}));
        let form = asserted(key.sign(&claims));
        answer(client().post(world.at("/revocations")).form(&form)).await.assert_refusal(401, "invalid_client");
        // Twice at a time.
        let claims = assertion(id, &world.issuer, world.now().as_secs(), &json!({}));
        let form = asserted(key.sign(&claims));
        let both = client().post(world.at("/revocations")).header(AUTHORIZATION, basic(id, "x")).form(&form);
        answer(both).await.assert_refusal(400, "invalid_request");
        // It asks about tokens the same way, and gets none.
        let with = |param: (&'static str, &str)| {
            let claims = assertion(id, &world.issuer, world.now().as_secs(), &json!({}));
            let mut form = asserted(key.sign(&claims)).to_vec();
            form.push((param.0, param.1.to_owned()));
            form
        };
        let asked = answer(client().post(world.at("/introspect")).form(&with(("token", "x")))).await;
        assert_eq!(asked.json(), json!({ "active": false }));
        let granted = answer(client().post(world.at("/token")).form(&with(("grant_type", "client_credentials")))).await;
        granted.assert_refusal(401, "invalid_client");
        give_keys(&world, &api, None).await;
        world.heard().await;
        for _ in 0..2 {
            proof_by(&key, &world, id, &[]).await.assert_refusal(401, "invalid_client");
        }
    }

    async fn a_stream_at_one_server_hears_of_an_act_at_another(world: World) {
        let (app, user, reader) = (world.app().await, world.user().await, reader(&world).await);
        let held = snapshot(&world, &reader).await;
        let id = format!("{}.{}", held.feed, held.sequence);
        let mut tokens = Vec::new();
        for _ in 0..4 {
            tokens.push(app.grant(&world, &user, &[("scope", "openid offline_access")]).await);
        }
        // Of two servers, each request goes to the other one than the last.
        let mut one = Events::resume(by_secret(&world, &reader, ""), &id).await;
        let mut other = Events::resume(by_secret(&world, &reader, ""), &id).await;
        for tokens in &tokens {
            let jti = payload(tokens.access())["jti"].clone();
            assert_eq!(app.revoke(&world, tokens.access()).await.status, 200);
            for stream in [&mut one, &mut other] {
                loop {
                    let event = stream.news().await;
                    assert_eq!(event.name, "revocation");
                    let n = event.data["n"].as_i64().unwrap();
                    assert_eq!(event.id, Some(format!("{}.{n}", held.feed)));
                    if event.data["token"] == jti {
                        break;
                    }
                }
            }
        }
    }

    async fn scripts_of_other_origins_read_nothing(world: World) {
        let reader = reader(&world).await;
        let request = by_secret(&world, &reader, "").header("origin", "https://app.example.com");
        let answer = answer(request).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

on_both_databases! {
    async fn what_is_held_already_is_not_sent_again(world: World) {
        let reader = reader(&world).await;
        end_some_token(&world).await;
        let first = answer(by_secret(&world, &reader, "")).await;
        let held = read(&first, 0, &world).await;
        let etag = first.header(ETAG.as_str()).unwrap().to_owned();
        assert_eq!(etag, format!("W/\"{}.{}\"", held.feed, held.sequence));
        let again = || by_secret(&world, &reader, "").header(IF_NONE_MATCH, &etag);
        let unchanged = answer(again()).await;
        assert_eq!((unchanged.status.as_u16(), unchanged.body.as_str()), (304, ""));
        assert_eq!(unchanged.header(ETAG.as_str()), Some(etag.as_str()));
        let nothing = since(&world, &reader, &held).await;
        assert_eq!((nothing.records.len(), nothing.sequence), (0, held.sequence));

        let jti = end_some_token(&world).await;
        let changed = read(&answer(again()).await, 0, &world).await;
        assert_eq!(changed.named("token").last(), Some(&jti.as_str()));
        let new = since(&world, &reader, &held).await;
        assert_eq!(new.named("token"), [jti.as_str()]);

        // What concerns no token any more is told to nobody, some minutes later.
        world.pass(Duration::from_secs(26 * 60));
        assert_eq!(snapshot(&world, &reader).await.records, Vec::<Value>::new());
    }

    async fn what_cannot_be_answered_is_refused(world: World) {
        let reader = reader(&world).await;
        let held = snapshot(&world, &reader).await;
        let above = held.sequence + 1;
        let get = |query: String| {
            let request = by_secret(&world, &reader, &query);
            async move { answer(request).await }
        };
        for query in [
            format!("?after={above}"),
            format!("?after={above}&feed={}&wait=5", held.feed),
            format!("?after={}&feed=another", held.sequence),
            "?feed=another".to_owned(),
        ] {
            get(query).await.assert_refusal(410, "stale_feed");
        }
        for query in [
            "?after=x",
            "?after=-1",
            "?after=1.5",
            "?after=99999999999999999999",
            "?after=0&wait=0",
            "?after=0&wait=x",
            "?wait=5",
            "?after=0&after=1",
            "?after=%zz",
        ] {
            get(query.to_owned()).await.assert_refusal(400, "invalid_request");
        }
        let bad = by_secret(&world, &reader, "").header(ACCEPT, "text/event-stream").header("last-event-id", "x");
        answer(bad).await.assert_refusal(400, "invalid_request");
        let method = client().delete(world.at("/revocations"));
        assert_eq!(answer(method).await.status, 405);
        // Who asks for what is not there yet ends nothing.
        assert_eq!(snapshot(&world, &reader).await.feed, held.feed);
    }

    async fn a_stream_begins_with_what_was_missed_and_ends_with_its_credential(world: World) {
        let (api, _) = api(&world, SigningAlg::Es256).await;
        let reader = world.asking(&api).await;
        world.heard().await;
        let [first, second] = [end_some_token(&world).await, end_some_token(&world).await];
        let mut stream = Events::open(by_secret(&world, &reader, "")).await;
        let backlog = stream.backlog().await;
        let told: Vec<&str> = backlog.iter().filter_map(|event| event.data["token"].as_str()).collect();
        assert_eq!(told, [first.as_str(), second.as_str()]);

        // Behind the first: the second alone.
        let id = backlog[0].id.clone().unwrap();
        let mut resumed = Events::resume(by_secret(&world, &reader, ""), &id).await;
        assert_eq!(resumed.backlog().await, backlog[1..]);
        let (feed, n) = id.rsplit_once('.').unwrap();
        let by_query = by_secret(&world, &reader, &format!("?after={n}&feed={feed}"));
        assert_eq!(Events::open(by_query).await.backlog().await, backlog[1..]);

        let third = end_some_token(&world).await;
        for stream in [&mut stream, &mut resumed] {
            let event = stream.news().await;
            assert_eq!((event.name.as_str(), &event.data["token"]), ("revocation", &json!(third)));
        }
        let event = stream.next().await.unwrap();
        let sequence = event.data["sequence"].as_i64().unwrap();
        assert_eq!((event.name.as_str(), event.id), ("beat", Some(format!("{feed}.{sequence}"))));
        assert_eq!(sequence, snapshot(&world, &reader).await.sequence);

        // A number of another history, or of none.
        for id in ["another.1".to_owned(), format!("{feed}.{}", sequence + 1)] {
            let mut stale = Events::resume(by_secret(&world, &reader, ""), &id).await;
            let event = stale.next().await.unwrap();
            assert_eq!((event.name.as_str(), event.data), ("reset", json!({ "feed": feed })));
            assert_eq!(stale.next().await, None);
        }

        // The secret ends, and what it opened.
        let (identifier, now) = (api.identifier.clone(), world.now());
        let deleted = world.db.transact(move |conn| {
            Box::pin(async move {
                let by = Context::server();
                let secrets = resources::secrets::list(&identifier, conn).await?;
                resources::secrets::delete(&identifier, &secrets[0].secret_id, &by, conn, now).await
            })
        });
        deleted.await.unwrap();
        world.heard().await;
        let began = Instant::now();
        stream.ends().await;
        resumed.ends().await;
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    }

    async fn a_stream_by_a_token_ends_with_the_token(world: World) {
        let machine = world.machine("revocations").await;
        world.heard().await;
        let form = vec![("grant_type", "client_credentials".to_owned())];
        let token = machine.token(&world, form).await.json()["access_token"].as_str().unwrap().to_owned();
        let request = || client().get(world.at("/revocations")).bearer_auth(&token);
        let mut stream = Events::open(request()).await;
        stream.backlog().await;
        assert_eq!(stream.next().await.unwrap().name, "beat");
        world.pass(Duration::from_secs(20 * 60));
        stream.ends().await;
        answer(request()).await.assert_refusal(401, "invalid_token");
    }

    /// Keys behind a URL, and secrets that are gone, do not show in the record that it was judged by.
    async fn a_stream_by_an_assertion_ends_after_some_minutes(world: World) {
        let (api, _) = api(&world, SigningAlg::Es256).await;
        let key = Key::new("ES256");
        give_keys(&world, &api, Some(PublicKeys::Set(key.jwks()))).await;
        let claims = assertion(&api.identifier, &world.issuer, world.now().as_secs(), &json!({}));
        let request = client().post(world.at("/revocations")).form(&asserted(key.sign(&claims)));
        let mut stream = Events::open(request).await;
        stream.backlog().await;
        world.pass(Duration::from_secs(5 * 60));
        assert_eq!(stream.next().await.expect("no end").name, "beat");
        world.pass(Duration::from_secs(1));
        stream.ends().await;
    }

    async fn a_poll_waits_until_there_is_something(world: World) {
        let reader = reader(&world).await;
        let held = snapshot(&world, &reader).await;
        let poll = |wait: u64| {
            let query = format!("?after={}&feed={}&wait={wait}", held.sequence, held.feed);
            answer(by_secret(&world, &reader, &query))
        };
        let began = Instant::now();
        let nothing = read(&poll(1).await, held.sequence, &world).await;
        assert_eq!((nothing.records.len(), nothing.sequence), (0, held.sequence));
        assert!(began.elapsed() >= Duration::from_secs(1));

        let began = Instant::now();
        let act = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            end_some_token(&world).await
        };
        let (told, jti) = tokio::join!(poll(600), act);
        let told = read(&told, held.sequence, &world).await;
        assert_eq!(told.named("token"), [jti.as_str()]);
        assert!(told.sequence > held.sequence && began.elapsed() < Duration::from_secs(20));
        // What came meanwhile is told at once.
        let began = Instant::now();
        assert_eq!(read(&poll(60).await, held.sequence, &world).await.records, told.records);
        assert!(began.elapsed() < Duration::from_secs(20));
    }

    async fn a_refresh_token_that_the_database_forgot_proves_a_restore_once(world: World) {
        let (app, user, reader) = (world.public_app().await, world.user().await, reader(&world).await);
        let offline = [("scope", "openid offline_access")];
        let (mut visitor, tokens) = app.sign_in(&world, &user, &offline).await;
        let unused = app.code(&world, &user, &offline).await;
        let online = app.grant(&world, &user, &[]).await;
        let held = snapshot(&world, &reader).await;
        let rotated = async |token: &str| {
            let answer = app.refresh(&world, token).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            answer.json()["refresh_token"].as_str().unwrap().to_owned()
        };
        let newer = rotated(&rotated(tokens.refresh()).await).await;
        set(&world.db, "UPDATE families SET generation = 1").await;
        world.pass(Duration::from_secs(2));

        // One that we did not make proves nothing.
        let mut forged = newer.clone().into_bytes();
        let at = forged.len() - 10;
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        app.refresh(&world, &String::from_utf8(forged).unwrap()).await.assert_refusal(400, "invalid_grant");
        assert_eq!(snapshot(&world, &reader).await.feed, held.feed);

        for _ in 0..3 {
            app.refresh(&world, &newer).await.assert_refusal(400, "invalid_grant");
        }
        let after = snapshot(&world, &reader).await;
        assert_ne!(after.feed, held.feed);
        assert!(after.sequence > held.sequence);
        assert_eq!(told_of_restores(&world.db).await, ["refresh_token"]);
        let stale = format!("?after={}&feed={}", held.sequence, held.feed);
        answer(by_secret(&world, &reader, &stale)).await.assert_refusal(410, "stale_feed");

        // What may have been ended is dead; what was allowed beyond the session goes on.
        visitor.get(&app.url(&[("prompt", "none")])).await.assert_error("login_required");
        app.redeem(&world, &unused).await.assert_refusal(400, "invalid_grant");
        userinfo(&world, online.access()).await.assert_refusal(401, "invalid_token");
        rotated(tokens.refresh()).await;
        // That its row was written anew is no news of a further restore: one person could go on like that for ever.
        world.pass(Duration::from_secs(2));
        app.refresh(&world, &newer).await.assert_refusal(400, "invalid_grant");
        assert_eq!(told_of_restores(&world.db).await, ["refresh_token"]);
        // Signing in again is all that it takes, with the same browser.
        let redirect = visitor.authorize(&app.url(&[]), user.email.shown()).await;
        let again = app.tokens(&world, &redirect).await;
        assert_eq!(userinfo(&world, again.access()).await.status, 200);
    }
}

async fn set(db: &Database, statement: &'static str) {
    let done = db.transact(move |conn| {
        Box::pin(async move {
            execute!(conn, sqlx::query(statement))?;
            Ok::<_, db::Error>(())
        })
    });
    done.await.expect("a valid statement");
}

/// The evidence of each restore that was noticed.
async fn told_of_restores(db: &Database) -> Vec<String> {
    let trail = audit::newest(10_000, &mut db.reader().await.expect("a connection"))
        .await
        .expect("the trail");
    let restores = trail
        .into_iter()
        .filter(|event| event.kind == "database.restored");
    restores
        .map(|event| event.details["evidence"].as_str().expect("a word").to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_read_the_feed_is_told_what_to_send() {
    let world = World::sqlite().await;
    let reader = reader(&world).await;
    let secret = reader.secret.as_ref().expect("a secret").expose();
    let get = || client().get(world.at("/revocations"));
    let nothing = answer(get()).await;
    nothing.assert_refusal(401, "invalid_token");
    assert!(nothing.has("HTTP Basic"), "{}", nothing.body);
    // Cut at the colon of the scheme.
    assert!(reader.id.contains("://"), "{}", reader.id);
    let unencoded = answer(get().header(AUTHORIZATION, basic_as_it_stands(&reader.id, secret))).await;
    unencoded.assert_refusal(401, "invalid_client");
    assert!(unencoded.has("https%3A%2F%2F"), "{}", unencoded.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_has_five_hundred_and_twelve_streams_and_no_more() {
    let world = World::sqlite().await;
    let (one, other) = (reader(&world).await, reader(&world).await);
    let mut streams = Vec::new();
    for _ in 0..512 {
        streams.push(Events::open(by_secret(&world, &one, "")).await);
    }
    for query in ["", "?after=0&wait=30"] {
        let refused = answer(by_secret(&world, &one, query)).await;
        refused.assert_refusal(429, "temporarily_unavailable");
        assert!(refused.header("retry-after").is_some());
    }
    assert_eq!(answer(by_secret(&world, &other, "")).await.status, 200);
    streams.truncate(511);
    // That a peer has hung up is noticed when it is written to, or read from.
    let deadline = Instant::now() + LIMIT;
    while answer(by_secret(&world, &one, "")).await.status != 200 {
        assert!(Instant::now() < deadline, "the place is not free again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A resource server of an installation, by its command line.
async fn registered(installation: &Installation) -> App {
    let made = command(
        installation,
        &["resource", "create", "--identifier", "https://api.example.com/"],
    )
    .await;
    App {
        id: made["client_id"].as_str().expect("an identifier").to_owned(),
        secret: Some(made["client_secret"].as_str().expect("a secret").into()),
        redirect_uri: String::new(),
    }
}

async fn command(installation: &Installation, line: &[&str]) -> Value {
    let ended = installation.run(&[&["--json"], line].concat()).await;
    assert_eq!(ended.code, Some(0), "{line:?}: {}", ended.stderr);
    serde_json::from_str(&ended.stdout).expect("JSON")
}

/// Ends a client from the command line, and says which.
async fn end_a_client(installation: &Installation) -> String {
    let uri = "https://app.example.com/cb";
    let made = command(
        installation,
        &["client", "create", "--name", "N", "--redirect-uri", uri],
    )
    .await;
    let id = made["client_id"].as_str().expect("an id").to_owned();
    command(installation, &["client", "delete", "--", &id]).await;
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_act_of_the_command_line_wakes_polls_and_streams_and_a_stop_ends_them() {
    for database in [db::testing::sqlite_url(), db::testing::postgres_url().await] {
        let installation = Installation::on(database);
        let mut server = installation.start().await;
        let reader = registered(&installation).await;
        let world = installation.world().await;
        let held = snapshot(&world, &reader).await;
        let query = format!("?after={}&feed={}&wait=60", held.sequence, held.feed);
        let mut stream = Events::open(by_secret(&world, &reader, "")).await;
        assert_eq!(stream.backlog().await, []);
        let began = Instant::now();
        let poll = tokio::spawn(answer(by_secret(&world, &reader, &query)));
        let ended = end_a_client(&installation).await;
        let told = read(&poll.await.unwrap(), held.sequence, &world).await;
        assert_eq!(told.named("client"), [ended.as_str()]);
        assert_eq!(stream.news().await.data["client"], ended.as_str());
        assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());

        let query = format!("?after={}&wait=60", told.sequence);
        let poll = tokio::spawn(answer(by_secret(&world, &reader, &query)));
        tokio::time::sleep(Duration::from_millis(300)).await;
        let began = Instant::now();
        assert_eq!(server.terminate().await.code(), Some(0));
        assert!(began.elapsed() < Duration::from_secs(8), "it waited for a stream");
        assert!(
            !server.stderr().contains("did not finish in time"),
            "{}",
            server.stderr()
        );
        assert_eq!(stream.next().await, None);
        assert_eq!(poll.await.unwrap().status, 200);
    }
}

/// A database with what belongs to it, in place of what is there. Nobody has it open.
fn copy(from: &Path, to: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let [from, to] = [from, to].map(|path| format!("{}{suffix}", path.display()));
        let _ = std::fs::remove_file(&to);
        if suffix != "-shm" && Path::new(&from).exists() {
            std::fs::copy(from, to).expect("a copy");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sqlite_file_that_was_brought_back_begins_another_history() {
    let installation = Installation::on(db::testing::sqlite_url());
    let db::Url::Sqlite(file) = installation.database.clone() else {
        panic!("not SQLite")
    };
    let backup = installation.folder.path().join("backup.db");
    let mut server = installation.start().await;
    let reader = registered(&installation).await;
    let world = installation.world().await;
    let (app, user) = (world.app().await, world.user().await);
    let (visitor, _) = app.sign_in(&world, &user, &[]).await;
    let cookies = visitor.cookies.clone();
    drop(visitor);
    world.db.close().await;
    drop(world);
    server.terminate().await;
    copy(&file, &backup);

    // The same database comes up as the same.
    let mut server = installation.start().await;
    let world = installation.world().await;
    let before = snapshot(&world, &reader).await;
    assert_eq!(told_of_restores(&world.db).await, Vec::<String>::new());
    let ended = end_a_client(&installation).await;
    let newest = since(&world, &reader, &before).await;
    assert_eq!(newest.named("client"), [ended.as_str()]);
    // Killed: the mark is written while it runs, too.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    server.kill_dash_nine();
    world.db.close().await;
    drop(world);
    copy(&backup, &file);

    let mut server = installation.start().await;
    let world = installation.world().await;
    let after = snapshot(&world, &reader).await;
    assert_ne!(after.feed, before.feed);
    assert!(
        after.sequence > newest.sequence,
        "numbers that were seen mean nothing else"
    );
    assert_eq!(told_of_restores(&world.db).await, ["sequence"]);
    let id = format!("{}.{}", newest.feed, newest.sequence);
    let mut stale = Events::resume(by_secret(&world, &reader, ""), &id).await;
    assert_eq!(stale.next().await.unwrap().name, "reset");
    let mut visitor = world.visitor();
    visitor.cookies = cookies;
    visitor
        .get(&app.url(&[("prompt", "none")]))
        .await
        .assert_error("login_required");
    drop(visitor);

    // Once.
    server.terminate().await;
    let _server = installation.start().await;
    assert_eq!(snapshot(&world, &reader).await.feed, after.feed);
    assert_eq!(told_of_restores(&world.db).await, ["sequence"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_timeline_of_postgres_begins_one_other_history_for_all_replicas() {
    let installation = Installation::on(db::testing::postgres_url().await);
    let second = crate::harness::process::free_port();
    let mut server = installation.start().await;
    let reader = registered(&installation).await;
    let world = installation.world().await;
    let (app, user) = (world.app().await, world.user().await);
    let (mut visitor, _) = app.sign_in(&world, &user, &[]).await;
    let code = app.code(&world, &user, &[]).await;
    let before = snapshot(&world, &reader).await;
    server.terminate().await;
    let mut server = installation.start().await;
    assert_eq!(
        snapshot(&world, &reader).await.feed,
        before.feed,
        "a restart is none"
    );
    server.terminate().await;

    let origin = |world: &World| {
        let db = world.db.clone();
        async move {
            let mut conn = db.reader().await.unwrap();
            let row: (Option<String>,) = run!(&mut conn, |c| sqlx::query_as(
                "SELECT origin FROM revocation_feed"
            )
            .fetch_one(c))
            .unwrap();
            row.0.expect("PostgreSQL tells")
        }
    };
    let told = origin(&world).await;
    // A server's number, a database's, and eight digits of the timeline.
    assert!(
        told.ends_with("/00000001") && told.split('/').count() == 3,
        "{told}"
    );
    set(
        &world.db,
        "UPDATE revocation_feed SET origin = origin || '-before'",
    )
    .await;
    let _servers = tokio::join!(installation.start(), installation.start_at(second));
    let after = snapshot(&world, &reader).await;
    assert_ne!(after.feed, before.feed);
    assert_eq!(told_of_restores(&world.db).await, ["origin"]);
    assert_eq!(origin(&world).await, told);
    visitor
        .get(&app.url(&[("prompt", "none")]))
        .await
        .assert_error("login_required");
    app.redeem(&world, &code)
        .await
        .assert_refusal(400, "invalid_grant");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_falls_back_under_a_running_server_is_noticed() {
    for world in [World::sqlite().await, World::postgres().await] {
        let reader = reader(&world).await;
        end_some_token(&world).await;
        let held = snapshot(&world, &reader).await;
        let mut stream = Events::open(by_secret(&world, &reader, "")).await;
        stream.backlog().await;
        set(&world.db, "DELETE FROM revocations").await;
        set(&world.db, "UPDATE revocation_counter SET sequence = 0").await;
        // SQLite tells of commits by others; this one is by the server's own connection.
        let deadline = Instant::now() + LIMIT;
        let event = stream.news().await;
        assert_eq!(event.name, "reset");
        let after = snapshot(&world, &reader).await;
        assert_ne!(after.feed, held.feed);
        assert!(after.sequence > held.sequence && Instant::now() < deadline);
        assert_eq!(event.data, json!({ "feed": after.feed }));
        assert_eq!(told_of_restores(&world.db).await, ["sequence"]);
    }
}
