//! A value together with its path in the document.

use std::fmt;
use std::sync::Arc;

use crate::tree::{Entry, Kind, Node, Position};

/// The way from a document to a value in it. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Path(Option<Arc<Link>>);

struct Link {
    parent: Path,
    part: Part,
}

enum Part {
    Key(Arc<str>),
    Index(usize),
}

impl Path {
    pub(crate) fn key(&self, key: &Arc<str>) -> Self {
        Self(Some(Arc::new(Link {
            parent: self.clone(),
            part: Part::Key(Arc::clone(key)),
        })))
    }

    pub(crate) fn index(&self, index: usize) -> Self {
        Self(Some(Arc::new(Link {
            parent: self.clone(),
            part: Part::Index(index),
        })))
    }

    /// With the parts of a JSON pointer below it.
    pub(crate) fn pointer(&self, pointer: &str) -> Self {
        pointer
            .split('/')
            .skip(1)
            .fold(self.clone(), |path, part| match part.parse() {
                Ok(index) => path.index(index),
                Err(_) => path.key(&Arc::from(part.replace("~1", "/").replace("~0", "~"))),
            })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(link) = &self.0 else { return Ok(()) };
        link.parent.fmt(f)?;
        match &link.part {
            Part::Index(index) => write!(f, "[{index}]"),
            Part::Key(key) if !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || "_-$".contains(c)) => {
                let dot = if link.parent.0.is_some() { "." } else { "" };
                write!(f, "{dot}{key}")
            }
            Part::Key(key) => {
                let short: String = key.chars().take(60).collect();
                write!(f, "[{short:?}]")
            }
        }
    }
}

/// A value of a document, its path, and where it stands.
#[derive(Clone)]
pub(crate) struct Cursor {
    pub(crate) node: Arc<Node>,
    pub(crate) path: Path,
}

impl Cursor {
    pub(crate) fn root(node: Arc<Node>) -> Self {
        Self {
            node,
            path: Path::default(),
        }
    }

    /// The same place with another value.
    pub(crate) fn with(&self, node: Node) -> Self {
        Self {
            node: Arc::new(node),
            path: self.path.clone(),
        }
    }

    pub(crate) fn at(&self) -> Position {
        self.node.at
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.node.get(key).is_some()
    }

    pub(crate) fn field(&self, key: &str) -> Option<Self> {
        self.node.get(key).map(|entry| self.below(entry))
    }

    /// The value of a field of this mapping.
    pub(crate) fn below(&self, entry: &Entry) -> Self {
        Self {
            node: Arc::clone(&entry.value),
            path: self.path.key(&entry.key),
        }
    }

    /// The items of a list; none for anything else.
    pub(crate) fn items(&self) -> impl Iterator<Item = Self> + '_ {
        self.node.items().iter().enumerate().map(|(index, node)| Self {
            node: Arc::clone(node),
            path: self.path.index(index),
        })
    }

    /// The fields of a mapping, with the keys' own places; none for anything else.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&Entry, Self)> + '_ {
        self.node.entries().iter().map(|entry| (entry, self.below(entry)))
    }

    pub(crate) fn text(&self) -> Option<&str> {
        self.node.text()
    }

    /// The text of a field.
    pub(crate) fn text_of(&self, key: &str) -> Option<&str> {
        self.node.get(key).and_then(|entry| entry.value.text())
    }

    /// The number of a field, if it is whole and not negative.
    pub(crate) fn whole_of(&self, key: &str) -> Option<u64> {
        self.node.get(key).and_then(|entry| entry.value.whole())
    }

    pub(crate) fn is_map(&self) -> bool {
        matches!(self.node.kind, Kind::Map(_))
    }

    pub(crate) fn is_list(&self) -> bool {
        matches!(self.node.kind, Kind::List(_))
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.node.kind, Kind::Null)
    }
}
