//! Which crate may know which. The one place where this is written down; ARCHITECTURE.md tells it in words.

use std::collections::BTreeSet;

use anyhow::Result;
use bowline_checks::files;
use bowline_checks::workspace::{built_for, members};

/// Each crate with the crates of this workspace that it may need. Tests of a crate may use others. A crate that
/// is not here yet gets a line, and so somebody decides where it belongs.
const MAY_NEED: &[(&str, &[&str])] = &[
    ("bowline-core", &[]),
    ("bowline-blobs", &["bowline-core"]),
    ("bowline-store", &[]),
    ("bowline-store-sqlite", &["bowline-store"]),
    ("bowline-engine", &["bowline-core", "bowline-store"]),
    ("bowline-expression", &[]),
    (
        "bowline-access",
        &[
            "bowline-core",
            "bowline-store",
            "bowline-engine",
            "bowline-connector",
            "bowline-expression",
        ],
    ),
    ("bowline-connector", &["bowline-core", "bowline-expression"]),
    ("bowline-connector-http", CONNECTOR),
    ("bowline-connector-mail", CONNECTOR),
    ("bowline-connector-sql", CONNECTOR),
    (
        "bowline-simulation",
        &["bowline-core", "bowline-store", "bowline-engine"],
    ),
    (
        "bowline-telemetry",
        &["bowline-connector", "bowline-core", "bowline-engine", "bowline-store"],
    ),
    ("bowline-testing", &["bowline-connector", "bowline-expression"]),
    (
        "bowline-triggers",
        &[
            "bowline-core",
            "bowline-blobs",
            "bowline-store",
            "bowline-engine",
            "bowline-expression",
            "bowline-connector",
            "bowline-flow",
            "bowline-host",
        ],
    ),
    ("bowline-flow", CONNECTOR),
    ("bowline-webhooks", CONNECTOR),
    (
        "bowline-host",
        &[
            "bowline-core",
            "bowline-blobs",
            "bowline-store",
            "bowline-store-sqlite",
            "bowline-engine",
            "bowline-expression",
            "bowline-connector",
            "bowline-flow",
        ],
    ),
    (
        "bowline",
        &[
            "bowline-core",
            "bowline-blobs",
            "bowline-store",
            "bowline-store-sqlite",
            "bowline-engine",
        ],
    ),
    ("bowline-example-registration", &["bowline"]),
    // Pages as functions from data: no routes, no store.
    ("bowline-inspector", &["bowline-flow", "bowline-host"]),
    // Wherever it stands, nothing below it knows a status code.
    ("bowline-server", SERVER),
    // The one place where everything is wired together.
    ("bowline-cli", EVERYTHING),
    // What looks at the whole from outside.
    ("bowline-acceptance", EVERYTHING),
    ("bowline-benches", EVERYTHING),
    ("bowline-checks", &[]),
];

/// What a connector, and the language that calls it, may need.
const CONNECTOR: &[&str] = &["bowline-core", "bowline-connector", "bowline-expression"];

/// What the server may need: whatever is behind its routes, and no connector.
const SERVER: &[&str] = &[
    "bowline-core",
    "bowline-store",
    "bowline-engine",
    "bowline-expression",
    "bowline-connector",
    "bowline-flow",
    "bowline-host",
    "bowline-access",
    "bowline-webhooks",
    "bowline-triggers",
    "bowline-telemetry",
    "bowline-inspector",
];

/// What stands above all layers may need.
const EVERYTHING: &[&str] = &[
    "bowline-access",
    "bowline-core",
    "bowline-blobs",
    "bowline-store",
    "bowline-store-sqlite",
    "bowline-engine",
    "bowline-expression",
    "bowline-connector",
    "bowline-connector-http",
    "bowline-connector-mail",
    "bowline-connector-sql",
    "bowline-simulation",
    "bowline-telemetry",
    "bowline-testing",
    "bowline-triggers",
    "bowline-webhooks",
    "bowline-flow",
    "bowline-host",
    "bowline-inspector",
    "bowline-server",
];

/// Each crate with packages that must not be built for it, directly or not.
const NEVER: &[(&str, &[&str])] = &[
    // No I/O, no clock, no randomness, no runtime.
    (
        "bowline-core",
        &[
            "axum",
            "chrono",
            "fastrand",
            "getrandom",
            "hyper",
            "jiff",
            "mio",
            "rand",
            "reqwest",
            "rusqlite",
            "socket2",
            "time",
            "tokio",
            "uuid",
        ],
    ),
    ("bowline-blobs", &["axum", "hyper", "reqwest", "rusqlite"]),
    ("bowline-store", &["axum", "hyper", "reqwest", "rusqlite", "tokio"]),
    ("bowline-store-sqlite", &["axum", "hyper", "reqwest", "tokio"]),
    (
        "bowline-engine",
        &["axum", "hyper", "lettre", "reqwest", "rusqlite", "saphyr-parser"],
    ),
    ("bowline-expression", &["axum", "hyper", "reqwest", "rusqlite", "tokio"]),
    (
        "bowline-connector",
        &["axum", "hyper", "lettre", "reqwest", "rusqlite", "tokio"],
    ),
    (
        "bowline-flow",
        &["axum", "hyper", "lettre", "reqwest", "rusqlite", "tokio"],
    ),
    ("bowline-testing", &["axum", "lettre", "rusqlite"]),
    ("bowline-webhooks", &["axum", "hyper", "lettre", "reqwest", "rusqlite"]),
];

