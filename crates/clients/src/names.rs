//! By which names a client knows people: OpenID Connect Core §8.
//!
//! To a pairwise client a person has a name that only its sector knows, so that apps which put their accounts side by
//! side find nobody in both. Everything that such a client can read holds that name and no other, its access tokens
//! included: those are for others, and it could read them all the same.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::{RedirectUri, Subject, SubjectType};
use url::Url;

use crate::{Client, Metadata};

/// What one client calls people.
#[derive(Clone, Debug)]
pub struct Names(Known);

#[derive(Clone, Debug)]
enum Known {
    Public,
    Pairwise { sector: String, secret: seal::Key },
}

impl Names {
    /// The names that this client knows; `secret` is the one for pairwise names.
    pub fn of(client: &Client, secret: &seal::Key) -> Self {
        Self(match client.metadata.subject_type {
            SubjectType::Public => Known::Public,
            SubjectType::Pairwise => Known::Pairwise {
                // There always is a sector. Without one nobody else may know the names.
                sector: sector(&client.metadata).unwrap_or_else(|| client.id.to_string()),
                secret: secret.clone(),
            },
        })
    }

    /// What the client calls this user.
    pub fn name(&self, user: &Subject) -> Subject {
        match &self.0 {
            Known::Public => user.clone(),
            Known::Pairwise { sector, secret } => {
                let mac = seal::mac(secret, &[sector.as_bytes(), user.as_str().as_bytes()]);
                URL_SAFE_NO_PAD.encode(mac).as_str().into()
            }
        }
    }
}

/// The host that stands for a client, as §8.1 has it: that of its sector identifier, else the one that all its
/// redirect URIs share. Schemes of apps and loopback addresses belong to whoever runs something on the device.
pub fn sector(metadata: &Metadata) -> Option<String> {
    if let Some(uri) = &metadata.sector_identifier_uri {
        return host(uri);
    }
    let mut hosts = metadata.redirect_uris.iter().map(RedirectUri::as_str).map(host);
    let first = hosts.next()??;
    hosts
        .all(|host| host.as_deref() == Some(first.as_str()))
        .then_some(first)
}

fn host(uri: &str) -> Option<String> {
    let url = Url::parse(uri).ok().filter(|url| url.scheme() == "https")?;
    url.host_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use protocol::{ApplicationType, Timestamp};

    use super::*;
    use crate::Trust;

    fn client(id: &str, subject_type: SubjectType, uris: &[&str], sector: Option<&str>) -> Client {
        let register = |text: &&str| RedirectUri::register(text, ApplicationType::Native).unwrap();
        let metadata = Metadata {
            subject_type,
            redirect_uris: uris.iter().map(register).collect(),
            sector_identifier_uri: sector.map(str::to_owned),
            ..Metadata::default()
        };
        Client::new(id.into(), Trust::Trusted, metadata, Timestamp::from_secs(0))
    }

    fn pairwise(id: &str, uris: &[&str], sector: Option<&str>) -> Client {
        client(id, SubjectType::Pairwise, uris, sector)
    }

    #[test]
    fn the_sector_is_the_host_that_a_client_has_alone() {
        for (uris, uri, expected) in [
            (&["https://a.test/cb"][..], None, Some("a.test")),
            (
                &["https://a.test/cb", "https://a.test:8443/x"],
                None,
                Some("a.test"),
            ),
            (&["https://a.test/cb", "https://b.test/cb"], None, None),
            (&["https://a.test/cb", "com.example.app:/cb"], None, None),
            (&["com.example.app:/cb"], None, None),
            (&["http://127.0.0.1/cb"], None, None),
            (&["http://localhost:3000/cb"], None, None),
            (&[], None, None),
            (
                &["https://a.test/cb", "https://b.test/cb"],
                Some("https://s.test:8443/x.json"),
                Some("s.test"),
            ),
            (
                &["com.example.app:/cb"],
                Some("https://s.test/x.json"),
                Some("s.test"),
            ),
        ] {
            let own = sector(&pairwise("c", uris, uri).metadata);
            assert_eq!(own.as_deref(), expected, "{uris:?} {uri:?}");
        }
    }

    #[test]
    fn a_person_has_one_name_for_each_sector_that_tells_nothing_of_others() {
        let (secret, other) = (seal::Key::random(), seal::Key::random());
        let (alex, sam) = (Subject::from("alex"), Subject::from("sam"));
        let name = |client: &Client, user: &Subject| Names::of(client, &secret).name(user);

        let own = pairwise("one", &["https://a.test/cb"], None);
        assert_eq!(name(&own, &alex).as_str().len(), 43);
        assert_eq!(
            name(&own, &alex),
            name(&pairwise("two", &["https://a.test/x"], None), &alex)
        );
        let elsewhere = pairwise("one", &["https://b.test/cb"], None);
        assert_ne!(name(&own, &alex), name(&elsewhere, &alex));
        assert_ne!(name(&own, &alex), name(&own, &sam));
        assert_ne!(name(&own, &alex), Names::of(&own, &other).name(&alex));
        assert_ne!(name(&own, &alex), alex);
        let public = client("one", SubjectType::Public, &["https://a.test/cb"], None);
        assert_eq!(name(&public, &alex), alex);
    }

    #[test]
    fn without_a_sector_the_names_are_the_clients_alone() {
        let secret = seal::Key::random();
        let names = |id| Names::of(&pairwise(id, &["com.example.app:/cb"], None), &secret);
        let alex = Subject::from("alex");
        assert_ne!(names("one").name(&alex), alex);
        assert_ne!(names("one").name(&alex), names("two").name(&alex));
    }
}
