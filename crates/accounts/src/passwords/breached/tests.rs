use std::collections::BTreeSet;
use std::fs;

use protocol::Secret;
use tempfile::TempDir;

use super::*;

/// A list of these passwords, as it is published.
fn list(passwords: impl IntoIterator<Item = String>) -> String {
    let hashes: BTreeSet<String> = passwords
        .into_iter()
        .map(|password| {
            let sha1 = seal::sha1(password.as_bytes());
            sha1.iter().map(|byte| format!("{byte:02X}")).collect()
        })
        .collect();
    hashes.iter().map(|hash| format!("{hash}:7\r\n")).collect()
}

struct Ground(TempDir);

impl Ground {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn build(&self, list: &str, at_least: u64) -> Result<Built, String> {
        fs::write(self.file("list"), list).unwrap();
        build(&self.file("list"), &self.file("filter"), at_least).map_err(|unbuilt| unbuilt.to_string())
    }

    fn open(&self) -> Breached {
        Breached::open(&self.file("filter")).unwrap()
    }
}

fn contains(filter: &Breached, text: &str) -> bool {
    let password = Password::presented(&Secret::from(text)).unwrap();
    filter.contains(&password).unwrap()
}

#[test]
fn every_password_of_the_list_is_found_and_hardly_any_other() {
    for count in [0, 1, 2, 1000, 40_000] {
        let ground = Ground::new();
        let of = |n: usize| format!("breached {n}");
        let built = ground.build(&list((0..count).map(of)), 1).unwrap();
        // Two whose hashes begin alike are one.
        let alike = count as u64 - built.passwords;
        assert!(alike < 10 && built.left_out == 0, "{built:?}");
        assert_eq!(built.bytes, fs::metadata(ground.file("filter")).unwrap().len());
        let filter = ground.open();
        assert_eq!(filter.len(), built.passwords);
        for n in 0..count {
            assert!(contains(&filter, &of(n)), "{n} of {count}");
        }
        let wrong = (0..10_000)
            .filter(|n| contains(&filter, &format!("good {n}")))
            .count();
        assert!(wrong <= 6, "{wrong} with {count}");
        assert!(built.false_one_in >= 8_000, "{built:?}");
    }
}

#[test]
fn a_password_is_found_in_the_form_in_which_it_would_be_stored() {
    let ground = Ground::new();
    ground
        .build(&list(["caf\u{e9} caf\u{e9}".to_owned()]), 1)
        .unwrap();
    assert!(contains(&ground.open(), "cafe\u{301} cafe\u{301}"));
}

#[test]
fn what_few_people_had_can_be_left_out() {
    let ground = Ground::new();
    let [one, two] = ["one", "two"].map(|text| list([text.to_owned()]));
    let mut lines = [one.replace(":7", ":3"), two.replace(":7", ":300")];
    lines.sort();
    let built = ground.build(&lines.concat(), 100).unwrap();
    assert_eq!((built.passwords, built.left_out), (1, 1));
    assert!(contains(&ground.open(), "two") && !contains(&ground.open(), "one"));
    // Without a count nothing is known of how often.
    let bare = one.replace(":7\r\n", "").to_lowercase();
    assert_eq!(ground.build(&bare, 100).unwrap().passwords, 1);
    assert!(contains(&ground.open(), "one"));
}

