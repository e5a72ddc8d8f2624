//! What clients were told, line by line, never changed. [`Book::check`] reads it from the first line to the last.

use std::collections::{BTreeMap, BTreeSet};

use grants::families::Presented;

#[derive(Default)]
pub(super) struct Book {
    lines: Vec<Line>,
    pub(super) sign_ins: usize,
    pub(super) redemptions: usize,
    pub(super) refreshes: usize,
    pub(super) endings: usize,
    pub(super) own_tokens: usize,
}

pub(super) enum Line {
    SignedIn,
    /// A code gave this refresh token.
    Redeemed {
        code: String,
        refresh_token: String,
    },
    /// A code was refused.
    Refused {
        code: String,
    },
    /// A refresh token gave the next.
    Refreshed {
        presented: String,
        successor: String,
    },
    /// The family of this refresh token was acknowledged as ended.
    Ended {
        refresh_token: String,
    },
    /// A machine was given a token.
    Acted,
    /// A single access token was acknowledged as ended.
    Returned,
}

impl Book {
    pub(super) fn write(&mut self, line: Line) {
        match &line {
            Line::SignedIn => self.sign_ins += 1,
            Line::Redeemed { .. } => self.redemptions += 1,
            Line::Refused { .. } => {}
            Line::Refreshed { .. } => self.refreshes += 1,
            Line::Ended { .. } | Line::Returned => self.endings += 1,
            Line::Acted => self.own_tokens += 1,
        }
        self.lines.push(line);
    }

    /// That no code gave anything twice, nor after it was refused; that each generation has one successor and was
    /// not accepted any more when its successor had been; that nothing came of a family that had ended.
    pub(super) fn check(&self) {
        let (mut spent, mut ended) = (BTreeSet::new(), BTreeSet::new());
        let (mut used, mut successors) = (BTreeMap::new(), BTreeMap::new());
        for line in &self.lines {
            match line {
                Line::Redeemed { code, refresh_token } => {
                    assert!(spent.insert(code), "a code was used twice");
                    assert_eq!(place(refresh_token).1, 1);
                }
                Line::Refused { code } => {
                    spent.insert(code);
                }
                Line::Refreshed { presented, successor } => {
                    let (family, generation) = place(presented);
                    assert!(!ended.contains(&family), "an ended family went on");
                    assert_eq!(place(successor), (family.clone(), generation + 1));
                    let newest = used.entry(family).or_insert(generation);
                    assert!(generation >= *newest, "a generation was used twice");
                    *newest = generation;
                    let only = successors.entry(presented).or_insert(successor);
                    assert_eq!(*only, successor, "a generation has two successors");
                }
                Line::Ended { refresh_token } => {
                    ended.insert(place(refresh_token).0);
                }
                Line::SignedIn | Line::Acted | Line::Returned => {}
            }
        }
    }
}

/// Family and generation.
fn place(refresh_token: &str) -> (String, i64) {
    let presented = Presented::parse(refresh_token).expect("a refresh token");
    (presented.family_id.as_str().to_owned(), presented.generation)
}
