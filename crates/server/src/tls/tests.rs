use tempfile::TempDir;

use super::*;

/// A certificate for localhost and its key, in PEM.
pub(crate) struct Made {
    pub(crate) cert: String,
    pub(crate) key: String,
}

pub(crate) fn made() -> Made {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    Made {
        cert: made.cert.pem(),
        key: made.signing_key.serialize_pem(),
    }
}

struct Place {
    folder: TempDir,
}

impl Place {
    fn new(cert: &str, key: &str) -> Self {
        let place = Self {
            folder: TempDir::new().unwrap(),
        };
        place.write(cert, key);
        place
    }

    fn write(&self, cert: &str, key: &str) {
        std::fs::write(self.cert(), cert).unwrap();
        std::fs::write(self.key(), key).unwrap();
    }

    fn cert(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    fn load(&self) -> Result<Tls, String> {
        Tls::load(&self.cert(), &self.key(), Clients::NotAsked)
    }
}

#[test]
fn a_mistake_names_its_file_and_never_quotes_it() {
    let (one, other) = (made(), made());
    for (cert, key, file, words) in [
        ("", one.key.as_str(), "cert.pem", "no certificate"),
        (&one.key, &one.key, "cert.pem", "no certificate"),
        (&one.cert, "", "key.pem", "no private key"),
        (&one.cert, &one.cert, "key.pem", "no private key"),
        (&one.cert, &other.key, "key.pem", "not the key of the certificate"),
    ] {
        let fault = Place::new(cert, key).load().unwrap_err();
        assert!(fault.contains(file) && fault.contains(words), "{fault}");
        assert!(!fault.contains("BEGIN"), "{fault}");
    }
    let place = Place::new(&one.cert, &one.key);
    std::fs::remove_file(place.key()).unwrap();
    assert!(place.load().unwrap_err().contains("key.pem"));
}

#[test]
fn a_renewed_certificate_is_taken_over_when_both_files_fit() {
    let (old, new) = (made(), made());
    let place = Place::new(&old.cert, &old.key);
    let tls = place.load().unwrap();
    let before = tls.config();
    assert_eq!(tls.reload(), Ok(false));

    // Half-way through the renewal.
    place.write(&new.cert, &old.key);
    tls.reload().unwrap_err();
    place.write(&new.cert, "");
    tls.reload().unwrap_err();
    assert!(Arc::ptr_eq(&before, &tls.config()));

    place.write(&new.cert, &new.key);
    assert_eq!(tls.reload(), Ok(true));
    assert!(!Arc::ptr_eq(&before, &tls.config()));
    assert_eq!(tls.reload(), Ok(false));
}
