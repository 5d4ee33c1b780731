//! Any text as a template: compiling and rendering it never panics, and no secret gets out.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bowline_expression::{Binding, Limits, Masker, Moment, Template};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

const SECRET: &str = "hunter2-hunter2";

static SCOPE: LazyLock<BTreeMap<String, Binding>> = LazyLock::new(|| {
    BTreeMap::from([
        (
            "input".to_owned(),
            Binding::open(json!({
                "name": "Ada", "text": "abbbc", "list": [1, 2, 3], "nil": null, "a-b": {"c d": 1},
                "items": [{"name": "x", "price": 2, "qty": 3}, {"name": "y", "price": 0.5, "qty": 10}],
            })),
        ),
        ("env".to_owned(), Binding::secret(json!({"TOKEN": SECRET}))),
    ])
});

fuzz_target!(|text: &str| {
    let moment = Moment {
        limits: Limits {
            steps: 20_000,
            string_bytes: 1 << 16,
            array_items: 10_000,
            result_bytes: 1 << 16,
            ..Limits::default()
        },
        ..Moment::default()
    };
    for value in [json!(text), json!({"a": [format!("${{{text}}}")]})] {
        let Ok(template) = Template::compile(&value) else {
            continue;
        };
        match template.render(&*SCOPE, &moment) {
            Ok(rendered) => {
                let mut masked = rendered.masked;
                if !text.contains(SECRET) {
                    assert!(!masked.to_string().contains(SECRET));
                }
                let masker = Masker::default();
                masker.add(SECRET);
                masker.scrub(&mut masked);
                assert!(!masked.to_string().contains(SECRET));
            }
            Err(error) => assert!(text.contains(SECRET) || !error.to_string().contains(SECRET)),
        }
    }
});
