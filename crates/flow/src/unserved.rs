//! The shared file without what is the server's: a workflow's version does not depend on how the server listens.

use crate::source::Shared;
use crate::tree::{Node, parse};

/// The section that no workflow reads.
const SERVER: &str = "server";

/// The shared file without its `server`, or nothing where nothing else is in it. One that is not written as a plain
/// mapping, line by line, stays as it is.
pub(crate) fn unserved(shared: Shared) -> Option<Shared> {
    let Ok(root) = parse(&shared.text, 1) else {
        return Some(shared);
    };
    if root.get(SERVER).is_none() {
        return Some(shared);
    }
    if root.entries().len() == 1 {
        return None;
    }
    let rest = root.without(SERVER);
    let left = without_lines(&root, &shared.text).filter(|text| {
        // An anchor that was in it, a mapping in one line: then the rest is something else, or nothing.
        parse(text, 1).is_ok_and(|left| left.to_value() == rest.to_value())
    });
    Some(match left {
        Some(text) => Shared { text, ..shared },
        None => shared,
    })
}

/// The text without the lines from the section's key up to the next key.
fn without_lines(root: &Node, text: &str) -> Option<String> {
    let from = root.get(SERVER)?.key_at.line;
    let keys = root.entries().iter().map(|entry| entry.key_at.line);
    let until = keys.filter(|line| *line > from).min();
    let lines = text.split_inclusive('\n').enumerate();
    let left = lines.filter(|(at, _)| at + 1 < from || until.is_some_and(|until| at + 1 >= until));
    Some(left.map(|(_, line)| line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(text: &str) -> Option<String> {
        let shared = Shared {
            file: "bowline.yaml".to_owned(),
            text: text.to_owned(),
        };
        unserved(shared).map(|shared| shared.text)
    }

    #[test]
    fn the_section_goes_wherever_it_stands() {
        let rest = "retention: { keep: 5 }\n";
        for text in [
            rest.to_owned(),
            format!("server: {{ listen: a }}\n{rest}"),
            format!("server:\n  listen: a\n  # more\n  tls: {{}}\n\n{rest}"),
            format!("{rest}server:\n  listen: a\n"),
            format!("{rest}server: {{ listen: a }}"),
        ] {
            assert_eq!(left(&text).as_deref(), Some(rest), "{text}");
        }
        assert_eq!(left("# only\nserver:\n  listen: a\n"), None);
    }

    #[test]
    fn what_cannot_be_cut_out_stays() {
        for text in [
            "{ \"server\": {}, \"retention\": { \"keep\": 5 } }",
            "server: &s { keep: 5 }\nretention: *s\n",
            "server: [",
        ] {
            assert_eq!(left(text).as_deref(), Some(text));
        }
    }
}
