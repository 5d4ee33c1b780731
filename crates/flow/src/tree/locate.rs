//! Where in a file a byte of a text stands that was written with quotes, escapes or folded lines.

use super::{Kind, Node, Position, Style};

/// A file's text, with the places where its lines start.
pub(crate) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self { text, starts }
    }

    fn from(&self, at: Position) -> Option<&'a str> {
        let rest = self.text.get(*self.starts.get(at.line.checked_sub(1)?)?..)?;
        let skip = rest.char_indices().nth(at.column.checked_sub(1)?)?.0;
        rest.get(skip..)
    }
}

/// The place of byte `offset` of the text that `node` holds, in the file that it came from. Exact
/// for texts of every style as long as what is written can be followed; else the start of the text.
pub(crate) fn position_in(node: &Node, source: &Lines<'_>, offset: usize) -> Position {
    let Kind::Text(text, style) = &node.kind else {
        return node.at;
    };
    let Some(before) = text.get(..offset.min(text.len())) else {
        return node.at;
    };
    let Some(raw) = source.from(node.at) else {
        return node.at;
    };
    let found = match style {
        Style::Plain => follow(raw, before, Style::Plain, 0),
        Style::SingleQuoted => raw.strip_prefix('\'').and_then(|raw| follow(raw, before, *style, 1)),
        Style::DoubleQuoted => raw.strip_prefix('"').and_then(|raw| follow(raw, before, *style, 1)),
        Style::Literal | Style::Folded => block(raw, before, *style, node.at.column.saturating_sub(1)),
    };
    match found {
        Some(Moved { lines: 0, columns }) => Position {
            column: node.at.column + columns,
            ..node.at
        },
        Some(Moved { lines, columns }) => Position {
            line: node.at.line + lines,
            column: columns + 1,
            ..node.at
        },
        None => node.at,
    }
}

/// Lines further down, and characters further right (from the start of the line if lines > 0).
#[derive(Clone, Copy, Default)]
struct Moved {
    lines: usize,
    columns: usize,
}

impl Moved {
    fn over(&mut self, c: char) {
        if c == '\n' {
            self.lines += 1;
            self.columns = 0;
        } else {
            self.columns += 1;
        }
    }
}

/// Walks over what is written until it has given `before`.
fn follow(raw: &str, before: &str, style: Style, columns: usize) -> Option<Moved> {
    let mut moved = Moved { lines: 0, columns };
    let mut raw = raw.chars().peekable();
    let mut wanted = before.chars().peekable();
    while let Some(&c) = wanted.peek() {
        let written = *raw.peek()?;
        if style == Style::DoubleQuoted && written == '\\' {
            let mut taken = String::new();
            raw.next();
            let kind = raw.next()?;
            moved.columns += 2;
            if kind == '\n' || kind == '\r' {
                return None;
            }
            let length = match kind {
                'x' => 2,
                'u' => 4,
                'U' => 8,
                _ => 0,
            };
            for _ in 0..length {
                taken.push(raw.next()?);
                moved.columns += 1;
            }
            wanted.next();
            continue;
        }
        let is_break = written == '\n' || written == '\r';
        if written == c && !is_break {
            raw.next();
            moved.over(written);
            wanted.next();
            if style == Style::SingleQuoted && c == '\'' {
                raw.next();
                moved.columns += 1;
            }
        } else if c == ' ' || c == '\n' {
            // A folded line: all white space of the source stands for the white space of the text.
            if !written.is_whitespace() {
                return None;
            }
            while let Some(&space) = raw.peek().filter(|space| space.is_whitespace()) {
                raw.next();
                moved.over(space);
            }
            while wanted.peek().is_some_and(|c| *c == ' ' || *c == '\n') {
                wanted.next();
            }
        } else if written.is_whitespace() {
            raw.next();
            moved.over(written);
        } else {
            return None;
        }
    }
    // The offset may lie at the start of a line that is folded.
    while let Some(&space) = raw.peek().filter(|c| moved.columns == 0 && **c == ' ') {
        raw.next();
        moved.over(space);
    }
    Some(moved)
}

/// A block scalar, which starts at the first character of its first line that is not empty.
fn block(raw: &str, before: &str, style: Style, indent: usize) -> Option<Moved> {
    let before = before.trim_start_matches('\n');
    if style == Style::Folded {
        return follow(raw, before, style, 0);
    }
    let lines = before.matches('\n').count();
    let column = before.rsplit('\n').next().unwrap_or(before);
    let written = raw.lines().nth(lines)?;
    let skipped = if lines == 0 { 0 } else { indent };
    let content = written.get(skipped..).unwrap_or("");
    content.starts_with(column).then(|| Moved {
        lines,
        columns: skipped + column.chars().count(),
    })
}

#[cfg(test)]
mod tests {
    use crate::tree::parse;

    use super::*;

    /// Finds `@` in the value of `a` and says where the program believes it to stand.
    fn check(source: &str) {
        let tree = parse(source, 0)
            .map_err(|fault| fault.message)
            .expect("the document parses");
        let node = &tree.get("a").expect("it has the field `a`").value;
        let offset = node
            .text()
            .and_then(|text| text.find('@'))
            .expect("the text has the mark");
        let at = position_in(node, &Lines::new(source), offset);
        let line = source
            .lines()
            .position(|line| line.contains('@'))
            .expect("the source has the mark");
        let column = source
            .lines()
            .nth(line)
            .and_then(|l| l.chars().position(|c| c == '@'))
            .expect("the mark");
        assert_eq!((at.line, at.column), (line + 1, column + 1), "{source}");
    }

    #[test]
    fn every_style_of_text_is_followed() {
        for source in [
            "a: b @",
            "x: 1\na:   bä @",
            "a: 'it''s ''@'",
            "a: \"tab\\t\\u00e4\\x41 @\"",
            "a: |\n  one\n  two @\n",
            "a: |\n\n\n    one\n      two @\n",
            "a: >-\n  one\n  two\n\n  three @\n",
            "a: one\n  two\n  three @",
            "a: 'one\n  two @'",
            "a: \"one\n  two @\"",
            "{\"a\": \"x\\\\y\\\"@\"}",
            "a: |-\n  @",
            "a: >\n  one\n  @two\n",
            "a: |\r\n  one\r\n  two @\r\n",
        ] {
            check(source);
        }
    }
}
