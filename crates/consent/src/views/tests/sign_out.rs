//! The pages of logout.

use super::*;

fn signed_out(after: After, uri: Option<&str>) -> String {
    let back = uri.map(|uri| Back {
        uri: uri.to_owned(),
        destination: Destination::of(uri),
    });
    SignedOut {
        shell: shell(),
        after,
        back,
        frames: Vec::new(),
        onward: None,
    }
    .render()
    .unwrap()
}

#[test]
fn the_page_that_asks_keeps_its_contract() {
    let html = sign_out(
        Some("App"),
        Some("https://app.example.com/bye"),
        vec![person(Some("Alex Doe"))],
    );
    for part in [
        "<h1>Sign out of Countersign?</h1>",
        "<bdi>App</bdi> sent you here to sign out.",
        "id=\"logout-confirm\" type=\"submit\" name=\"decision\" value=\"sign-out\">Sign out</button>",
        "name=\"decision\" value=\"stay\">Stay signed in</button>",
        "Afterwards you'll go to <bdi>app.example.com</bdi>",
        "name=\"flow\" value=\"sealed\"",
        "name=\"csrf\" value=\"token\"",
        "<form method=\"post\" action=\"/auth/logout/confirm\">",
        "alex@example.com",
    ] {
        assert!(html.contains(part), "{part} is missing in {html}");
    }
    assert!(!html.contains("will all be signed out"), "there is one account");

    let several = sign_out(None, None, vec![person(Some("Alex Doe")), person(None)]);
    assert!(several.contains("These accounts will all be signed out on this browser"));
    assert_eq!(several.matches("class=\"account\"").count(), 2);
    assert!(!several.contains("sent you here") && !several.contains("Afterwards"));
    let app = sign_out(Some("App"), Some("com.example.app:/bye"), vec![person(None)]);
    assert!(app.contains("Afterwards you'll go back to the app <bdi>com.example.app</bdi>"));
}

#[test]
fn the_result_says_signed_out_and_links_only_to_what_was_registered() {
    for (after, words) in [
        (After::Nobody, "You're signed out of Countersign."),
        (
            After::Others,
            "Other accounts are still signed in on this browser.",
        ),
    ] {
        let html = signed_out(after, None);
        assert!(
            html.contains("<h1>Signed out</h1>") && html.contains(words),
            "{html}"
        );
        assert!(!html.contains("id=\"back\""));
    }
    let html = signed_out(After::Stayed, None);
    assert!(html.contains("<h1>Still signed in</h1>") && !html.contains("Signed out"));

    let html = signed_out(After::Nobody, Some("https://app.example.com/bye?a=1&b=2"));
    assert!(
        html.contains("href=\"https://app.example.com/bye?a=1&#38;b=2\""),
        "{html}"
    );
    assert!(
        html.contains("Go to <bdi>app.example.com</bdi></span></a>"),
        "{html}"
    );
    let html = signed_out(After::Stayed, Some("com.example.app:/bye"));
    assert!(
        html.contains("Go back to the app <bdi>com.example.app</bdi></span></a>"),
        "{html}"
    );
}
