//! WCAG 2.2 level AA, as far as a machine can judge it: axe-core run inside the page that a browser shows.

use std::fmt;

use serde_json::{Value, json};

use super::browser::Browser;

const TAGS: [&str; 6] = [
    "wcag2a",
    "wcag2aa",
    "wcag21a",
    "wcag21aa",
    "wcag22aa",
    "best-practice",
];

/// Judges what stays: a colour half-way between two looks is nobody's.
const RUN: &str = "
    const [tags, done] = arguments;
    const options = { runOnly: { type: 'tag', values: tags } };
    const targets = rule => rule.nodes.map(node => node.target.flat().join(' '));
    const settled = Promise.all(document.getAnimations().map(animation => animation.finished.catch(() => {})));
    settled.then(() => axe.run(document, options)).then(
        found => done({
            passed: found.passes.length,
            violations: found.violations.map(rule => ({ rule: rule.id, help: rule.help, targets: targets(rule) })),
        }),
        error => done({ error: String(error) }),
    );
";

#[derive(Debug)]
pub(crate) struct Violation {
    pub(crate) rule: String,
    pub(crate) help: String,
    pub(crate) targets: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} at {}", self.rule, self.help, self.targets.join(", "))
    }
}

/// Fails with a line for each rule that the page breaks; `page` names it in the message.
pub(crate) async fn assert_axe_clean(browser: &Browser, page: &str) {
    let violations = violations(browser).await;
    let lines: Vec<String> = violations
        .iter()
        .map(|violation| format!("  {violation}"))
        .collect();
    assert!(
        lines.is_empty(),
        "{page} breaks {} rules of axe:\n{}",
        lines.len(),
        lines.join("\n")
    );
}

pub(crate) async fn violations(browser: &Browser) -> Vec<Violation> {
    browser.execute(&axe(), vec![]).await;
    let found = browser.execute_async(RUN, vec![json!(TAGS)]).await;

    // A page without content breaks no rule; one that was judged has met some.
    assert!(found["passed"].as_u64() > Some(0), "axe judged nothing: {found}");
    found["violations"]
        .as_array()
        .into_iter()
        .flatten()
        .map(violation)
        .collect()
}

fn violation(found: &Value) -> Violation {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let targets = found["targets"]
        .as_array()
        .into_iter()
        .flatten()
        .map(text)
        .collect();
    Violation {
        rule: text(&found["rule"]),
        help: text(&found["help"]),
        targets,
    }
}

fn axe() -> String {
    let file = std::env::var("COUNTERSIGN_TEST_AXE")
        .expect("COUNTERSIGN_TEST_AXE names no axe.min.js: start the tests with tests/run");
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("COUNTERSIGN_TEST_AXE={file}: {error}"))
}

#[cfg(test)]
mod tests {
    use axum::{Router, http::header::CONTENT_SECURITY_POLICY, response::Html, routing::get};

    use super::*;
    use crate::harness::{
        browser::{Look, Scripts},
        site::serve,
    };

    const CLEAN: &str = "<!doctype html><html lang=en><title>Clean</title><link rel=icon href=data:,>
        <meta name=viewport content=width=device-width><main><h1>Clean</h1>
        <form><label>Name <input name=name></label> <button>Send</button></form></main></html>";
    const BROKEN: &str = "<!doctype html><html><title>Broken</title><link rel=icon href=data:,>
        <main><h1>Broken</h1><input name=name><p style='color: #bbb; background: #fff'>Pale</p></main></html>";

    /// The policy is as strict as one can be: it binds the page, not what the driver injects.
    #[tokio::test]
    async fn axe_finds_what_is_broken_and_nothing_else() {
        let policy = [(
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
        )];
        let site = Router::new()
            .route("/clean", get((policy.clone(), Html(CLEAN))))
            .route("/broken", get((policy, Html(BROKEN))));
        let site = serve(site).await;

        for scripts in [Scripts::On, Scripts::Off] {
            let browser = Browser::open_as(Look {
                scripts,
                ..Look::default()
            })
            .await;
            browser.goto(&format!("{site}/clean")).await;
            assert_axe_clean(&browser, "the clean page").await;

            browser.goto(&format!("{site}/broken")).await;
            let found = violations(&browser).await;
            let rules: Vec<&str> = found.iter().map(|violation| violation.rule.as_str()).collect();
            assert_eq!(rules, ["color-contrast", "html-has-lang", "label"], "{scripts:?}");
            assert_eq!(found[0].targets, ["p"]);
            assert_eq!(
                found[2].to_string(),
                "label: Form elements must have labels at input"
            );
        }
    }
}
