//! Implicit and hybrid flows, where an operator admits them: OpenID Connect Core §3.2 and §3.3, OAuth 2.0 Multiple
//! Response Type Encoding Practices. What goes through the browser is as much accounted for as what the token endpoint
//! says.

use std::collections::BTreeMap;

use accounts::users::User;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use events::Context;
use protocol::{ResponseMode, ResponseType, ResponseTypes};
use revocation::Act;
use serde_json::{Value, json};

use crate::harness::app::{header, payload, post, userinfo};
use crate::harness::visitor::Sent;
use crate::harness::world::Own;
use crate::harness::{Answer, App, Channel, World};

async fn admitting() -> World {
    let own = Own {
        response_types: Some(ResponseTypes::All),
        ..Own::default()
    };
    World::sqlite_with(own).await
}

/// An app that registered every response type.
async fn app(world: &World) -> App {
    app_with(world, json!({})).await
}

async fn app_with(world: &World, metadata: Value) -> App {
    let mut document = json!({
        "grant_types": ["authorization_code", "implicit", "refresh_token"],
        "response_types": ResponseType::ALL,
    });
    for (name, value) in metadata.as_object().expect("an object") {
        document[name] = value.clone();
    }
    world.app_with(document).await
}

/// Those that have ended already are none to end.
async fn end_sessions(world: &World, user: &User) {
    let by = Context::command_line();
    for session in world.sessions(user).await {
        let act = Act::EndSession(session);
        revocation::perform(act, &by, &world.db, world.now())
            .await
            .expect("the database");
    }
}

fn expected(response_type: ResponseType) -> Vec<&'static str> {
    let mut names = Vec::new();
    if response_type.has_code() {
        names.push("code");
    }
    if response_type.has_token() {
        names.extend(["access_token", "token_type", "expires_in", "scope"]);
    }
    if response_type.has_id_token() {
        names.push("id_token");
    }
    names.extend(["state", "iss"]);
    names
}

fn names(sent: &Sent) -> Vec<&str> {
    sent.params.iter().map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn each_response_type_gets_what_it_names_by_the_way_it_asks_for() {
    let world = admitting().await;
    let (app, user) = (app(&world).await, world.user().await);
    let mut visitor = world.visitor();
    for response_type in ResponseType::ALL {
        for mode in [
            None,
            Some(ResponseMode::Query),
            Some(ResponseMode::Fragment),
            Some(ResponseMode::FormPost),
        ] {
            let changes = [
                ("response_type", response_type.as_str()),
                ("response_mode", mode.map_or("", ResponseMode::as_str)),
            ];
            let channel = match mode.unwrap_or(response_type.default_mode()) {
                ResponseMode::FormPost => Channel::FormPost,
                ResponseMode::Query if *response_type == ResponseType::Code => Channel::Query,
                ResponseMode::Query => {
                    let refused = visitor.open(&app.url(&changes)).await;
                    refused.assert_error("invalid_request");
                    assert_eq!(
                        refused.sent().unwrap().channel,
                        Channel::Fragment,
                        "{response_type}"
                    );
                    continue;
                }
                ResponseMode::Fragment => Channel::Fragment,
            };
            let answer = visitor.authorize(&app.url(&changes), user.email.shown()).await;
            let sent = answer.sent().unwrap();
            assert_eq!(
                (sent.channel, sent.to.as_str()),
                (channel, app.redirect_uri.as_str())
            );
            assert_eq!(names(&sent), expected(*response_type), "{response_type} {mode:?}");
            assert_eq!(answer.param("state").as_deref(), Some("st-ate"));
            assert_eq!(answer.param("iss").as_deref(), Some(world.issuer.as_str()));
            if let Some(access_token) = answer.param("access_token") {
                assert_eq!(
                    userinfo(&world, &access_token).await.status,
                    200,
                    "{response_type}"
                );
                assert_eq!(answer.param("token_type").as_deref(), Some("Bearer"));
                assert_eq!(answer.param("expires_in").as_deref(), Some("900"));
            }
            if response_type.has_code() {
                let tokens = app.tokens(&world, &answer).await;
                assert_eq!(
                    userinfo(&world, tokens.access()).await.status,
                    200,
                    "{response_type}"
                );
            }

            // Errors go the same way.
            let changes = [changes[0], changes[1], ("prompt", "none"), ("max_age", "0")];
            let refused = visitor.open(&app.url(&changes)).await;
            refused.assert_error("login_required");
            let sent = refused.sent().unwrap();
            assert_eq!(sent.channel, channel, "{response_type} {mode:?}");
            assert_eq!(names(&sent), ["error", "error_description", "state", "iss"]);
        }
    }
}

#[tokio::test]
async fn an_id_token_that_comes_by_the_browser_vouches_for_what_comes_with_it() {
    let world = admitting().await;
    let (app, user) = (app(&world).await, world.user().await);
    let mut visitor = world.visitor();
    for response_type in ResponseType::ALL {
        let url = app.url(&[("response_type", response_type.as_str())]);
        let answer = visitor.authorize(&url, user.email.shown()).await;
        let Some(id_token) = answer.param("id_token") else {
            assert!(!response_type.has_id_token());
            continue;
        };
        let claims = payload(&id_token);
        assert_eq!(
            (&claims["nonce"], &claims["aud"]),
            (&json!("n-once"), &json!(app.id))
        );
        assert_eq!(header(&id_token)["alg"], "RS256");
        for (hash, of) in [("at_hash", "access_token"), ("c_hash", "code")] {
            let expected = answer.param(of).map(|text| Value::from(half_hash(&text)));
            assert_eq!(claims.get(hash), expected.as_ref(), "{response_type} {hash}");
        }
        // Where no access token is to be had, the ID token holds what userinfo would have said.
        let own = *response_type == ResponseType::IdToken;
        assert_eq!(claims.get("email").is_some(), own, "{response_type}");
        assert_eq!(claims.get("name").is_some(), own, "{response_type}");
        assert!(claims.get("phone_number").is_none(), "not in the scope");
        if response_type.has_code() {
            let again = app.tokens(&world, &answer).await.id();
            for same in ["iss", "sub", "aud", "nonce", "auth_time", "sid"] {
                assert_eq!(again[same], claims[same], "{response_type} {same}");
            }
            assert!(again.get("c_hash").is_none());
        }
    }
}

fn half_hash(text: &str) -> String {
    use base64::Engine as _;
    let digest = seal::sha256(text.as_bytes());
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&digest[..16])
}

