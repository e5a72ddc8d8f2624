//! The page that asks who it is, and the one that asks which of them.

use super::*;

#[test]
fn what_an_app_says_elsewhere_is_a_link_that_names_the_host_and_tells_nothing_of_us() {
    let links = Links::of(&Metadata {
        policy_uri: Some("https://a.test/privacy?a=1&b=2".to_owned()),
        ..Metadata::default()
    });
    let html = login_linking(Some("Shop"), anyone(""), &[], links);
    let link = "<a href=\"https://a.test/privacy?a=1&#38;b=2\" target=\"_blank\" \
        rel=\"noopener noreferrer nofollow\">";
    assert!(html.contains(link), "{html}");
    assert!(
        html.contains("Privacy policy") && html.contains(">a.test<"),
        "{html}"
    );
    assert!(!html.contains("Terms of service"), "{html}");
}

#[test]
fn c014_sign_in_says_of_an_app_that_registered_itself_what_consent_says() {
    let mark = "We haven't checked this app. It registered itself.";
    for (trust, marked) in [(Trust::Trusted, false), (Trust::Unverified, true)] {
        let shop = || app("Shop", trust, "https://shop.test/cb");
        for who in [anyone(""), Who::Known(person(None))] {
            let html = login_to(Some(shop()), who, &[]);
            assert_eq!(html.contains(mark), marked, "{html}");
            let claimed = html.contains("Name set by the app at <bdi>shop.test</bdi>");
            assert_eq!(claimed, marked, "{html}");
        }
    }
    assert!(!login(None, anyone(""), &[]).contains(mark));
}

#[test]
fn whoever_chooses_sees_every_account_and_may_use_another_or_none() {
    let people = vec![person(Some("Alex Doe")), person(None)];
    let html = choose("Shop", Trust::Unverified, people);
    for part in [
        "<h1>Choose an account</h1>",
        "to continue to <bdi>Shop</bdi>",
        "We haven't checked this app. It registered itself.",
        "name=\"account\" value=\"account-0\"",
        "name=\"account\" value=\"account-1\"",
        "<bdi class=\"account-name\">Alex Doe</bdi>",
        "<bdi class=\"account-detail\">alex@example.com</bdi>",
        "<bdi class=\"account-name\">alex@example.com</bdi>",
        "href=\"/auth/login?flow=sealed&amp;other=1\"",
        "id=\"login-cancel\"",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
}

#[test]
fn who_has_to_wait_is_told_how_long_and_what_else_to_do() {
    for (forgot, seconds, words) in [
        (true, 1, "Try again in a minute, or reset your password."),
        (true, 60, "Try again in a minute, or reset your password."),
        (true, 61, "Try again in 2 minutes, or reset your password."),
        (true, 600, "Try again in 10 minutes, or reset your password."),
        (false, 30, "Try again in a minute.</li>"),
        (false, 300, "Try again in 5 minutes.</li>"),
    ] {
        let view = Login {
            forgot: forgot.then(|| "/auth/recover".to_owned()),
            ..login_view(
                None,
                anyone("alex@example.com"),
                &[LoginFault::TooMany(held(seconds))],
            )
        };
        let html = view.render().unwrap();
        assert!(html.contains(words), "{seconds}: {html}");
        assert!(html.contains("value=\"alex@example.com\""), "{html}");
    }
}

#[test]
fn the_login_page_keeps_its_contract() {
    let html = login(Some("App"), anyone(""), &[]);
    for part in [
        "<h1>Sign in</h1>",
        "to continue to <bdi>App</bdi>",
        "name=\"username\"",
        "name=\"password\"",
        "id=\"login-submit\"",
        "name=\"decision\" value=\"cancel\" formnovalidate",
        "name=\"remember\" type=\"checkbox\" value=\"yes\" aria-describedby=\"remember-hint\">",
        "name=\"flow\" value=\"sealed\"",
        "name=\"csrf\" value=\"token\"",
        "<form method=\"post\" action=\"/auth/login\">",
    ] {
        assert!(html.contains(part), "{part} is missing in {html}");
    }
    // Enter presses the first button of a form: it must not be Cancel.
    assert!(html.find("login-submit") < html.find("login-cancel"));
    assert!(
        !login(None, anyone(""), &[]).contains("login-cancel"),
        "there is no client to go back to"
    );
}

#[test]
fn what_was_wrong_stands_in_the_title_on_top_and_at_the_field() {
    let html = login(Some("App"), anyone("alex@example.com"), &[LoginFault::Wrong]);
    let text = "That email or password isn't right. Check both and try again.";
    assert_eq!(html.matches(text).count(), 2);
    assert_eq!(
        html.matches("aria-invalid=\"true\" aria-describedby=\"username-fault\"")
            .count(),
        2
    );
    assert!(html.contains("<title>Error: Sign in – Countersign</title>"));
    assert!(html.contains("href=\"#username\"") && html.contains("value=\"alex@example.com\""));
    assert_eq!(html.matches("autofocus").count(), 1);
    assert!(!html.contains("type=\"password\" value"));
}

#[test]
fn a_known_user_is_asked_for_the_password_alone() {
    let html = login(Some("App"), Who::Known(person(Some("Alex Doe"))), &[]);
    assert!(
        html.contains("required value=\"alex@example.com\"")
            && html.contains("account-fixed")
            && html.contains("Sign in")
    );
    assert!(html.contains("Not <bdi>Alex Doe</bdi>?"));
    assert!(html.contains("href=\"/auth/login?flow=sealed&amp;switch=1\""));
    assert!(!html.contains("name=\"remember\""));
}
