//! A way through our pages, which a test takes twice: in a browser, where every page is judged in every look (light and
//! dark, on a phone and on a desk; axe for WCAG 2.2 AA, no sideways scrolling, one origin), and over plain HTTP without
//! scripts, where its markup is. A tour names the pages of the table (`matrix`) that it judges, all of them, or fails.
//!
//! COUNTERSIGN_TEST_SCREENSHOTS names a folder in which to keep what was seen.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::reader::{Eyes, Reader};
use crate::harness::browser::{Browser, Look, Scripts};
use crate::harness::plain::Plain;
use crate::matrix::MATRIX;

/// Two tests of one way, and the names of the pages that it judges.
macro_rules! tour {
    ($pages:ident judges [$($page:literal),+ $(,)?];
     async fn $name:ident($tour:ident: &Tour) $body:block) => {
        pub(super) const $pages: &[&str] = &[$($page),+];

        mod $name {
            #[allow(unused_imports)]
            use super::*;
            use crate::browser::tour::Tour;

            async fn scenario($tour: &Tour) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn in_a_browser() {
                let tour = Tour::in_a_browser($pages);
                scenario(&tour).await;
                tour.end();
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn over_plain_http() {
                let tour = Tour::over_plain_http($pages);
                scenario(&tour).await;
                tour.end();
            }
        }
    };
}

/// Every tour.
const ALL: &[&[&str]] = &[
    super::account::ACCOUNT,
    super::account::ADDRESS_AND_END,
    super::errors::WENT_WRONG,
    super::errors::FAILURES,
    super::looks::MUCH_TO_SAY,
    super::looks::ON_THE_WAY,
    super::looks::OF_AN_APP,
    super::looks::BACK_TO_AN_APP,
    super::looks::DEMO,
    super::recovery::FORGOTTEN,
    super::recovery::TOO_MUCH_AND_NONE,
    super::recovery::ADDRESS,
    super::recovery::TAKEN_BACK,
    super::shell::SHELL,
    super::sign_out::SIGN_OUT,
    super::sign_up::NEW_ACCOUNT,
    super::sign_up::NOT_FOR_EVERYBODY,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    InABrowser,
    OverPlainHttp,
}

#[derive(Debug)]
pub(super) struct Tour {
    pages: &'static [&'static str],
    way: Way,
    judged: Mutex<BTreeSet<&'static str>>,
    faults: Mutex<Vec<String>>,
}

impl Tour {
    pub(super) fn in_a_browser(pages: &'static [&'static str]) -> Self {
        Self::over(pages, Way::InABrowser)
    }

    pub(super) fn over_plain_http(pages: &'static [&'static str]) -> Self {
        Self::over(pages, Way::OverPlainHttp)
    }

    fn over(pages: &'static [&'static str], way: Way) -> Self {
        Self {
            pages,
            way,
            judged: Mutex::default(),
            faults: Mutex::default(),
        }
    }

    pub(super) async fn reader(&self, origin: &str) -> Reader<'_> {
        self.reader_with(Scripts::On, origin).await
    }

    /// For a page that would send the browser on at once.
    pub(super) async fn reader_without_scripts(&self, origin: &str) -> Reader<'_> {
        self.reader_with(Scripts::Off, origin).await
    }

    async fn reader_with(&self, scripts: Scripts, origin: &str) -> Reader<'_> {
        let eyes = match self.way {
            Way::InABrowser => {
                let look = Look {
                    scripts,
                    ..Look::default()
                };
                Eyes::Browser(Box::new(Browser::open_as(look).await))
            }
            Way::OverPlainHttp => Eyes::Plain(Box::new(Plain::new().into())),
        };
        Reader::new(self, eyes, origin)
    }

    pub(super) fn judged(&self, page: &'static str, faults: Vec<String>) {
        let mut own = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        own.extend(faults.into_iter().map(|fault| format!("{page}: {fault}")));
        if !self.pages.contains(&page) {
            own.push(format!("{page} is not of this tour"));
        }
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        judged.insert(page);
    }

    /// Fails with all that was found, and for pages that were not met.
    pub(super) fn end(self) {
        let judged = self.judged.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut faults = self.faults.into_inner().unwrap_or_else(PoisonError::into_inner);
        let missed = self.pages.iter().filter(|page| !judged.contains(*page));
        faults.extend(missed.map(|page| format!("{page} was not judged")));
        assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    }
}

#[test]
fn each_page_of_the_table_is_judged_by_exactly_one_tour() {
    let mut toured: Vec<&str> = ALL.concat();
    toured.sort_unstable();
    let mut table: Vec<&str> = MATRIX.iter().map(|entry| entry.page).collect();
    table.sort_unstable();
    assert_eq!(toured, table);
}

#[test]
fn a_tour_that_ends_early_or_met_a_fault_or_a_page_of_another_fails() {
    let end = |met: &[(&'static str, &[&str])]| {
        let tour = Tour::over(&["consent", "sign-in"], Way::OverPlainHttp);
        for (page, faults) in met {
            tour.judged(page, faults.iter().map(|fault| (*fault).to_owned()).collect());
        }
        std::panic::catch_unwind(|| tour.end()).is_ok()
    };
    assert!(end(&[("consent", &[]), ("sign-in", &[])]));
    assert!(!end(&[("consent", &[])]));
    assert!(!end(&[("consent", &[]), ("sign-in", &["too wide"])]));
    assert!(!end(&[("consent", &[]), ("sign-in", &[]), ("account", &[])]));
}
