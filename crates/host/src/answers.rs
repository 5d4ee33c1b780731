//! What executions wait for from outside, and the command that brings it.

use std::path::Path;

use bowline_core::TokenKey;
use bowline_store::{ExecNo, ExecutionRow, Store, StoreError, WaitFilter, WaitKind, WaitRow, WaitState};
use serde_json::Value;

use crate::text;

/// Waits read at once.
const PAGE: usize = 500;

/// The open waits of one execution, or of all, of one kind or of all.
///
/// # Errors
/// Where the store cannot be read.
pub fn open(store: &dyn Store, exec: Option<ExecNo>, kind: Option<WaitKind>) -> Result<Vec<WaitRow>, StoreError> {
    some(store, exec, kind, usize::MAX, |_| true)
}

/// The first of them that `fits`, at most `most`.
///
/// # Errors
/// Where the store cannot be read.
pub fn some(
    store: &dyn Store,
    exec: Option<ExecNo>,
    kind: Option<WaitKind>,
    most: usize,
    fits: impl Fn(&WaitRow) -> bool,
) -> Result<Vec<WaitRow>, StoreError> {
    let mut filter = WaitFilter {
        exec,
        kind,
        state: Some(WaitState::Open),
        limit: PAGE,
        ..WaitFilter::default()
    };
    let mut found = Vec::new();
    'pages: loop {
        let page = store.waits(&filter)?;
        let Some(last) = page.last() else { break };
        filter.after = Some((last.exec, last.tag));
        for wait in page.into_iter().filter(&fits) {
            if found.len() == most {
                break 'pages;
            }
            found.push(wait);
        }
    }
    // Tags say nothing to people.
    found.sort_by(|a, b| (a.exec, &a.path).cmp(&(b.exec, &b.path)));
    Ok(found)
}

/// The token that leads to a callback.
///
/// # Errors
/// Where the store cannot be read.
pub fn token(store: &dyn Store, wait: &WaitRow) -> Result<String, StoreError> {
    Ok(TokenKey::new(store.token_key()?).token(wait.exec.0, wait.tag))
}

/// Whether a person is asked to approve something.
#[must_use]
pub fn is_approval(wait: &WaitRow) -> bool {
    wait.kind == WaitKind::Callback && wait.detail.is_some()
}

/// The command that brings what is waited for; none where another execution does.
///
/// # Errors
/// Where the store cannot be read.
pub fn command(
    store: &dyn Store,
    folder: &Path,
    row: &ExecutionRow,
    wait: &WaitRow,
) -> Result<Option<String>, StoreError> {
    let mut words = match wait.kind {
        WaitKind::Callback if is_approval(wait) => {
            let form = form(wait).map_or_else(String::new, |form| format!(" --form {}", word(&form)));
            format!("bowline approve {} --path {}{form}", word(&row.id), word(&wait.path))
        }
        WaitKind::Callback => match &wait.key {
            Some(key) if wait.name.is_empty() => format!("bowline callback succeed --reference {}", word(key)),
            Some(key) => {
                let (key, name) = (word(key), word(&wait.name));
                format!("bowline callback succeed --reference {key} --name {name}")
            }
            None => format!("bowline callback succeed {}", token(store, wait)?),
        },
        WaitKind::Signal => format!("bowline signal {} {}", word(&row.id), word(&wait.name)),
        WaitKind::Event => return Ok(None),
    };
    words.push_str(&data(folder));
    Ok(Some(words))
}

/// The fields that have to be filled in to approve, by the form of an approval: what the author requires is required of
/// those who approve, and not of those who reject.
#[must_use]
pub fn needed(form: &Value) -> Vec<String> {
    let approving = form["allOf"].as_array().into_iter().flatten();
    let needed = approving
        .filter(|part| part["if"]["properties"]["approved"]["const"] == true)
        .map(|part| &part["then"]["required"])
        .chain([&form["required"]]);
    let names = needed.filter_map(Value::as_array).flatten().filter_map(Value::as_str);
    names.map(str::to_owned).collect()
}

/// What has to be filled in to approve, with dots where the values go: as it is, the command is refused.
fn form(wait: &WaitRow) -> Option<String> {
    let about: Value = serde_json::from_slice(wait.detail.as_deref()?).ok()?;
    // These have flags of their own.
    let has_flag = |name: &str| matches!(name, "approved" | "by" | "comment");
    let fields: Vec<String> = needed(&about["form"])
        .into_iter()
        .filter(|name| !has_flag(name))
        .map(|name| format!("{}: ...", Value::from(name)))
        .collect();
    (!fields.is_empty()).then(|| format!("{{{}}}", fields.join(", ")))
}

/// The command that makes a failed or cancelled execution go on. Where the answer that it had can only make it fail
/// again, that is a new execution which asks again.
///
/// # Errors
/// Where the store cannot be read.
pub fn after_failure(store: &dyn Store, folder: &Path, row: &ExecutionRow, code: &str) -> Result<String, StoreError> {
    let (id, data) = (word(&row.id), data(folder));
    if matches!(code, "approval.invalid" | "approval.rejected" | "callback.unsuccessful") {
        let filter = WaitFilter {
            exec: Some(row.exec),
            kind: Some(WaitKind::Callback),
            state: Some(WaitState::Answered),
            limit: usize::MAX,
            ..WaitFilter::default()
        };
        let last = store.waits(&filter)?.into_iter().max_by_key(|wait| wait.opened_at);
        if let Some(wait) = last {
            // The callback of a node stands below it.
            let step = wait.path.strip_suffix("/callback").unwrap_or(&wait.path);
            return Ok(format!("bowline executions retry {id} --from {}{data}", word(step)));
        }
    }
    Ok(format!("bowline executions resume {id}{data}"))
}

/// `--data DIR`, where it is not the default.
#[must_use]
pub fn data(folder: &Path) -> String {
    if folder == Path::new(".bowline") {
        String::new()
    } else {
        format!(" --data {}", word(&folder.display().to_string()))
    }
}

/// A word as a shell takes it.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    let text = text::one_line(text);
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_approving_needs_is_what_the_author_requires() {
        let form = serde_json::json!({
            "required": ["approved"],
            "allOf": [
                { "if": { "properties": { "approved": { "const": true } } }, "then": { "required": ["limit"] } },
                { "if": { "properties": { "kind": { "const": "other" } } }, "then": { "required": ["why"] } },
            ],
        });
        let mut names = needed(&form);
        names.sort_unstable();
        assert_eq!(names, ["approved", "limit"]);
        assert!(needed(&Value::Null).is_empty());
    }

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        assert_eq!(word("V-4711"), "V-4711");
        assert_eq!(word("a b"), "'a b'");
        assert_eq!(word("it's; rm"), r"'it'\''s; rm'");
        assert_eq!(word(""), "''");
    }
}
