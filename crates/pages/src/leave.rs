//! Before the browser leaves, with an error, for an app that nobody vouches for: C014.
//!
//! The attack is an open redirector: anybody registers an app, and sends people links that begin with our name and end
//! at a site of theirs, with no page in between. So there is one, which says where it leads.

use askama::Template;
use protocol::Error;

use crate::Shell;
use crate::page::{FormTarget, View};

/// One answer that waits for the person.
#[derive(Debug, Template)]
#[template(path = "leave.html")]
pub struct Leave<'a> {
    pub shell: Shell,
    /// The name of the client, from our record of it.
    pub app: String,
    /// Where it leads, as people read it.
    pub host: String,
    pub way: Way,
    pub error: &'a Error,
}

/// How an answer gets to a client.
#[derive(Debug)]
pub enum Way {
    Link(String),
    Form {
        action: String,
        fields: Vec<(&'static str, String)>,
    },
}

impl View for Leave<'_> {
    fn shell(&self) -> &Shell {
        &self.shell
    }

    fn form_target(&self) -> FormTarget {
        FormTarget::Client
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;
    use crate::Site;

    #[test]
    fn c014_the_page_says_where_it_leads_and_goes_nowhere_by_itself() {
        let error = Error::invalid_scope("no such scope");
        let ways = [
            Way::Link("https://a.test/cb?error=invalid_scope&iss=x".to_owned()),
            Way::Form {
                action: "https://a.test/cb".to_owned(),
                fields: vec![("error", "\"><script>".to_owned())],
            },
        ];
        for way in ways {
            let shell = Site::new("https://id.test").shell(&HeaderMap::new(), None, "r1");
            let page = Leave {
                shell,
                app: "<b>Shop".to_owned(),
                host: "a.test".to_owned(),
                way,
                error: &error,
            };
            let html = page.render().unwrap();
            assert!(html.contains("id=\"leave\"") && html.contains("a.test"), "{html}");
            assert!(
                html.contains("invalid_scope") && html.contains("no such scope"),
                "{html}"
            );
            for wrong in ["<script", "http-equiv", "<b>Shop"] {
                assert!(!html.contains(wrong), "{wrong} in {html}");
            }
        }
    }
}
