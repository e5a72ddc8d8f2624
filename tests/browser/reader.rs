//! Whoever looks at our pages: a browser, or a person whose browser knows neither scripts nor styles. A tour (see
//! `tour`) leads both along the same way.

use std::collections::BTreeSet;
use std::path::PathBuf;

use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::markup;
use super::tour::Tour;
use crate::harness::axe::violations;
use crate::harness::browser::{Browser, Scheme};
use crate::harness::plain::Plain;
use crate::matrix::{Entry, State, Who, entry, fits};

const SCHEMES: [(Scheme, &str); 2] = [(Scheme::Light, "light"), (Scheme::Dark, "dark")];
const WIDTHS: [u32; 2] = [320, 1280];
const HEIGHT: u32 = 800;

/// What a browser knows of the page that it shows.
const FACTS: &str = "
    const alert = document.querySelector('[role=alert]');
    return {
        status: performance.getEntriesByType('navigation')[0].responseStatus,
        title: document.title,
        alerted: alert !== null,
        begins: alert !== null && document.activeElement === alert,
    }";

/// A form of our own with these fields, whatever the page has.
const POST: &str = "
    const [action, fields] = arguments, form = document.createElement('form');
    form.method = 'post';
    form.action = action;
    for (const [name, value] of fields) {
        const input = document.createElement('input');
        Object.assign(input, { type: 'hidden', name, value });
        form.append(input);
    }
    document.body.append(form);
    form.submit()";

/// Somebody who looks at pages of one origin.
#[derive(Debug)]
pub(super) struct Reader<'t> {
    tour: &'t Tour,
    eyes: Eyes,
    origin: String,
}

#[derive(Debug)]
pub(super) enum Eyes {
    Browser(Box<Browser>),
    Plain(Box<Mutex<Plain>>),
}

impl<'t> Reader<'t> {
    pub(super) fn new(tour: &'t Tour, eyes: Eyes, origin: &str) -> Self {
        Self {
            tour,
            eyes,
            origin: origin.trim_end_matches('/').to_owned(),
        }
    }

    /// Opens a page that nothing else leads to.
    pub(super) async fn open(&self, path: &str) {
        self.goto(&format!("{}{path}", self.origin)).await;
    }

    pub(super) async fn goto(&self, url: &str) {
        match &self.eyes {
            Eyes::Browser(browser) => browser.goto(url).await,
            Eyes::Plain(plain) => plain.lock().await.goto(url).await,
        }
    }

    pub(super) async fn reload(&self) {
        match &self.eyes {
            Eyes::Browser(browser) => browser.reload().await,
            Eyes::Plain(plain) => plain.lock().await.reload().await,
        }
    }

    pub(super) async fn click(&self, id: &str) {
        match &self.eyes {
            Eyes::Browser(browser) => browser.click(id).await,
            Eyes::Plain(plain) => plain.lock().await.click(id).await,
        }
    }

    pub(super) async fn type_into(&self, name: &str, text: &str) {
        match &self.eyes {
            Eyes::Browser(browser) => browser.type_into(name, text).await,
            Eyes::Plain(plain) => plain.lock().await.type_into(name, text),
        }
    }

    pub(super) async fn sign_in(&self, email: &str, password: &str) {
        self.type_into("username", email).await;
        self.type_into("password", password).await;
        self.click("login-submit").await;
    }

    /// Sends a form that no page of ours has.
    pub(super) async fn post(&self, path: &str, fields: &[(&str, &str)]) {
        match &self.eyes {
            Eyes::Browser(browser) => {
                browser.execute(POST, vec![json!(path), json!(fields)]).await;
            }
            Eyes::Plain(plain) => {
                let owned: Vec<_> = fields
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect();
                plain.lock().await.post(path, &owned).await;
            }
        }
    }

