//! Fenced blocks of Markdown, in pages and in doc comments, and the links of pages.

use crate::files::File;

/// A fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The file that it stands in.
    pub path: String,
    /// The line of its first line of text, from 1.
    pub line: usize,
    /// The words after the opening fence, such as `yaml` and `mocks`.
    pub words: Vec<String>,
    /// Its text, without the indentation of the fence.
    pub text: String,
}

impl Block {
    /// Where it is, as `path:line`.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}:{}", self.path, self.line)
    }

    /// Whether the fence is marked with this word.
    #[must_use]
    pub fn is(&self, word: &str) -> bool {
        self.words.iter().any(|own| own == word)
    }
}

/// The fenced blocks of a page.
#[must_use]
pub fn blocks(file: &File) -> Vec<Block> {
    let lines = file.text.lines().enumerate().map(|(index, line)| (index + 1, line));
    fenced(&file.path, lines)
}

/// The fenced blocks of the doc comments of a Rust file.
#[must_use]
pub fn doc_blocks(file: &File) -> Vec<Block> {
    let comments = file.text.lines().enumerate().filter_map(|(index, line)| {
        let line = line.trim_start();
        let text = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"))?;
        Some((index + 1, text.strip_prefix(' ').unwrap_or(text)))
    });
    fenced(&file.path, comments)
}

fn fenced<'a>(path: &str, lines: impl Iterator<Item = (usize, &'a str)>) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<(usize, Block)> = None;
    for (number, line) in lines {
        let inner = line.trim_start();
        match &mut open {
            None => {
                if let Some(info) = inner.strip_prefix("```") {
                    let words = info
                        .split([' ', ','])
                        .filter(|word| !word.is_empty())
                        .map(str::to_owned)
                        .collect();
                    let block = Block {
                        path: path.to_owned(),
                        line: number + 1,
                        words,
                        text: String::new(),
                    };
                    open = Some((line.len() - inner.len(), block));
                }
            }
            Some((indent, block)) => {
                if inner.starts_with("```") {
                    found.extend(open.take().map(|(_, block)| block));
                } else {
                    let margin = line.len() - inner.len();
                    block.text.push_str(line.get((*indent).min(margin)..).unwrap_or(line));
                    block.text.push('\n');
                }
            }
        }
    }
    found
}

/// The targets of a page's links into the repository, without anchors, each with its line.
#[must_use]
pub fn links(file: &File) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_block = false;
    for (index, line) in file.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        }
        if in_block {
            continue;
        }
        for part in line.split("](").skip(1) {
            let target = part.split([')', '#', ' ']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains(':') {
                found.push((index + 1, target.to_owned()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> File {
        File {
            path: "a.md".into(),
            text: text.into(),
        }
    }

    #[test]
    fn blocks_are_found_with_their_place_and_without_their_margin() {
        let found = blocks(&file("x\n- y\n  ```yaml mocks\n  a:\n    b: 1\n  ```\n```\nz\n```\n"));
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].place().as_str(), found[0].text.as_str()),
            ("a.md:4", "a:\n  b: 1\n")
        );
        assert!(found[0].is("yaml") && found[0].is("mocks") && !found[1].is("yaml"));
    }

    #[test]
    fn doc_comments_are_read_as_pages() {
        let found = doc_blocks(&file("/// Text.\n///\n/// ```yaml\n/// a: 1\n/// ```\nfn x() {}\n"));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].line, found[0].text.as_str()), (4, "a: 1\n"));
    }

    #[test]
    fn links_into_the_repository_are_told_from_others() {
        let found = links(&file(
            "[a](docs/a.md#b) [c](https://c.example)\n```\n[d](e)\n```\n[f](#g)\n",
        ));
        assert_eq!(found, [(1, "docs/a.md".to_owned())]);
    }
}
