//! What is checked before and after parsing, so that it is found when a workflow is loaded.

use std::collections::BTreeSet;

use jlens_core::ast::{Node, NodeKind, Stage};
use serde_json::Value;

use crate::error::{CompileError, shorten};
use crate::hint;

/// How long the text of one expression may be, in bytes.
const MAX_SOURCE: usize = 64 << 10;

/// How deep brackets may nest in the text of an expression, those in texts and regular expressions included.
/// It keeps every recursive parser behind us far from the end of its stack.
const MAX_BRACKETS: usize = 250;

/// How deep the brackets of a regular expression may nest, and how many alternatives (`|`) it may have. The
/// regular expression engine needs stack for both, and it may be called with as little as 128 KiB of it.
const MAX_REGEX_BRACKETS: usize = 40;
const MAX_REGEX_ALTERNATIVES: usize = 150;

/// Checks that need no parser.
pub(crate) fn before(source: &str) -> Result<(), CompileError> {
    if source.trim().is_empty() {
        return Err(CompileError::new("empty", 0, "the expression is empty"));
    }
    if source.len() > MAX_SOURCE {
        let message = format!("the expression is longer than {MAX_SOURCE} bytes");
        return Err(CompileError::new("too-long", 0, message));
    }
    let mut depth = 0_usize;
    for (offset, byte) in source.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_BRACKETS {
            let message = format!("brackets nest more than {MAX_BRACKETS} levels deep");
            return Err(CompileError::new("too-deep", offset, message));
        }
    }
    Ok(())
}

/// Checks on the parsed expression: variables exist, regular expressions are valid.
pub(crate) fn after(source: &str, compiled: &jlens_core::Expression) -> Result<(), CompileError> {
    let root = &compiled.ast().root;
    let locals = locals(root);
    let mut problem = None;
    root.walk(&mut |node| {
        if problem.is_none() {
            problem = match &node.kind {
                NodeKind::Variable { name } => variable(source, node, name, &locals),
                NodeKind::Regex { pattern, .. } => regex(source, node, pattern),
                _ => None,
            };
        }
    });
    problem.map_or(Ok(()), Err)
}

/// Every variable that some part of the expression binds.
fn locals(root: &Node) -> BTreeSet<&str> {
    let mut locals = BTreeSet::new();
    root.walk(&mut |node| {
        match &node.kind {
            NodeKind::Bind { lhs, .. } => {
                if let NodeKind::Variable { name } = &lhs.kind {
                    locals.insert(name.as_str());
                }
            }
            NodeKind::Lambda(lambda) => locals.extend(lambda.params.iter().map(String::as_str)),
            _ => {}
        }
        locals.extend(node.attrs.focus.as_deref());
        locals.extend(node.attrs.index.as_deref());
        for stage in &node.attrs.stages {
            if let Stage::Index { var, .. } = stage {
                locals.insert(var.as_str());
            }
        }
    });
    locals
}

fn variable(source: &str, node: &Node, name: &str, locals: &BTreeSet<&str>) -> Option<CompileError> {
    if name.is_empty() || name == "$" || locals.contains(name) {
        return None;
    }
    let offset = node.span.start.min(source.len());
    if name == "eval" {
        let message = "`$eval` is not available: what an expression reads must be known before it runs";
        return Some(CompileError::new("not-available", offset, message));
    }
    let functions = jlens_core::function_catalog();
    if functions.iter().any(|function| function.name == name) {
        return None;
    }
    let known = locals
        .iter()
        .copied()
        .chain(functions.iter().map(|function| function.name));
    let hint = match hint::nearest(name, known) {
        Some(near) => format!("did you mean `${near}`?"),
        None => format!("names of values are written without `$`: `{name}`"),
    };
    let message = format!("there is no function or variable `${}`", shorten(name, 60));
    Some(CompileError::new("unknown-variable", offset, message).with_hint(Some(hint)))
}

/// The problem of a regular expression: its size, or what is found by evaluating it alone.
fn regex(source: &str, node: &Node, pattern: &str) -> Option<CompileError> {
    let (depth, alternatives) = regex_size(pattern);
    if depth > MAX_REGEX_BRACKETS || alternatives > MAX_REGEX_ALTERNATIVES {
        let message = format!(
            "a regular expression may nest {MAX_REGEX_BRACKETS} brackets and have {MAX_REGEX_ALTERNATIVES} alternatives"
        );
        return Some(CompileError::new("bad-regex", node.span.start, message));
    }
    let text = source.get(node.span.start..node.span.end)?;
    let error = jlens_core::Expression::compile(text)
        .and_then(|literal| literal.evaluate(None, &jlens_core::Bindings::new()))
        .err()?;
    let reason = error
        .detail("message")
        .and_then(Value::as_str)
        .unwrap_or("it cannot be read");
    let message = format!(
        "the regular expression /{}/ is not valid: {}",
        shorten(pattern, 60),
        shorten(reason, 200)
    );
    Some(CompileError::new("bad-regex", node.span.start, message))
}

/// How deep brackets nest in a pattern, and how many `|` it has; rather too many than too few.
fn regex_size(pattern: &str) -> (usize, usize) {
    let (mut depth, mut deepest, mut alternatives) = (0_usize, 0, 0);
    let mut bytes = pattern.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'(' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b')' | b']' => depth = depth.saturating_sub(1),
            b'|' => alternatives += 1,
            _ => {}
        }
    }
    (deepest, alternatives)
}
