//! Values that were made to mislead: C017 (names of apps), C076 (addresses), C077 (paths), C078 (languages and files).

use accounts::email::Email;
use accounts::import::ImportedUser;
use accounts::passwords::{Cost, Hasher, HasherSettings};
use accounts::sign_ups::{self, Way};
use accounts::users;
use events::Context;
use serde_json::json;

use super::{NEW, asked, assert_same, at_home, by_address, contents, enter, moving, on_both, reload};
use crate::harness::Answer;
use crate::harness::visitor::client;
use crate::harness::world::PASSWORD;

/// Of `user@example.com`.
const LOOKALIKES: [&str; 10] = [
    "USER@EXAMPLE.COM",
    " user@example.com ",
    "u\u{17F}er@example.com",
    "ｕｓｅｒ@example.com",
    "𝓊𝓈𝑒𝓇@example.com",
    "us\u{435}r@example.com",
    "us\u{200B}er@example.com",
    "us\u{AD}er@example.com",
    "user@ex\u{E4}mple.com@example.com",
    "user@example.com\u{202E}",
];

const ELSEWHERE: [&str; 14] = [
    "https://evil.example/",
    "//evil.example/",
    "///evil.example/",
    "/\\evil.example/",
    "\\\\evil.example/",
    "/\t/evil.example/",
    "/%2f/evil.example/",
    "/account/..//evil.example/",
    "https:evil.example/",
    "javascript:alert('evil.example')",
    "data:text/html,evil.example",
    "@evil.example/",
    "/account@evil.example/",
    "http://127.0.0.1@evil.example/",
];

const TRAVERSALS: [&str; 8] = [
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "en/../../keys/master.key",
    "/etc/passwd",
    "en-../../../x",
    "{{7919*7907}}",
    "xx-klingon",
    "de, *;q=0",
];

/// As parameters are called that lead somewhere.
const WAYS: [&str; 10] = [
    "next",
    "return_to",
    "returnTo",
    "redirect",
    "redirect_uri",
    "continue",
    "url",
    "flow",
    "path",
    "to",
];

/// Stays here, and says nothing of what was sent.
#[track_caller]
fn assert_here(what: &str, answer: &Answer) {
    assert!(!answer.status.is_server_error(), "{what}: {}", answer.body);
    let location = answer.location().unwrap_or("/".to_owned());
    let is_ours = location.starts_with("http://127.0.0.1:")
        || (location.starts_with('/') && !location.starts_with("//"));
    assert!(is_ours, "{what}: {location}");
    for leak in ["evil.example", "evil%2Eexample"] {
        assert!(
            !location.contains(leak) && !answer.has(leak),
            "{what}: {location} {}",
            answer.body
        );
    }
    assert_eq!(answer.header("refresh"), None, "{what}");
}

