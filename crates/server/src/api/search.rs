//! The query of a search for executions.

use axum::http::Uri;
use bowline_connector::Millis;
use bowline_host::{Search, Status};
use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::problem::Problem;

/// Which executions are listed. What is given must hold, all of it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Query {
    /// Those that stand there.
    status: Option<Status>,
    /// `true`: those that have not ended.
    unfinished: Option<bool>,
    /// Those of this workflow.
    workflow: Option<String>,
    /// Those that run this version of the workflow, which must be named too.
    version: Option<u32>,
    /// Those started at this time or later: RFC 3339, or how long ago (`2h`, `7d`).
    since: Option<String>,
    /// Those started before this time: RFC 3339, or how long ago.
    until: Option<String>,
    /// Those that failed with an error of this code.
    error: Option<String>,
    /// Those that this execution started.
    parent: Option<String>,
    /// Those whose id begins so.
    id: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// At most so many, 500 at most. Default 50.
    limit: Option<usize>,
}

/// Reads a query. `input[PATH]` and `output[PATH]` may come several times; everything else is of [`Query`].
pub(super) fn read(query: &str) -> Result<Search, Problem> {
    let mut rest = Vec::new();
    let mut search = Search::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded(name)?;
        let fields = [("input", &mut search.input), ("output", &mut search.output)];
        let field = fields.into_iter().find_map(|(word, list)| {
            let path = name.strip_prefix(word)?.strip_prefix('[')?.strip_suffix(']')?;
            Some((path.to_owned(), list))
        });
        match field {
            Some((path, _)) if path.is_empty() => {
                return Err(Problem::invalid(format!("`{name}` names no field"))
                    .hint("write the path of a field in the brackets: input[customer.id]=ada"));
            }
            Some((path, list)) => list.push((path, decoded(value)?)),
            None => {
                // What is no UTF-8 would be read with other characters in its place.
                decoded(value)?;
                rest.push(pair);
            }
        }
    }
    let uri: Uri = format!("/?{}", rest.join("&"))
        .parse()
        .map_err(|_| Problem::invalid("the query is wrong: it has characters that must be escaped"))?;
    let axum::extract::Query(read) =
        axum::extract::Query::<Query>::try_from_uri(&uri).map_err(|error| wrong(&error.body_text()))?;
    let now = jiff::Timestamp::now();
    search.status = read.status;
    search.unfinished = read.unfinished.unwrap_or_default();
    search.workflow = read.workflow;
    search.version = read.version;
    search.since = read.since.map(|text| moment("since", &text, now)).transpose()?;
    search.until = read.until.map(|text| moment("until", &text, now)).transpose()?;
    search.error = read.error;
    search.parent = read.parent;
    search.id_prefix = read.id;
    search.cursor = read.cursor;
    search.limit = read.limit.unwrap_or_default();
    if search.limit > 500 {
        return Err(Problem::invalid(format!(
            "`limit` is {}; 500 is the most",
            search.limit
        )));
    }
    Ok(search)
}

/// What is wrong with the query, with the names that [`Query`] does not know of.
fn wrong(text: &str) -> Problem {
    let text = crate::extract::plain(text);
    if !text.contains("unknown field") {
        return Problem::invalid(format!("the query is wrong: {text}"));
    }
    Problem::invalid(format!("the query is wrong: {text}, `input[...]`, `output[...]`"))
        .hint("fields of inputs and results are written with brackets: input[customer.id]=ada")
}

fn decoded(text: &str) -> Result<String, Problem> {
    percent_decode_str(&text.replace('+', " "))
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| Problem::invalid("the query is wrong: what is escaped is no UTF-8"))
}

/// A time as text, in milliseconds since 1970.
fn moment(name: &str, text: &str, now: jiff::Timestamp) -> Result<i64, Problem> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(at.as_millisecond());
    }
    match Millis::parse(text) {
        Ok(ago) => {
            let ago = i64::try_from(ago.duration().as_millis()).unwrap_or(i64::MAX);
            Ok(now.as_millisecond().saturating_sub(ago))
        }
        Err(_) => Err(Problem::invalid(format!("`{name}` is `{text}`, which is no time"))
            .hint("write RFC 3339 (2026-01-31T08:00:00Z), or how long ago (2h, 7d)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_the_rest_are_told_apart() {
        let search = read(
            "status=failed&input[customer.id]=ada+l&limit=7&output%5Ba%5D=1%262&input[x]=&workflow=order&since=2h",
        )
        .unwrap();
        assert_eq!(search.status, Some(Status::Failed));
        assert_eq!(search.limit, 7);
        assert_eq!(search.workflow.as_deref(), Some("order"));
        let pair = |path: &str, text: &str| (path.to_owned(), text.to_owned());
        assert_eq!(search.input, [pair("customer.id", "ada l"), pair("x", "")]);
        assert_eq!(search.output, [pair("a", "1&2")]);
        assert!(search.since.unwrap() < jiff::Timestamp::now().as_millisecond() - 7_000_000);
        let search = read("since=2026-01-31T08:00:00Z").unwrap();
        assert_eq!(search.since, Some(1_769_846_400_000));
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        for (query, named) in [
            ("stauts=failed", "stauts"),
            ("status=gone", "gone"),
            ("limit=many", "limit"),
            ("limit=501", "limit"),
            ("since=yesterday", "since"),
            ("input[]=1", "input[]"),
            ("input[a]=%ff", "UTF-8"),
            ("workflow=%ff", "query"),
            ("input.n=1", "`input[...]`"),
            ("limit=many", "a whole number is expected"),
        ] {
            let problem = read(query).unwrap_err();
            assert_eq!(problem.status, 400);
            assert!(problem.detail.contains(named), "{query}: {}", problem.detail);
            assert!(!problem.detail.contains("eserialize"), "{}", problem.detail);
        }
    }
}
