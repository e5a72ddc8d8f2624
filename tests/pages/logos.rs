//! C054 and C017: what an app looks like on our pages, and where its picture comes from.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clients::Trust;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::harness::rp::Site;
use crate::harness::visitor::client;
use crate::harness::{Answer, App, World};

/// Two points by two, with a note in it that no picture needs.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAE3RFWHRDb21tZW50AHNlY3JldCBub3RlsSbYRQAAABBJREFU\
    eNpjOKCgAEQMEAoAHo4EAX+K7hMAAAAASUVORK5CYII=";
const MARK: &str = "We haven't checked this app. It registered itself.";
/// Far above what fetching takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn png() -> Vec<u8> {
    STANDARD.decode(PNG).expect("base64")
}

async fn app(logo_uri: &str, world: &World) -> App {
    world.app_with(json!({ "logo_uri": logo_uri })).await
}

async fn sign_in_page(app: &App, world: &World) -> Answer {
    world.visitor().open(&app.url(&[])).await
}

/// The address of the picture on a page, if it shows one.
fn picture_on(page: &Answer) -> Option<&str> {
    let (_, rest) = page.body.split_once("<img class=\"app-logo\" src=\"")?;
    rest.split('"').next()
}

/// Waits until the sign-in page of an app shows its picture.
pub(crate) async fn picture_of(app: &App, world: &World) -> String {
    let deadline = Instant::now() + LIMIT;
    loop {
        let page = sign_in_page(app, world).await;
        if let Some(picture) = picture_on(&page) {
            return picture.to_owned();
        }
        assert!(Instant::now() < deadline, "{}", page.body);
        sleep(Duration::from_millis(50)).await;
    }
}

async fn asked(site: &Site, times: usize) {
    let deadline = Instant::now() + LIMIT;
    while site.asked() < times {
        assert!(Instant::now() < deadline, "{} of {times}", site.asked());
        sleep(Duration::from_millis(20)).await;
    }
}

everywhere! {
    async fn c054_the_picture_of_an_app_is_made_anew_and_comes_from_us(world: World) {
        let site = Site::open().await;
        let (app, user) = (app(&site.put("/logo.png", "image/png", png()), &world).await, world.user().await);
        let picture = picture_of(&app, &world).await;
        let name = picture.strip_prefix("/logos/").and_then(|name| name.strip_suffix(".png"));
        assert!(name.is_some_and(|name| name.len() == 32), "{picture}");

        let answer = client().get(world.at(&picture)).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        for (name, value) in [
            ("content-type", "image/png"),
            ("x-content-type-options", "nosniff"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "public, max-age=86400, immutable"),
            ("content-security-policy", "default-src 'none'; sandbox; base-uri 'none'; frame-ancestors 'none'"),
        ] {
            assert_eq!(answer.headers()[name], value, "{name}");
        }
        let bytes = answer.bytes().await.expect("a body");
        assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n"));
        assert!(!bytes.windows(6).any(|window| window == b"secret"), "what stood beside the picture");

        // On the next page too, and after the app's server has gone: nobody asks it again.
        site.take_away("/logo.png");
        let page = sign_in_page(&app, &world).await;
        assert_eq!(picture_on(&page), Some(picture.as_str()));
        let mut visitor = world.visitor();
        let page = visitor.open(&app.url(&[])).await;
        let page = visitor.sign_in(&page, user.email.shown()).await;
        assert!(page.asks_for_consent(), "{}", page.body);
        assert_eq!(picture_on(&page), Some(picture.as_str()));
        assert_eq!(site.asked(), 1);
        for other in ["/logos/x.png", "/logos/0123456789abcdef0123456789abcdef.png", "/logos/..%2f..%2fetc.png"] {
            assert_eq!(world.visitor().get(other).await.status, 404, "{other}");
        }
    }

    async fn c017_an_app_that_registered_itself_is_marked_at_sign_in_and_has_no_picture(world: World) {
        let site = Site::open().await;
        let app = app(&site.put("/logo.png", "image/png", png()), &world).await;
        picture_of(&app, &world).await;
        assert!(!sign_in_page(&app, &world).await.has(MARK));
        world.trust(&app, Trust::Unverified).await;
        let page = sign_in_page(&app, &world).await;
        assert!(page.has(MARK) && page.has("Name set by the app at <bdi>app.example.com</bdi>"), "{}", page.body);
        assert!(picture_on(&page).is_none(), "{}", page.body);
    }

    async fn an_app_is_called_by_its_name_in_the_language_of_the_page(world: World) {
        let names = json!({
            "client_name": "Laden", "client_name#en-GB": "Shop", "client_name#fr": "Boutique",
        });
        let (app, user) = (world.app_with(names).await, world.user().await);
        let mut visitor = world.visitor();
        let page = visitor.open(&app.url(&[("ui_locales", "en")])).await;
        assert!(page.has("to continue to <bdi>Shop</bdi>"), "{}", page.body);
        let page = visitor.sign_in(&page, user.email.shown()).await;
        assert!(page.has("<bdi>Shop</bdi> wants to use your"), "{}", page.body);
        assert!(!page.has("Laden") && !page.has("Boutique"), "{}", page.body);
    }
}

on_both_databases! {
    async fn c054_what_is_no_picture_is_not_shown_and_an_app_that_was_away_is_tried_again(world: World) {
        let site = Site::open().await;
        let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
        let mut polyglot = png();
        polyglot.splice(0..8, *b"<script>");
        let mut apps = Vec::new();
        for (path, content_type, body) in [
            ("/logo.svg", "image/svg+xml", svg.as_bytes().to_vec()),
            ("/svg.png", "image/png", svg.as_bytes().to_vec()),
            ("/page.png", "text/html", png()),
            ("/polyglot.png", "image/png", polyglot),
            ("/huge.png", "image/png", [png(), vec![0; egress::MAX_BODY]].concat()),
        ] {
            apps.push(app(&site.put(path, content_type, body), &world).await);
        }
        let away = app(&site.put("/away.png", "image/png", png()), &world).await;
        site.take_away("/away.png");
        asked(&site, 6).await;
        site.put("/away.png", "image/png", png());
        world.pass(Duration::from_secs(61));
        picture_of(&away, &world).await;
        for app in apps {
            let page = sign_in_page(&app, &world).await;
            assert!(picture_on(&page).is_none() && page.asks_to_sign_in(), "{}", page.body);
        }
    }
}