#[tokio::test]
async fn what_a_response_type_needs_is_asked_for() {
    let world = admitting().await;
    let app = app(&world).await;
    let narrow = app_with(
        &world,
        json!({ "grant_types": ["implicit"], "response_types": ["id_token"] }),
    )
    .await;
    let mut visitor = world.visitor();
    for response_type in ResponseType::ALL {
        let own = ("response_type", response_type.as_str());
        let without_nonce = visitor.open(&app.url(&[own, ("nonce", "")])).await;
        let without_openid = visitor.open(&app.url(&[own, ("scope", "profile")])).await;
        let without_pkce = [own, ("code_challenge", ""), ("code_challenge_method", "")];
        let without_pkce = visitor.open(&app.url(&without_pkce)).await;
        for (answer, needed) in [
            (without_nonce, response_type.has_id_token()),
            (without_openid, response_type.has_id_token()),
            (without_pkce, response_type.has_code()),
        ] {
            match needed {
                true => answer.assert_error("invalid_request"),
                false => assert!(answer.asks_to_sign_in(), "{response_type} {answer:?}"),
            }
        }
        let answer = visitor.open(&narrow.url(&[own])).await;
        match *response_type {
            ResponseType::IdToken => assert!(answer.asks_to_sign_in()),
            _ => answer.assert_error("unauthorized_client"),
        }
    }
    let reversed = app.url(&[("response_type", "token id_token code")]);
    assert!(visitor.open(&reversed).await.asks_to_sign_in());

    // Nothing is redeemed at the token endpoint for it.
    let params = vec![("grant_type", "implicit".to_owned())];
    app.token(&world, params)
        .await
        .assert_refusal(400, "unsupported_grant_type");
}

#[tokio::test]
async fn no_refresh_token_comes_of_an_implicit_flow() {
    let world = admitting().await;
    let (app, user) = (app(&world).await, world.user().await);
    for response_type in ResponseType::ALL {
        let mut visitor = world.visitor();
        let asked = [
            ("response_type", response_type.as_str()),
            ("scope", "openid offline_access"),
            ("prompt", "consent"),
        ];
        let answer = visitor.authorize(&app.url(&asked), user.email.shown()).await;
        assert_eq!(answer.param("refresh_token"), None);
        match response_type.has_code() {
            true => assert!(app.tokens(&world, &answer).await.body["refresh_token"].is_string()),
            false => {
                let scope = answer.param("scope");
                assert!(scope.is_none_or(|scope| scope == "openid"), "{response_type}");
            }
        }
    }
}

