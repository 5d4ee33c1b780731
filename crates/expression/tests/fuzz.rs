//! Fuzzing of templates: whatever text, compiling and rendering end without a panic, and no secret gets out.
//!
//! Runs for `BOWLINE_FUZZ_SECONDS` seconds, two by default. The same check runs under libFuzzer in `fuzz/`.

use std::collections::BTreeMap;
use std::time::Duration;

use bowline_expression::{Binding, Limits, Masker, Moment, Template};
use bowline_testing::fuzz;
use serde_json::{Value, json};

const SECRET: &str = "hunter2-hunter2";

/// Words of the language.
const WORDS: &[&str] = &[
    "${",
    "}",
    "$${",
    "${}",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "'",
    "\"",
    "`",
    "/*",
    "*/",
    "/",
    "\\",
    ".",
    "..",
    ";",
    ",",
    ":",
    ":=",
    "?",
    "?:",
    "??",
    "~>",
    "|",
    "^(",
    "@$",
    "#$",
    "%",
    "**",
    "*",
    "$",
    "$$",
    "&",
    "=",
    "!=",
    "<",
    "and ",
    "or ",
    "in ",
    "function($x){",
    "λ",
    "$map(",
    "$filter(",
    "$reduce(",
    "$match(",
    "$replace(",
    "$split(",
    "$string(",
    "$number(",
    "$sort(",
    "$merge(",
    "$each(",
    "$lookup(",
    "$error(",
    "$assert(",
    "$formatNumber(",
    "$formatInteger(",
    "$fromMillis(",
    "$toMillis(",
    "$parseInteger(",
    "$base64decode(",
    "$decodeUrl(",
    "$pad(",
    "$zip(",
    "$spread(",
    "$single(",
    "$type(",
    "$now()",
    "$random()",
    "input",
    "input.list",
    "env.TOKEN",
    "a-b",
    "1e308",
    "-1",
    "0.1",
    "[1..9]",
    "[1..99999]",
    "/(a+)+b/",
    "/[a-z]*/i",
    "true",
    "null",
    "'#,##0.00'",
    "'[Y0001]-[M01]'",
    "\u{1F600}",
    "é",
];

/// What an expression of every kind looks like.
const CORPUS: &[&str] = &[
    "plain",
    "${input.name}",
    "Dear ${input.name}, ${$sum(input.list)} of $${x}",
    "${ $map(input.list, function($v, $i) { $v * $i }) }",
    "${ input.items[price > 1 and qty < 5]^(>price).{'n': name, 'p': price * qty} }",
    "${ input.items{name: $sum(price)} }",
    "${ ($f := function($n) { $n <= 1 ? 1 : $n * $f($n - 1) }; $f(10)) }",
    "${ $match(input.text, /(b+)(c)?/).groups[0] & $replace(input.text, /b+/, '$0$0') }",
    "${ input ~> |items|{'t': price}, ['qty']| }",
    "${ input.items@$i.input.list[$ = $i.qty] }",
    "${ input.items#$n.{'n': $n, 'p': %.name} }",
    "${ $formatNumber(1234.5, '#,##0.00') & $fromMillis(0, '[Y]-[M01]-[D01]T[H01]:[m]:[s].[f001][Z]') }",
    "${ $toMillis('2020-01-01', '[Y0001]-[M01]-[D01]') + $parseInteger('12', '#0') }",
    "Bearer ${env.TOKEN}",
    "${ $number(env.TOKEN) }",
    "${ $error(env.TOKEN) }",
    "${ {'a': env.TOKEN, 'b': [env.TOKEN, 1]} }",
    "${ $string($$) & $keys(**)[0] }",
    "${ input.`a-b`.\"c d\" /* comment } */ }",
    "${ $zip([1..3], input.list) ~> $reverse ~> $string }",
    "${ $substringBefore(input.text, 'b') in ['a'] ?: input.nope ?? 'x' }",
];

/// Renders the input as a text, inside a structure, and as a bare expression; says how that ended.
fn check(scope: &BTreeMap<String, Binding>, input: &str) -> String {
    let moment = Moment {
        now_ms: 1_700_000_000_000,
        seed: 7,
        limits: Limits {
            time: Duration::from_millis(500),
            steps: 20_000,
            string_bytes: 1 << 16,
            array_items: 10_000,
            result_bytes: 1 << 16,
            ..Limits::default()
        },
    };
    let value = json!({"a": [input, format!("${{{input}}}")], "b": bowline_expression::escape(input)});
    let template = match Template::compile(&value) {
        Ok(template) => template,
        Err(errors) => {
            for error in &errors {
                let text = value
                    .pointer(&error.pointer)
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                assert!(!text.is_empty() && text.is_char_boundary(error.offset), "{error:?}");
            }
            match Template::compile(&json!(input)) {
                Ok(template) => template,
                Err(errors) => {
                    return errors[0]
                        .message
                        .chars()
                        .filter(|c| !c.is_ascii_digit())
                        .take(14)
                        .collect();
                }
            }
        }
    };
    for (_, _, expression) in template.expressions() {
        assert!(expression.roots().whole || expression.roots().names.len() <= expression.source().len());
    }
    match template.render(scope, &moment) {
        Ok(rendered) => {
            let mut seen = rendered.masked;
            let masker = Masker::default();
            masker.add(SECRET);
            masker.add_all(rendered.secrets.iter().map(String::as_str));
            // The secret may be written in the template itself; what the scope has is masked.
            if !input.contains(SECRET) {
                assert!(!seen.to_string().contains(SECRET), "{seen}");
            }
            masker.scrub(&mut seen);
            assert!(!seen.to_string().contains(SECRET), "{seen}");
            let kind = |value: &Value| match value {
                Value::Null => "null",
                Value::Bool(_) => "bool",
                Value::Number(_) => "number",
                Value::String(_) => "text",
                Value::Array(_) => "array",
                Value::Object(_) => "object",
            };
            let first = rendered.value.pointer("/a/0").unwrap_or(&rendered.value);
            let count = template.expressions().count();
            format!("{}{count}{}", kind(first), rendered.secrets.len())
        }
        Err(error) => {
            assert!(input.contains(SECRET) || !error.to_string().contains(SECRET), "{error}");
            format!("{}{:.5}", error.code, error.message)
        }
    }
}

#[test]
fn templates_survive_anything() {
    let scope = BTreeMap::from([
        (
            "input".to_owned(),
            Binding::open(json!({
                "name": "Ada", "text": "abbbc", "list": [1, 2, 3], "nil": null, "a-b": {"c d": 1},
                "items": [{"name": "x", "price": 2, "qty": 3}, {"name": "y", "price": 0.5, "qty": 10}],
            })),
        ),
        ("env".to_owned(), Binding::secret(json!({"TOKEN": SECRET}))),
    ]);
    // The stack is that of a runtime's thread.
    let run = std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(move || fuzz::run(CORPUS, WORDS, |input| check(&scope, input)))
        .unwrap();
    let report = run.join().unwrap().unwrap();
    println!("{} inputs, {} outcomes", report.inputs, report.outcomes);
    println!("slowest {:?}: {:?}", report.slowest.0, report.slowest.1);
    assert!(report.inputs > CORPUS.len() as u64);
    assert!(report.outcomes > 10);
}
