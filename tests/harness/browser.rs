//! WebDriver (W3C), spoken to chromedriver: one headless Chromium as a user would hold it.
//!
//! Each browser has a driver process, a profile and cookies of its own, so tests run side by side. Every
//! step has a time limit, and a step that fails says what the page showed at that moment.

mod driver;
mod tests;

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    thread::ThreadId,
    time::Duration,
};

use fantoccini::{
    Client, ClientBuilder, Locator,
    actions::{InputSource as _, KeyAction, KeyActions},
    elements::Element,
    error::CmdError,
    key::Key,
    wd::WebDriverCompatibleCommand,
};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep, timeout},
};
use url::Url;

use self::driver::{Driver, capabilities};

/// Far above what a step takes on a loaded machine: only for one that hangs, which is named then.
const STEP: Duration = Duration::from_secs(120);
const APPEARS: Duration = Duration::from_secs(60);

/// The other browser tests of the run come first.
const TURN: Duration = Duration::from_secs(900);

/// More browsers than this make each other slow instead of the tests fast.
static TURNS: Semaphore = Semaphore::const_new(2);
/// Which tests hold browsers, by the thread that each has of its own.
static HOLDERS: Mutex<Vec<ThreadId>> = Mutex::new(Vec::new());

/// The right to have a browser open. A test that waits for one more while it holds one may wait for ever, because another
/// does the same, so that is refused at once, on an idle machine as well: [`Browser::open_two`] takes both together.
#[derive(Debug)]
struct Turn {
    _permit: SemaphorePermit<'static>,
    holder: ThreadId,
}

#[derive(Debug)]
pub(crate) struct Browser {
    client: Client,
    session: String,
    scripts: Scripts,
    driver: Driver,
    _profile: TempDir,
    _turn: Turn,
}

/// How the page reaches its reader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// CSS pixels.
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) scheme: Scheme,
    pub(crate) scripts: Scripts,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Scheme {
    Light,
    Dark,
}

impl Scheme {
    fn as_str(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// Whether the page's own scripts run; ours ([`Browser::execute`]) always do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scripts {
    On,
    Off,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            width: 1280,
            height: 800,
            scheme: Scheme::Light,
            scripts: Scripts::On,
        }
    }
}

impl Browser {
    pub(crate) async fn open() -> Self {
        Self::open_as(Look::default()).await
    }

    pub(crate) async fn open_as(look: Look) -> Self {
        let [turn] = turns().await;
        Self::start(look, turn).await
    }

    /// Two strangers to each other.
    pub(crate) async fn open_two() -> (Self, Self) {
        let [one, other] = turns().await;
        tokio::join!(
            Self::start(Look::default(), one),
            Self::start(Look::default(), other)
        )
    }

    async fn start(look: Look, turn: Turn) -> Self {
        let profile = tempfile::Builder::new()
            .prefix("browser-")
            .tempdir()
            .expect("a folder for the profile");
        let driver = Driver::start(profile.path()).await;

        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities(profile.path(), look));
        let address = format!("http://{}", driver.address);
        let client = match timeout(STEP, builder.connect(&address)).await {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => panic!("Chromium does not start: {error}"),
            Err(_) => panic!("Chromium does not start within {} s", STEP.as_secs()),
        };
        let session = client
            .session_id()
            .await
            .ok()
            .flatten()
            .expect("an open session has an id");

