//! The pages about what went wrong: one for each status.

use std::time::Duration;

use accounts::passwords::HasherSettings;
use axum::Router;
use axum::response::Response;
use axum::routing::get;
use clients::Trust;
use http::HeaderMap;
use pages::{Failure, Operator, Site, error};
use protocol::{Error, Timestamp};

use super::looks::app;
use crate::harness::letters::world_with;
use crate::harness::site;
use crate::harness::world::{Own, PASSWORD};
use crate::pages::operator::everything;

tour! {
    WENT_WRONG judges [
        "rejected",
        "expired",
        "not-found",
        "sign-in-busy",
        "odd",
        "unconfirmed",
        "wrong-method",
        "too-large",
        "too-long",
    ];
    async fn the_pages_about_what_went_wrong_fit_every_look(tour: &Tour) {
        let own = Own {
            hasher: Some(HasherSettings {
                queue: 0,
                ..HasherSettings::default()
            }),
            ..Own::default()
        };
        let (world, _letters) = world_with(db::testing::sqlite_url(), own).await;
        let app = app(&world, "Test app", Trust::Trusted).await;
        let reader = tour.reader(&world.issuer).await;

        for (page, path, heading) in [
            (
                "rejected",
                app.url(&[("client_id", "nobody")]).as_str(),
                "Request rejected",
            ),
            ("expired", "/login?flow=old", "This sign-in request has expired"),
            ("not-found", "/nowhere", "Page not found"),
        ] {
            reader.open(path).await;
            reader.unfold().await;
            reader.judge(page, heading).await;
        }

        reader.open(&app.url(&[])).await;
        reader.sign_in("alex@example.com", PASSWORD).await;
        reader.await_text("We're busy just now").await;
        reader.judge("sign-in-busy", "Sign in").await;

        // What no form of ours sends, from a page of ours.
        reader.open("/recover").await;
        reader.forget_the_way().await;
        let much = "x".repeat(70_000);
        let (csrf, twice) = (("csrf", "x"), [("flow", "a"), ("flow", "b")]);
        for (page, path, fields, heading) in [
            ("odd", "/recover", &twice[..], "That didn't work"),
            ("unconfirmed", "/recover", &[csrf], "Request rejected"),
            ("wrong-method", "/recover/sent", &[csrf], "That didn't work"),
            ("too-large", "/recover", &[("username", &much)], "That's more than fits"),
        ] {
            reader.post(path, fields).await;
            reader.judge(page, heading).await;
            reader.open("/recover").await;
        }
        let long = format!("/authorize?state={}", "x".repeat(9_000));
        reader.open(&long).await;
        reader.judge("too-long", "This address is too long").await;
    }
}

tour! {
    FAILURES judges [
        "trouble",
        "busy",
        "too-many",
        "trouble-operator",
    ];
    async fn the_page_for_failures_of_ours_fits_every_look(tour: &Tour) {
        let failure = |failure: Failure, operator: Operator| {
            get(async move || {
                failure.page(Site::new("http://x").base(), &operator, "r1", Timestamp::from_secs(0))
            })
        };
        let nothing = Operator::default;
        let origin = site::serve(
            Router::new()
                .route("/trouble", failure(Failure::Trouble, nothing()))
                .route("/operator", failure(Failure::Trouble, everything()))
                .route("/busy", failure(Failure::Busy, nothing()))
                .route("/too-many", get(too_many))
                .merge(pages::assets::router().into_router()),
        )
        .await;
        let reader = tour.reader(&origin).await;
        reader.open("/trouble").await;
        reader.judge("trouble", "Something went wrong on our side").await;
        reader.open("/busy").await;
        reader.judge("busy", "Busy just now").await;
        reader.open("/operator").await;
        reader
            .judge("trouble-operator", "Something went wrong on our side")
            .await;
        reader.open("/too-many").await;
        reader.judge("too-many", "Too many requests").await;
    }
}

async fn too_many(headers: HeaderMap) -> Response {
    let error = Error::too_many("slow down", Duration::from_secs(60));
    let shell = Site::new("http://x").shell(&headers, None, "r1");
    error::page(&shell, &headers, &error, Timestamp::from_secs(0))
}
