//! What the writer of an expression most likely meant.

/// The name most like `name`, or `None` if none is close: at most one edit for every three characters, and
/// letters that differ only in case count as alike. Ties go to the earlier one.
pub fn nearest<'a>(name: &str, among: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    let allowed = (wanted.chars().count() / 3).clamp(1, 4);
    let mut best: Option<(usize, &str)> = None;
    for candidate in among {
        if candidate.len() > 256 || candidate == name {
            continue;
        }
        let distance = strsim::osa_distance(&wanted, &candidate.to_lowercase());
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// How many names a hint lists at most.
const LISTED: usize = 8;

/// "did you mean `x`?" where a name is close.
pub(crate) fn did_you_mean(name: &str, among: &[&str]) -> Option<String> {
    let near = nearest(name, among.iter().copied())?;
    let how = if is_plain(near) { "" } else { " (written in backticks)" };
    Some(format!("did you mean `{near}`{how}?"))
}

/// "did you mean `x`?", or what there is instead, or nothing when there is nothing.
pub(crate) fn suggest(name: &str, among: &[&str], label: &str) -> Option<String> {
    if let Some(told) = did_you_mean(name, among) {
        return Some(told);
    }
    if among.is_empty() {
        return None;
    }
    let mut list: Vec<String> = among
        .iter()
        .take(LISTED)
        .map(|name| crate::error::shorten(name, 60).into_owned())
        .collect();
    if among.len() > LISTED {
        list.push("…".into());
    }
    Some(format!("{label}: {}", list.join(", ")))
}

/// Whether a name can stand in an expression without backticks.
pub(crate) fn is_plain(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_')
        && !matches!(name, "and" | "or" | "in" | "true" | "false" | "null" | "function")
}

/// The hint for a name that only backticks can hold.
pub(crate) fn backticks(name: &str) -> String {
    format!("write the name `{name}` in backticks: without them it is not read as one name")
}

/// The first of `names` that stands in `source` without backticks though it needs them.
pub(crate) fn needs_backticks<'a>(source: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .find(|name| !name.is_empty() && !is_plain(name) && occurs_bare(source, name))
}

/// Whether `name` occurs in `source` as a whole word that is not quoted.
fn occurs_bare(source: &str, name: &str) -> bool {
    source.match_indices(name).any(|(start, _)| {
        let before = source[..start].chars().next_back();
        let after = source[start + name.len()..].chars().next();
        let continues = |c: char| c.is_alphanumeric() || c == '_';
        let quote = |c: char| matches!(c, '`' | '"' | '\'');
        !before.is_some_and(|c| continues(c) || quote(c)) && !after.is_some_and(|c| continues(c) || quote(c))
    })
}

/// The first `a-b` in an expression that JSONata could not read: most likely one name.
pub(crate) fn hyphenated(source: &str, near: usize) -> Option<&str> {
    let mut found: Option<(usize, &str)> = None;
    let mut start = None;
    let mut quote = None;
    for (at, c) in source.char_indices().chain([(source.len(), '\0')]) {
        if let Some(open) = quote {
            if c == open {
                quote = None;
            }
            continue;
        }
        if c.is_alphanumeric() || c == '_' || (c == '-' && start.is_some()) {
            start.get_or_insert(at);
            continue;
        }
        if let Some(from) = start.take() {
            let word = source[from..at].trim_end_matches('-');
            if word.contains('-') && !word.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
                let distance = near.abs_diff(from).min(near.abs_diff(from + word.len()));
                if found.is_none_or(|(least, _)| distance < least) {
                    found = Some((distance, word));
                }
            }
        }
        if matches!(c, '`' | '"' | '\'') {
            quote = Some(c);
        }
    }
    found.map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_is_close_or_nothing() {
        let names = ["input", "output", "userName", "workflow"];
        let cases = [
            ("inptu", Some("input")),
            ("username", Some("userName")),
            ("usrName", Some("userName")),
            ("worklfow", Some("workflow")),
            ("env", None),
            ("completelyOther", None),
        ];
        for (name, expected) in cases {
            assert_eq!(nearest(name, names), expected, "{name}");
        }
    }

    #[test]
    fn a_name_is_never_its_own_hint() {
        assert_eq!(nearest("input", ["input"]), None);
    }

    #[test]
    fn names_that_need_backticks_are_found_where_they_stand_bare() {
        let names = ["api-call", "plain"];
        let cases = [
            ("api-call.body", Some("api-call")),
            ("x + api-call.body", Some("api-call")),
            ("`api-call`.body", None),
            ("\"api-call\"", None),
            ("api-callee", None),
            ("my_api-call", None),
            ("plain", None),
        ];
        for (source, expected) in cases {
            assert_eq!(needs_backticks(source, names), expected, "{source}");
        }
    }

    #[test]
    fn hyphenated_words_near_the_error_are_found() {
        assert_eq!(hyphenated("api-call-001.body", 9), Some("api-call-001"));
        assert_eq!(hyphenated("a-b + c-d.1e", 7), Some("c-d"));
        assert_eq!(hyphenated("'a-b' + 1-2", 3), None);
        assert_eq!(hyphenated("a - b", 3), None);
    }
}
