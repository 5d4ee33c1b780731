//! From text to tree, within bounds.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry::Vacant;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use super::fault::{Fault, FaultKind, fault, position, too_deep, unknown_tag};
use super::scalar::plain;
use super::syntax::syntax;
use super::{Entry, Kind, MAX_BYTES, MAX_DEPTH, MAX_NODES, Node, Position, Style};

/// Reads one document. The first fault ends it: what follows a broken place would be guesswork. Numbers
/// that cannot be kept and duplicate keys are faults as well.
pub(crate) fn parse(text: &str, file: u8) -> Result<Arc<Node>, Fault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() > MAX_BYTES {
        let message = format!("the file has {} bytes; at most {MAX_BYTES} are read", text.len());
        return Err(fault(
            FaultKind::TooLarge,
            Position {
                file,
                line: 1,
                column: 1,
            },
            message,
        ));
    }
    let mut builder = Builder {
        file,
        open: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        root: None,
    };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => builder.take(event, span.start)?,
            Err(error) => return Err(syntax(&error, file, text)),
        }
    }
    let start = Position {
        file,
        line: 1,
        column: 1,
    };
    let root = builder
        .root
        .ok_or_else(|| fault(FaultKind::Empty, start, "the file is empty"))?;
    if matches!(root.kind, Kind::Null) {
        return Err(fault(FaultKind::Empty, start, "the file is empty"));
    }
    Ok(root)
}

struct Builder {
    file: u8,
    open: Vec<Open>,
    anchors: HashMap<usize, Arc<Node>>,
    nodes: usize,
    root: Option<Arc<Node>>,
}

struct Open {
    at: Position,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Arc<Node>>),
    Map {
        entries: Vec<Entry>,
        index: HashMap<Arc<str>, usize>,
        key: Option<(Arc<str>, Position)>,
        merges: Vec<Arc<Node>>,
    },
}

impl Builder {
    fn take(&mut self, event: Event<'_>, marker: Marker) -> Result<(), Fault> {
        let at = position(marker, self.file);
        match event {
            Event::DocumentStart(_) if self.root.is_some() => Err(fault(
                FaultKind::Unsupported,
                at,
                "a second document starts here; a file holds one workflow",
            )),
            Event::Scalar(text, style, anchor, tag) => {
                if self.wants_key() {
                    return self.key(text, style, at);
                }
                let kind = scalar(&text, style, tag.as_deref(), at)?;
                self.add(Arc::new(Node::new(kind, at)), anchor)
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned().ok_or_else(|| {
                    fault(
                        FaultKind::Unsupported,
                        at,
                        "this alias stands inside what it refers to, without end",
                    )
                })?;
                if self.wants_key() {
                    return Err(fault(FaultKind::Unsupported, at, "a key cannot be an alias"));
                }
                self.add(node, 0)
            }
            Event::SequenceStart(anchor, tag) => {
                self.open(Content::List(Vec::new()), anchor, tag.as_deref(), "seq", at)
            }
            Event::MappingStart(anchor, tag) => {
                let map = Content::Map {
                    entries: Vec::new(),
                    index: HashMap::new(),
                    key: None,
                    merges: Vec::new(),
                };
                self.open(map, anchor, tag.as_deref(), "map", at)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            _ => Ok(()),
        }
    }

    fn wants_key(&self) -> bool {
        matches!(
            self.open.last(),
            Some(Open {
                content: Content::Map { key: None, .. },
                ..
            })
        )
    }

    fn key(&mut self, text: Cow<'_, str>, style: ScalarStyle, at: Position) -> Result<(), Fault> {
        if let Some(Open {
            content: Content::Map {
                key, index, entries, ..
            },
            ..
        }) = self.open.last_mut()
        {
            if let Some(&first) = index.get(&*text) {
                let mut found = fault(
                    FaultKind::DuplicateKey,
                    at,
                    format!("the field `{text}` stands here twice"),
                );
                found.hint = entries
                    .get(first)
                    .map(|e| format!("it is already in line {}; remove one of them", e.key_at.line));
                return Err(found);
            }
            let name: Arc<str> = Arc::from(&*text);
            if !(style == ScalarStyle::Plain && &*text == "<<") {
                index.insert(Arc::clone(&name), entries.len());
            }
            *key = Some((name, at));
        }
        Ok(())
    }

    fn open(
        &mut self,
        content: Content,
        anchor: usize,
        tag: Option<&Tag>,
        own_tag: &str,
        at: Position,
    ) -> Result<(), Fault> {
        if self.wants_key() {
            return Err(fault(
                FaultKind::Unsupported,
                at,
                "a key has to be a plain text, not a list or a mapping",
            ));
        }
        if let Some(tag) = tag.filter(|tag| !(tag.is_yaml_core_schema() && tag.suffix == own_tag)) {
            return Err(unknown_tag(tag, at));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(at));
        }
        self.open.push(Open { at, anchor, content });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        let Some(Open { at, anchor, content }) = self.open.pop() else {
            return Ok(());
        };
        let kind = match content {
            Content::List(items) => Kind::List(items),
            Content::Map {
                mut entries,
                merges,
                mut index,
                ..
            } => {
                for entry in merges.iter().flat_map(|merged| merged.entries()) {
                    if let Vacant(place) = index.entry(Arc::clone(&entry.key)) {
                        place.insert(entries.len());
                        entries.push(entry.clone());
                    }
                }
                Kind::Map(entries)
            }
        };
        // What is inside has been counted when it was added; the node itself is counted by `add`.
        let node = Arc::new(Node::new(kind, at));
        self.nodes -= (node.weight - 1).min(self.nodes);
        self.add(node, anchor)
    }

