//! A person whose browser knows neither scripts nor styles: reads, follows links, fills in forms, on any site.

use std::collections::BTreeMap;

use http::header::{ACCEPT, COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use http::{HeaderMap, StatusCode};
use reqwest::{Client, RequestBuilder};
use url::Url;

use super::html::{Element, Html};
use super::visitor::client;

#[derive(Debug)]
pub(crate) struct Plain {
    http: Client,
    /// By host: cookies do not know ports.
    cookies: BTreeMap<String, BTreeMap<String, String>>,
    typed: BTreeMap<String, String>,
    pub(crate) shown: Option<Shown>,
}

/// What is in front of the person.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) address: Url,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) html: Html,
}

impl Plain {
    pub(crate) fn new() -> Self {
        Self {
            http: client(),
            cookies: BTreeMap::new(),
            typed: BTreeMap::new(),
            shown: None,
        }
    }

    pub(crate) fn page(&self) -> &Shown {
        self.shown.as_ref().expect("a page is open")
    }

    pub(crate) async fn goto(&mut self, url: &str) {
        let url = Url::parse(url).expect("a URL");
        let request = self.http.get(url.clone());
        self.load(url, request).await;
    }

    pub(crate) async fn reload(&mut self) {
        let address = self.page().address.to_string();
        self.goto(&address).await;
    }

    pub(crate) fn type_into(&mut self, name: &str, text: &str) {
        let found = self.page().named(name);
        assert!(
            found.is_some(),
            "no field {name} at {}: {}",
            self.page().address,
            self.page().body
        );
        self.typed.insert(name.to_owned(), text.to_owned());
    }

    /// Follows a link, or presses a button.
    pub(crate) async fn click(&mut self, id: &str) {
        let page = self.page();
        let element = page.html.by_id(id);
        let element = element.unwrap_or_else(|| panic!("no #{id} at {}: {}", page.address, page.body));
        match element.tag.as_str() {
            "a" => {
                let to = page
                    .address
                    .join(element.get("href").expect("a link leads somewhere"));
                let to = to.expect("a URL");
                self.goto(to.as_str()).await;
            }
            "button" => {
                let (to, fields) = page.sent_by(element, &self.typed);
                self.send(to, &fields).await;
            }
            tag => panic!("nobody clicks a {tag}"),
        }
    }

    /// Sends a form of the site on which the person is, whatever the page has.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(String, String)]) {
        let to = self.page().address.join(path).expect("a URL");
        self.send(to, fields).await;
    }

    async fn send(&mut self, to: Url, fields: &[(String, String)]) {
        let origin = self.page().address.origin().ascii_serialization();
        let request = self.http.post(to.clone()).header(ORIGIN, origin).form(fields);
        self.load(to, request).await;
    }

    async fn load(&mut self, mut address: Url, mut request: RequestBuilder) {
        self.typed.clear();
        for _ in 0..20 {
            let host = address.host_str().expect("a host").to_owned();
            if let Some(cookies) = self.cookies.get(&host).filter(|cookies| !cookies.is_empty()) {
                let pairs: Vec<String> = cookies
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                request = request.header(COOKIE, pairs.join("; "));
            }
            let request_of_a_person = request.header(ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8");
            let response = request_of_a_person.send().await.expect("an answer");
            let (status, headers) = (response.status(), response.headers().clone());
            for cookie in headers.get_all(SET_COOKIE) {
                self.keep(&host, cookie.to_str().expect("a readable cookie"));
            }
            if let Some(location) = headers.get(LOCATION).filter(|_| status.is_redirection()) {
                let location = location.to_str().expect("a readable address");
                address = address.join(location).expect("a URL");
                request = self.http.get(address.clone());
                continue;
            }
            let body = response.text().await.expect("a readable body");
            let html = Html::parse(&body).unwrap_or_else(|fault| panic!("{address}: {fault}\n{body}"));
            self.shown = Some(Shown {
                address,
                status,
                headers,
                body,
                html,
            });
            return;
        }
        panic!("redirected in circles: {address}");
    }

    fn keep(&mut self, host: &str, cookie: &str) {
        let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
        let (name, value) = pair.split_once('=').expect("name=value");
        let own = self.cookies.entry(host.to_owned()).or_default();
        match attributes.contains("Max-Age=0") {
            true => own.remove(name),
            false => own.insert(name.to_owned(), value.to_owned()),
        };
    }

    /// The names of the cookies for the site on which the person is.
    pub(crate) fn cookies(&self) -> Vec<String> {
        let host = self.page().address.host_str().expect("a host");
        let own = self.cookies.get(host);
        own.into_iter().flatten().map(|(name, _)| name.clone()).collect()
    }
}

impl Shown {
    pub(crate) fn heading(&self) -> String {
        self.html.all("h1").map(Element::words).collect()
    }

    fn named(&self, name: &str) -> Option<&Element> {
        let mut all = self.html.elements.iter();
        all.find(|element| element.get("name") == Some(name))
    }

    pub(crate) fn value_of(&self, name: &str) -> Option<String> {
        Some(self.named(name)?.get("value")?.to_owned())
    }

    /// What this button sends, and where to.
    fn sent_by(&self, button: &Element, typed: &BTreeMap<String, String>) -> (Url, Vec<(String, String)>) {
        let form = self
            .html
            .around(button, "form")
            .expect("a button stands in a form");
        let mut fields = self.fields(form, typed);
        if let Some(name) = button.get("name") {
            fields.push((
                name.to_owned(),
                button.get("value").unwrap_or_default().to_owned(),
            ));
        }
        let to = self.address.join(form.get("action").expect("an action"));
        (to.expect("a URL"), fields)
    }

    /// What the fields of a form hold.
    pub(crate) fn fields(&self, form: &Element, typed: &BTreeMap<String, String>) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        for input in self.html.inside(form).filter(|element| element.tag == "input") {
            let (Some(name), value) = (input.get("name"), input.get("value").unwrap_or_default()) else {
                continue;
            };
            let is_box = input.get("type") == Some("checkbox");
            if is_box && !input.has("checked") {
                continue;
            }
            let value = typed.get(name).map_or(value, String::as_str);
            fields.push((name.to_owned(), value.to_owned()));
        }
        fields
    }
}
