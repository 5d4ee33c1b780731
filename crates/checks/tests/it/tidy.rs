//! Small rules for every file.

use anyhow::Result;
use bowline_checks::files::{self, File};
use bowline_checks::workspace::members;

/// Longer than this, a file holds more than one thing.
const MOST_LINES: usize = 600;

/// Files that are longer for a reason, with what they may have.
const LONGER: &[(&str, usize, &str)] = &[];

/// This file quotes what it looks for.
const ME: &str = "crates/checks/tests/it/tidy.rs";

fn rust_files() -> Result<Vec<File>> {
    let found = files::find("", &[".rs"])?;
    assert!(found.len() > 100, "only {} Rust files were found", found.len());
    Ok(found)
}

#[test]
fn every_source_file_says_what_it_is() -> Result<()> {
    let all = rust_files()?;
    // Files of unit tests are explained by what they test.
    let sources = all
        .iter()
        .filter(|file| file.path.contains("/src/") && !file.path.ends_with("/tests.rs"));
    let silent: Vec<String> = sources
        .filter(|file| !file.text.starts_with("//!"))
        .map(|file| file.path.clone())
        .collect();
    super::none("without `//!` in the first line", &silent);
    Ok(())
}

#[test]
fn no_file_is_too_long() -> Result<()> {
    let mut broken = Vec::new();
    for file in rust_files()? {
        let lines = file.text.lines().count();
        let most = LONGER
            .iter()
            .find(|(path, ..)| *path == file.path)
            .map_or(MOST_LINES, |(_, most, _)| *most);
        if lines > most {
            broken.push(format!("{} has {lines} lines, and may have {most}", file.path));
        }
    }
    super::none("files to split", &broken);
    Ok(())
}

#[test]
fn nothing_is_silenced_or_left_for_later() -> Result<()> {
    let words = ["#[allow(", "#![allow(", "todo!(", "unimplemented!(", "dbg!("];
    let mut broken = Vec::new();
    for file in rust_files()?.iter().filter(|file| file.path != ME) {
        broken.extend(file.lines_where(|line| words.iter().any(|word| line.contains(word))));
    }
    let notes = ["TODO", "FIXME", "XXX"];
    for file in all_texts()?.iter().filter(|file| file.path != ME) {
        broken.extend(file.lines_where(|line| notes.iter().any(|note| contains_word(line, note))));
    }
    super::none(
        "use #[expect(lint, reason = \"...\")], and finish what is begun",
        &broken,
    );
    Ok(())
}

#[test]
fn nothing_names_a_folder_of_one_machine() -> Result<()> {
    let mut broken = Vec::new();
    for file in all_texts()?.iter().filter(|file| file.path != ME) {
        broken.extend(file.lines_where(|line| ["/work", "/root"].iter().any(|folder| contains_word(line, folder))));
    }
    super::none("paths of one machine", &broken);
    Ok(())
}

#[test]
fn the_map_names_every_crate() -> Result<()> {
    let map = files::read("ARCHITECTURE.md")?.text;
    let missing: Vec<String> = members()?
        .into_iter()
        .filter(|member| !map.contains(&format!("`{}`", member.folder)))
        .map(|member| member.folder)
        .collect();
    super::none("ARCHITECTURE.md does not name", &missing);
    Ok(())
}

/// Whatever people write by hand.
fn all_texts() -> Result<Vec<File>> {
    let endings = [
        ".rs", ".md", ".toml", ".yaml", ".yml", ".json", ".sh", ".sql", ".py", "test", "run",
    ];
    let found = files::find("", &endings)?;
    assert!(found.len() > 100, "only {} files were found", found.len());
    Ok(found)
}

/// Whether `word` stands in `line` by itself: neither in the middle of a longer word nor of a longer path.
fn contains_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '}' | '~');
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(part) && !after.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
    })
}

#[test]
fn words_are_told_from_parts_of_words() {
    for (line, word, expected) in [
        ("cd /work", "/work", true),
        ("see \"/work/x\"", "/work", true),
        ("/workflows/a", "/work", false),
        ("docs/work", "/work", false),
        ("${x}/work", "/work", false),
        ("// TODO: x", "TODO", true),
        ("TODOS", "TODO", false),
    ] {
        assert_eq!(contains_word(line, word), expected, "{line}");
    }
}