    fn add(&mut self, node: Arc<Node>, anchor: usize) -> Result<(), Fault> {
        self.nodes += node.weight;
        if self.nodes > MAX_NODES {
            let message = format!("the document stands for more than {MAX_NODES} values");
            let mut found = fault(FaultKind::TooLarge, node.at, message);
            found.hint = Some("aliases count as often as they are used; large data belongs in the input".into());
            return Err(found);
        }
        if self.open.len() + node.height > MAX_DEPTH + 1 {
            return Err(too_deep(node.at));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, Arc::clone(&node));
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map {
                entries,
                key,
                merges,
                index,
            }) => {
                let Some((name, key_at)) = key.take() else {
                    return Ok(());
                };
                if &*name == "<<" && !index.contains_key("<<") {
                    merge(&node, key_at, merges)?;
                } else {
                    entries.push(Entry {
                        key: name,
                        key_at,
                        value: node,
                    });
                }
            }
        }
        Ok(())
    }
}

/// `<<: *other` takes over the fields of another mapping that are not there yet.
fn merge(node: &Arc<Node>, at: Position, merges: &mut Vec<Arc<Node>>) -> Result<(), Fault> {
    let all: Vec<_> = if let Kind::List(items) = &node.kind {
        items.clone()
    } else {
        vec![Arc::clone(node)]
    };
    if all.iter().any(|node| !matches!(node.kind, Kind::Map(_))) {
        return Err(fault(
            FaultKind::Unsupported,
            at,
            "`<<` takes a mapping or a list of mappings",
        ));
    }
    merges.extend(all);
    Ok(())
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, at: Position) -> Result<Kind, Fault> {
    let own = |style| Kind::Text(Arc::from(text), style);
    let refused = |message: String| {
        let mut found = fault(FaultKind::Number, at, message);
        found.hint = Some(format!("write it as text, in quotes: \"{text}\""));
        found
    };
    let kind = match style {
        ScalarStyle::SingleQuoted => own(Style::SingleQuoted),
        ScalarStyle::DoubleQuoted => own(Style::DoubleQuoted),
        ScalarStyle::Literal => own(Style::Literal),
        ScalarStyle::Folded => own(Style::Folded),
        ScalarStyle::Plain if tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str") => {
            return Ok(own(Style::Plain));
        }
        ScalarStyle::Plain => plain(text).map_err(refused)?,
    };
    let Some(tag) = tag else { return Ok(kind) };
    if !tag.is_yaml_core_schema() {
        return Err(unknown_tag(tag, at));
    }
    let typed = if tag.suffix == "str" {
        Ok(kind)
    } else {
        plain(text).map_err(refused)
    }?;
    let fits = match tag.suffix.as_str() {
        "str" => matches!(typed, Kind::Text(..)),
        "int" => matches!(&typed, Kind::Number(number) if !number.is_f64()),
        "float" => matches!(typed, Kind::Number(_)),
        "bool" => matches!(typed, Kind::Bool(_)),
        "null" => matches!(typed, Kind::Null),
        _ => return Err(unknown_tag(tag, at)),
    };
    if fits {
        Ok(typed)
    } else {
        Err(fault(
            FaultKind::Syntax,
            at,
            format!("`{text}` is no `!!{}`", tag.suffix),
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn value(text: &str) -> String {
        match parse(text, 0) {
            Ok(node) => node.to_value().to_string(),
            Err(fault) => format!(
                "{:?} {}:{} {}",
                fault.kind, fault.at.line, fault.at.column, fault.message
            ),
        }
    }

    #[test]
    fn documents_are_read() {
        for (text, expected) in [
            ("\u{feff}a: 1", r#"{"a":1}"#),
            ("{\"a\": [1, null, \"x\\ny\"]}", r#"{"a":[1,null,"x\ny"]}"#),
            ("a: &x {b: 1}\nc: *x", r#"{"a":{"b":1},"c":{"b":1}}"#),
            (
                "a: &x {b: 1, d: 2}\nc: {<<: *x, b: 3}",
                r#"{"a":{"b":1,"d":2},"c":{"b":3,"d":2}}"#,
            ),
            ("a: !!str 12", r#"{"a":"12"}"#),
            ("1: x\ntrue: y", r#"{"1":"x","true":"y"}"#),
            ("", "Empty 1:1 the file is empty"),
            ("# nothing", "Empty 1:1 the file is empty"),
            ("a: 1\na: 2", "DuplicateKey 2:1 the field `a` stands here twice"),
            (
                "a: 1\n---\nb: 2",
                "Unsupported 2:1 a second document starts here; a file holds one workflow",
            ),
            ("a: !secret x", "Unsupported 1:4 the tag `!secret` is not known here"),
            (
                "? [a]\n: b",
                "Unsupported 1:3 a key has to be a plain text, not a list or a mapping",
            ),
            (
                "a: &x [*x]",
                "Unsupported 1:8 this alias stands inside what it refers to, without end",
            ),
            ("a: 007", "Number 1:4 `007` would lose its leading zero"),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    #[test]
    fn bombs_do_not_go_off() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..30 {
            let _ = writeln!(bomb, "a{i}: &a{i} [{}]", vec![format!("*a{}", i - 1); 9].join(", "));
        }
        assert!(value(&bomb).contains("more than 100000 values"));
        assert!(value(&"[".repeat(100_000)).contains("nested more than"));
        let mut deep = "a0: &a0 x\n".to_owned();
        for i in 1..200 {
            let _ = writeln!(deep, "a{i}: &a{i} [*a{}]", i - 1);
        }
        assert!(value(&deep).contains("nested more than"));
    }
}
