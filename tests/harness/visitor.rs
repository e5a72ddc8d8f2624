//! A person with a browser that knows no JavaScript: follows redirects, keeps cookies, fills in forms.

use std::collections::BTreeMap;

use http::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use http::{HeaderMap, StatusCode};
use reqwest::Client;
use url::form_urlencoded;

use super::world::PASSWORD;
use super::{World, rp};

#[derive(Debug)]
pub(crate) struct Visitor<'w> {
    world: &'w World,
    http: Client,
    pub(crate) cookies: BTreeMap<String, String>,
}

/// What came back, redirects not followed.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// The way in which an answer goes to the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Channel {
    Query,
    Fragment,
    FormPost,
}

/// An answer to the app, as the app gets it.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) channel: Channel,
    /// Where to, without what was added.
    pub(crate) to: String,
    pub(crate) params: Vec<(String, String)>,
}

/// A form as the page has it, ready to be changed and sent.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    pub(crate) action: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl<'w> Visitor<'w> {
    pub(crate) fn new(world: &'w World) -> Self {
        Self {
            world,
            http: client(),
            cookies: BTreeMap::new(),
        }
    }

    /// Where its forms come from.
    pub(crate) fn origin(&self) -> &str {
        self.world.issuer.as_str()
    }

    /// The same person in another browser: no cookies.
    pub(crate) fn elsewhere(&self) -> Self {
        Self::new(self.world)
    }

    pub(crate) async fn get(&mut self, url: &str) -> Answer {
        self.send(self.http.get(self.world.route(&self.absolute(url))))
            .await
    }

    /// Sends a form as its own page would.
    pub(crate) async fn submit(&mut self, form: &Form) -> Answer {
        let origin = self.world.issuer.clone();
        self.submit_from(form, &[(ORIGIN.as_str(), &origin)]).await
    }

    /// Sends a form with these headers in place of `Origin`.
    pub(crate) async fn submit_from(&mut self, form: &Form, headers: &[(&str, &str)]) -> Answer {
        let url = self.world.route(&self.absolute(&form.action));
        let mut request = self.http.post(url).form(&form.fields);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request).await
    }

    /// Follows redirects as long as they stay with us; the answer is a page of ours or the redirect to the app.
    pub(crate) async fn follow(&mut self, mut answer: Answer) -> Answer {
        for _ in 0..10 {
            match answer.location() {
                Some(location) if self.is_ours(&location) => answer = self.get(&location).await,
                _ => return answer,
            }
        }
        panic!("redirected in circles: {answer:?}")
    }

    pub(crate) async fn open(&mut self, url: &str) -> Answer {
        let answer = self.get(url).await;
        self.follow(answer).await
    }

    /// From the sign-in page on: types name and password, and goes where that leads.
    pub(crate) async fn sign_in(&mut self, page: &Answer, email: &str) -> Answer {
        self.sign_in_with(page, email, PASSWORD).await
    }

    pub(crate) async fn sign_in_with(&mut self, page: &Answer, email: &str, password: &str) -> Answer {
        let form = page.form().with("username", email).with("password", password);
        let answer = self.submit(&form).await;
        self.follow(answer).await
    }

    /// From the consent page on: `allow` or `deny`.
    pub(crate) async fn decide(&mut self, page: &Answer, decision: &str) -> Answer {
        let answer = self.submit(&page.form().with("decision", decision)).await;
        self.follow(answer).await
    }

    /// The whole way to the app: signs in and allows where asked. The answer is the redirect to the app.
    pub(crate) async fn authorize(&mut self, url: &str, email: &str) -> Answer {
        let mut answer = self.open(url).await;
        if answer.has("id=\"login-submit\"") {
            answer = self.sign_in(&answer, email).await;
        }
        if answer.has("id=\"consent-allow\"") {
            answer = self.decide(&answer, "allow").await;
        }
        assert!(
            answer.sent().is_some(),
            "not sent back to the app: {}",
            answer.body
        );
        answer
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> Answer {
        let jar: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = match jar.is_empty() {
            true => request,
            false => request.header(COOKIE, jar.join("; ")),
        };
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        for cookie in headers.get_all(SET_COOKIE) {
            self.keep(cookie.to_str().expect("a readable cookie"));
        }
        Answer {
            status,
            headers,
            body: response.text().await.expect("a readable body"),
        }
    }

    fn keep(&mut self, cookie: &str) {
        let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
        let (name, value) = pair.split_once('=').expect("name=value");
        match attributes.contains("Max-Age=0") {
            true => self.cookies.remove(name),
            false => self.cookies.insert(name.to_owned(), value.to_owned()),
        };
    }

    fn absolute(&self, url: &str) -> String {
        match url.starts_with('/') {
            true => format!("{}{url}", self.world.issuer),
            false => url.to_owned(),
        }
    }

    fn is_ours(&self, location: &str) -> bool {
        location.starts_with('/') || location.starts_with(&format!("{}/", self.world.issuer))
    }
}

