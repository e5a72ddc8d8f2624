//! What is true of the markup of every page, whoever reads it: what a screen reader, a password manager and a browser
//! without scripts need.

use std::collections::BTreeSet;

use crate::harness::html::{Element, Html};
use crate::harness::plain::Shown;
use crate::matrix::{Entry, State};

/// Words that no page of ours has: they blame, beg, or name no act.
const UNSAID: [&str; 6] = ["please", "oops", "invalid", "login", "submit", "proceed"];
/// Where forms may end elsewhere, and the scripts and the tokens are those of the answer.
const ANSWERS: [&str; 3] = ["form-post", "leave", "leave-form"];

pub(super) fn faults(entry: Entry, shown: &Shown) -> Vec<String> {
    let page = Page {
        html: &shown.html,
        entry,
        is_demo: entry.page.starts_with("demo-"),
    };
    let mut faults = Vec::new();
    // What a mail program would show is no page of ours.
    if entry.page != "mail" {
        page.frame(&mut faults);
    }
    page.references(&mut faults);
    page.scripts(&mut faults);
    page.words(&mut faults);
    page.alert(&mut faults);
    for form in page.html.all("form") {
        page.form(form, &mut faults);
    }
    page.facts(shown, &mut faults);
    faults
}

struct Page<'p> {
    html: &'p Html,
    entry: Entry,
    is_demo: bool,
}