    /// Lets forms go that the browser itself would hold back.
    pub(super) async fn hold_nothing_back(&self) {
        if let Eyes::Browser(browser) = &self.eyes {
            let lift = "document.querySelectorAll('form').forEach(form => { form.noValidate = true })";
            browser.execute(lift, vec![]).await;
        }
    }

    /// Opens what developers unfold.
    pub(super) async fn unfold(&self) {
        if let Eyes::Browser(browser) = &self.eyes {
            let unfold = "document.querySelectorAll('details').forEach(it => { it.open = true })";
            browser.execute(unfold, vec![]).await;
        }
    }

    /// Waits until the page shows these words.
    pub(super) async fn await_text(&self, words: &str) {
        match &self.eyes {
            Eyes::Browser(browser) => browser.await_text(words).await,
            Eyes::Plain(plain) => {
                let plain = plain.lock().await;
                let (shown, address) = (plain.page().html.shown(), &plain.page().address);
                assert!(
                    shown.contains(words),
                    "the words \"{words}\" do not appear at {address}: {shown}"
                );
            }
        }
    }

    pub(super) async fn heading(&self) -> String {
        match &self.eyes {
            Eyes::Browser(browser) => browser.text_of("h1").await,
            Eyes::Plain(plain) => plain.lock().await.page().heading(),
        }
    }

    /// What the first field of this name holds.
    pub(super) async fn value_of(&self, name: &str) -> String {
        match &self.eyes {
            Eyes::Browser(browser) => {
                let value = "return document.querySelector(`[name='${arguments[0]}']`).value";
                text(browser.execute(value, vec![json!(name)]).await)
            }
            Eyes::Plain(plain) => plain.lock().await.page().value_of(name).expect("a value"),
        }
    }

    /// Where the first link of this class leads.
    pub(super) async fn link_of(&self, class: &str) -> String {
        match &self.eyes {
            Eyes::Browser(browser) => {
                let href = "return document.querySelector(`.${arguments[0]}`).getAttribute('href')";
                text(browser.execute(href, vec![json!(class)]).await)
            }
            Eyes::Plain(plain) => {
                let plain = plain.lock().await;
                let link = plain.page().html.by_class(class).next().expect("a link");
                link.get("href").expect("a path").to_owned()
            }
        }
    }

    /// Whether the picture of the app is there for who can see pictures.
    pub(super) async fn sees_logo(&self) -> bool {
        match &self.eyes {
            Eyes::Browser(browser) => {
                let is_seen = "const own = document.querySelector('.app-logo');
                    return own.complete && own.naturalWidth > 0";
                browser.execute(is_seen, vec![]).await == true
            }
            Eyes::Plain(plain) => plain.lock().await.page().html.by_class("app-logo").count() == 1,
        }
    }

    /// Reads and forgets what was logged on the way here, when the way led over other origins.
    pub(super) async fn forget_the_way(&self) {
        if let Eyes::Browser(browser) = &self.eyes {
            browser.request_origins().await;
            browser.console_errors().await;
        }
    }

    /// Judges the page that is shown, which has to have this heading, as the entry of the table.
    pub(super) async fn judge(&self, page: &str, heading: &str) {
        let entry = entry(page);
        let faults = match &self.eyes {
            Eyes::Browser(browser) => self.judge_look(browser, entry, heading).await,
            Eyes::Plain(plain) => {
                let plain = plain.lock().await;
                let shown = plain.page();
                let mut faults = match shown.heading() {
                    own if own == heading => markup::faults(entry, shown),
                    own => vec![format!("the heading is {own:?} and not {heading:?}")],
                };
                let known = plain.cookies().iter().any(|name| is_of_somebody(name));
                faults.extend(misplaced(entry, shown.address.path(), shown.status, known));
                faults
            }
        };
        self.tour.judged(entry.page, faults);
    }

