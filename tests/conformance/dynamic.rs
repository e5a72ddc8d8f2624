//! The modules about what a client registers: its redirect URIs, what people see of it, and its keys.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http::header::LOCATION;
use protocol::SigningAlg;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::run::{Outcome, REDIRECT_URI, Run};
use crate::harness::Channel;
use crate::harness::app::{address, changed, header};
use crate::harness::rp::{Key, Site};
use crate::pages::logos;

const JSON: &str = "application/json";

/// A request that is nobody's: an error page, and no way to the app.
async fn rejected(run: &Run<'_>, redirect_uri: &str) {
    let params = run.params(&[("redirect_uri", redirect_uri)]);
    let mut visitor = run.world.visitor();
    visitor.open(&address(&params)).await.assert_rejected();
}

pub(super) async fn oidcc_ensure_redirect_uri_in_authorization_request(run: Run<'_>) {
    let second = format!("{REDIRECT_URI}?second=true");
    let run = run.with(json!({ "redirect_uris": [REDIRECT_URI, second] })).await;
    rejected(&run, "").await;
    run.complete(&mut run.world.visitor(), &[]).await;
}

#[expect(non_snake_case, reason = "the suite writes it so")]
pub(super) async fn oidcc_redirect_uri_query_OK(run: Run<'_>) {
    let uri = format!("{REDIRECT_URI}?foo=bar");
    let run = run.with(json!({ "redirect_uris": [uri] })).await;
    let params = run.params(&[]);
    let mut visitor = run.world.visitor();
    let mut answer = visitor.authorize(&address(&params), run.user.email.shown()).await;
    if run.channel() != Channel::Query {
        run.collect(&params, &answer).await;
        return;
    }
    // What it had stands first and as it was. The rest has to be as for a URI without a query.
    let location = answer.location().expect("a redirect");
    let added = location
        .strip_prefix(&format!("{uri}&"))
        .unwrap_or_else(|| panic!("{location}"));
    assert!(!added.contains("foo="), "{location}");
    let bare = format!("{REDIRECT_URI}?{added}").parse().expect("a header");
    answer.headers.insert(LOCATION, bare);
    let params = changed(params, &[("redirect_uri", REDIRECT_URI)]);
    run.collect(&params, &answer).await;
}

pub(super) async fn oidcc_redirect_uri_query_mismatch(run: Run<'_>) {
    let uri = format!("{REDIRECT_URI}?foo=bar");
    let run = run.with(json!({ "redirect_uris": [uri] })).await;
    for other in ["?foo=baz", "?foo=bar&foo=bar", "?bar=foo", "?", ""] {
        rejected(&run, &format!("{REDIRECT_URI}{other}")).await;
    }
}

pub(super) async fn oidcc_redirect_uri_query_added(run: Run<'_>) {
    for added in ["?foo=bar", "?", "?code=1"] {
        rejected(&run, &format!("{REDIRECT_URI}{added}")).await;
    }
}

pub(super) async fn oidcc_redirect_uri_regfrag(run: Run<'_>) {
    for fragment in ["#foobar", "#"] {
        let uri = format!("{REDIRECT_URI}{fragment}");
        let answer = run.ask_to_register(&json!({ "redirect_uris": [uri] })).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert_eq!(answer.header("content-type"), Some(JSON));
        assert_eq!(answer.json()["error"], "invalid_redirect_uri");
        assert!(answer.json().get("client_id").is_none(), "{}", answer.body);
    }
}

/// The sign-in page of a client that registered this has these words, and the rest of the way is as always.
async fn shown(run: Run<'_>, member: &str, uri: &str) {
    let run = run.with(json!({ member: uri })).await;
    let params = run.params(&[]);
    let mut visitor = run.world.visitor();
    let page = visitor.open(&address(&params)).await;
    assert!(page.asks_to_sign_in(), "{}", page.body);
    assert!(page.has("Conformance suite"), "{}", page.body);
    let consent = visitor.sign_in(&page, run.user.email.shown()).await;
    assert!(consent.has("id=\"consent-allow\""), "{}", consent.body);
    for page in [&page, &consent] {
        assert!(page.has(&format!("href=\"{uri}\"")), "{}", page.body);
        assert!(!page.has("<img"), "{}", page.body);
    }
    let answer = visitor.decide(&consent, "allow").await;
    run.collect(&params, &answer).await;
}

pub(super) async fn oidcc_registration_policy_uri(run: Run<'_>) {
    shown(run, "policy_uri", "https://suite.example.com/policy").await;
}

pub(super) async fn oidcc_registration_tos_uri(run: Run<'_>) {
    shown(run, "tos_uri", "https://suite.example.com/tos").await;
}

