//! From a name to the addresses that a connection may go to. What is checked here is what is connected to:
//! asking again would let the name's owner give another answer (DNS rebinding).

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::address;

/// Who is asked about a name.
pub(crate) enum Lookup {
    System,
    #[cfg(test)]
    Answers(Box<Answers>),
}

#[cfg(test)]
pub(crate) type Answers = dyn Fn(&str) -> Vec<SocketAddr> + Send + Sync;

pub(crate) struct Names {
    private_hosts: Arc<BTreeSet<String>>,
    lookup: Arc<Lookup>,
}

/// A name with an address that is not on the public internet.
#[derive(Debug, thiserror::Error)]
#[error("a private address")]
pub(crate) struct Refused;

impl Names {
    pub(crate) fn new(private_hosts: Arc<BTreeSet<String>>, lookup: Lookup) -> Self {
        Self {
            private_hosts,
            lookup: Arc::new(lookup),
        }
    }
}

impl Resolve for Names {
    /// One private address among several refuses them all: an honest name has none.
    fn resolve(&self, name: Name) -> Resolving {
        let lookup = self.lookup.clone();
        let private = self.private_hosts.contains(name.as_str());
        Box::pin(async move {
            let found = lookup.ask(name.as_str()).await?;
            if !private && !found.iter().all(|own| address::is_public(own.ip())) {
                return Err(Refused.into());
            }
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}

impl Lookup {
    async fn ask(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        match self {
            // The port is the URL's: zero stands for it.
            Self::System => Ok(tokio::net::lookup_host((name, 0)).await?.collect()),
            #[cfg(test)]
            Self::Answers(answers) => Ok(answers(name)),
        }
    }
}
