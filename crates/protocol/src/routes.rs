//! Routes that can be listed.
//!
//! axum's `Router` does not tell what it routes, and a list kept by hand beside it goes stale on the day that somebody
//! adds a page. These are the router and its list in one: a path is in the one exactly when it is in the other. What is
//! tested for every page (headers, looks, what it does without its database) begins with this list.

use axum::Router;
use axum::routing::MethodRouter;

/// A router that knows its paths.
#[derive(Debug)]
pub struct Routes<S = ()> {
    router: Router<S>,
    list: Vec<Route>,
}

/// One path, as the router has it: `/account/apps/{consent_id}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub path: String,
    pub answers: Answers,
}

/// What it answers where nothing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// HTML for people, at least by one of its methods.
    Pages,
    /// Never HTML: documents, pictures, redirects, what programs ask for.
    Data,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    pub fn new() -> Self {
        Self {
            router: Router::new(),
            list: Vec::new(),
        }
    }

    /// A path at which people see pages.
    #[must_use]
    pub fn page(self, path: &str, methods: MethodRouter<S>) -> Self {
        self.with(path, Answers::Pages, methods)
    }

    /// A path at which nobody sees a page.
    #[must_use]
    pub fn route(self, path: &str, methods: MethodRouter<S>) -> Self {
        self.with(path, Answers::Data, methods)
    }

    fn with(mut self, path: &str, answers: Answers, methods: MethodRouter<S>) -> Self {
        self.list.push(Route {
            path: path.to_owned(),
            answers,
        });
        Self {
            router: self.router.route(path, methods),
            list: self.list,
        }
    }

    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.list.extend(other.list);
        Self {
            router: self.router.merge(other.router),
            list: self.list,
        }
    }

    /// The same under a path, which has no slash at its end.
    #[must_use]
    pub fn under(self, path: &str) -> Self {
        if path.is_empty() {
            return self;
        }
        let own = self.list.into_iter().map(|route| Route {
            path: format!("{path}{}", route.path),
            ..route
        });
        Self {
            list: own.collect(),
            router: Router::new().nest(path, self.router),
        }
    }

    /// The same within layers, or with a fallback: whatever adds no path.
    #[must_use]
    pub fn within(self, layers: impl FnOnce(Router<S>) -> Router<S>) -> Self {
        Self {
            router: layers(self.router),
            list: self.list,
        }
    }

    pub fn with_state<T: Clone + Send + Sync + 'static>(self, state: S) -> Routes<T> {
        Routes {
            router: self.router.with_state(state),
            list: self.list,
        }
    }

    pub fn list(&self) -> &[Route] {
        &self.list
    }

    pub fn into_router(self) -> Router<S> {
        self.router
    }
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;

    use super::*;

    #[test]
    fn the_list_has_every_path_with_its_reader_wherever_it_was_put() {
        let inner: Routes<u8> = Routes::new().page("/page/{id}", get(async || "page"));
        let own = Routes::<()>::new()
            .route("/data", get(async || "data"))
            .merge(inner.with_state(1))
            .under("/auth")
            .merge(Routes::new().route("/livez", get(async || "ok")))
            .under("");
        let list: Vec<_> = own
            .list()
            .iter()
            .map(|route| (route.path.as_str(), route.answers))
            .collect();
        assert_eq!(
            list,
            [
                ("/auth/data", Answers::Data),
                ("/auth/page/{id}", Answers::Pages),
                ("/livez", Answers::Data)
            ]
        );
    }
}
