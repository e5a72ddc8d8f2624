//! The modules of the plans of logout: RP-initiated, back-channel, front-channel.

use url::form_urlencoded::Serializer;

use serde_json::{Value, json};

use super::run::{Outcome, Run};
use crate::harness::app::{address, payload};
use crate::harness::rp::Site;
use crate::harness::{Answer, Visitor};
use crate::logout::notices;

const BYE: &str = "https://suite.example.com/test/a/alias/post_logout_redirect";

async fn signed_in<'w>(run: &Run<'w>) -> (Visitor<'w>, Outcome) {
    let mut visitor = run.world.visitor();
    let outcome = run.complete(&mut visitor, &[]).await;
    (visitor, outcome)
}

async fn logout(visitor: &mut Visitor<'_>, params: &[(&str, &str)]) -> Answer {
    let query = Serializer::new(String::new()).extend_pairs(params).finish();
    visitor.open(&format!("/logout?{query}")).await
}

async fn is_signed_out(run: &Run<'_>, visitor: &mut Visitor<'_>) {
    let params = run.params(&[("prompt", "none")]);
    let answer = visitor.open(&address(&params)).await;
    run.refused(&params, &answer, &["login_required"]);
}

/// No redirect to anybody; a page, which the person may confirm to be signed out.
async fn stays_with_us(run: &Run<'_>, mut visitor: Visitor<'_>, page: Answer) {
    assert_eq!(
        (page.status.as_u16(), page.location()),
        (200, None),
        "{}",
        page.body
    );
    let page = match page.has("id=\"logout-confirm\"") {
        true => visitor.decide(&page, "sign-out").await,
        false => page,
    };
    assert!(
        page.has("Signed out") && page.location().is_none(),
        "{}",
        page.body
    );
    is_signed_out(run, &mut visitor).await;
}

pub(super) async fn oidcc_rp_initiated_logout_discovery_endpoint_verification(run: Run<'_>) {
    let metadata = run
        .world
        .visitor()
        .get("/.well-known/openid-configuration")
        .await
        .json();
    assert_eq!(
        metadata["end_session_endpoint"],
        format!("{}/logout", run.world.issuer)
    );
}

pub(super) async fn oidcc_rp_initiated_logout(run: Run<'_>) {
    let (mut visitor, outcome) = signed_in(&run).await;
    let state = "s".repeat(128);
    let params = [
        ("id_token_hint", outcome.id_token.as_str()),
        ("post_logout_redirect_uri", BYE),
        ("state", &state),
    ];
    let answer = logout(&mut visitor, &params).await;
    assert_eq!(answer.location(), Some(format!("{BYE}?state={state}")));
    is_signed_out(&run, &mut visitor).await;
}

pub(super) async fn oidcc_rp_initiated_logout_no_state(run: Run<'_>) {
    let (mut visitor, outcome) = signed_in(&run).await;
    let params = [
        ("id_token_hint", outcome.id_token.as_str()),
        ("post_logout_redirect_uri", BYE),
    ];
    let answer = logout(&mut visitor, &params).await;
    assert_eq!(answer.location().as_deref(), Some(BYE));
    is_signed_out(&run, &mut visitor).await;
}

async fn bad_uri(run: &Run<'_>, uri: &str) {
    let (mut visitor, outcome) = signed_in(run).await;
    let params = [
        ("id_token_hint", outcome.id_token.as_str()),
        ("post_logout_redirect_uri", uri),
        ("state", "s"),
    ];
    logout(&mut visitor, &params).await.assert_rejected();
}

pub(super) async fn oidcc_rp_initiated_logout_bad_post_logout_redirect_uri(run: Run<'_>) {
    bad_uri(&run, "https://suite.example.com/test/a/alias/unregistered").await;
}

pub(super) async fn oidcc_rp_initiated_logout_query_added_to_post_logout_redirect_uri(run: Run<'_>) {
    bad_uri(&run, &format!("{BYE}?foo=bar")).await;
}

/// An error, or a question: never a way to the app.
async fn bad_hint(run: &Run<'_>, forge: impl Fn(&str) -> String) {
    let (mut visitor, outcome) = signed_in(run).await;
    let hint = forge(&outcome.id_token);
    let params = [
        ("id_token_hint", hint.as_str()),
        ("post_logout_redirect_uri", BYE),
        ("state", "s"),
    ];
    let answer = logout(&mut visitor, &params).await;
    assert_eq!(answer.location(), None, "{}", answer.body);
    assert!(
        answer.has("Request rejected") || answer.has("id=\"logout-confirm\""),
        "{}",
        answer.body
    );
    // Nobody was signed out by it.
    run.silently(&mut visitor, &[("prompt", "none")]).await;
}

fn encoded(value: &serde_json::Value) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string())
}

pub(super) async fn oidcc_rp_initiated_logout_modified_id_token_hint(run: Run<'_>) {
    let unsigned = |token: &str| {
        let head = serde_json::json!({ "alg": "none" });
        format!("{}.{}.", encoded(&head), encoded(&payload(token)))
    };
    bad_hint(&run, unsigned).await;
}

