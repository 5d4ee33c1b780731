//! What expressions give, and what they say when they give nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::limits::Limits;

mod reading;

fn scope() -> BTreeMap<String, Binding> {
    BTreeMap::from([
        (
            "input".to_owned(),
            Binding::open(json!({
                "user": {"name": "Ada", "tags": ["a"], "none": [], "nil": null},
                "items": [{"price": 2, "qty": 3}, {"price": 5, "qty": 1}],
                "id": 9_007_199_254_740_993_u64,
                "content-type": "text/plain",
            })),
        ),
        ("api-call".to_owned(), Binding::open(json!({"body": 1}))),
        (
            "env".to_owned(),
            Binding::secret(json!({"TOKEN": "tok-123456", "MODE": "prod"})),
        ),
    ])
}

fn evaluate(source: &str) -> Evaluated {
    Expression::compile(source)
        .unwrap()
        .evaluate(&scope(), &Moment::default())
        .unwrap()
}

fn value(source: &str) -> Option<Value> {
    evaluate(source).value
}

fn failure(source: &str) -> ExpressionError {
    match Expression::compile(source)
        .unwrap()
        .evaluate(&scope(), &Moment::default())
    {
        Err(error) => error,
        Ok(evaluated) => panic!("{source} gave {:?}", evaluated.value),
    }
}

#[test]
fn results() {
    let cases = [
        ("input.user.name", Some(json!("Ada"))),
        ("input.user.tags", Some(json!(["a"]))),
        ("input.user.none", Some(json!([]))),
        ("input.user.nil", Some(json!(null))),
        ("input.user.nil.x", None),
        ("input.user.name.x", None),
        ("input.items.price", Some(json!([2, 5]))),
        ("input.items[0]", Some(json!({"price": 2, "qty": 3}))),
        ("input.items[-1].price", Some(json!(5))),
        ("$sum(input.items.(price * qty))", Some(json!(11))),
        ("input.`content-type`", Some(json!("text/plain"))),
        ("`api-call`.body + 1", Some(json!(2))),
        (
            "{'a': input.user.name, 'b': [1, 2.5]}",
            Some(json!({"a": "Ada", "b": [1, 2.5]})),
        ),
        ("input.nope", None),
        ("nope", None),
        ("$exists(input.nope)", Some(json!(false))),
        ("input.nope ?: 'none'", Some(json!("none"))),
        ("input.nope ?? 'none'", Some(json!("none"))),
        ("$string(1.50)", Some(json!("1.5"))),
        ("input.user.name = 'Ada' and true", Some(json!(true))),
        (
            "$",
            Some(json!({"api-call": {"body": 1}, "input": value("input").unwrap()})),
        ),
        ("$keys($$)", Some(json!(["api-call", "input"]))),
        ("$sum", None),
    ];
    for (source, expected) in cases {
        assert_eq!(value(source), expected, "{source}");
    }
}

#[test]
fn reads_are_known_before_running() {
    let cases: [(&str, &[&str], bool); 7] = [
        ("input.user.name", &["input"], false),
        ("a.b & c.d[e = 1].f", &["a", "c"], false),
        ("$map(items, function($i) { $i.price })", &["items"], false),
        ("1 + 1", &[], false),
        ("$", &[], true),
        ("**.price", &[], true),
        ("*", &[], true),
    ];
    for (source, names, whole) in cases {
        let roots = Expression::compile(source).unwrap().roots().clone();
        assert_eq!(
            (roots.names, roots.whole),
            (names.iter().map(|&n| n.to_owned()).collect(), whole),
            "{source}"
        );
    }
}

#[test]
fn paths_are_the_ends_of_what_is_read() {
    let paths = |source: &str| {
        Expression::compile(source)
            .unwrap()
            .paths()
            .iter()
            .map(|p| p.join("."))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        paths("input.user.name & input.user.age"),
        ["input.user.age", "input.user.name"]
    );
    assert_eq!(
        paths("$sum(input.items.(price * qty))"),
        ["input.items.price", "input.items.qty"]
    );
    assert_eq!(paths("$count(input.items)"), ["input.items"]);
    assert_eq!(paths("$"), [""; 0]);
    assert_eq!(
        Expression::compile("a.`b c`.d").unwrap().path().unwrap(),
        ["a", "b c", "d"]
    );
    assert_eq!(Expression::compile("a.b[0]").unwrap().path(), None);
}

