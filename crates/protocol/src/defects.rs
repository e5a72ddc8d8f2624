//! Deliberate defects, by which tests are tested: each is one line at the place that it breaks, and turns red what
//! `tests/defects/list` names. They exist only in a build with `--cfg countersign_defects`, which `tests/defects/run`
//! makes in a folder of its own; in every other the answer is a constant.

#[cfg(all(countersign_defects, not(debug_assertions)))]
compile_error!("a server with defects is for tests alone: build it without --release");

/// Whether the server has this defect.
#[cfg(not(countersign_defects))]
#[inline(always)]
pub const fn defect(_name: &str) -> bool {
    false
}

/// What is right; in a server with this defect what is wrong.
#[inline(always)]
pub fn spoilt<T>(name: &str, right: T, wrong: T) -> T {
    if defect(name) { wrong } else { right }
}

/// Whether the server has this defect: the one that stands in the environment.
#[cfg(countersign_defects)]
pub fn defect(name: &str) -> bool {
    static DEFECT: std::sync::LazyLock<Option<String>> =
        std::sync::LazyLock::new(|| std::env::var("DEFECT").ok());
    DEFECT.as_deref() == Some(name)
}
