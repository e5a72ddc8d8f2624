//! Documents to register, good and bad.

use serde_json::{Value, json};

/// A good document with these members put in.
pub(super) fn with(members: Value) -> Value {
    let mut document = json!({ "client_name": "Shop", "redirect_uris": ["https://a.test/cb"] });
    let (Value::Object(own), Value::Object(more)) = (&mut document, members) else {
        panic!("members are an object");
    };
    own.extend(more);
    document
}

/// RFC 7515 Appendix A.3.
pub(super) fn ec() -> Value {
    json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    })
}

fn private() -> Value {
    let mut key = ec();
    key["d"] = json!("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI");
    key
}

fn for_signatures() -> Value {
    let mut key = ec();
    key["use"] = json!("sig");
    key
}

/// A modulus of so many times 24 bits, all of them set, so that it is odd as it has to be.
pub(super) fn rsa(times: usize) -> Value {
    json!({ "kty": "RSA", "e": "AQAB", "n": "____".repeat(times) })
}

/// Documents that describe no client, each with the member to blame.
pub(super) fn bad() -> Vec<(&'static str, Value)> {
    let mut all = vec![
        ("redirect_uris", json!({})),
        ("redirect_uris", json!({ "redirect_uris": [] })),
        ("redirect_uris", json!({ "redirect_uris": null })),
        (
            "redirect_uris",
            with(json!({ "redirect_uris": vec!["https://a.test/cb"; 51] })),
        ),
        ("application_type", with(json!({ "application_type": "" }))),
        ("application_type", with(json!({ "application_type": "Web" }))),
        ("application_type", with(json!({ "application_type": "service" }))),
        (
            "token_endpoint_auth_method",
            with(json!({ "token_endpoint_auth_method": "" })),
        ),
        (
            "token_endpoint_auth_method",
            with(json!({ "token_endpoint_auth_method": "None" })),
        ),
        (
            "token_endpoint_auth_method",
            with(json!({ "token_endpoint_auth_method": "private_key_jwt" })),
        ),
        (
            "jwks",
            with(json!({ "jwks": { "keys": [ec()] }, "jwks_uri": "https://a.test/jwks" })),
        ),
        (
            "jwks",
            with(json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": { "keys": [] } })),
        ),
        (
            "jwks",
            with(json!({
                "token_endpoint_auth_method": "private_key_jwt", "jwks": { "keys": [ec()] },
                "token_endpoint_auth_signing_alg": "RS256",
            })),
        ),
        ("jwks", with(json!({ "jwks": {} }))),
        ("jwks", with(json!({ "jwks": { "keys": {} } }))),
        ("jwks", with(json!({ "jwks": { "keys": ["x"] } }))),
        ("jwks", with(json!({ "jwks": { "keys": vec![ec(); 51] } }))),
        (
            "jwks",
            with(json!({ "jwks": { "keys": [{ "kty": "x", "long": "x".repeat(33_000) }] } })),
        ),
        (
            "jwks",
            with(json!({ "jwks": { "keys": [{ "kty": "oct", "k": "AAAA" }] } })),
        ),
        ("jwks", with(json!({ "jwks": { "keys": [ec(), private()] } }))),
        ("jwks", with(json!({ "jwks": { "keys": [rsa(42)] } }))),
        (
            "token_endpoint_auth_signing_alg",
            with(json!({ "token_endpoint_auth_signing_alg": "none" })),
        ),
        (
            "token_endpoint_auth_signing_alg",
            with(json!({ "token_endpoint_auth_signing_alg": "HS512" })),
        ),
        ("assertion_audience", with(json!({ "assertion_audience": "any" }))),
        (
            "token_endpoint_auth_signing_alg",
            with(json!({
                "token_endpoint_auth_method": "client_secret_jwt", "token_endpoint_auth_signing_alg": "RS256",
            })),
        ),
        (
            "token_endpoint_auth_signing_alg",
            with(json!({
                "token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "HS256",
                "jwks": { "keys": [ec()] },
            })),
        ),
        (
            "id_token_signed_response_alg",
            with(json!({
                "token_endpoint_auth_method": "private_key_jwt", "id_token_signed_response_alg": "HS256",
                "jwks": { "keys": [ec()] },
            })),
        ),
        // Without keys, with some of another kind, with some for another use.
        (
            "id_token_encrypted_response_alg",
            with(json!({
                "id_token_encrypted_response_alg": "ECDH-ES", "id_token_encrypted_response_enc": "A128GCM",
            })),
        ),
        (
            "userinfo_encrypted_response_alg",
            with(json!({
                "userinfo_encrypted_response_alg": "ECDH-ES", "userinfo_encrypted_response_enc": "A128GCM",
            })),
        ),
        (
            "jwks",
            with(json!({
                "id_token_encrypted_response_alg": "RSA-OAEP-256", "id_token_encrypted_response_enc": "A128GCM",
                "jwks": { "keys": [ec()] },
            })),
        ),
        (
            "jwks",
            with(json!({
                "userinfo_encrypted_response_alg": "ECDH-ES", "userinfo_encrypted_response_enc": "A128GCM",
                "jwks": { "keys": [for_signatures()] },
            })),
        ),
        (
            "request_object_signing_alg",
            with(json!({ "request_object_signing_alg": "none" })),
        ),
        (
            "request_object_signing_alg",
            with(json!({
                "token_endpoint_auth_method": "private_key_jwt", "request_object_signing_alg": "HS256",
                "jwks": { "keys": [ec()] },
            })),
        ),
        (
            "request_object_signing_alg",
            with(json!({ "token_endpoint_auth_method": "none", "request_object_signing_alg": "HS256" })),
        ),
        (
            "require_signed_request_object",
            with(json!({ "require_signed_request_object": true })),
        ),
        (
            "request_uris",
            with(json!({ "request_uris": vec!["https://a.test/r"; 21] })),
        ),
        (
            "token_endpoint_auth_method",
            with(json!({ "token_endpoint_auth_method": "tls_client_auth" })),
        ),
        (
            "tls_client_auth_san_ip",
            with(json!({
                "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": "CN=a",
                "tls_client_auth_san_ip": "192.0.2.7",
            })),
        ),
        (
            "tls_client_auth_subject_dn",
            with(json!({ "tls_client_auth_subject_dn": "a" })),
        ),
        (
            "tls_client_auth_subject_dn",
            with(json!({ "tls_client_auth_subject_dn": format!("CN={}", "a".repeat(1024)) })),
        ),
        (
            "tls_client_auth_san_ip",
            with(json!({ "tls_client_auth_san_ip": "a.test" })),
        ),
        (
            "tls_client_auth_san_dns",
            with(json!({ "tls_client_auth_san_dns": "" })),
        ),
        (
            "token_endpoint_auth_method",
            with(json!({ "token_endpoint_auth_method": "self_signed_tls_client_auth" })),
        ),
        (
            "token_endpoint_auth_method",
            with(json!({
                "token_endpoint_auth_method": "self_signed_tls_client_auth", "jwks": { "keys": [ec()] },
            })),
        ),
        (
            "response_types",
            with(json!({
                "tls_client_certificate_bound_access_tokens": true, "grant_types": ["authorization_code", "implicit"],
                "response_types": ["code", "code token"],
            })),
        ),
        ("grant_types", with(json!({ "grant_types": [] }))),
        ("grant_types", with(json!({ "grant_types": ["password"] }))),
        (
            "response_types",
            with(json!({ "grant_types": ["authorization_code", "implicit"] })),
        ),
        ("grant_types", with(json!({ "grant_types": ["refresh_token"] }))),
        (
            "grant_types",
            with(json!({ "grant_types": ["client_credentials"], "response_types": ["code"] })),
        ),
        (
            "grant_types",
            with(json!({ "grant_types": ["client_credentials"], "token_endpoint_auth_method": "none" })),
        ),
        (
            "grant_types",
            with(
                json!({ "grant_types": ["authorization_code", "client_credentials"], "token_endpoint_auth_method": "none" }),
            ),
        ),
        (
            "grant_types",
            with(json!({ "grant_types": vec!["authorization_code"; 21] })),
        ),
        ("response_types", with(json!({ "response_types": [] }))),
        ("response_types", with(json!({ "response_types": ["token"] }))),
        (
            "grant_types",
            with(json!({ "response_types": ["code", "code id_token"] })),
        ),
        ("grant_types", with(json!({ "response_types": ["code token"] }))),
        (
            "grant_types",
            with(json!({ "grant_types": ["implicit"], "response_types": ["id_token", "code id_token"] })),
        ),
        (
            "response_types",
            with(json!({ "grant_types": ["implicit"], "response_types": [] })),
        ),
        (
            "response_types",
            with(json!({ "grant_types": ["implicit"], "response_types": ["none"] })),
        ),
        (
            "redirect_uris",
            json!({ "grant_types": ["implicit"], "response_types": ["id_token"] }),
        ),
        (
            "redirect_uris",
            with(json!({
                "grant_types": ["implicit"], "response_types": ["id_token"],
                "redirect_uris": ["http://localhost:3000/cb"],
            })),
        ),
        (
            "require_pkce",
            with(json!({ "require_pkce": false, "token_endpoint_auth_method": "none" })),
        ),
        ("scope", with(json!({ "scope": "" }))),
        ("scope", with(json!({ "scope": "   " }))),
        ("scope", with(json!({ "scope": "openid \"x\"" }))),
        ("scope", with(json!({ "scope": "openid\temail" }))),
        ("scope", with(json!({ "scope": "openid\u{0}" }))),
        ("scope", with(json!({ "scope": "é" }))),
        ("scope", with(json!({ "scope": "a".repeat(2049) }))),
        ("client_name", with(json!({ "client_name": "" }))),
        ("client_name", with(json!({ "client_name": " \u{3000}" }))),
        ("client_name", with(json!({ "client_name": "x".repeat(61) }))),
        (
            "client_name",
            with(json!({ "client_name": "\u{fdfa}".repeat(4) })),
        ),
        ("client_name", with(json!({ "client_name": "Ba\u{202e}nk" }))),
        ("client_name", with(json!({ "client_name": "Ba\u{200b}nk" }))),
        ("client_name", with(json!({ "client_name": "Ba\u{2067}nk" }))),
        ("client_name", with(json!({ "client_name": "Ba\u{0}nk" }))),
        ("client_name", with(json!({ "client_name": "Bank\nTrusted" }))),
        ("client_name", with(json!({ "client_name": "\u{feff}Bank" }))),
        ("contacts", with(json!({ "contacts": [""] }))),
        ("contacts", with(json!({ "contacts": ["dev"] }))),
        ("contacts", with(json!({ "contacts": ["@a.test"] }))),
        ("contacts", with(json!({ "contacts": ["dev@"] }))),
        ("contacts", with(json!({ "contacts": ["dev@a@b.test"] }))),
        ("contacts", with(json!({ "contacts": ["dev @a.test"] }))),
        ("contacts", with(json!({ "contacts": ["dev@a.test\r\nBcc: x"] }))),
        ("contacts", with(json!({ "contacts": ["d\u{0}@a.test"] }))),
        (
            "contacts",
            with(json!({ "contacts": [format!("{}@a.test", "x".repeat(254))] })),
        ),
        ("contacts", with(json!({ "contacts": vec!["dev@a.test"; 21] }))),
    ];
    for uri in [
        "",
        "/cb",
        "a.test/cb",
        "http://a.test/cb",
        "https://a.test/cb#",
        "https://a.test/cb#f",
        "https://u@a.test/cb",
        "https://*.a.test/cb",
        "https://a.test/*",
        "https://a.test/cb?code=1",
        "https://a.test/../cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "com.example.app:/cb",
        "https://a.test/\u{0}",
        "https://é.test/cb",
    ] {
        for member in ["redirect_uris", "post_logout_redirect_uris"] {
            all.push((member, with(json!({ member: ["https://a.test/cb", uri] }))));
        }
    }
    for uri in [
        "myapp:/cb",
        "javascript:alert(1)",
        "http://a.test/cb",
        "http://127.0.0.2/cb",
    ] {
        let native = json!({ "application_type": "native", "redirect_uris": [uri] });
        all.push(("redirect_uris", with(native)));
    }
    for uri in [
        "https://b.test/out",
        "http://a.test/out",
        "https://a.test:8443/out",
    ] {
        all.push((
            "frontchannel_logout_uri",
            with(json!({ "frontchannel_logout_uri": uri })),
        ));
    }
    for (tag, name) in [
        ("", json!("x")),
        ("-", json!("x")),
        ("fr-", json!("x")),
        ("1", json!("x")),
        ("français", json!("x")),
        ("abcdefghi", json!("x")),
        ("a-aaaaaaaa-aaaaaaaa-aaaaaaaa-aaaaaaaa", json!("x")),
        ("<b>", json!("x")),
        ("fr", json!(7)),
        ("fr", json!("")),
        ("fr", json!("x".repeat(61))),
        ("fr", json!("a\u{202e}b")),
    ] {
        all.push((
            "client_name#",
            with(json!({ format!("client_name#{tag}"): name })),
        ));
    }
    all.push((
        "client_name#",
        with(json!({ "client_name#fr": "Boutique", "client_name#FR": "Banque" })),
    ));
    for member in ["logo_uri", "initiate_login_uri", "backchannel_logout_uri"] {
        all.push((member, with(json!({ member: "http://a.test/x" }))));
    }
    for member in [
        "client_uri",
        "logo_uri",
        "policy_uri",
        "tos_uri",
        "initiate_login_uri",
        "backchannel_logout_uri",
        "frontchannel_logout_uri",
    ] {
        for link in [
            "",
            "/",
            "a.test",
            "//a.test/",
            "javascript:alert(1)",
            "data:image/png;base64,AA",
            "ftp://a.test/",
            " https://a.test/",
            "HTTPS://a.test/",
            "https://",
            "https:///x",
            "https://bank.test@a.test/",
            "https://a.test/\"onclick=",
            "https://a.test/a b",
            "https://a.test\\@b.test",
            "https://a.test/\u{0}",
            "https://é.test/",
            "https://a.test:port/",
        ] {
            all.push((member, with(json!({ member: link }))));
        }
        let long = format!("https://a.test/{}", "x".repeat(2048));
        all.push((member, with(json!({ member: long }))));
    }
    for url in [
        "",
        "a.test",
        "http://a.test/jwks",
        "ftp://a.test/jwks",
        "https://a.test/jwks#f",
        "https://u:p@a.test/jwks",
        "https://127.0.0.1/jwks",
        "https://169.254.169.254/jwks",
        "https://[::1]/jwks",
        "https://2130706433/jwks",
        "https://é.test/jwks",
        "https://a.test/\u{0}",
    ] {
        for member in ["jwks_uri", "sector_identifier_uri"] {
            all.push((member, with(json!({ member: url }))));
        }
        if !url.contains('#') {
            all.push((
                "request_uris",
                with(json!({ "request_uris": ["https://a.test/r", url] })),
            ));
        }
    }
    for member in ["id_token_signed_response_alg", "userinfo_signed_response_alg"] {
        for alg in ["none", "HS512", "RS1", "rs256", ""] {
            all.push((member, with(json!({ member: alg }))));
        }
        // Signed by a secret that it does not have.
        let public = json!({ member: "HS256", "token_endpoint_auth_method": "none" });
        all.push((member, with(public)));
    }
    for (alg, enc) in [
        (
            "id_token_encrypted_response_alg",
            "id_token_encrypted_response_enc",
        ),
        (
            "userinfo_encrypted_response_alg",
            "userinfo_encrypted_response_enc",
        ),
        ("request_object_encryption_alg", "request_object_encryption_enc"),
    ] {
        let keys = json!({ "keys": [ec()] });
        for name in [
            "RSA1_5",
            "RSA-OAEP",
            "dir",
            "A128KW",
            "PBES2-HS256+A128KW",
            "none",
            "",
        ] {
            let document = json!({ alg: name, enc: "A128GCM", "jwks": keys });
            all.push((alg, with(document)));
        }
        for name in ["A128CBC-HS256", "A256CBC-HS512", "none", ""] {
            let document = json!({ alg: "ECDH-ES", enc: name, "jwks": keys });
            all.push((enc, with(document)));
        }
        // The default of the specification is not offered, so one has to be named.
        all.push((enc, with(json!({ alg: "ECDH-ES", "jwks": keys }))));
        all.push((alg, with(json!({ enc: "A128GCM", "jwks": keys }))));
        all.push((alg, with(json!({ alg: 7, enc: "A128GCM", "jwks": keys }))));
    }
    for uris in [
        json!(["https://a.test/cb", "https://b.test/cb"]),
        json!(["com.example.app:/cb"]),
        json!(["https://a.test/cb", "com.example.app:/cb"]),
        json!(["http://127.0.0.1/cb"]),
        json!(["http://localhost:3000/cb"]),
    ] {
        let pairwise = json!({
            "subject_type": "pairwise", "application_type": "native", "redirect_uris": uris,
        });
        all.push(("subject_type", with(pairwise)));
    }
    all.push((
        "subject_type",
        json!({
            "subject_type": "pairwise", "sector_identifier_uri": "https://a.test/sector.json",
            "grant_types": ["client_credentials"],
        }),
    ));
    let (text, texts, flag) = (json!("https://a.test/"), json!(["https://a.test/"]), json!(true));
    let wrong = |right: &[&Value]| {
        let all = [
            &text,
            &texts,
            &flag,
            &json!(1),
            &json!({}),
            &json!([1]),
            &json!([null]),
            &json!([["x"]]),
            &json!([{}]),
            &json!([true]),
            &json!(-1),
            &json!(1.5),
            &json!(1e300),
            &json!({ "a": "b" }),
        ];
        all.into_iter()
            .filter(|value| !right.contains(value))
            .cloned()
            .collect::<Vec<_>>()
    };
    for (members, values) in [
        (
            &[
                "client_name",
                "scope",
                "client_uri",
                "logo_uri",
                "policy_uri",
                "tos_uri",
                "initiate_login_uri",
                "frontchannel_logout_uri",
            ][..],
            wrong(&[&text]),
        ),
        (&["jwks_uri", "sector_identifier_uri"], wrong(&[&text])),
        (
            &[
                "application_type",
                "subject_type",
                "token_endpoint_auth_method",
                "token_endpoint_auth_signing_alg",
                "assertion_audience",
                "id_token_signed_response_alg",
                "userinfo_signed_response_alg",
                "request_object_signing_alg",
                "jwks",
            ],
            wrong(&[]),
        ),
        (
            &["redirect_uris", "post_logout_redirect_uris", "request_uris"],
            wrong(&[&texts]),
        ),
        (&["grant_types", "response_types", "contacts"], wrong(&[])),
        (
            &[
                "require_pkce",
                "frontchannel_logout_session_required",
                "require_signed_request_object",
                "require_pushed_authorization_requests",
                "tls_client_certificate_bound_access_tokens",
            ],
            wrong(&[&flag]),
        ),
    ] {
        for member in members {
            all.extend(
                values
                    .iter()
                    .map(|value| (*member, with(json!({ *member: value })))),
            );
        }
    }
    all
}