/// Shown from ours, once it was fetched: nobody's browser is sent to a stranger's picture.
pub(super) async fn oidcc_registration_logo_uri(run: Run<'_>) {
    const PICTURE: &str = "<img class=\"app-logo\" src=\"/logos/";
    let site = Site::open().await;
    let logo_uri = site.put("/logo.png", "image/png", logos::png());
    let run = run.with(json!({ "logo_uri": logo_uri })).await;
    let params = run.params(&[]);
    let mut visitor = run.world.visitor();
    let mut page = visitor.open(&address(&params)).await;
    let deadline = Instant::now() + logos::LIMIT;
    while !page.has(PICTURE) {
        assert!(Instant::now() < deadline, "{}", page.body);
        sleep(Duration::from_millis(50)).await;
        page = visitor.open(&address(&params)).await;
    }
    let consent = visitor.sign_in(&page, run.user.email.shown()).await;
    for page in [&page, &consent] {
        assert!(page.has(PICTURE) && !page.has(&logo_uri), "{}", page.body);
    }
    let answer = visitor.decide(&consent, "allow").await;
    run.collect(&params, &answer).await;
}

pub(super) async fn oidcc_registration_jwks_uri(run: Run<'_>) {
    let (site, key) = (Site::open().await, run.key.clone().expect("a key"));
    let jwks_uri = site.put("/jwks", JSON, key.jwks().to_string());
    let run = run.with(json!({ "jwks_uri": jwks_uri })).await;
    run.complete(&mut run.world.visitor(), &[]).await;
    // Asked for when there was something to check.
    assert_eq!(site.asked() > 0, run.row.response_type.has_code());
}

/// The server's own keys. Whoever runs the suite does it by `countersign keys rotate` while the module waits.
pub(super) async fn oidcc_server_rotate_keys(run: Run<'_>) {
    let world = run.world;
    let kids = async || -> BTreeSet<String> {
        let jwks = world.visitor().get("/jwks").await.json();
        let keys = jwks["keys"].as_array().expect("keys").clone();
        let kid = |key: &serde_json::Value| key["kid"].as_str().expect("a kid").to_owned();
        keys.iter().map(kid).collect()
    };
    let before = kids().await;
    // The command's own choice: no key of the type OKP, which the suite does not take for a new one.
    let algorithms = &[SigningAlg::Rs256, SigningAlg::Ps256, SigningAlg::Es256];
    let by = events::Context::command_line();
    let now = keyring::Start::Now;
    world
        .keyring()
        .rotate(algorithms, now, &by, world.now())
        .await
        .expect("new keys");
    let after = kids().await;
    assert_eq!(after.difference(&before).count(), 3, "{after:?}");
    assert!(
        after.is_superset(&before),
        "tokens are still about: {before:?} {after:?}"
    );
    world.pass(Duration::from_secs(2));
    let outcome = run.complete(&mut world.visitor(), &[]).await;
    let kid = header(&outcome.id_token)["kid"].clone();
    assert!(!before.contains(kid.as_str().expect("a kid")), "{kid}");
}

/// The client's keys: a refresh by a key that the server has not seen.
pub(super) async fn oidcc_refresh_token_rp_key_rotation(run: Run<'_>) {
    let (site, key) = (Site::open().await, run.key.clone().expect("a key"));
    let jwks_uri = site.put("/jwks", JSON, key.jwks().to_string());
    let mut run = run.with(json!({ "jwks_uri": jwks_uri })).await;
    let offline = [("scope", "openid offline_access"), ("prompt", "consent")];
    let before = run.complete(&mut run.world.visitor(), &offline).await;
    let refreshing = |outcome: &Outcome| {
        let token = outcome.refresh_token.clone().expect("a refresh token");
        vec![
            ("grant_type", "refresh_token".to_owned()),
            ("refresh_token", token),
        ]
    };
    let fresh = Arc::new(Key::new("RS256"));
    site.put("/jwks", JSON, fresh.jwks().to_string());
    run.world.pass(Duration::from_secs(1));
    run.key = Some(fresh);
    let mut after = Outcome::default();
    let answer = run.token(refreshing(&before)).await;
    run.take_tokens(&[], &answer, &mut after).await;
    assert_eq!(before.id_tokens[0]["sub"], after.id_tokens[0]["sub"]);
    // The old one counts no more.
    run.key = Some(key);
    let old = run.token(refreshing(&after)).await;
    old.assert_refusal(401, "invalid_client");
}

pub(super) async fn oidcc_ensure_client_assertion_with_iss_aud_succeeds(mut run: Run<'_>) {
    run.audience = run.world.issuer.clone();
    run.complete(&mut run.world.visitor(), &[]).await;
}
