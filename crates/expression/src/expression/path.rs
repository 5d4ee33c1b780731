//! Walking a path of plain names through values.
//!
//! Most expressions are such a path, and it needs no evaluator: [`walk`] finds the value in place, however big
//! the values around it are, and numbers stay exactly as they were written. Where a path meets an array,
//! JSONata's own rules begin and [`Walk::Beyond`] says so.

use jlens_core::ast::{Attrs, Node, NodeKind};
use serde_json::Value;

/// Where a walk ended.
#[derive(Debug)]
pub(crate) enum Walk<'v> {
    /// The value.
    Found(&'v Value),
    /// There is no such value.
    Missing,
    /// There is an array on the way.
    Beyond,
}

/// The names of an expression that is only a path of names.
pub(crate) fn plain(root: &Node) -> Option<Vec<String>> {
    if !bare(&root.attrs) {
        return None;
    }
    let name = |node: &Node| match &node.kind {
        NodeKind::Name { name } if bare(&node.attrs) => Some(name.clone()),
        _ => None,
    };
    match &root.kind {
        NodeKind::Name { .. } => Some(vec![name(root)?]),
        NodeKind::Path {
            steps,
            keep_singleton_array: false,
        } => steps.iter().map(name).collect(),
        _ => None,
    }
}

fn bare(attrs: &Attrs) -> bool {
    let Attrs {
        keep_array,
        cons_array,
        tuple,
        focus,
        index,
        stages,
        predicate,
        group,
        ancestor,
        ancestor_label,
        seeking_parent,
    } = attrs;
    !(*keep_array || *cons_array || *tuple)
        && focus.is_none()
        && index.is_none()
        && stages.is_empty()
        && predicate.is_empty()
        && group.is_none()
        && ancestor.is_none()
        && ancestor_label.is_none()
        && seeking_parent.is_empty()
}

/// Follows `names` from `value`.
pub(crate) fn walk<'v>(value: &'v Value, names: &[String]) -> Walk<'v> {
    let mut here = value;
    for name in names {
        here = match here {
            Value::Object(fields) => match fields.get(name) {
                Some(field) => field,
                None => return Walk::Missing,
            },
            Value::Array(_) => return Walk::Beyond,
            _ => return Walk::Missing,
        };
    }
    Walk::Found(here)
}
