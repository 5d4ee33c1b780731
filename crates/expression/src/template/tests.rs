use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::compile::MAX_DEPTH;
use super::*;
use crate::scope::Binding;

fn scope() -> BTreeMap<String, Binding> {
    BTreeMap::from([
        (
            "input".to_owned(),
            Binding::open(
                json!({"name": "Ada", "n": 3, "f": 1.5, "yes": true, "nil": null, "list": [1, "a"], "obj": {"k": 1}}),
            ),
        ),
        (
            "env".to_owned(),
            Binding::secret(json!({"USER": "svc-user", "TOKEN": "tok-123456", "PORT": 12_345_678, "FLAG": true})),
        ),
    ])
}

fn render(value: &Value) -> Result<Rendered, ExpressionError> {
    Template::compile(value).unwrap().render(&scope(), &Moment::default())
}

#[test]
fn one_expression_keeps_its_type_and_text_makes_a_text() {
    let cases = [
        (json!("${input.n}"), json!(3)),
        (json!("${ input.list }"), json!([1, "a"])),
        (json!("${input.nil}"), json!(null)),
        (json!("a${input.n}"), json!("a3")),
        (json!("${input.f}/${input.yes}"), json!("1.5/true")),
        (json!("${input.name}${input.name}"), json!("AdaAda")),
        (json!(" ${input.n}"), json!(" 3")),
        (json!("x ${input.list} ${input.obj}"), json!(r#"x [1,"a"] {"k":1}"#)),
        (json!("$${input.n}"), json!("${input.n}")),
        (json!("$${a} ${input.n}"), json!("${a} 3")),
        (json!({"${input.n}": "${input.n}"}), json!({"${input.n}": 3})),
        (json!([1, {"a": ["${input.n}", null]}]), json!([1, {"a": [3, null]}])),
        (json!(""), json!("")),
    ];
    for (template, expected) in cases {
        let rendered = render(&template).unwrap();
        assert_eq!(rendered.value, expected, "{template}");
        assert_eq!(rendered.masked, expected, "{template}");
        assert!(rendered.secrets.is_empty());
    }
}

#[test]
fn constants_are_known() {
    let constant = json!({"a": [1, "$${x}", null], "b": "plain"});
    let template = Template::compile(&constant).unwrap();
    assert_eq!(
        template.constant(),
        Some(&json!({"a": [1, "${x}", null], "b": "plain"}))
    );
    assert_eq!(template.expressions().count(), 0);
    assert!(Template::compile(&json!(["${a}"])).unwrap().constant().is_none());
}

#[test]
fn expressions_are_listed_with_their_places() {
    let template = Template::compile(&json!({"a/b": ["x", "é ${ one } ${two}"], "~": "${three}"})).unwrap();
    let listed: Vec<_> = template
        .expressions()
        .map(|(pointer, offset, e)| (pointer, offset, e.source()))
        .collect();
    assert_eq!(
        listed,
        [("/a~1b/1", 6, "one"), ("/a~1b/1", 14, "two"), ("/~0", 2, "three")]
    );
}

#[test]
fn all_errors_are_told_at_once() {
    let errors = Template::compile(&json!({"a": "x ${ 1 + }", "b": ["${c", "${$summ(d)} ${}"]})).unwrap_err();
    let told: Vec<_> = errors
        .iter()
        .map(|e| (e.pointer.as_str(), e.offset, e.hint.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            ("/a", 8, None),
            ("/b/0", 0, Some("write `$${` for a literal `${`")),
            ("/b/1", 2, Some("did you mean `$sum`?")),
            ("/b/1", 14, None),
        ]
    );
    assert_eq!(
        errors[1].to_string(),
        "/b/0: `${` is never closed with `}` (write `$${` for a literal `${`)"
    );
}

#[test]
fn undefined_and_null_texts_are_errors_at_their_place() {
    let error = render(&json!({"to": ["${input.nam}"]})).unwrap_err();
    assert_eq!(error.code, ExpressionError::UNDEFINED);
    assert_eq!(
        error.to_string(),
        "/to/0: `input.nam` does not exist: `input` has no `nam` in `${input.nam}` (did you mean `name`?)"
    );
    let error = render(&json!("Dear ${input.nil}")).unwrap_err();
    assert_eq!(error.code, ExpressionError::UNDEFINED);
    assert_eq!(error.message, "`input.nil` is null, which has no text");
    assert_eq!(
        render(&json!("Dear ${input.nam ?: 'you'}")).unwrap().value,
        json!("Dear you")
    );
}

#[test]
fn secrets_are_masked_and_listed() {
    let rendered = render(&json!({
        "auth": "Bearer ${env.TOKEN}",
        "user": "${env.USER}",
        "all": ["${env}", "${input.n}"],
        "flag": "${env.FLAG}",
        "again": "${env.TOKEN}",
    }))
    .unwrap();
    assert_eq!(rendered.value["auth"], "Bearer tok-123456");
    assert_eq!(rendered.value["flag"], true);
    assert_eq!(
        rendered.masked,
        json!({"auth": "Bearer ***", "user": "***", "all": ["***", 3], "flag": "***", "again": "***"})
    );
    let mut secrets = rendered.secrets.clone();
    secrets.sort();
    assert_eq!(secrets, ["12345678", "svc-user", "tok-123456"]);
    assert!(!format!("{rendered:?}").contains("tok-"));
}

#[test]
fn each_expression_draws_its_own_random_number() {
    let template = Template::compile(&json!(["${$random()}", "${$random()}"])).unwrap();
    let first = template.render(&scope(), &Moment::default()).unwrap().value;
    assert_ne!(first[0], first[1]);
    assert_eq!(template.render(&scope(), &Moment::default()).unwrap().value, first);
}

#[test]
fn nesting_is_bounded_in_template_and_result() {
    let mut deep = json!("${input.n}");
    for _ in 0..MAX_DEPTH {
        deep = json!([deep]);
    }
    assert!(render(&deep).is_ok());
    let errors = Template::compile(&json!([deep])).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].message.contains("100 levels"), "{}", errors[0]);

    let mut nested = json!("${input.list}");
    for _ in 0..MAX_DEPTH {
        nested = json!([nested]);
    }
    assert_eq!(render(&nested).unwrap_err().code, ExpressionError::LIMIT);
}

