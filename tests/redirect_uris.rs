//! Which redirect URI a request may name: RFC 9700 §2.1 and RFC 8252 §7.3. Bytes are compared, and only the port
//! of a native app's loopback address may vary.

use std::collections::BTreeSet;

use serde_json::json;

const MODES: [&str; 4] = ["", "query", "fragment", "form_post"];

everywhere! {
    async fn c001_a_redirect_uri_that_differs_in_one_byte_is_never_redirected_to(world: World) {
        let app = world.app().await;
        let all = mutations(&app.redirect_uri);
        assert!(all.len() >= 200, "only {}", all.len());
        let mut visitor = world.visitor();
        for uri in &all {
            for mode in MODES {
                let answer = visitor
                    .get(&app.url(&[("redirect_uri", uri), ("response_mode", mode)]))
                    .await;
                answer.assert_rejected();
                assert!(!answer.has(uri) || uri.len() < 20, "shows {uri:?}");
            }
        }
        assert!(visitor.cookies.is_empty());
        // The one that was registered is not refused by the same request.
        assert!(visitor.open(&app.url(&[])).await.asks_to_sign_in());
    }

    async fn c002_only_the_port_of_a_loopback_address_of_a_native_app_may_vary(world: World) {
        let uris = [
            "http://127.0.0.1/cb",
            "http://[::1]:9/cb",
            "http://localhost:7000/cb",
            "com.example.app:/cb",
        ];
        let native = world
            .app_with(json!({
                "application_type": "native", "redirect_uris": uris, "token_endpoint_auth_method": "none",
            }))
            .await;
        let web = world
            .app_with(json!({ "redirect_uris": ["http://127.0.0.1:80/cb".replace(":80", "")] }))
            .await;
        let mut visitor = world.visitor();
        for uri in [
            "http://127.0.0.1/cb",
            "http://127.0.0.1:1/cb",
            "http://127.0.0.1:65535/cb",
            "http://[::1]/cb",
            "http://[::1]:8080/cb",
            "http://localhost:7000/cb",
            "com.example.app:/cb",
        ] {
            let answer = visitor.open(&native.url(&[("redirect_uri", uri)])).await;
            assert!(answer.asks_to_sign_in(), "{uri}: {}", answer.body);
        }
        for uri in [
            "http://127.0.0.1:0/cb",
            "http://127.0.0.1:65536/cb",
            "http://127.0.0.1:08080/cb",
            "http://127.0.0.1:/cb",
            "http://127.0.0.1:80:80/cb",
            "http://127.0.0.1:+80/cb",
            "http://127.0.0.2/cb",
            "http://127.1/cb",
            "http://2130706433/cb",
            "http://0x7f.0.0.1/cb",
            "http://0.0.0.0/cb",
            "https://127.0.0.1/cb",
            "HTTP://127.0.0.1/cb",
            "http://127.0.0.1/CB",
            "http://127.0.0.1/cb/",
            "http://127.0.0.1/cb?x",
            "http://127.0.0.1/x/../cb",
            "http://u@127.0.0.1/cb",
            "http://127.0.0.1@evil.test/cb",
            "http://127.0.0.1:80@evil.test/cb",
            "http://127.0.0.1.evil.test/cb",
            "http://127.0.0.1:80\\@evil.test/cb",
            "http://[0:0:0:0:0:0:0:1]/cb",
            "http://[::1%25lo]/cb",
            "http://[::ffff:127.0.0.1]/cb",
            "http://localhost/cb",
            "http://localhost:7001/cb",
            "http://localhost.:7000/cb",
            "com.example.app://cb",
            "com.example.app:80/cb",
        ] {
            visitor
                .get(&native.url(&[("redirect_uri", uri)]))
                .await
                .assert_rejected();
        }
        visitor
            .get(&web.url(&[("redirect_uri", "http://127.0.0.1:8080/cb")]))
            .await
            .assert_rejected();
    }
}

/// What attackers have tried: each differs from the URI in as little as possible.
fn mutations(uri: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (at, own) in uri.char_indices() {
        let (before, rest) = uri.split_at(at);
        let after = &rest[1..];
        all.extend(["/", ".", "x", "\\"].map(|extra| format!("{before}{extra}{rest}")));
        all.insert(format!("{before}{after}"));
        all.insert(format!("{before}%{:02X}{after}", u32::from(own)));
        all.insert(format!("{before}{}{after}", own.to_ascii_uppercase()));
    }
    let (_, host) = uri.split_once("://").expect("a URL");
    for tail in [
        "/",
        "?",
        "#",
        "?x=1",
        "#code",
        "&x",
        ";x",
        "/..",
        "/../cb",
        "/%2e%2e",
        "%2f",
        "%00",
        "\0",
        "\n",
        "\r\n",
        "\t",
        " ",
        "\u{a0}",
        "\u{200b}",
        "\u{301}",
        "%0d%0aLocation:https://evil.test",
        "@evil.test",
        ":443",
        "//evil.test",
        "?redirect_uri=https://evil.test",
        "\\@evil.test",
        ".evil.test",
    ] {
        all.insert(format!("{uri}{tail}"));
        all.insert(format!("{tail}{uri}"));
    }
    for other in [
        "http://",
        "HTTPS://",
        "Https://",
        "https:",
        "https:/",
        "https:///",
        "//",
        "/",
        "ftp://",
        "javascript://",
        "data://",
        "https://evil.test/",
        "https://user@",
        "https://user:pw@",
        "https://evil.test@",
        "https://evil.test\\@",
        "https://www.",
    ] {
        all.insert(format!("{other}{host}"));
    }
    all.extend(
        [
            "https://app.example.com",
            "https://app.example.com/",
            "https://app.example.com:443/cb",
            "https://app.example.com./cb",
            "https://app.example.com/./cb",
            "https://app.example.com/x/../cb",
            "https://app%2eexample%2ecom/cb",
            "https://аpp.example.com/cb",
            "https://app.example.com\u{ff0f}cb",
            "*",
            "https://*.example.com/cb",
            "https://app.example.com/*",
            "https://evil.test/?https://app.example.com/cb",
            "null",
            "urn:ietf:wg:oauth:2.0:oob",
            "javascript:alert(1)",
            "data:text/html,x",
        ]
        .map(str::to_owned),
    );
    all.remove(uri);
    all
}
