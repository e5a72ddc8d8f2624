//! Assertions that name an address of the second listener: RFC 8705 §5, RFC 7523 §3.

use super::*;
use crate::harness::rp::{Key, asserted, assertion};

struct Signer<'w> {
    world: &'w World,
    key: Key,
    app: App,
}

impl<'w> Signer<'w> {
    async fn new(world: &'w World, rule: &str) -> Self {
        let key = Key::new("ES256");
        let metadata = json!({
            "token_endpoint_auth_method": "private_key_jwt", "jwks": key.jwks(), "assertion_audience": rule,
        });
        let app = world.app_with(metadata).await;
        Self { world, key, app }
    }

    /// Asks to have a token ended, by an assertion for this audience: 200 where it is let in.
    async fn revokes(&self, at: &str, aud: &str) -> u16 {
        let now = self.world.now().as_secs();
        let assertion = self.key.sign(&assertion(&self.app.id, aud, now, &json!({})));
        let mut params = asserted(assertion).to_vec();
        params.push(("token", "x".to_owned()));
        answer(with(None).post(at).form(&params)).await.status.as_u16()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c033_an_alias_is_a_name_of_ours_for_whoever_is_compatible() {
    let world = asking(db::testing::sqlite_url(), Authorities::default()).await;
    let own = alias(&world, "revocation_endpoint").await;
    let base = own.trim_end_matches("/revoke").to_owned();
    let (compatible, strict) = (
        Signer::new(&world, "compatible").await,
        Signer::new(&world, "issuer").await,
    );
    for (aud, status) in [
        (own.clone(), 200),
        (alias(&world, "token_endpoint").await, 200),
        (format!("{}/revoke", world.issuer), 200),
        (world.issuer.clone(), 200),
        // Of another endpoint, of nobody, and of no endpoint.
        (alias(&world, "introspection_endpoint").await, 401),
        (format!("{base}/userinfo"), 401),
        (format!("{own}/"), 401),
        (format!("{base}@evil.test/revoke"), 401),
        ("https://localhost:1/revoke".to_owned(), 401),
        (base, 401),
    ] {
        for at in [&own, &format!("{}/revoke", world.issuer)] {
            assert_eq!(compatible.revokes(at, &aud).await, status, "{aud} at {at}");
            let is_issuer = aud == world.issuer;
            let status = if is_issuer { 200 } else { 401 };
            assert_eq!(strict.revokes(at, &aud).await, status, "{aud} at {at}");
        }
    }

    // Where there are no aliases, nothing else is a name of ours.
    let plain = World::sqlite().await;
    let signer = Signer::new(&plain, "compatible").await;
    let at = format!("{}/revoke", plain.issuer);
    assert_eq!(signer.revokes(&at, &at).await, 200);
    assert_eq!(signer.revokes(&at, &own).await, 401);
}