        let browser = Self {
            client,
            session,
            scripts: look.scripts,
            driver,
            _profile: profile,
            _turn: turn,
        };
        browser.resize(look.width, look.height).await;
        browser.prefer(look.scheme).await;
        browser.allow(look.scripts).await;
        browser
    }

    /// Lays the page out in this many CSS pixels; narrow ones as a phone does, which heeds `meta viewport`.
    pub(crate) async fn resize(&self, width: u32, height: u32) {
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    pub(crate) async fn prefer(&self, scheme: Scheme) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme.as_str() }] });
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    /// Waits until the page is laid out so: the browser says yes to both before it has done it.
    pub(crate) async fn await_look(&self, width: u32, scheme: Scheme) {
        let query = format!(
            "(width: {width}px) and (prefers-color-scheme: {})",
            scheme.as_str()
        );
        self.await_true("return matchMedia(arguments[0]).matches", &query)
            .await;
    }

    /// Waits until the page has this heading. One look each time: an element that is found first and read then may
    /// belong to the page before.
    pub(crate) async fn await_heading(&self, words: &str) {
        const IS_IT: &str = "return document.querySelector('h1')?.innerText === arguments[0]";
        self.await_true(IS_IT, words).await;
    }

    async fn await_true(&self, script: &str, argument: &str) {
        let deadline = Instant::now() + APPEARS;
        while self.execute(script, vec![json!(argument)]).await != true {
            if Instant::now() > deadline {
                panic!("never true: {script} of \"{argument}\"; {}", self.page().await);
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn goto(&self, url: &str) {
        self.step(&format!("open {url}"), self.client.goto(url)).await;
    }

    pub(crate) async fn url(&self) -> Url {
        self.step("read the address", self.client.current_url()).await
    }

    /// The names of the cookies for the site that is shown.
    pub(crate) async fn cookies(&self) -> Vec<String> {
        let cookies = self.step("read the cookies", self.client.get_all_cookies()).await;
        cookies.iter().map(|cookie| cookie.name().to_owned()).collect()
    }

    pub(crate) async fn title(&self) -> String {
        self.step("read the title", self.client.title()).await
    }

    pub(crate) async fn source(&self) -> String {
        self.step("read the source", self.client.source()).await
    }

    /// Clicks the element with this id, as soon as there is one, and waits for the page it leads to.
    pub(crate) async fn click(&self, id: &str) {
        let element = self.find(Locator::Id(id)).await;
        self.step(&format!("click #{id}"), element.click()).await;
    }

    /// Types over what the field of this name holds.
    pub(crate) async fn type_into(&self, name: &str, text: &str) {
        let element = self.find(Locator::Css(&format!("[name='{name}']"))).await;
        self.step(&format!("clear the field {name}"), element.clear())
            .await;
        self.step(&format!("type into the field {name}"), element.send_keys(text))
            .await;
    }

    /// Presses a key, wherever the focus is.
    pub(crate) async fn press(&self, key: Key) {
        let value = char::from(key);
        let keys = KeyActions::new("keyboard".to_owned())
            .then(KeyAction::Down { value })
            .then(KeyAction::Up { value });
        self.step(&format!("press {key:?}"), self.client.perform_actions(keys))
            .await;
    }

    pub(crate) async fn back(&self) {
        self.step("go back", self.client.back()).await;
    }

    pub(crate) async fn reload(&self) {
        self.step("reload", self.client.refresh()).await;
    }

    /// What a reader sees of the first element that a CSS selector names.
    pub(crate) async fn text_of(&self, selector: &str) -> String {
        let element = self.find(Locator::Css(selector)).await;
        self.step(&format!("read {selector}"), element.text()).await
    }

    /// Waits until the page shows these words.
    pub(crate) async fn await_text(&self, words: &str) {
        let deadline = Instant::now() + APPEARS;
        while !self.shown().await.contains(words) {
            if Instant::now() > deadline {
                panic!("the words \"{words}\" do not appear; {}", self.page().await);
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// A PNG of the window.
    pub(crate) async fn screenshot(&self, file: &Path) {
        let image = self.step("take a screenshot", self.client.screenshot()).await;
        std::fs::write(file, image).unwrap_or_else(|error| panic!("write {}: {error}", file.display()));
    }

    /// What the page is wide: more than the window means that it scrolls sideways.
    pub(crate) async fn scroll_width(&self) -> u64 {
        let width = self
            .execute("return document.documentElement.scrollWidth", vec![])
            .await;
        width.as_u64().expect("a width is a number")
    }

    /// Where the pages asked over the network since the last call: an origin each.
    pub(crate) async fn request_origins(&self) -> BTreeSet<String> {
        let entries = self.log("performance").await;
        let sent = entries.iter().filter_map(|entry| {
            let event: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let event = &event["message"];
            let url = &event["params"]["request"]["url"];
            (event["method"] == "Network.requestWillBeSent").then(|| Url::parse(url.as_str()?).ok())?
        });
        let network = sent.filter(|url| matches!(url.scheme(), "http" | "https"));
        network.map(|url| url.origin().ascii_serialization()).collect()
    }

    /// The errors of the browser's console since the last call, each as `source: message`; what a
    /// Content-Security-Policy stopped has the source `security`, an answer of 4xx or 5xx `network`.
    pub(crate) async fn console_errors(&self) -> Vec<String> {
        let entries = self.log("browser").await;
        let errors = entries.iter().filter(|entry| entry["level"] == "SEVERE");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        errors
            .map(|entry| format!("{}: {}", text(&entry["source"]), text(&entry["message"])))
            .collect()
    }

    /// Runs a function body in the page; it is ours, so the page's policy does not apply to it.
    pub(crate) async fn execute(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.step("run a script", self.client.execute(script, arguments))
            .await
    }

    /// Like [`Browser::execute`], answered by calling the last argument. A page without scripts has no
    /// timers either: they are lent to it meanwhile, and its own scripts are not run after the fact.
    pub(crate) async fn execute_async(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.allow(Scripts::On).await;
        let running = self.client.execute_async(script, arguments);
        let answer = self.step("run a script", running).await;
        self.allow(self.scripts).await;
        answer
    }

    async fn allow(&self, scripts: Scripts) {
        let off = json!({ "value": scripts == Scripts::Off });
        self.devtools("Emulation.setScriptExecutionDisabled", off).await;
    }

    async fn find(&self, locator: Locator<'_>) -> Element {
        let what = format!("find {locator:?}");
        self.step(&what, self.client.wait().at_most(APPEARS).for_element(locator))
            .await
    }

    async fn log(&self, kind: &str) -> Vec<Value> {
        let command = Extension {
            path: "se/log",
            body: json!({ "type": kind }),
        };
        match self.step("read a log", self.client.issue_cmd(command)).await {
            Value::Array(entries) => entries,
            other => panic!("a log is a list, not {other}"),
        }
    }

    async fn devtools(&self, command: &str, parameters: Value) {
        let body = json!({ "cmd": command, "params": parameters });
        let extension = Extension {
            path: "goog/cdp/execute",
            body,
        };
        self.step(command, self.client.issue_cmd(extension)).await;
    }

    async fn step<T>(&self, what: &str, step: impl Future<Output = Result<T, CmdError>>) -> T {
        match timeout(STEP, step).await {
            Ok(Ok(value)) => value,
            Ok(Err(error)) => panic!("{what}: {error}; {}", self.page().await),
            Err(_) => panic!("{what}: no answer within {} s", STEP.as_secs()),
        }
    }

    /// Where the browser is and what it shows, for the message of a failure.
    async fn page(&self) -> String {
        let url = timeout(STEP, self.client.current_url()).await;
        let url = url
            .ok()
            .and_then(Result::ok)
            .map_or_else(|| "nowhere".to_owned(), String::from);
        format!("the browser is at {url} and shows: {}", self.shown().await)
    }

    /// Empty while one page gives way to the next.
    async fn shown(&self) -> String {
        let text = async { self.client.find(Locator::Css("body")).await?.text().await };
        timeout(STEP, text)
            .await
            .ok()
            .and_then(Result::ok)
            .unwrap_or_default()
    }
}

/// All that a test needs, at once.
async fn turns<const N: usize>() -> [Turn; N] {
    let holder = std::thread::current().id();
    assert!(
        !holders().contains(&holder),
        "this test holds a browser already: drop it first, or open both at once"
    );
    let count = u32::try_from(N).expect("a few");
    let mut permits = match timeout(TURN, TURNS.acquire_many(count)).await {
        Ok(permits) => permits.expect("the semaphore is never closed"),
        Err(_) => panic!("no browser ends"),
    };
    std::array::from_fn(|_| {
        holders().push(holder);
        Turn {
            _permit: permits.split(1).expect("one for each"),
            holder,
        }
    })
}

fn holders() -> MutexGuard<'static, Vec<ThreadId>> {
    HOLDERS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut holders = holders();
        if let Some(at) = holders.iter().position(|holder| *holder == self.holder) {
            holders.swap_remove(at);
        }
    }
}

impl Drop for Browser {
    /// Chromium first, or it would still write into the profile while that is deleted.
    fn drop(&mut self) {
        let _ = self.driver.quit(&self.session);
    }
}

/// A command that chromedriver adds to the standard's.
#[derive(Debug)]
struct Extension {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}