/// A client that does nothing on its own.
pub(crate) fn client() -> Client {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        // Not those of the machine: to read them takes longer than most tests.
        .tls_certs_only([rp::root()])
        .timeout(std::time::Duration::from_secs(60))
        .build()
        .expect("a plain client")
}

impl Answer {
    pub(crate) fn has(&self, text: &str) -> bool {
        self.body.contains(text)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn location(&self) -> Option<String> {
        self.headers
            .get(LOCATION)
            .map(|value| value.to_str().expect("a readable Location").to_owned())
    }

    /// What goes to the app by this answer: in a redirect, or in a form that sends itself.
    pub(crate) fn sent(&self) -> Option<Sent> {
        if self.status == StatusCode::OK && self.has("id=\"form-post-submit\"") {
            let form = self.form();
            return Some(Sent {
                channel: Channel::FormPost,
                to: form.action,
                params: form.fields,
            });
        }
        let location = self.location().filter(|_| self.status == StatusCode::SEE_OTHER)?;
        let (channel, mark) = match location.contains('#') {
            true => (Channel::Fragment, '#'),
            false => (Channel::Query, '?'),
        };
        let (to, encoded) = location.split_once(mark)?;
        Some(Sent {
            channel,
            to: to.to_owned(),
            params: form_urlencoded::parse(encoded.as_bytes()).into_owned().collect(),
        })
    }

    /// A parameter of the answer to the app.
    pub(crate) fn param(&self, name: &str) -> Option<String> {
        let params = self.sent()?.params;
        let found = params.into_iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.body))
    }

    /// The first form of the page with its hidden fields.
    pub(crate) fn form(&self) -> Form {
        let form =
            between(&self.body, "<form", "</form>").unwrap_or_else(|| panic!("no form: {}", self.body));
        let action = attribute(form, "action").expect("a form with an action");
        let fields = form
            .split("<input")
            .skip(1)
            .filter(|input| attribute(input, "type").as_deref() == Some("hidden"))
            .map(|input| {
                (
                    attribute(input, "name").expect("a name"),
                    attribute(input, "value").unwrap_or_default(),
                )
            });
        Form {
            action,
            fields: fields.collect(),
        }
    }
}

impl Form {
    /// The same form with this field, in place of one of that name.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(own, _)| own != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(own, _)| own != name);
        self
    }

    pub(crate) fn value(&self, name: &str) -> &str {
        let field = self.fields.iter().find(|(own, _)| own == name);
        field
            .map(|(_, value)| value.as_str())
            .unwrap_or_else(|| panic!("no field {name}"))
    }
}

fn between<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(inside, _)| inside)
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let tag = tag.split_once('>').map_or(tag, |(tag, _)| tag);
    let value = between(tag, &format!(" {name}=\""), "\"")?;
    Some(
        value
            .replace("&amp;", "&")
            .replace("&quot;", "\"")
            .replace("&#34;", "\"")
            .replace("&#39;", "'")
            .replace("&#60;", "<")
            .replace("&#62;", ">")
            .replace("&#38;", "&"),
    )
}
