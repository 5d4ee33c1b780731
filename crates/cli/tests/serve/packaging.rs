//! What packages of the server are made of.

use std::path::{Path, PathBuf};
use std::process::Command;

fn packaging(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging").join(name)
}

#[test]
fn the_units_are_as_systemd_wants_them() {
    let unit = std::fs::read_to_string(packaging("bowline.service")).unwrap();
    let installed = "/usr/local/bin/bowline";
    assert!(unit.contains(&format!("ExecStart={installed} serve")));
    let folder = tempfile::tempdir().unwrap();
    // What it starts has to be there.
    let unit = unit.replace(installed, env!("CARGO_BIN_EXE_bowline"));
    std::fs::write(folder.path().join("bowline.service"), unit).unwrap();
    std::fs::copy(packaging("bowline.socket"), folder.path().join("bowline.socket")).unwrap();
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "bowline.service", "bowline.socket"])
        .current_dir(folder.path())
        .output();
    let Ok(verified) = verified else {
        println!("skipped: systemd-analyze is not installed");
        return;
    };
    let told = String::from_utf8_lossy(&verified.stderr);
    let ours: Vec<&str> = told.lines().filter(|line| line.contains("bowline.")).collect();
    assert!(verified.status.success() && ours.is_empty(), "{told}");
}

#[test]
fn the_container_starts_the_program_as_nobody_special() {
    let file = std::fs::read_to_string(packaging("Containerfile")).unwrap();
    let last = file.rsplit("\nFROM ").next().unwrap();
    for line in [
        "USER 10001:10001",
        "STOPSIGNAL SIGTERM",
        "EXPOSE 8080",
        "ENTRYPOINT [\"/usr/local/bin/bowline\"]",
    ] {
        assert!(last.contains(line), "{line}");
    }
    let version = env!("CARGO_PKG_RUST_VERSION");
    assert!(
        file.contains(&format!("rust:{version}-")),
        "the container builds with Rust {version}"
    );
}