#[tokio::test]
async fn an_access_token_that_came_by_the_browser_ends_with_its_approval() {
    let world = admitting().await;
    let (app, user) = (app(&world).await, world.user().await);
    for response_type in ResponseType::ALL.iter().filter(|own| own.has_token()) {
        let mut visitor = world.visitor();
        let url = app.url(&[("response_type", response_type.as_str())]);
        let answer = visitor.authorize(&url, user.email.shown()).await;
        let access_token = answer.param("access_token").unwrap();
        assert_eq!(userinfo(&world, &access_token).await.status, 200);
        // Resource servers have to be told, too: the token is out.
        let until = payload(&access_token)["exp"].clone();
        let told = world.access_until(&payload(&access_token)["approval"]).await;
        assert_eq!(json!(told), until);
        if response_type.has_code() {
            let code = answer.code();
            assert_eq!(app.redeem(&world, &code).await.status, 200);
            app.redeem(&world, &code)
                .await
                .assert_refusal(400, "invalid_grant");
        } else {
            end_sessions(&world, &user).await;
        }
        assert_eq!(
            userinfo(&world, &access_token).await.status,
            401,
            "{response_type}"
        );
    }
}

#[tokio::test]
async fn the_same_answer_sent_twice_gets_the_same_and_not_after_it_ended() {
    let world = admitting().await;
    let (app, user) = (app(&world).await, world.user().await);
    for response_type in ResponseType::ALL {
        let mut visitor = world.visitor();
        let url = app.url(&[("response_type", response_type.as_str()), ("prompt", "consent")]);
        let page = visitor.open(&url).await;
        let page = visitor.sign_in(&page, user.email.shown()).await;
        let first = visitor.decide(&page, "allow").await;
        world.pass(std::time::Duration::from_secs(30));
        let second = visitor.decide(&page, "allow").await;
        assert_eq!(names(&second.sent().unwrap()), expected(*response_type));
        assert_eq!(first.param("code"), second.param("code"), "{response_type}");
        let exp = |answer: &crate::harness::Answer, name: &str| {
            answer.param(name).map(|token| payload(&token)["exp"].clone())
        };
        for token in ["access_token", "id_token"] {
            assert_eq!(exp(&first, token), exp(&second, token), "{response_type} {token}");
        }
        end_sessions(&world, &user).await;
        let third = visitor.decide(&page, "allow").await;
        assert!(
            third.sent().is_none() || third.param("error").is_some(),
            "{response_type} {third:?}"
        );
        let mut visitor = world.visitor();
        let page = visitor.open(&url).await;
        let page = visitor.sign_in(&page, user.email.shown()).await;
        visitor.decide(&page, "allow").await;
        world.pass(std::time::Duration::from_secs(61));
        visitor
            .decide(&page, "allow")
            .await
            .assert_page(400, "<h1>Already completed</h1>");
    }
}

/// What would be more than text, where something forgot to escape it or to keep it whole.
const STATES: [&str; 12] = [
    "\"><script>alert(1)</script>'&amp;\u{fc}",
    "</form><form action=https://evil.test>",
    "' autofocus onfocus=alert(1) x='",
    "\" formaction=\"https://evil.test/\" x=\"",
    "</textarea></title></style></noscript><img src=x onerror=alert(1)>",
    "<!--<svg onload=alert(1)>-->",
    "]]><![CDATA[<b>",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "javascript:alert(1)//\\u003cscript\\u003e",
    "&#34;&quot;&lt;script&gt;",
    "\u{202e}\u{feff}\u{2028}\u{1f600}",
    "a b+c%20d%00&code=other&iss=https://evil.test",
];