#[test]
fn whatever_reads_a_secret_is_secret() {
    assert!(evaluate("env.TOKEN").secret);
    assert!(evaluate("$length(env.TOKEN)").secret);
    assert!(evaluate("env.MODE = 'prod' ? 1 : 2").secret);
    assert!(evaluate("env.NOPE").secret);
    assert!(!evaluate("input.id").secret);
    let everything = evaluate("$string($$)");
    assert!(!everything.secret);
    assert!(!everything.value.unwrap().as_str().unwrap().contains("tok-123456"));
    assert_eq!(format!("{:?}", evaluate("env.TOKEN")), crate::MASK);
}

#[test]
fn failures_never_tell_a_secret() {
    for source in [
        "$number(env.TOKEN)",
        "$error(env.TOKEN)",
        "$error('bad: ' & env.TOKEN)",
        "env.TOKEN + 1",
        "$toMillis(env.TOKEN)",
        "$decodeUrl('%' & env.TOKEN & '%ff')",
        "$formatBase(1, $length(env.TOKEN) * 10)",
        "$sort([env.TOKEN, 1])",
        "[1..5]^(env.TOKEN = 'x' ? 1 : $ = 2 ? 'z' : 3)",
        "$assert(false, env.TOKEN)",
        "$lookup(env, 'TOKEN')()",
        "{env.TOKEN: 1, env.TOKEN & '': 2}",
    ] {
        let error = failure(source);
        assert_eq!(error.code, ExpressionError::FAILED, "{source}");
        assert!(!error.to_string().contains("tok-123456"), "{error}");
        assert!(!format!("{error:?}").contains("tok-123456"), "{error:?}");
    }
    assert!(failure("$number(input.user.name)").message.contains("Ada"));
}

#[test]
fn what_is_wrong_is_found_when_compiling() {
    let cases = [
        ("", "empty", 0, None),
        ("a.", "S0207", 2, None),
        ("a + + b", "S0211", 4, None),
        ("$summ(a)", "unknown-variable", 0, Some("did you mean `$sum`?")),
        (
            "1 + $input.x",
            "unknown-variable",
            4,
            Some("names of values are written without `$`: `input`"),
        ),
        ("$eval('1')", "not-available", 0, None),
        ("$match(a, /(/)", "S0302", 10, None),
        ("$match(a, /[b-a]/)", "bad-regex", 10, None),
        (
            "api-call-001.body",
            "S0201",
            10,
            Some("write the name `api-call-001` in backticks: without them it is not read as one name"),
        ),
    ];
    for (source, code, offset, hint) in cases {
        let error = Expression::compile(source).unwrap_err();
        assert_eq!(
            (error.code.as_str(), error.offset, error.hint.as_deref()),
            (code, offset, hint),
            "{source}: {error}"
        );
    }
    assert!(Expression::compile("($x := 1; $f := function($y) { $x + $y }; $f(2))").is_ok());
    assert!(Expression::compile("items#$i[$i = 1].x").is_ok());
    assert!(Expression::compile("items@$o.(other[id = $o.id])").is_ok());
    let long = format!("'{}'", "x".repeat(70_000));
    assert_eq!(Expression::compile(&long).unwrap_err().code, "too-long");
    let deep = "(".repeat(300);
    assert_eq!(Expression::compile(&deep).unwrap_err().code, "too-deep");
}

#[test]
fn limits_end_evaluations() {
    let small = Limits {
        steps: 5_000,
        string_bytes: 100,
        array_items: 100,
        result_bytes: 200,
        nesting: 3,
        depth: 200,
        ..Limits::default()
    };
    let moment = Moment {
        limits: small,
        ..Moment::default()
    };
    for source in [
        "($f := function($n) { $f($n + 1) }; $f(0))",
        "($f := function($n) { 1 + $f($n + 1) }; $f(0))",
        "$pad('', 1000)",
        "[1..1000]",
        "[1..1000000000]",
        "$map([1..100], function($i) { $map([1..100], function($j) { $i * $j }) })",
        "[[[[1]]]]",
        "[1..90]",
        "{'a': input, 'b': input, 'c': input}",
    ] {
        let error = Expression::compile(source)
            .unwrap()
            .evaluate(&scope(), &moment)
            .unwrap_err();
        assert_eq!(error.code, ExpressionError::LIMIT, "{source}: {error}");
    }
}

