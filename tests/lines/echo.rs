//! C103: what a form or an address of a person's page said is not said again, but in the field in which it was typed.

use super::forms::all_forms;
use super::open;
use crate::harness::Answer;

/// What would be markup, a template, SQL or a header line, if it were taken for more than text.
const MARK: &str = "mArK'\"><i>{{7*7}}\r\nX-Mark: 1";

/// What stands typed in its field when the page is shown again. There it is text.
const TYPED: [&str; 12] = [
    "username",
    "email",
    "name",
    "given_name",
    "family_name",
    "nickname",
    "birthdate",
    "phone_number",
    "website",
    "zoneinfo",
    "locale",
    "address",
];

#[track_caller]
fn assert_silent(what: &str, field: &str, answer: &Answer) {
    assert!(!answer.status.is_server_error(), "{what}: {}", answer.body);
    assert!(!answer.headers.contains_key("x-mark"), "{what}");
    let whole = format!("{:?}\n{}", answer.headers, answer.body);
    let is_typed = TYPED.contains(&field);
    assert!(
        is_typed || !whole.contains("mArK"),
        "{what} says it again: {whole}"
    );
    for live in ["mArK'\"", "mArK\"", "\"><i>", "<i>", "{{7*7}}<", ">49<"] {
        assert!(!answer.body.contains(live), "{what}: {live} in {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c103_no_page_of_a_person_repeats_what_was_sent_to_it() {
    let (world, letters) = open(db::testing::sqlite_url()).await;
    let mut rows = all_forms(&world, &letters).await;
    for row in &mut rows {
        let mut names: Vec<String> = row.form.fields.iter().map(|(name, _)| name.clone()).collect();
        names.extend(["unknown", "session", "decision", "before", "sub"].map(str::to_owned));
        for name in names {
            // So that it does nothing but fail: the token is of this form, the rest is wrong.
            let form = row.form.clone().with("current", "wrong").with(&name, MARK);
            if ["cancel", "allow", "deny", "sign-out", "stay"].contains(&row.name)
                && name != "csrf"
                && name != "flow"
            {
                continue;
            }
            let answer = row.visitor.submit(&form).await;
            assert_silent(&format!("{} with {name}", row.name), &name, &answer);
        }
        let mut form = row.form.clone();
        form.fields = vec![(MARK.to_owned(), MARK.to_owned())];
        assert_silent(row.name, "", &row.visitor.submit(&form).await);
    }
    let mut visitor = rows
        .into_iter()
        .find(|row| row.name == "profile")
        .expect("a row")
        .visitor;
    let mark: String = url::form_urlencoded::byte_serialize(MARK.as_bytes()).collect();
    for path in [
        "/recover",
        "/recover/sent",
        "/recover/password",
        "/recover/account",
        "/recover/done",
        "/signup",
        "/signup/sent",
        "/signup/account",
        "/signup/done",
        "/verify",
        "/verify/sent",
        "/verify/done",
        "/account",
        "/account/switch",
        "/account/sessions",
        "/account/apps",
        "/account/password",
        "/account/profile",
        "/account/email",
        "/account/email/confirm",
        "/account/activity",
        "/account/export",
        "/account/delete",
        "/account/deleted",
    ] {
        for name in [
            "flow", "link", "to", "before", "sent", "done", "changed", "other", "unknown", "account",
        ] {
            let url = format!("{path}?{name}={mark}");
            assert_silent(&url, name, &visitor.get(&url).await);
        }
        assert_silent(path, "", &visitor.get(&format!("{path}/{mark}")).await);
        assert_silent(path, "", &visitor.get(&format!("{path}?{mark}={mark}")).await);
    }
    assert_silent("an app", "", &visitor.get(&format!("/account/apps/{mark}")).await);
}