/// TLS stacks and cryptography besides rustls on aws-lc-rs.
const OTHER_TLS: &[&str] = &[
    "boring",
    "gnutls",
    "mbedtls",
    "native-tls",
    "openssl",
    "openssl-sys",
    "ring",
    "schannel",
];

/// Of these a second version would mean a second pool, a second runtime, or types that do not fit each other.
const ONCE: &[&str] = &[
    "aws-lc-rs",
    "futures-util",
    "h2",
    "http",
    "http-body",
    "hyper",
    "hyper-util",
    "jiff",
    "libsqlite3-sys",
    "lettre",
    "reqwest",
    "rusqlite",
    "rustls",
    "rustls-webpki",
    "schemars",
    "serde",
    "serde_json",
    "thiserror",
    "tokio",
    "tracing",
    "url",
    "uuid",
];

#[test]
fn every_crate_needs_only_what_is_below_it() -> Result<()> {
    let members = members()?;
    assert!(members.len() > 5, "the workspace has only {} crates", members.len());
    let mut broken = Vec::new();
    for member in &members {
        let Some((_, allowed)) = MAY_NEED.iter().find(|(name, _)| *name == member.name) else {
            broken.push(format!("{} is not in the list", member.name));
            continue;
        };
        let others = member.needs.iter().filter(|needed| !allowed.contains(&needed.as_str()));
        broken.extend(others.map(|other| format!("{} needs {other}", member.name)));
    }
    let here: BTreeSet<&str> = members.iter().map(|member| member.name.as_str()).collect();
    broken.extend(
        MAY_NEED
            .iter()
            .filter(|(name, _)| !here.contains(name))
            .map(|(name, _)| format!("there is no {name}")),
    );
    super::none("crates/checks/tests/it/layers.rs says otherwise", &broken);
    Ok(())
}

#[test]
fn what_a_crate_must_not_know_is_not_built_for_it() -> Result<()> {
    let mut broken = Vec::new();
    for (package, never) in NEVER {
        let built = built_for(Some(package), "normal")?;
        assert!(built.contains_key(*package), "cargo tree says nothing about {package}");
        let found = never.iter().filter(|name| built.contains_key(**name));
        broken.extend(found.map(|name| format!("{name} is built for {package}")));
    }
    super::none("a lower layer has grown", &broken);
    Ok(())
}

#[test]
fn there_is_one_tls_stack() -> Result<()> {
    let built = built_for(None, "normal,build,dev")?;
    assert!(
        built.contains_key("rustls") && built.contains_key("aws-lc-rs"),
        "rustls on aws-lc-rs is missing"
    );
    let others: Vec<String> = OTHER_TLS
        .iter()
        .filter(|name| built.contains_key(**name))
        .map(ToString::to_string)
        .collect();
    super::none("besides rustls on aws-lc-rs there is", &others);
    Ok(())
}

#[test]
fn there_is_one_version_of_what_matters() -> Result<()> {
    let built = built_for(None, "normal,build,dev")?;
    assert!(
        ONCE.iter().filter(|name| built.contains_key(**name)).count() > 10,
        "hardly any of them is built"
    );
    let twice: Vec<String> = ONCE
        .iter()
        .filter_map(|name| {
            built
                .get(*name)
                .filter(|versions| versions.len() > 1)
                .map(|versions| (name, versions))
        })
        .map(|(name, versions)| format!("{name}: {}", versions.iter().cloned().collect::<Vec<_>>().join(", ")))
        .collect();
    super::none("several versions of one package", &twice);
    Ok(())
}

#[test]
fn the_program_and_these_tests_have_every_connector() -> Result<()> {
    let program: String = files::find("crates/cli/src", &[".rs"])?
        .into_iter()
        .map(|file| file.text)
        .collect();
    let tests = files::read("crates/checks/tests/it/main.rs")?.text;
    let connectors = members()?
        .into_iter()
        .filter(|member| member.folder.starts_with("crates/connectors/"));
    let mut seen = 0;
    let mut broken = Vec::new();
    for connector in connectors {
        seen += 1;
        let call = format!("{}::register(", connector.name.replace('-', "_"));
        for (where_, text) in [("the program", &program), ("these tests", &tests)] {
            if !text.contains(&call) {
                broken.push(format!("{where_} does not call `{call}...)`"));
            }
        }
    }
    assert!(seen > 0, "there are no connectors");
    super::none("a connector is missing", &broken);
    Ok(())
}
