//! What every page shares: layout, texts, assets, headers, CSRF, cookies, the answer to what goes wrong.
//!
//! A crate with pages brings its own views and wraps them in [`Page`]; [`Front`] tells it what the browser's
//! request carries. A view is an askama template over the repository's `templates/`, holds a [`Shell`], and says
//! where its forms may end.

pub mod assets;
pub mod cookies;
pub mod csrf;
mod dates;
pub mod error;
pub mod errors;
mod failure;
mod form_post;
pub mod front;
mod guesses;
mod known;
mod leave;
mod locale;
mod operator;
mod page;
mod redirect;
mod return_path;
mod shell;
mod texts;

pub use cookies::{Cookies, Lifetime};
pub use error::{Problem, Why};
pub use failure::Failure;
pub use form_post::FormPost;
pub use front::Front;
pub use guesses::{Guess, Guesses, Held, Spent};
pub use known::Proven;
pub use leave::{Leave, Way};
pub use locale::Locale;
pub use operator::{Contact, Operator};
pub use page::{FormTarget, Page, View};
pub use protocol::BRAND;
pub use redirect::see_other;
pub use return_path::ReturnPath;
pub use shell::{Base, Shell, Site};
pub use texts::{Markup, Texts};