on_both! {
    async fn c076_what_looks_like_an_account_is_that_account_or_refused_wherever_it_is_typed(world: World, letters: Letters) {
        let owner = Email::parse("user@example.com").expect("an address");
        let owner = world.user_with(move |draft| draft.email = owner).await;
        let eve = world.user().await;
        let mut evil = at_home(&world, &eve).await;
        let page = evil.open("/account/email").await;
        let mut same = 0;
        for lookalike in LOOKALIKES {
            let form = page.form().with("email", lookalike).with("current", PASSWORD);
            let answer = evil.submit(&form).await;
            assert!([303, 400].contains(&answer.status.as_u16()), "{lookalike}: {}", answer.body);
            let parsed = Email::parse(lookalike);
            assert_eq!(answer.status == 303, parsed.is_ok(), "{lookalike}");
            // By invitation.
            if let Ok(email) = parsed {
                same += 1;
                assert_eq!(email.canonical(), owner.email.canonical(), "{lookalike}");
                let now = world.now();
                let made = world.db.transact(move |conn| {
                    Box::pin(async move { sign_ups::make(Way::Handed, &email, None, conn, now).await })
                });
                let link = made.await.expect("a link");
                let page = world.visitor().get(&format!("/signup/account?link={}", link.expose())).await;
                assert!(page.has("You already have an account"), "{lookalike}: {}", page.body);
            }
            // By import.
            let record: Result<ImportedUser, _> = serde_json::from_value(json!({ "email": lookalike, "name": "Eve" }));
            let Ok(record) = record else { continue };
            let hasher = Hasher::start(HasherSettings { cost: Cost::LEAST, ..HasherSettings::default() }).expect("threads");
            let draft = record.hashed(None, &hasher).await.expect("no password");
            let now = world.now();
            let imported = world.db.transact(move |conn| {
                Box::pin(async move { users::upsert(draft, &Context::command_line(), conn, now).await })
            });
            let (user, _) = imported.await.expect("an update");
            assert_eq!(user.sub, owner.sub, "{lookalike}");
        }
        assert_eq!(same, 5, "some pass, and are that account");
        assert_eq!(letters.settled().await, 0, "no mail says so");
        let counts = world.row_counts().await;
        assert_eq!(counts.iter().find(|(table, _)| table == "users").expect("a table").1, 2);
        assert_eq!(reload(&world, &eve).await, eve);
        // And counted as one, at recovery: three at once are all that such an address gets.
        assert_eq!(reload(&world, &owner).await.email.canonical(), "user@example.com");
    }

    async fn c077_no_value_leads_from_a_page_of_ours_to_another_site(world: World, letters: Letters) {
        let user = world.user().await;
        let mut visitor = at_home(&world, &world.user().await).await;
        enter(&mut visitor, &user, PASSWORD).await;
        let reset = asked(&mut world.visitor(), "/recover", user.email.shown(), &letters).await;
        let make = asked(&mut world.visitor(), "/signup", "zoe@example.com", &letters).await;
        let ours = |link: &str| link.strip_prefix(world.issuer.as_str()).expect("ours").to_owned();
        let pages = [
            "/recover?", "/recover/sent?", "/recover/done?", "/signup?", "/signup/sent?", "/signup/done?", "/verify?",
            "/verify/done?", "/account?", "/account/profile?", "/account/email?", "/account/switch?other=1&",
            "/account/export?", "/account/activity?", "/account/deleted?", "/login?", "/logout?",
        ];
        let pages = pages.map(str::to_owned).into_iter();
        let pages: Vec<String> = pages.chain([format!("{}&", ours(&reset)), format!("{}&", ours(&make))]).collect();
        let forms = {
            let mut forms = vec![visitor.open("/account/profile").await.form().with("nickname", "Lex")];
            forms.push(visitor.open("/account/sessions").await.form().with("others", "yes"));
            forms.push(visitor.open("/account/switch").await.form().with("account", "x"));
            let mut stranger = world.visitor();
            for path in ["/recover", "/signup"] {
                forms.push(stranger.open(path).await.form().with("username", "zoe@example.com"));
            }
            forms
        };
        for elsewhere in ELSEWHERE {
            for way in WAYS {
                let encoded = url::form_urlencoded::Serializer::new(String::new()).append_pair(way, elsewhere).finish();
                for page in &pages {
                    assert_here(&format!("{page}{encoded}"), &visitor.get(&format!("{page}{encoded}")).await);
                }
            }
            let mut stranger = world.visitor();
            let encoded = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", elsewhere).finish();
            let login = stranger.open(&format!("/account/profile?{encoded}")).await;
            assert_here(elsewhere, &login);
            let mut form = login.form().with("username", user.email.shown()).with("password", PASSWORD);
            for way in WAYS.into_iter().filter(|way| *way != "flow") {
                form = form.with(way, elsewhere);
            }
            let answer = stranger.submit(&form).await;
            assert_here(elsewhere, &answer);
            assert!(answer.location().expect("a path").ends_with("/account/profile"), "{:?}", answer.location());
            for form in &forms {
                for way in ["next", "return_to", "redirect", "flow"] {
                    let answer = visitor.submit(&form.clone().with(way, elsewhere)).await;
                    assert_here(&format!("{} with {way}={elsewhere}", form.action), &answer);
                }
            }
        }
    }

    async fn c078_no_language_and_no_name_becomes_a_file(world: World, letters: Letters) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = at_home(&world, &user).await;
        let issuer = world.issuer.clone();
        for (n, name) in TRAVERSALS.into_iter().enumerate() {
            // Asked for by the browser, and by the app that waits.
            let mut stranger = world.visitor();
            let login = stranger.open(&app.url(&[("ui_locales", name)])).await;
            let flow = login.form().value("flow").to_owned();
            for (path, address) in [("/recover", user.email.shown().to_owned()), ("/signup", format!("zoe{n}@example.com"))] {
                let before = letters.links(&address);
                let page = stranger.get(&format!("{path}?flow={flow}&ui_locales={}", name.replace('%', "%25"))).await;
                assert!(page.has("<html lang=\"en\" dir=\"ltr\">"), "{name}: {}", page.body);
                let form = page.form().with("username", &address);
                let headers = [("origin", issuer.as_str()), ("accept-language", name)];
                let answer = stranger.submit_from(&form, &headers).await;
                assert_eq!(answer.status, 303, "{name}: {}", answer.body);
                letters.newest_link(&address, before + 1).await;
                let letter = letters.held(&address).into_iter().next().expect("a letter").letter;
                assert!(letter.html.contains("lang=\"en\""), "{name}: {}", letter.html);
                for part in [&letter.subject, &letter.text, &letter.html] {
                    assert!(!part.contains("passwd") && !part.contains("klingon") && !part.contains("62615533"), "{part}");
                }
            }
            // What a person says of themselves is text, whatever it reads like.
            let page = visitor.open("/account/profile").await;
            let form = page.form().with("locale", name).with("zoneinfo", name);
            let answer = visitor.submit(&form).await;
            assert!([303, 400].contains(&answer.status.as_u16()), "{name}: {}", answer.body);
            let page = visitor.open("/account").await;
            assert!(page.has("<html lang=\"en\" dir=\"ltr\">") && !page.has("root:"), "{}", page.body);
            let path = format!("/logos/{name}");
            let answer = client().get(world.at(&path)).send().await.expect("an answer");
            assert!([400, 404].contains(&answer.status().as_u16()), "{path}: {}", answer.status());
        }
    }

    async fn c017_nobody_registers_a_name_that_reads_like_another(world: World, _letters: Letters) {
        let before = contents(&world).await;
        let register = async |document: serde_json::Value| {
            let request = client().post(world.at("/register")).json(&document);
            crate::harness::app::answer(request).await
        };
        for homograph in [
            "P\u{430}ypal", "\u{420}\u{430}\u{443}\u{440}\u{430}\u{443}", "\u{430}\u{440}\u{440}\u{435} Store", "Ba\u{200b}nk",
            "\u{202e}knab", "M\u{3B9}crosoft",
        ] {
            for member in ["client_name", "client_name#de"] {
                let document = json!({ "redirect_uris": ["https://app.example.com/cb"], member: homograph });
                let answer = register(document).await;
                answer.assert_refusal(400, "invalid_client_metadata");
                assert!(!answer.has(homograph), "{}", answer.body);
            }
        }
        // Nor one that passes for ours, which people trust most.
        for name in ["Countersign Security", "C\u{3BF}untersign", "counter-sign"] {
            let document = json!({ "redirect_uris": ["https://app.example.com/cb"], "client_name": name });
            register(document).await.assert_refusal(400, "invalid_client_metadata");
        }
        assert_same("a refused registration", &before, &contents(&world).await);
        let honest = json!({ "redirect_uris": ["https://app.example.com/cb"], "client_name": "LINEギフト" });
        assert_eq!(register(honest).await.status, 201);
    }
}

