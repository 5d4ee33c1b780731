//! `bowline simulate`.

use crate::common::Folder;

#[test]
fn seeds_hold_and_repeat_themselves() {
    let folder = Folder::new();
    let many = folder.run(&["simulate", "--seeds", "50"]);
    assert_eq!(many.code, Some(0), "{}", many.told());
    assert!(
        many.stdout.starts_with("50 seeds, and every rule holds\n") && many.stdout.contains("crashes"),
        "{}",
        many.told()
    );
    let trace = || folder.run(&["simulate", "--seed", "7", "--trace"]);
    let (one, again) = (trace(), trace());
    assert_eq!(one.code, Some(0), "{}", one.told());
    assert!(one.stdout.lines().count() > 20, "{}", one.told());
    assert_eq!(one.stdout, again.stdout);
    let none = folder.run(&["simulate", "--seeds", "0"]);
    assert_eq!(none.code, Some(2), "{}", none.told());
}
