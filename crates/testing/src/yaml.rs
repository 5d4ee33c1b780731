//! YAML (and so JSON) to a JSON value, with bounds on what a hostile file can make of it.

use serde_json::Value;
use serde_saphyr::{DuplicateKeyPolicy, Options};

/// Reads one document. Aliases, depth and size are bounded; a key that is there twice is an error.
///
/// # Errors
/// What is wrong, with line and column.
pub(crate) fn read(text: &str) -> Result<Value, String> {
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| error.to_string())
}

fn options() -> Options {
    let mut options = Options::default();
    options.duplicate_keys = DuplicateKeyPolicy::Error;
    options.with_snippet = false;
    options.strict_booleans = true;
    if let Some(budget) = &mut options.budget {
        budget.max_depth = 64;
        budget.max_nodes = 200_000;
        budget.max_aliases = 1_000;
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn scalars_keep_their_types() {
        let text = "a: 1\nb: 1.5\nc: yes\nd: '1'\ne: true\nf: null\ng: [x, -2]\nh: \"${mocks.a.url}\"\n";
        let expected = json!({"a": 1, "b": 1.5, "c": "yes", "d": "1", "e": true, "f": null, "g": ["x", -2], "h": "${mocks.a.url}"});
        assert_eq!(read(text), Ok(expected));
    }

    #[test]
    fn json_is_yaml() {
        assert_eq!(read(r#"{"a": [1, {"b": null}]}"#), Ok(json!({"a": [1, {"b": null}]})));
    }

    #[test]
    fn long_comments_are_read_over() {
        let text = format!("{}a: 1\n", "# a line of comment\n".repeat(200));
        assert_eq!(read(&text), Ok(json!({"a": 1})));
    }

    #[test]
    fn hostile_and_broken_files_are_refused() {
        let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let before = format!("*a{}, ", n - 1).repeat(10);
            laughs.extend([format!("a{n}: &a{n} [{before}]\n")]);
        }
        for text in [
            laughs.as_str(),
            &"[".repeat(5000),
            "a: 1\na: 2\n",
            "a: [1\n",
            "a: b: c\n",
            "a: *nothing\n",
        ] {
            assert!(read(text).is_err(), "{}", &text[..text.len().min(40)]);
        }
        assert!(read("a: 1\na: 2\n").is_err_and(|message| message.contains("line 2")));
    }
}