    async fn judge_look(&self, browser: &Browser, entry: Entry, heading: &str) -> Vec<String> {
        browser.await_heading(heading).await;
        let mut faults = Vec::new();
        for (scheme, scheme_name) in SCHEMES {
            for width in WIDTHS {
                let look = format!("{}-{scheme_name}-{width}", entry.page);
                browser.prefer(scheme).await;
                browser.resize(width, HEIGHT).await;
                browser.await_look(width, scheme).await;
                faults.extend(scrolls(browser, width).await);
                let broken = violations(browser).await;
                faults.extend(broken.iter().map(|violation| format!("{look}: {violation}")));
                keep(browser, &look, width).await;
            }
        }
        let facts = browser.execute(FACTS, vec![]).await;
        let url = browser.url().await;
        let status = facts["status"]
            .as_u64()
            .and_then(|status| u16::try_from(status).ok());
        let status = status
            .and_then(|status| StatusCode::from_u16(status).ok())
            .expect("a status");
        let known = browser.cookies().await.iter().any(|name| is_of_somebody(name));
        faults.extend(misplaced(entry, url.path(), status, known));

        let is_wrong = entry.state == State::Wrong;
        let title = facts["title"].as_str().unwrap_or_default();
        if title.starts_with("Error: ") != is_wrong || facts["alerted"] != is_wrong {
            faults.push(format!("it is {:?}, and shows {facts}", entry.state));
        }
        if is_wrong && facts["begins"] != true {
            faults.push("the focus is not on what is wrong".to_owned());
        }
        // The page's own status, where that is 4xx or 5xx, counts as an error of the network.
        let own = format!("network: {url} - ");
        let errors = browser.console_errors().await.into_iter();
        faults.extend(errors.filter(|error| !error.starts_with(&own)));
        let origins = browser.request_origins().await;
        // Its frames are of an app, and the way there was forgotten with them.
        let is_known = entry.page == "signed-out-frames" && origins.is_empty();
        if !is_known && origins != BTreeSet::from([self.origin.clone()]) {
            faults.push(format!("it asked {origins:?}"));
        }
        faults
    }
}

/// What does not fit the table: the address, the status, who is signed in.
fn misplaced(entry: Entry, path: &str, status: StatusCode, known: bool) -> Vec<String> {
    let mut faults = Vec::new();
    if entry.route.is_some_and(|route| !fits(route, path)) {
        faults.push(format!("it stands at {path} and not at {:?}", entry.route));
    }
    if entry.status != status.as_u16() {
        faults.push(format!("its status is {status} and not {}", entry.status));
    }
    if (entry.who == Who::Somebody) != known {
        faults.push(format!("{:?} should be signed in", entry.who));
    }
    faults
}

/// The cookie that names a browser with sessions, ours or the demo app's own.
fn is_of_somebody(cookie: &str) -> bool {
    cookie.contains("cs_browser") || cookie == "__Host-cs_browser"
}

/// Nothing scrolls sideways. A bar for scrolling down takes its width from the page.
async fn scrolls(browser: &Browser, width: u32) -> Option<String> {
    let room = "return document.documentElement.clientWidth";
    let room = browser.execute(room, vec![]).await.as_u64();
    let taken = browser.scroll_width().await;
    let fits = room <= Some(width.into()) && room == Some(taken);
    (!fits).then(|| format!("{taken} of {room:?} at {width}"))
}

/// The whole page, as long as it is.
async fn keep(browser: &Browser, look: &str, width: u32) {
    let Some(folder) = std::env::var_os("COUNTERSIGN_TEST_SCREENSHOTS").map(PathBuf::from) else {
        return;
    };
    std::fs::create_dir_all(&folder).expect("a folder for screenshots");
    let height = browser
        .execute("return document.documentElement.scrollHeight", vec![])
        .await;
    let height = height
        .as_u64()
        .and_then(|height| height.try_into().ok())
        .expect("a height");
    browser.resize(width, height).await;
    browser.screenshot(&folder.join(format!("{look}.png"))).await;
}

fn text(value: Value) -> String {
    value.as_str().expect("a text").to_owned()
}
