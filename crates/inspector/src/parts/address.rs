//! Addresses of pages.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stands in a part of a path or in a value of a query as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Text within a part of a path, or within a query.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// The page of an execution.
pub(crate) fn execution(id: &str) -> String {
    format!("/ui/executions/{}", encoded(id))
}

/// The page of a workflow.
pub(crate) fn workflow(name: &str) -> String {
    format!("/ui/workflows/{}", encoded(name))
}

/// The page of a schedule.
pub(crate) fn schedule(name: &str) -> String {
    format!("/ui/schedules/{}", encoded(name))
}

/// `path?name=value&...`, without what is empty.
pub(crate) fn query(path: &str, pairs: &[(&str, &str)]) -> String {
    let mut out = path.to_owned();
    let mut mark = '?';
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        out.push(mark);
        out.push_str(name);
        out.push('=');
        out.push_str(&encoded(value));
        mark = '&';
    }
    out
}

/// The beginning and the end of a long id, which is what tells ids of one moment apart.
pub(crate) fn short(id: &str) -> String {
    let count = id.chars().count();
    if count <= 16 {
        return id.to_owned();
    }
    let head: String = id.chars().take(8).collect();
    let tail: String = id.chars().skip(count - 6).collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_an_address() {
        assert_eq!(execution("a/b?c#d"), "/ui/executions/a%2Fb%3Fc%23d");
        assert_eq!(
            query("/x", &[("a", ""), ("b", "1&2"), ("c", "é")]),
            "/x?b=1%262&c=%C3%A9"
        );
    }

    #[test]
    fn long_ids_keep_both_ends() {
        assert_eq!(short("0198f0aa-1111-7000-8000-0123456789ab"), "0198f0aa…6789ab");
        assert_eq!(short("order-1"), "order-1");
    }
}
