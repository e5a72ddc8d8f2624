use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

#[derive(Clone, Debug)]
enum Step {
    /// Kind, name, generation, how long it counts.
    Insert(u8, u16, i64, i64),
    Pass(i64),
    Sweep,
    /// Into a new set, as after a snapshot.
    Absorb,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let insert = || {
        (0_u8..4, 0_u16..300, 0_i64..5, 0_i64..100)
            .prop_map(|(kind, name, generation, life)| Step::Insert(kind, name, generation, life))
    };
    let step = prop_oneof![
        20 => insert(),
        2 => (0_i64..40).prop_map(Step::Pass),
        1 => Just(Step::Sweep),
        1 => Just(Step::Absorb),
    ];
    proptest::collection::vec(step, 0..900)
}

fn subject(kind: u8, name: &str) -> Subject<'_> {
    match kind {
        0 => Subject::Approval(name),
        1 => Subject::Token(name),
        2 => Subject::Key(name),
        _ => Subject::Client(name),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn the_set_says_what_a_map_of_all_records_would(steps in steps()) {
        let marker = Marker::default();
        let (mut set, mut now) = (Set::new(), 1_800_000_000);
        let mut model: BTreeMap<(u8, u16), (i64, i64)> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Insert(kind, name, generation, life) => {
                    let text = name.to_string();
                    let mark = marker.mark(subject(kind, &text));
                    match kind {
                        3 => set.insert_client(mark, generation, at(now + life), at(now)),
                        _ => set.insert(mark, at(now + life), at(now)),
                    }
                    let known = model.entry((kind, name)).or_default();
                    *known = match known.1 < now {
                        true => (generation, now + life),
                        false => (known.0.max(generation), known.1.max(now + life)),
                    };
                }
                Step::Pass(secs) => now += secs,
                Step::Sweep => set.sweep(at(now)),
                Step::Absorb => {
                    let next = Set::new();
                    next.absorb(&set, at(now));
                    set = next;
                }
            }
        }
        for name in 0..300_u16 {
            let text = name.to_string();
            for kind in 0..3 {
                let live = model.get(&(kind, name)).is_some_and(|(_, until)| *until >= now);
                prop_assert_eq!(set.holds(marker.mark(subject(kind, &text)), at(now)), live);
            }
            let fresh = marker.mark(Subject::Token("a token of nobody"));
            for own in 0..5 {
                let marks = Marks {
                    approval: fresh, token: fresh, key: fresh,
                    client: marker.mark(Subject::Client(&text)), generation: own,
                };
                let record = model.get(&(3, name));
                let void = record.is_some_and(|(below, until)| *until >= now && own < *below);
                prop_assert_eq!(set.covers(&marks, at(now)), void);
            }
        }
    }
}

#[test]
fn a_record_ends_with_its_time_and_leaves_no_memory_behind() {
    let (marker, set) = (Marker::default(), Set::new());
    let empty = set.bytes();
    for number in 0..100_000 {
        let name = format!("approval {number}");
        set.insert(
            marker.mark(Subject::Approval(&name)),
            at(1000 + number % 2),
            at(0),
        );
    }
    assert_eq!(set.len(), 100_000);
    let per_record = (set.bytes() - empty) as f64 / 100_000.0;
    assert!((15.0..21.0).contains(&per_record), "{per_record}");

    let (even, odd) = (
        marker.mark(Subject::Approval("approval 0")),
        marker.mark(Subject::Approval("approval 1")),
    );
    assert!(set.holds(even, at(1000)) && set.holds(odd, at(1000)));
    assert!(!set.holds(even, at(1001)) && set.holds(odd, at(1001)));
    set.sweep(at(1001));
    assert_eq!(set.len(), 50_000);
    assert!(set.holds(odd, at(1001)));
    set.sweep(at(1002));
    assert_eq!((set.len(), set.bytes()), (0, empty));
}

#[test]
fn names_of_different_kinds_are_different() {
    let (marker, set) = (Marker::default(), Set::new());
    set.insert(marker.mark(Subject::Token("same")), at(10), at(0));
    assert!(set.holds(marker.mark(Subject::Token("same")), at(0)));
    assert!(!set.holds(marker.mark(Subject::Approval("same")), at(0)));
    assert!(!set.holds(marker.mark(Subject::Key("same")), at(0)));
}

#[test]
fn readers_see_every_record_that_was_there_before_while_others_come() {
    let (marker, set) = (Marker::default(), Arc::new(Set::new()));
    let mark = |number: u32| marker.mark(Subject::Approval(&number.to_string()));
    let written = Arc::new(AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut next = 0_u32;
                while next < 20_000 {
                    let known = written.load(Ordering::SeqCst);
                    for number in (next..known).chain((0..known).step_by(97)) {
                        assert!(set.holds(mark(number), at(0)), "{number} of {known}");
                    }
                    next = known;
                }
            });
        }
        for number in 0..20_000 {
            set.insert(mark(number), at(10), at(0));
            written.store(number + 1, Ordering::SeqCst);
        }
    });
}
