//! The house as `cargo` sees it: floors, and crates that only some may lean on. docs/architecture.md says why.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

const SERVER: &str = "countersign";

/// A crate depends only on lower floors.
const FLOORS: [&[&str]; 7] = [
    &["protocol"],
    &["db", "egress", "jws", "seal"],
    &["events", "jose", "mail", "verifier"],
    &["accounts", "clients", "grants", "keyring"],
    &["demo", "issuance", "pages", "revocation", "signals"],
    &[
        "account",
        "authorize",
        "consent",
        "discovery",
        "registry",
        "token",
    ],
    &[SERVER],
];

/// What each crate of the workspace depends on, development dependencies excepted.
type Graph = BTreeMap<String, BTreeSet<String>>;

#[test]
fn a_crate_depends_only_on_lower_floors() {
    let graph = graph();
    assert!(graph.len() > 20, "these are not all crates: {:?}", graph.keys());
    assert_eq!(transgressions(&graph), Vec::<String>::new());
}

#[test]
fn a_crate_without_a_floor_and_an_edge_upward_or_sideways_are_noticed() {
    let graph = |edges: &[(&str, &str)]| -> Graph {
        let own = |name: &str| (name.to_owned(), BTreeSet::new());
        let mut graph: Graph = FLOORS.concat().into_iter().map(own).collect();
        for (from, to) in edges {
            graph
                .entry((*from).to_owned())
                .or_default()
                .insert((*to).to_owned());
        }
        graph
    };
    assert_eq!(
        transgressions(&graph(&[("token", "grants")])),
        Vec::<String>::new()
    );
    for edge in [
        ("grants", "token"),
        ("clients", "accounts"),
        ("protocol", "db"),
        ("shed", "protocol"),
    ] {
        assert_eq!(transgressions(&graph(&[edge])).len(), 1, "{edge:?}");
    }
}

/// Private keys have one home, and `rsa`, whose private operations leak by their time (RUSTSEC-2023-0071), never
/// meets one outside of it.
#[test]
fn only_jose_knows_josekit_and_rsa() {
    for (name, needs) in graph() {
        let known: Vec<&str> = ["josekit", "rsa"]
            .into_iter()
            .filter(|it| needs.contains(*it))
            .collect();
        let expected: &[&str] = if name == "jose" { &["josekit", "rsa"] } else { &[] };
        assert_eq!(known, expected, "{name}");
    }
}

/// Whoever verifies tokens in a service of their own takes on no database, no OpenSSL and no other crate of ours.
#[test]
fn the_verifier_is_light_to_depend_on() {
    let tree = cargo(&[
        "tree",
        "--package",
        "countersign-verifier",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{lib}",
    ]);
    // A crate met before is marked with a star.
    let names: BTreeSet<&str> = tree.split_whitespace().filter(|word| *word != "(*)").collect();
    assert!(
        names.contains("aws_lc_rs"),
        "not the tree of the verifier: {tree}"
    );
    for heavy in [
        "openssl",
        "openssl_sys",
        "native_tls",
        "sqlx",
        "sqlx_core",
        "josekit",
        "rsa",
    ] {
        assert!(!names.contains(heavy), "the verifier brings {heavy} along");
    }
    let ours = names.into_iter().filter(|name| name.starts_with(SERVER));
    assert_eq!(
        ours.collect::<Vec<_>>(),
        ["countersign_jws", "countersign_protocol", "countersign_verifier"]
    );
}

/// One line for each crate without a floor and for each edge that does not lead down.
fn transgressions(graph: &Graph) -> Vec<String> {
    let floor = |name: &str| FLOORS.iter().position(|crates| crates.contains(&name));
    let mut lines = Vec::new();
    for (name, needs) in graph {
        let Some(own) = floor(name) else {
            lines.push(format!("{name} has no floor"));
            continue;
        };
        for need in needs.iter().filter(|need| graph.contains_key(*need)) {
            match floor(need) {
                Some(below) if below < own => {}
                Some(there) => lines.push(format!(
                    "{name} on floor {own} depends on {need} on floor {there}"
                )),
                None => {}
            }
        }
    }
    lines
}

fn graph() -> Graph {
    let metadata = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&metadata).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages.iter().map(crate_with_needs).collect()
}

fn crate_with_needs(package: &Value) -> (String, BTreeSet<String>) {
    let dependencies = package["dependencies"].as_array().expect("dependencies");
    let needs = dependencies.iter().filter(|it| it["kind"] != "dev");
    (
        short(&package["name"]),
        needs.map(|it| short(&it["name"])).collect(),
    )
}

/// The name by which code calls a crate of ours.
fn short(name: &Value) -> String {
    let name = name.as_str().expect("a name");
    name.strip_prefix("countersign-").unwrap_or(name).to_owned()
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--offline", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}
