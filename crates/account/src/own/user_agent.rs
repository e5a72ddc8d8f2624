//! What a browser says of itself, as a name that its person recognises: "Firefox on Linux".
//!
//! The header is the browser's to choose, so it proves nothing, and none of its text is shown: the names come from a
//! closed list.

use pages::{Markup, Texts};

/// Each by what its own builds say, those that claim to be others first.
const BROWSERS: [(&str, &str); 13] = [
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];

const SYSTEMS: [(&str, &str); 8] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
];

/// The device that such a browser runs on.
pub(crate) fn named(user_agent: &str, texts: Texts) -> Markup {
    match (find(&BROWSERS, user_agent), find(&SYSTEMS, user_agent)) {
        (Some(browser), Some(system)) => texts.with(
            "device-browser-on",
            &[
                ("browser", Markup::plain(browser)),
                ("system", Markup::plain(system)),
            ],
        ),
        (Some(name), None) | (None, Some(name)) => Markup::plain(name),
        (None, None) => texts.text("device-unknown"),
    }
}

/// The same for a mail.
pub(crate) fn words(user_agent: &str, texts: Texts) -> String {
    match (find(&BROWSERS, user_agent), find(&SYSTEMS, user_agent)) {
        (Some(browser), Some(system)) => {
            texts.words("device-browser-on", &[("browser", browser), ("system", system)])
        }
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => texts.words("device-unknown", &[]),
    }
}

fn find(names: &[(&str, &'static str)], user_agent: &str) -> Option<&'static str> {
    let found = names.iter().find(|(mark, _)| user_agent.contains(mark));
    found.map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use pages::Locale;

    use super::*;

    #[test]
    fn a_device_is_named_as_its_person_would_and_none_of_its_own_text_is_shown() {
        for (user_agent, name) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
                "Firefox on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            (
                "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15",
                "Safari on macOS",
            ),
            ("something (Linux)", "Linux"),
            ("Firefox/1", "Firefox"),
            ("", "Unknown device"),
            ("<script>alert(1)</script>", "Unknown device"),
        ] {
            assert_eq!(
                named(user_agent, Texts::of(Locale::En)).to_string(),
                name,
                "{user_agent}"
            );
            assert_eq!(words(user_agent, Texts::of(Locale::En)), name, "{user_agent}");
        }
    }
}