#[test]
fn a_list_that_is_none_is_refused_by_its_line_and_leaves_what_was_there() {
    let ground = Ground::new();
    let good = list((0..20).map(|n| n.to_string()));
    ground.build(&good, 1).unwrap();
    let hash = "0".repeat(40);
    for (bad, line, words) in [
        (format!("{good}\r\n"), 21, "40 hexadecimal digits"),
        (format!("{}:1\n", "0".repeat(32)), 1, "40 hexadecimal digits"),
        (format!("{hash}:\n"), 1, "40 hexadecimal digits"),
        (format!("{hash}:-1\n"), 1, "40 hexadecimal digits"),
        (format!("{hash} 1\n"), 1, "40 hexadecimal digits"),
        (format!("{}é\n", "0".repeat(39)), 1, "40 hexadecimal digits"),
        ("x".repeat(10_000), 1, "40 hexadecimal digits"),
        (format!("{good}{good}"), 21, "sort"),
    ] {
        let fault = ground.build(&bad, 1).unwrap_err();
        assert!(
            fault.contains(&format!("line {line}:")) && fault.contains(words),
            "{fault}"
        );
        assert!(!fault.contains('\n'));
        assert_eq!(ground.open().len(), 20);
        assert!(!ground.file("filter.unfinished").exists());
    }
    let none = build(&ground.file("none"), &ground.file("filter"), 1).unwrap_err();
    assert!(none.to_string().contains("none"), "{none}");
}

#[test]
fn a_list_without_a_length_is_refused() {
    let ground = Ground::new();
    let refused = build(Path::new("/dev/null"), &ground.file("filter"), 1).unwrap_err();
    assert!(refused.to_string().contains("a pipe does not do"), "{refused}");
    assert!(!ground.file("filter").exists());
}

#[test]
fn a_filter_with_one_bit_altered_or_a_byte_too_few_or_many_is_refused() {
    let ground = Ground::new();
    ground.build(&list((0..50).map(|n| n.to_string())), 1).unwrap();
    let whole = fs::read(ground.file("filter")).unwrap();
    let refused = |bytes: &[u8]| {
        fs::write(ground.file("other"), bytes).unwrap();
        Breached::open(&ground.file("other")).unwrap_err().to_string()
    };
    for at in 0..whole.len() {
        let mut altered = whole.clone();
        altered[at] ^= 1;
        let fault = refused(&altered);
        let expected = if at < 16 { "is no filter" } else { "is damaged" };
        assert!(fault.starts_with(expected), "{at}: {fault}");
    }
    for length in 0..whole.len() {
        let fault = refused(&whole[..length]);
        assert!(!fault.contains('\n'), "{length}: {fault}");
    }
    refused(&[whole.clone(), vec![0]].concat());
    refused(&[whole.clone(), whole].concat());
    assert!(Breached::open(&ground.file("nowhere")).is_err());
    assert!(Breached::open(ground.0.path()).is_err(), "a folder");
}

/// As a build from a pipe once made it: every password in one bucket.
#[test]
fn a_filter_that_would_refuse_nearly_everything_is_refused() {
    let ground = Ground::new();
    for (passwords, is_taken) in [(16_777u64, true), (16_778, false)] {
        let mut body = [&MAGIC[..], &[0]].concat();
        for n in 0..passwords {
            body.extend(&(n as u32).to_be_bytes()[1..]);
        }
        body.extend(passwords.to_be_bytes());
        let digest = seal::sha256(&body);
        fs::write(ground.file("filter"), [&body[..], &digest].concat()).unwrap();
        let opened = Breached::open(&ground.file("filter")).map(|filter| filter.len());
        match is_taken {
            true => assert_eq!(opened.unwrap(), passwords),
            false => {
                let fault = opened.unwrap_err().to_string();
                assert!(
                    fault.starts_with("would refuse one of 999 ") && !fault.contains('\n'),
                    "{fault}"
                );
            }
        }
    }
}

#[test]
fn a_filter_whose_numbers_lie_is_refused_though_its_digest_fits() {
    let ground = Ground::new();
    ground.build(&list((0..3).map(|n| n.to_string())), 1).unwrap();
    let whole = fs::read(ground.file("filter")).unwrap();
    let body = &whole[..whole.len() - 32];
    for (at, value) in [
        (16, 1),
        (16, 24),
        (16, 200),
        (body.len() - 1, 2),
        (body.len() - 1, 9),
        (body.len() - 8, 0xff),
    ] {
        let mut altered = body.to_vec();
        altered[at] = value;
        let digest = seal::sha256(&altered);
        fs::write(ground.file("other"), [&altered[..], &digest].concat()).unwrap();
        assert!(Breached::open(&ground.file("other")).is_err(), "{at}");
    }
}