impl Page<'_> {
    fn frame(&self, faults: &mut Vec<String>) {
        let html = self.html;
        for (tag, count) in [("main", 1), ("h1", 1), ("title", 1)] {
            let all: Vec<String> = html.all(tag).map(Element::words).collect();
            if all.len() != count || all.iter().any(String::is_empty) {
                faults.push(format!("{tag}: {all:?}"));
            }
        }
        if html
            .all("h1")
            .any(|heading| html.around(heading, "main").is_none())
        {
            faults.push("the heading stands outside of the main part".to_owned());
        }
        let brand = if self.is_demo {
            " – Demo app"
        } else {
            " – Countersign"
        };
        let title: String = html.all("title").map(Element::words).collect();
        let is_wrong = self.entry.state == State::Wrong;
        if !title.ends_with(brand) || title.starts_with("Error: ") != is_wrong {
            faults.push(format!("the title is {title:?}"));
        }
        let language = html.all("html").next();
        if language.is_none_or(|html| html.get("lang") != Some("en") || html.get("dir") != Some("ltr")) {
            faults.push("no language or no direction".to_owned());
        }
        let viewport = "width=device-width, initial-scale=1";
        if !html.all("meta").any(|meta| meta.get("content") == Some(viewport)) {
            faults.push("no viewport, or one that forbids zooming".to_owned());
        }
        let main =
            |element: &&Element| element.has_class("button-main") || element.has_class("button-danger");
        if html.elements.iter().filter(main).count() > 1 {
            faults.push("more than one button is the main one".to_owned());
        }
    }

    fn references(&self, faults: &mut Vec<String>) {
        let mut ids = BTreeSet::new();
        for element in &self.html.elements {
            if let Some(id) = element.get("id").filter(|id| !ids.insert(*id)) {
                faults.push(format!("two elements have the id {id}"));
            }
        }
        for element in &self.html.elements {
            let mut named = element.ids("for");
            named.extend(element.ids("aria-labelledby"));
            named.extend(element.ids("aria-describedby"));
            named.extend(element.get("href").and_then(|href| href.strip_prefix('#')));
            let missing = named.into_iter().filter(|id| !ids.contains(id));
            faults.extend(missing.map(|id| format!("<{}> names {id}, which is not there", element.tag)));
            if element.tag == "time" && element.get("datetime").is_none_or(str::is_empty) {
                faults.push(format!("no machine reads the time {}", element.words()));
            }
            if element.tag == "img" && !element.has("alt") {
                faults.push("a picture without words for it".to_owned());
            }
        }
    }

    fn scripts(&self, faults: &mut Vec<String>) {
        let scripts: Vec<&Element> = self.html.all("script").collect();
        let adds = |element: &Element| element.has("data-show") || element.has("data-copy");
        let wanted = self.entry.page == "form-post" || self.html.elements.iter().any(adds);
        if scripts.len() != usize::from(wanted) {
            faults.push(format!("{} scripts", scripts.len()));
        }
        let is_file = |script: &&Element| script.get("src").is_some() && script.has("defer");
        if self.entry.page != "form-post" && !scripts.iter().all(is_file) {
            faults.push("a script that is no file".to_owned());
        }
        let shows = |input: &&Element| input.get("type") == Some("password") && !input.has("data-show");
        if !self.is_demo && self.html.all("input").any(|input| shows(&input)) {
            faults.push("a password that nobody can look at".to_owned());
        }
        for element in &self.html.elements {
            let own = element.attributes.keys();
            let odd =
                own.filter(|name| name.starts_with("on") || *name == "style" && self.entry.page != "mail");
            faults.extend(odd.map(|name| format!("<{}> has {name}", element.tag)));
        }
    }

    fn words(&self, faults: &mut Vec<String>) {
        let main = self.html.all("main").next();
        let said = main.map(Element::words).unwrap_or_default().to_lowercase();
        let words: BTreeSet<&str> = said.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        let unsaid = UNSAID.iter().filter(|word| words.contains(*word));
        faults.extend(unsaid.map(|word| format!("it says \"{word}\"")));
    }

    /// One summary, which the focus goes to; each line leads to a field that says the same.
    fn alert(&self, faults: &mut Vec<String>) {
        let html = self.html;
        let alerts: Vec<&Element> = (html.elements.iter())
            .filter(|element| element.get("role") == Some("alert"))
            .collect();
        if alerts.len() != usize::from(self.entry.state == State::Wrong) {
            faults.push(format!("{} alerts", alerts.len()));
        }
        let focused: Vec<&Element> = (html.elements.iter())
            .filter(|element| element.has("autofocus"))
            .collect();
        if focused.len() > 1 {
            faults.push("more than one element takes the focus".to_owned());
        }
        for alert in alerts {
            let named = alert.ids("aria-labelledby");
            let name: String = named
                .into_iter()
                .filter_map(|id| html.by_id(id))
                .map(Element::words)
                .collect();
            if name != "There is a problem" {
                faults.push(format!("the alert is called {name:?}"));
            }
            if !alert.has("autofocus") || alert.get("tabindex") != Some("-1") {
                faults.push("the focus does not begin at the alert".to_owned());
            }
            for link in html.inside(alert).filter(|element| element.tag == "a") {
                let field = link.get("href").and_then(|href| href.strip_prefix('#'));
                let field = field.and_then(|id| html.by_id(id));
                let described = field.into_iter().flat_map(|field| field.ids("aria-describedby"));
                let mut told = described.filter_map(|id| html.by_id(id));
                let is_wrong = field.is_some_and(|field| field.get("aria-invalid") == Some("true"));
                if !is_wrong || !told.any(|fault| fault.words().contains(&link.words())) {
                    faults.push(format!("\"{}\" is not said at its field", link.words()));
                }
            }
        }
    }

    fn form(&self, form: &Element, faults: &mut Vec<String>) {
        let html = self.html;
        let answers_an_app = ANSWERS.contains(&self.entry.page);
        let action = form.get("action").unwrap_or_default();
        if form.get("method") != Some("post") {
            faults.push(format!("the form for {action} is not posted"));
        }
        let is_ours = action.starts_with('/') && !action.starts_with("//");
        if is_ours == answers_an_app {
            faults.push(format!("the form leads to {action}"));
        }
        let token = html
            .inside(form)
            .find(|element| element.get("name") == Some("csrf"))
            .and_then(|token| token.get("value"));
        if token.is_none_or(str::is_empty) && !answers_an_app && !self.is_demo {
            faults.push(format!("the form for {action} has no token"));
        }
        let buttons: Vec<&Element> = html
            .inside(form)
            .filter(|element| element.tag == "button")
            .collect();
        let submits = |button: &&Element| button.get("type") == Some("submit") && !button.words().is_empty();
        if buttons.is_empty() || !buttons.iter().all(submits) {
            faults.push(format!("a button of the form for {action} says or does nothing"));
        }
        for input in html.inside(form).filter(|element| element.tag == "input") {
            self.input(input, faults);
        }
    }

    fn input(&self, input: &Element, faults: &mut Vec<String>) {
        if input.get("type") == Some("hidden") {
            return;
        }
        let name = input.get("name").unwrap_or_default();
        let labels = |label: &Element| label.get("for") == input.get("id") && !label.words().is_empty();
        let is_for_managers = input.has("readonly") && input.get("aria-hidden") == Some("true");
        if name.is_empty() || !is_for_managers && !self.html.all("label").any(labels) {
            faults.push(format!("the field \"{name}\" has no name or no label"));
        }
        let autocomplete = input.get("autocomplete");
        if input.get("type") == Some("password")
            && !matches!(autocomplete, Some("current-password" | "new-password"))
        {
            faults.push(format!("no password manager knows the field \"{name}\""));
        }
    }

    /// What support will ask for, the same as in the header.
    fn facts(&self, shown: &Shown, faults: &mut Vec<String>) {
        for code in self.html.by_class("copied-whole") {
            let id = shown.headers.get("x-request-id").and_then(|id| id.to_str().ok());
            // A failure of ours is shown by a site of the test's own.
            let is_real = self.entry.route.is_some() || self.entry.page == "not-found";
            if is_real && id != Some(&code.words()) {
                faults.push(format!("the request is {} and {id:?}", code.words()));
            }
            if self.html.all("time").count() != 1 {
                faults.push("it does not say when".to_owned());
            }
        }
        if self.entry.route.is_none() && self.html.by_class("copied-whole").count() != 1 {
            faults.push("it has no request ID".to_owned());
        }
    }
}
