//! The OpenID Foundation's suite for providers, module by module: each test is named after a module and drives the
//! server through every variant in which the suite runs it, as the suite would: with forms, redirects and no script.
//! The suite itself is another program; these tests say in our words what it wants to see.
//!
//! As for a run of the suite the issuer is https, with a certificate of an authority that nobody else knows. One
//! difference is left: only the clients of the dynamic plan and of the free one come by the registration endpoint, the
//! others by its own function. What self-registered clients are is set as an operator sets it for such a run (`docs/conformance.md`).

mod dynamic;
mod guide;
mod logout;
mod modules;
mod plan;
mod run;
mod sector;
mod third_party;
mod told;

use std::collections::BTreeSet;

use clients::registrations::quota::Hours;
use clients::{AssertionAudience, Trust};
use protocol::ResponseTypes;
use registry::{Admission, Terms};

use crate::discovery::known_user;
use crate::harness::World;
use crate::harness::world::Own;
use run::Run;

/// Of what the whole suite runs against a provider that registers clients dynamically.
const ALL: usize = 541;
/// And of its free plan, with clients that authenticate by client_secret_jwt.
const BY_SECRET: usize = 301;

macro_rules! modules {
    ($plans:ident: $($file:ident: $($name:ident)+;)+) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[allow(non_snake_case, reason = "the suite has one name with capitals")]
            async fn $name() {
                let world = World::sqlite_with(Own {
                    tls: true,
                    response_types: Some(ResponseTypes::All),
                    registration: Some(terms()),
                    ..Own::default()
                }).await;
                let user = known_user(&world).await;
                for row in rows_of(&module(stringify!($name))) {
                    let run = Run::new(&world, row, &user).await;
                    let registered = run.registered.clone();
                    $file::$name(run).await;
                    run::delete(&world, &registered).await;
                }
            }
        )+)+

        /// The modules that have a test.
        const $plans: &[&str] = &[$($(stringify!($name),)+)+];
    };
}

modules! {
    TESTED:
    modules:
        oidcc_server
        oidcc_response_type_missing
        oidcc_idtoken_signature
        oidcc_idtoken_unsigned
        oidcc_userinfo_get
        oidcc_userinfo_post_header
        oidcc_userinfo_post_body
        oidcc_ensure_request_without_nonce_succeeds_for_code_flow
        oidcc_ensure_request_without_nonce_fails
        oidcc_scope_profile
        oidcc_scope_email
        oidcc_scope_address
        oidcc_scope_phone
        oidcc_scope_all
        oidcc_alternate_happy_flow
        oidcc_display_page
        oidcc_display_popup
        oidcc_prompt_login
        oidcc_prompt_none_not_logged_in
        oidcc_prompt_none_logged_in
        oidcc_max_age_1
        oidcc_max_age_10000
        oidcc_ensure_request_with_unknown_parameter_succeeds
        oidcc_id_token_hint
        oidcc_login_hint
        oidcc_ui_locales
        oidcc_claims_locales
        oidcc_ensure_request_with_acr_values_succeeds
        oidcc_codereuse
        oidcc_codereuse_30seconds
        oidcc_ensure_registered_redirect_uri
        oidcc_ensure_post_request_succeeds
        oidcc_server_client_secret_post
        oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported
        oidcc_unsigned_request_object_supported_correctly_or_rejected_as_unsupported
        oidcc_claims_essential
        oidcc_ensure_request_object_with_redirect_uri
        oidcc_request_uri_unsigned
        oidcc_request_uri_signed_rs256
        oidcc_refresh_token
        oidcc_ensure_request_with_valid_pkce_succeeds
        oidcc_discovery_endpoint_verification;
    logout:
        oidcc_rp_initiated_logout_discovery_endpoint_verification
        oidcc_rp_initiated_logout
        oidcc_rp_initiated_logout_no_state
        oidcc_rp_initiated_logout_bad_post_logout_redirect_uri
        oidcc_rp_initiated_logout_query_added_to_post_logout_redirect_uri
        oidcc_rp_initiated_logout_modified_id_token_hint
        oidcc_rp_initiated_logout_bad_id_token_hint
        oidcc_rp_initiated_logout_no_id_token_hint
        oidcc_rp_initiated_logout_no_params
        oidcc_rp_initiated_logout_only_state
        oidcc_rp_initiated_logout_no_post_logout_redirect_uri
        oidcc_backchannel_logout_discovery_endpoint_verification
        oidcc_backchannel_rp_initiated_logout
        oidcc_frontchannel_logout_discovery_endpoint_verification
        oidcc_frontchannel_rp_initiated_logout;
    third_party:
        oidcc_3rd_party_init_login
        oidcc_3rd_party_init_login_nohttps;
    told:
        oidcc_idtoken_rs256
        oidcc_userinfo_rs256;
    sector:
        oidcc_registration_sector_uri
        oidcc_registration_sector_bad;
    dynamic:
        oidcc_ensure_redirect_uri_in_authorization_request
        oidcc_redirect_uri_query_OK
        oidcc_redirect_uri_query_mismatch
        oidcc_redirect_uri_query_added
        oidcc_redirect_uri_regfrag
        oidcc_registration_logo_uri
        oidcc_registration_policy_uri
        oidcc_registration_tos_uri
        oidcc_registration_jwks_uri
        oidcc_server_rotate_keys
        oidcc_refresh_token_rp_key_rotation
        oidcc_ensure_client_assertion_with_iss_aud_succeeds;
}

/// The suite sends no challenge, and assertions that name the token endpoint.
fn terms() -> Terms {
    Terms {
        admission: Admission::Open,
        trust: Trust::Trusted,
        require_pkce: false,
        assertion_audience: AssertionAudience::Compatible,
        hours: Hours::Free,
        ..Terms::default()
    }
}

fn module(test: &str) -> String {
    // The one name of the suite with both.
    test.replace('_', "-").replace("3rd-party", "3rd_party")
}

/// The runs of a module.
fn rows_of(module: &str) -> Vec<plan::Row> {
    let mut rows = [plan::rows(), plan::rows_by_secret()].concat();
    rows.retain(|row| row.module == module);
    assert!(!rows.is_empty(), "{module} is no module");
    rows
}

#[test]
fn every_run_of_every_module_has_a_test() {
    let rows = plan::rows();
    assert_eq!(rows.len(), ALL);
    let of = |plans: &[&str]| rows.iter().filter(|row| plans.contains(&row.plan)).count();
    for (plan, runs) in [
        ("basic", 38),
        ("implicit", 58),
        ("hybrid", 102),
        ("formpost-basic", 38),
        ("formpost-implicit", 58),
        ("formpost-hybrid", 102),
        ("dynamic", 127),
        ("config", 1),
        ("rp-initiated-logout", 11),
        ("backchannel", 2),
        ("frontchannel", 2),
        ("3rdparty-init-login", 2),
    ] {
        assert_eq!(of(&[plan]), runs, "{plan}");
    }
    let by_secret = plan::rows_by_secret();
    assert_eq!(by_secret.len(), BY_SECRET);
    println!(
        "{} of {ALL} runs are covered, and {} of {BY_SECRET} with client_secret_jwt",
        covered(&rows),
        covered(&by_secret)
    );
}

/// How many of these runs have a test. One without fails.
fn covered(rows: &[plan::Row]) -> usize {
    let tested: BTreeSet<String> = TESTED.iter().map(|test| module(test)).collect();
    let missing: BTreeSet<&str> = rows
        .iter()
        .map(|row| row.module)
        .filter(|module| !tested.contains(*module))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    rows.len()
}