/// Bytes in a path that are no text get our page, as everything else does that is not there.
#[tokio::test]
async fn c103_a_path_that_is_no_text_is_answered_by_our_page() {
    let (world, _letters) = super::open(db::testing::sqlite_url()).await;
    let user = world.user().await;
    let mut visitor = at_home(&world, &user).await;
    for path in ["/account/apps/%FF", "/account/apps/%C0%AF", "/account/apps/a%FFb"] {
        for one in [&mut visitor, &mut world.visitor()] {
            one.get(path).await.assert_page(404, "Page not found");
        }
        let mut form = visitor.open("/account/sessions").await.form();
        form.action = path.to_owned();
        visitor.submit(&form).await.assert_page(404, "Page not found");
    }
}

/// What is kept of a person for some minutes only, or in another table, is in what they take along.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c086_an_export_holds_what_waits_and_the_own_session_is_never_missing() {
    for database in [db::testing::sqlite_url(), db::testing::postgres_url().await] {
        let (world, letters) = super::open(database).await;
        let user = world.user().await;
        let mut visitor = at_home(&world, &user).await;
        moving(&mut visitor, "next@example.com", PASSWORD, &letters).await;
        let login = world.visitor().open("/account").await;
        assert!(login.asks_to_sign_in());
        let mut stranger = world.visitor();
        let login = stranger.open("/account").await;
        stranger.sign_in_with(&login, user.email.shown(), NEW).await;
        // Somebody who has the password signs in more often than fits on a page, all of them later.
        world.pass(std::time::Duration::from_secs(1));
        for _ in 0..105 {
            at_home(&world, &user).await;
        }
        let page = visitor.open("/account/sessions").await;
        let cards: Vec<&str> = page.body.split("<li class=\"card\">").skip(1).collect();
        assert_eq!(cards.len(), 100);
        assert!(cards[0].contains("This device"), "{}", cards[0]);
        assert!(cards[1..].iter().all(|card| !card.contains("This device")));

        let form = visitor.open("/account/export").await.form();
        let data = visitor.submit(&form).await.json();
        assert_eq!(data["sessions"].as_array().unwrap().len(), 106);
        assert_eq!(data["addresses_asked_for"][0]["email"], "next@example.com");
        assert_eq!(data["failed_sign_ins_just_now"][0]["failures"], 1);
        assert!(by_address(&world, "next@example.com").await.is_none());
    }
}
