//! Mail, who may make an account, and who runs the site.

use pages::Contact;

use super::*;

#[test]
fn mail_needs_a_relay_and_a_sender_and_its_password_is_shown_nowhere() {
    let url = (
        "COUNTERSIGN_MAIL_SMTP_URL",
        "smtps://office:canary@mail.example.com",
    );
    let from = ("COUNTERSIGN_MAIL_FROM", "Example <no-reply@example.com>");
    assert!(load(Mode::Serve, &[ISSUER]).unwrap().mail.is_none());
    let settings = load(Mode::Serve, &[ISSUER, url, from]).unwrap();
    assert!(settings.mail.is_some());
    let (value, _) = shown(&settings, Name::MailSmtpUrl);
    assert_eq!(value.as_deref(), Some("smtps://office:***@mail.example.com"));
    assert!(!format!("{settings:?}").contains("canary"));

    for (given, missing) in [
        (url, "COUNTERSIGN_MAIL_FROM: "),
        (from, "COUNTERSIGN_MAIL_SMTP_URL: "),
    ] {
        let lines = lines(load(Mode::Serve, &[ISSUER, given]));
        assert!(
            matches!(&lines[..], [line] if line.starts_with(missing) && line.contains("is missing")),
            "{lines:?}"
        );
    }
    for (variable, value) in [
        (url.0, "mail.example.com:587"),
        (url.0, "https://office:canary@mail.example.com"),
        (from.0, "no-reply"),
        (from.0, "a@example.com\nBcc: b@example.com"),
    ] {
        let pairs = [(url.0, url.1), (from.0, from.1)].map(|own| match own.0 == variable {
            true => (variable, value),
            false => own,
        });
        let lines = lines(load(Mode::Serve, &[&[ISSUER][..], &pairs].concat()));
        assert!(
            matches!(&lines[..], [line] if line.starts_with(&format!("{variable}: must be")) && !line.contains("canary")),
            "{lines:?}"
        );
    }
}

#[test]
fn who_may_make_an_account_is_a_word_and_everybody_needs_mail() {
    let mail = [
        ("COUNTERSIGN_MAIL_SMTP_URL", "smtp://mail.example.com"),
        ("COUNTERSIGN_MAIL_FROM", "no-reply@example.com"),
    ];
    for mode in [Mode::Serve, Mode::Command] {
        let of = |word| [("COUNTERSIGN_SIGN_UP", word), ISSUER, mail[0], mail[1]];
        assert_eq!(load(mode, &[ISSUER]).unwrap().sign_up, SignUp::Closed);
        for (word, sign_up) in [
            ("closed", SignUp::Closed),
            ("invitation", SignUp::Invitation),
            ("open", SignUp::Open),
        ] {
            assert_eq!(load(mode, &of(word)).unwrap().sign_up, sign_up);
        }
        let without = lines(load(mode, &of("open")[..2]));
        assert!(
            matches!(&without[..], [line] if line.starts_with("COUNTERSIGN_MAIL_SMTP_URL: is missing")),
            "{without:?}"
        );
        let invitation = load(mode, &of("invitation")[..2]).unwrap();
        assert_eq!(invitation.sign_up, SignUp::Invitation);
        let odd = lines(load(mode, &of("everybody")));
        assert!(odd.concat().contains("closed, invitation, open"), "{odd:?}");
    }
    assert_eq!(load(Mode::Dev, &[]).unwrap().sign_up, SignUp::Open);
}

#[test]
fn the_links_of_the_operator_are_addresses_that_people_may_be_led_to() {
    let settings = load(Mode::Serve, &[ISSUER]).unwrap();
    assert_eq!(settings.operator, Operator::default());
    let pairs = [
        ISSUER,
        ("COUNTERSIGN_TERMS_URL", "https://www.example.com/terms"),
        (
            "COUNTERSIGN_PRIVACY_URL",
            "https://www.example.com/privacy?lang=en#top",
        ),
        ("COUNTERSIGN_HELP_URL", "http://localhost:3000/help"),
        ("COUNTERSIGN_IMPRINT_URL", "http://[::1]/imprint"),
        ("COUNTERSIGN_CONTACT", "Ops@Example.com"),
    ];
    let settings = load(Mode::Serve, &pairs).unwrap();
    let link = |index: usize| Some(pairs[index].1.to_owned());
    let wanted = Operator {
        terms: link(1),
        privacy: link(2),
        help: link(3),
        imprint: link(4),
        contact: Some(Contact::Mailbox("Ops@example.com".to_owned())),
    };
    assert_eq!(settings.operator, wanted);
    for (variable, value) in &pairs[1..] {
        let name = variable.strip_prefix("COUNTERSIGN_").unwrap().parse().unwrap();
        assert_eq!(
            shown(&settings, name),
            (Some((*value).to_owned()), Source::Environment)
        );
    }
    let page = ("COUNTERSIGN_CONTACT", "https://www.example.com/contact");
    let settings = load(Mode::Serve, &[ISSUER, page]).unwrap();
    assert_eq!(settings.operator.contact, Some(Contact::Page(page.1.to_owned())));
}

#[test]
fn what_is_no_such_address_is_refused_by_one_line() {
    let urls = [
        "COUNTERSIGN_TERMS_URL",
        "COUNTERSIGN_PRIVACY_URL",
        "COUNTERSIGN_HELP_URL",
        "COUNTERSIGN_IMPRINT_URL",
    ];
    let odd = [
        ("javascript:alert(1)", "https URL"),
        ("http://www.example.com/", "https URL"),
        ("http://localhost.example.com/", "https URL"),
        ("data:text/html,x", "https URL"),
        ("mailto:ops@example.com", "https URL"),
        ("/terms", "https URL"),
        ("www.example.com", "https URL"),
        ("https://office:canary@www.example.com/", "user or a password"),
    ];
    let contact = [
        ("javascript:alert(1)", "email address or an https URL"),
        ("mailto:ops@example.com", "email address or an https URL"),
        ("ops", "email address or an https URL"),
        (
            "ops@example.com\nBcc: b@example.com",
            "email address or an https URL",
        ),
        ("http://www.example.com/", "https URL"),
    ];
    let contact = contact.map(|(value, hint)| ("COUNTERSIGN_CONTACT", value, hint));
    let urls = urls
        .iter()
        .flat_map(|variable| odd.iter().map(|(value, hint)| (*variable, *value, *hint)));
    for (variable, value, hint) in urls.chain(contact) {
        let lines = lines(load(Mode::Serve, &[ISSUER, (variable, value)]));
        assert!(
            matches!(&lines[..], [line] if line.starts_with(&format!("{variable}: "))
                && line.contains(hint) && !line.contains("canary") && !line.contains('\n')),
            "{value:?} {lines:?}"
        );
    }
}
