//! The lints of workflows.

/// Whoever copies either of them copies both.
#[test]
fn the_lint_list_is_that_of_the_page() {
    let (_, block) = include_str!("../../../../docs/rust.md")
        .split_once("```toml\n")
        .unwrap();
    let (list, _) = block.split_once("```").unwrap();
    assert!(list.contains("std::time::SystemTime::now"), "{list}");
    assert!(
        include_str!("../../clippy.toml").contains(list),
        "docs/rust.md and clippy.toml list other things"
    );
}