#[test]
fn a_text_is_bounded() {
    let mut moment = Moment::default();
    moment.limits.string_bytes = 10;
    let template = Template::compile(&json!("${input.name}${input.name}${input.name}${input.name}")).unwrap();
    let error = template.render(&scope(), &moment).unwrap_err();
    assert_eq!(error.code, ExpressionError::LIMIT);
}

proptest! {
    #[test]
    fn escaped_text_renders_to_itself(text in ".{0,60}|[${}a'\"]{0,40}") {
        let rendered = render(&json!([crate::escape(&text)])).unwrap();
        prop_assert_eq!(rendered.value, json!([text]));
    }

    #[test]
    fn text_around_expressions_stays(before in "[^$]{0,20}", after in "[^$]{0,20}", name in ".{0,20}") {
        let scope = BTreeMap::from([("input".to_owned(), Binding::open(json!({"x": name})))]);
        let template = Template::compile(&json!(format!("{before}${{input.x}}{after}"))).unwrap();
        let rendered = template.render(&scope, &Moment::default()).unwrap();
        prop_assert_eq!(rendered.value, json!(format!("{before}{name}{after}")));
    }

    #[test]
    fn compiling_never_panics(text in "[${}()\\[\\]a-c0-9.'\"`/*+\\-&|~^<>:;?,@#% ]{0,60}") {
        let _ = Template::compile(&json!(format!("${{{text}}}")));
    }
}
