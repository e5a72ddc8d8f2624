//! Each grant answers one question: to what is this client entitled? It reads and verifies; the gate writes.

pub(crate) mod authorization_code;
pub(crate) mod client_credentials;
pub(crate) mod refresh_token;

use clients::Directory;
use issuance::Target;
use protocol::{Error, Params};

/// The resources that a token request names, within those that were granted: RFC 8707 §2.2. None named means
/// all of them.
async fn target(params: &Params, granted: &[String], clients: &Directory) -> Result<Target, Error> {
    let named: Vec<String> = params.all("resource").map(str::to_owned).collect();
    if named.is_empty() {
        return Target::find(granted, clients).await;
    }
    if named.iter().any(|resource| !granted.contains(resource)) {
        return Err(Error::invalid_target(
            "resource names one that the user was not asked to allow",
        ));
    }
    Target::find(&named, clients).await
}
