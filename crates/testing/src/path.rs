//! Paths of routes: `/users/:id`, `/users/{id}`, `/files/*`.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// A path that requests are compared with, segment by segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathPattern {
    segments: Vec<Segment>,
    /// The path ends in `*`.
    rest: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Parameter(String),
    Any,
}

impl PathPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self {
                segments: Vec::new(),
                rest: true,
            });
        }
        let Some(path) = text.strip_prefix('/') else {
            return Err(format!("`{text}` does not begin with `/`"));
        };
        if path.contains(['?', '#']) {
            return Err("a path has no query; write `match: {query: ...}`".to_owned());
        }
        let mut segments = path.split('/').map(Segment::parse).collect::<Result<Vec<_>, _>>()?;
        let mut names: Vec<&str> = segments.iter().filter_map(Segment::name).collect();
        names.sort_unstable();
        if let Some([twice, _]) = names.array_windows().find(|[one, next]| one == next) {
            return Err(format!("the parameter `{twice}` is there twice"));
        }
        let rest = segments.last() == Some(&Segment::Any);
        if rest {
            segments.pop();
        }
        Ok(Self { segments, rest })
    }

    /// The parameters of `path` if it fits; what a final `*` took is the parameter `*`.
    pub(crate) fn matches(&self, path: &str) -> Option<Map<String, Value>> {
        let mut parameters = Map::new();
        let mut given = path.strip_prefix('/').unwrap_or(path).split('/');
        for segment in &self.segments {
            let text = decode(given.next()?);
            match segment {
                Segment::Literal(literal) if *literal == text => {}
                Segment::Literal(_) => return None,
                Segment::Parameter(_) if text.is_empty() => return None,
                Segment::Parameter(name) => {
                    parameters.insert(name.clone(), Value::String(text));
                }
                Segment::Any => {}
            }
        }
        let rest: Vec<&str> = given.collect();
        if self.rest {
            if rest.is_empty() {
                return None;
            }
            parameters.insert("*".to_owned(), Value::String(decode(&rest.join("/"))));
            return Some(parameters);
        }
        rest.is_empty().then_some(parameters)
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, String> {
        let name = match text.strip_prefix(':') {
            Some(name) => Some(name),
            None => text.strip_prefix('{').and_then(|text| text.strip_suffix('}')),
        };
        match name {
            Some("") => Err(format!("`{text}` has no name")),
            Some(name) if name.contains(['{', '}', ':', '*']) => Err(format!("`{name}` is not a name")),
            Some(name) => Ok(Self::Parameter(name.to_owned())),
            None if text == "*" => Ok(Self::Any),
            None if text.contains(['{', '}', '*']) => Err(format!(
                "`{text}`: a parameter or `*` takes a whole segment between two `/`"
            )),
            None => Ok(Self::Literal(decode(text))),
        }
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Parameter(name) => Some(name),
            _ => None,
        }
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parameters(pattern: &str, path: &str) -> Option<Value> {
        PathPattern::parse(pattern)
            .expect(pattern)
            .matches(path)
            .map(Value::Object)
    }

    #[test]
    fn paths_fit_whole() {
        for (pattern, path, expected) in [
            ("/charge", "/charge", Some(json!({}))),
            ("/charge", "/charge/1", None),
            ("/charge", "/", None),
            ("/", "/", Some(json!({}))),
            ("/users/:id", "/users/7", Some(json!({"id": "7"}))),
            ("/users/{id}", "/users/a%20b", Some(json!({"id": "a b"}))),
            ("/users/{id}", "/users/", None),
            ("/users/{id}/x/:y", "/users/1/x/2", Some(json!({"id": "1", "y": "2"}))),
            ("/files/*", "/files/a/b.txt", Some(json!({"*": "a/b.txt"}))),
            ("/files/*", "/files", None),
            ("/a/*/c", "/a/b/c", Some(json!({}))),
            ("/a/*/c", "/a/b/b/c", None),
            ("*", "/any/thing", Some(json!({"*": "any/thing"}))),
            (
                "/2010-04-01/Accounts/{sid}/Messages.json",
                "/2010-04-01/Accounts/AC1/Messages.json",
                Some(json!({"sid": "AC1"})),
            ),
            ("/a b", "/a%20b", Some(json!({}))),
        ] {
            assert_eq!(parameters(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn bad_patterns_are_refused() {
        for pattern in [
            "",
            "users",
            "/u?x=1",
            "/u/{id",
            "/u/{}",
            "/u/:",
            "/u/x{id}",
            "/u/*.json",
            "/{a}/{a}",
        ] {
            assert!(PathPattern::parse(pattern).is_err(), "{pattern}");
        }
    }
}