#[test]
fn the_clock_is_a_limit_too() {
    let limits = Limits {
        time: Duration::from_millis(20),
        steps: u64::MAX,
        ..Limits::default()
    };
    let moment = Moment {
        limits,
        ..Moment::default()
    };
    let endless = Expression::compile("($f := function($n) { $f($n + 1) }; $f(0))").unwrap();
    assert_eq!(
        endless.evaluate(&scope(), &moment).unwrap_err().code,
        ExpressionError::LIMIT
    );
}

#[test]
fn the_same_moment_gives_the_same_result() {
    let expression = Expression::compile("[$random(), $now(), $millis(), $shuffle([1..20])]").unwrap();
    let moment = |seed, now_ms| Moment {
        now_ms,
        seed,
        limits: Limits::default(),
    };
    let at = |seed, now_ms| {
        expression
            .evaluate(&scope(), &moment(seed, now_ms))
            .unwrap()
            .value
            .unwrap()
    };
    assert_eq!(at(7, 1_700_000_000_000), at(7, 1_700_000_000_000));
    assert_ne!(at(7, 1_700_000_000_000)[0], at(8, 1_700_000_000_000)[0]);
    assert_eq!(at(7, 1_700_000_000_000)[1], "2023-11-14T22:13:20.000Z");
    assert_eq!(at(7, 1_700_000_000_000)[2], 1_700_000_000_000_i64);
}

#[test]
fn an_expression_is_shared_between_threads() {
    let expression = Expression::compile("$sum(input.items.(price * qty))").unwrap();
    let shared = Arc::new(scope());
    std::thread::scope(|threads| {
        for _ in 0..4 {
            let (expression, shared) = (expression.clone(), Arc::clone(&shared));
            threads.spawn(move || {
                for _ in 0..50 {
                    let result = expression.evaluate(&*shared, &Moment::default()).unwrap();
                    assert_eq!(result.value, Some(json!(11)));
                }
            });
        }
    });
}

#[test]
fn undefined_tells_the_name_that_does_not_exist() {
    let cases = [
        (
            "inptu.user",
            "`inptu.user` does not exist: there is no `inptu` here",
            Some("did you mean `input`?"),
        ),
        (
            "input.user.nam",
            "`input.user.nam` does not exist: `input.user` has no `nam`",
            Some("did you mean `name`?"),
        ),
        (
            "input.user.zzz",
            "`input.user.zzz` does not exist: `input.user` has no `zzz`",
            Some("there is: name, tags, none, nil"),
        ),
        (
            "input.user.name.x",
            "`input.user.name.x` does not exist: `input.user.name` is a text",
            None,
        ),
        (
            "input.user.nil.x",
            "`input.user.nil.x` does not exist: `input.user.nil` is null",
            None,
        ),
        (
            "input.items.prize",
            "`input.items.prize` does not exist: `input.items` is an array, and none of its first items has `prize`",
            Some("did you mean `price`?"),
        ),
        (
            "input.user.none.x",
            "`input.user.none.x` does not exist: `input.user.none` is an empty array",
            None,
        ),
        (
            "env.TOKEM",
            "`env.TOKEM` does not exist: `env` has no `TOKEM`",
            Some("did you mean `TOKEN`?"),
        ),
        // What else there is in the environment is not told.
        ("env.OTHER", "`env.OTHER` does not exist: `env` has no `OTHER`", None),
        (
            "input.content-type",
            "`input.content` does not exist: `input` has no `content`",
            Some("write the name `content-type` in backticks: without them it is not read as one name"),
        ),
        (
            "api-call.body",
            "`api` does not exist",
            Some("write the name `api-call` in backticks: without them it is not read as one name"),
        ),
        (
            "input.items[price > 100]",
            "the expression gave nothing (undefined)",
            None,
        ),
        (
            "(**)[env = 1]",
            "the expression gave nothing (undefined)",
            Some("an expression that reads everything (`$`, `$$`, `*`, `**`) is not given secrets such as `env`"),
        ),
    ];
    for (source, message, hint) in cases {
        let expression = Expression::compile(source).unwrap();
        assert_eq!(
            expression.evaluate(&scope(), &Moment::default()).unwrap().value,
            None,
            "{source}"
        );
        let error = expression.undefined(&scope());
        assert_eq!(
            (error.message.as_str(), error.hint.as_deref()),
            (message, hint),
            "{source}"
        );
        assert!(!error.to_string().contains("tok-123456"));
    }
}