#[tokio::test]
async fn c016_a_form_post_carries_any_state_as_text_under_a_policy_for_its_one_script() {
    let world = admitting().await;
    let (app, user) = (app(&world).await, world.user().await);
    for response_type in [ResponseType::Code, ResponseType::CodeIdTokenToken] {
        for state in STATES {
            let asked = [
                ("response_mode", "form_post"),
                ("response_type", response_type.as_str()),
                ("state", state),
            ];
            let mut visitor = world.visitor();
            let done = visitor.authorize(&app.url(&asked), user.email.shown()).await;
            let failing = app.url(&[&asked[..], &[("scope", "nonsense")]].concat());
            let failed = visitor.open(&failing).await;
            for (answer, is_error) in [(done, false), (failed, true)] {
                let sent = answer.sent().unwrap();
                assert_eq!(
                    (sent.channel, sent.to),
                    (Channel::FormPost, app.redirect_uri.clone())
                );
                assert_eq!(answer.param("state").as_deref(), Some(state));
                assert_eq!(answer.param("error").is_some(), is_error, "{}", answer.body);
                assert_eq!(answer.param("iss").as_deref(), Some(world.issuer.as_str()));
                let inputs = answer.sent().unwrap().params.len();
                for (part, times) in [("<script", 1), ("<form", 1), ("<input", inputs), ("<img", 0)] {
                    let found = answer.body.matches(part).count();
                    assert_eq!(found, times, "{part} with {state}: {}", answer.body);
                }
                is_guarded(&answer);
            }
        }
    }
}

/// What the browser is told about a page with such a form, directive by directive.
#[track_caller]
fn is_guarded(answer: &Answer) {
    let policy = answer.header("content-security-policy").unwrap();
    let directives: BTreeMap<&str, &str> = policy
        .split(';')
        .map(|directive| directive.trim().split_once(' ').unwrap_or((directive.trim(), "")))
        .collect();
    assert_eq!(directives.get("default-src"), Some(&"'none'"), "{policy}");
    assert_eq!(directives.get("base-uri"), Some(&"'none'"), "{policy}");
    assert_eq!(directives.get("frame-ancestors"), Some(&"'none'"), "{policy}");
    assert_eq!(directives.get("form-action"), None, "{policy}");
    let (_, script) = answer.body.split_once("<script>").unwrap();
    let (script, _) = script.split_once("</script>").unwrap();
    let digest = format!("'sha256-{}'", STANDARD.encode(seal::sha256(script.as_bytes())));
    assert_eq!(directives.get("script-src"), Some(&digest.as_str()), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
}

#[tokio::test]
async fn a_form_post_goes_to_the_whole_of_its_uri_and_can_be_sent_by_hand() {
    let world = admitting().await;
    let app = app_with(
        &world,
        json!({ "redirect_uris": ["https://app.example.com/cb?a=1&b=%22", "com.example.app:/cb"],
            "application_type": "native" }),
    )
    .await;
    let user = world.user().await;
    let state = "\"><script>alert(1)</script>'&amp;\u{fc}";
    let url = app.url(&[("response_mode", "form_post"), ("state", state)]);
    let answer = world.visitor().authorize(&url, user.email.shown()).await;
    let sent = answer.sent().unwrap();
    assert_eq!(
        (sent.channel, sent.to.as_str()),
        (Channel::FormPost, "https://app.example.com/cb?a=1&b=%22")
    );
    assert_eq!(names(&sent), ["code", "state", "iss"]);
    assert_eq!(answer.param("state").as_deref(), Some(state));
    assert!(answer.has("Continue</button>"));

    // No browser posts a form to an installed app.
    let url = app.url(&[
        ("response_mode", "form_post"),
        ("redirect_uri", "com.example.app:/cb"),
    ]);
    let answer = world.visitor().open(&url).await;
    answer.assert_error("invalid_request");
    assert_eq!(answer.sent().unwrap().channel, Channel::Query);
}

#[tokio::test]
async fn discovery_names_them_where_they_are_admitted() {
    let world = admitting().await;
    let metadata = world
        .visitor()
        .get("/.well-known/openid-configuration")
        .await
        .json();
    assert_eq!(metadata["response_types_supported"], json!(ResponseType::ALL));
    assert_eq!(
        metadata["response_modes_supported"],
        json!(["query", "fragment", "form_post"])
    );
    let has = |member: &str, word: &str| metadata[member].as_array().unwrap().contains(&word.into());
    assert!(has("grant_types_supported", "implicit") && has("claims_supported", "c_hash"));

    let usual = World::sqlite().await;
    let app = app(&usual).await;
    for response_type in ResponseType::ALL.iter().filter(|own| **own != ResponseType::Code) {
        let url = app.url(&[("response_type", response_type.as_str())]);
        usual
            .visitor()
            .open(&url)
            .await
            .assert_error("unsupported_response_type");
        post(&usual, "/authorize", &[], &[]).await.assert_rejected();
    }
}