pub(super) async fn oidcc_rp_initiated_logout_bad_id_token_hint(run: Run<'_>) {
    // The same claims under a signature that no key of ours made.
    let foreign = |token: &str| {
        let (signed, signature) = token.rsplit_once('.').expect("a JWT");
        let other = signature.chars().rev().collect::<String>();
        format!("{signed}.{other}")
    };
    bad_hint(&run, foreign).await;
}

pub(super) async fn oidcc_rp_initiated_logout_no_id_token_hint(run: Run<'_>) {
    let (mut visitor, _) = signed_in(&run).await;
    let page = logout(&mut visitor, &[("post_logout_redirect_uri", BYE), ("state", "s")]).await;
    stays_with_us(&run, visitor, page).await;
}

pub(super) async fn oidcc_rp_initiated_logout_no_params(run: Run<'_>) {
    let (mut visitor, _) = signed_in(&run).await;
    let page = logout(&mut visitor, &[]).await;
    stays_with_us(&run, visitor, page).await;
}

pub(super) async fn oidcc_rp_initiated_logout_only_state(run: Run<'_>) {
    let (mut visitor, _) = signed_in(&run).await;
    let page = logout(&mut visitor, &[("state", "s")]).await;
    stays_with_us(&run, visitor, page).await;
}

pub(super) async fn oidcc_rp_initiated_logout_no_post_logout_redirect_uri(run: Run<'_>) {
    let (mut visitor, outcome) = signed_in(&run).await;
    let page = logout(
        &mut visitor,
        &[("id_token_hint", outcome.id_token.as_str()), ("state", "s")],
    )
    .await;
    stays_with_us(&run, visitor, page).await;
}

async fn metadata(run: &Run<'_>) -> Value {
    let mut visitor = run.world.visitor();
    visitor.get("/.well-known/openid-configuration").await.json()
}

async fn is_announced(run: &Run<'_>, channel: &str) {
    let metadata = metadata(run).await;
    assert!(metadata["end_session_endpoint"].is_string());
    for member in ["supported", "session_supported"] {
        assert_eq!(metadata[format!("{channel}_logout_{member}")], true);
    }
}

pub(super) async fn oidcc_backchannel_logout_discovery_endpoint_verification(run: Run<'_>) {
    is_announced(&run, "backchannel").await;
}

pub(super) async fn oidcc_backchannel_rp_initiated_logout(run: Run<'_>) {
    let site = Site::open().await;
    let members = json!({
        "backchannel_logout_uri": site.put("/test/a/alias/backchannel_logout", "text/html", ""),
        "backchannel_logout_session_required": true,
    });
    let run = run.with(members).await;
    let (mut visitor, outcome) = signed_in(&run).await;
    let params = [
        ("id_token_hint", outcome.id_token.as_str()),
        ("post_logout_redirect_uri", BYE),
        ("state", "s"),
    ];
    let answer = logout(&mut visitor, &params).await;
    assert_eq!(answer.location(), Some(format!("{BYE}?state=s")));
    let told = site.await_posted(1).await;
    let claims = notices::claims_of(&told[0], &run.app, run.world).await;
    let id_token = payload(&outcome.id_token);
    for same in ["iss", "aud", "sub", "sid"] {
        assert_eq!(claims[same], id_token[same], "{same}");
    }
    assert!(claims["sid"].is_string() && claims.get("nonce").is_none());
    is_signed_out(&run, &mut visitor).await;
}

pub(super) async fn oidcc_frontchannel_logout_discovery_endpoint_verification(run: Run<'_>) {
    is_announced(&run, "frontchannel").await;
}

pub(super) async fn oidcc_frontchannel_rp_initiated_logout(run: Run<'_>) {
    let out = "https://suite.example.com/test/a/alias/frontchannel_logout";
    let members = json!({ "frontchannel_logout_uri": out, "frontchannel_logout_session_required": true });
    let run = run.with(members).await;
    let (mut visitor, outcome) = signed_in(&run).await;
    let params = [
        ("id_token_hint", outcome.id_token.as_str()),
        ("post_logout_redirect_uri", BYE),
        ("state", "s"),
    ];
    let page = logout(&mut visitor, &params).await;
    let sid = payload(&outcome.id_token)["sid"].clone();
    let query = Serializer::new(String::new())
        .append_pair("iss", &run.world.issuer)
        .append_pair("sid", sid.as_str().expect("a sid"))
        .finish();
    let frame = format!("<iframe src=\"{out}?{}\"", query.replace('&', "&#38;"));
    assert!(page.has(&frame), "{}", page.body);
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("frame-src https://suite.example.com"), "{policy}");
    let onward = format!("<meta http-equiv=\"refresh\" content=\"0;url={BYE}?state=s\">");
    assert!(page.has(&onward), "{}", page.body);
    is_signed_out(&run, &mut visitor).await;
}
