//! Looking for a field's value in a JSON document: the search in inputs and outputs.

use serde_json::Value;

use crate::HostError;

/// A field that has to have a text.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    path: Vec<String>,
    text: String,
}

impl Wanted {
    /// Reads a dotted path (`customer.id`, `items[0].sku`) or a JSON pointer (`/customer/id`).
    pub(crate) fn new(path: &str, text: &str) -> Result<Self, HostError> {
        let parts = match path.strip_prefix('/') {
            Some(pointer) => pointer
                .split('/')
                .map(|part| part.replace("~1", "/").replace("~0", "~"))
                .collect(),
            None => dotted(path).ok_or_else(|| {
                HostError::invalid("search.path", format!("`{path}` is not the path of a field")).hint(
                    "write a dotted path such as customer.id or items[0].sku, or a JSON pointer such as /customer/id",
                )
            })?,
        };
        Ok(Self {
            path: parts,
            text: text.to_owned(),
        })
    }

    /// Whether a document has it.
    pub(crate) fn fits(&self, document: &Value) -> bool {
        let found = self.path.iter().try_fold(document, |value, part| match value {
            Value::Array(items) => items.get(part.parse::<usize>().ok()?),
            other => other.get(part),
        });
        match found {
            Some(Value::String(text)) => *text == self.text,
            Some(other) => serde_json::to_string(other).is_ok_and(|text| text == self.text),
            None => false,
        }
    }

    /// Whether a document with this text may have it: a look that is much quicker than reading it.
    pub(crate) fn may_fit(&self, document: &str) -> bool {
        // A text with escapes stands there in another form.
        let is_plain = self
            .text
            .chars()
            .all(|c| !c.is_control() && c.is_ascii() && !"\"\\/".contains(c));
        !is_plain || document.contains(&self.text)
    }
}

fn dotted(path: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    for part in path.split('.') {
        let (name, mut rest) = match part.find('[') {
            Some(at) => part.split_at(at),
            None => (part, ""),
        };
        if name.is_empty() && (rest.is_empty() || !parts.is_empty()) {
            return None;
        }
        if !name.is_empty() {
            parts.push(name.to_owned());
        }
        while !rest.is_empty() {
            let (index, after) = rest.strip_prefix('[')?.split_once(']')?;
            index.parse::<usize>().ok()?;
            parts.push(index.to_owned());
            rest = after;
        }
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fits(path: &str, text: &str) -> bool {
        let document = json!({ "customer": { "id": 7, "na/me": "Ada" }, "items": [{ "sku": "a-1" }], "ok": true });
        let wanted = Wanted::new(path, text).unwrap();
        let fits = wanted.fits(&document);
        assert!(
            !fits || wanted.may_fit(&document.to_string()),
            "the quick look must not miss it"
        );
        fits
    }

    #[test]
    fn fields_are_found_by_both_ways_of_writing() {
        assert!(fits("customer.id", "7"));
        assert!(fits("/customer/id", "7"));
        assert!(fits("/customer/na~1me", "Ada"));
        assert!(fits("items[0].sku", "a-1"));
        assert!(fits("/items/0/sku", "a-1"));
        assert!(fits("ok", "true"));
        for (path, text) in [
            ("customer.id", "8"),
            ("customer", "7"),
            ("items[1].sku", "a-1"),
            ("nothing", ""),
        ] {
            assert!(!fits(path, text), "{path}");
        }
    }

    #[test]
    fn a_path_that_is_none_is_refused() {
        for wrong in ["", "a..b", "a[x]", "a[1", "a.", "a]["] {
            assert!(Wanted::new(wrong, "x").is_err(), "{wrong}");
        }
    }
}
