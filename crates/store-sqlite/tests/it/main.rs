//! The store from outside: the suite of all stores, several processes, power and disks that fail, damaged files.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "all of this is tests, also what is outside the test functions"
)]

mod backups;
mod damage;
mod helper;
mod kills;
mod limits;
mod log;
mod migration;
mod power;
mod processes;
mod suite;

/// Not a test: what this binary does as the second process of one. See [`helper::Helper`].
#[test]
fn helper() {
    let Some((role, folder)) = helper::role() else { return };
    assert!(
        processes::act(&role, &folder) || power::act(&role, &folder) || kills::act(&role, &folder),
        "no helper does this: {role}"
    );
}
