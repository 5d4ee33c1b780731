//! Expressions that try to use up stack, time or memory end with an error, on a thread with a small stack.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bowline_expression::{Binding, Expression, Limits, Moment, Template};
use serde_json::{Value, json};

/// Runs on a thread with the stack that threads of a runtime have.
fn on_a_small_stack(run: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(run);
    assert!(thread.is_ok_and(|thread| thread.join().is_ok()));
}

/// Compiles and evaluates, and says how it ended.
fn outcome(source: &str) -> String {
    let scope = BTreeMap::from([(
        "input".to_owned(),
        Binding::open(json!({"text": "a".repeat(5_000), "list": (0..1_000).collect::<Vec<_>>()})),
    )]);
    let limits = Limits {
        time: Duration::from_millis(500),
        ..Limits::default()
    };
    let moment = Moment {
        limits,
        ..Moment::default()
    };
    match Expression::compile(source) {
        Err(error) => error.code,
        Ok(expression) => match expression.evaluate(&scope, &moment) {
            Err(error) => error.code.to_owned(),
            Ok(_) => "value".to_owned(),
        },
    }
}

#[test]
fn deep_expressions_do_not_overflow_the_stack() {
    on_a_small_stack(|| {
        let repeated = |open: &str, middle: &str, close: &str, times: usize| {
            format!("{}{middle}{}", open.repeat(times), close.repeat(times))
        };
        for times in [100, 240, 400, 3_000, 30_000] {
            for (open, middle, close) in [
                ("(", "1", ")"),
                ("(", "", ""),
                ("[", "1", "]"),
                ("{'a':", "1", "}"),
                ("a[", "1", "]"),
                ("-", "a", ""),
                ("a.", "a", ""),
                ("a & ", "a", ""),
                ("a and ", "a", ""),
                ("a ? a : ", "a", ""),
                ("a ?: ", "a", ""),
                ("a ~> ", "$f", ""),
                ("$x := ", "1", ""),
                ("function($x){", "1", "}"),
                ("$string(", "1", ")"),
                ("|a|", "b", "|"),
                ("a^(", "a", ")"),
                ("%.", "a", ""),
                ("a;", "a", ""),
                ("/* */", "a", ""),
                ("'", "a", ""),
                ("a@$x.", "a", ""),
                ("a#$i", "", ""),
            ] {
                let source = repeated(open, middle, close, times);
                let ended = outcome(&source);
                assert!(!ended.is_empty(), "{open} {times}");
                let _ = Template::compile(&json!(format!("${{{source}}}")));
            }
        }
    });
}

#[test]
fn deep_regular_expressions_do_not_overflow_the_stack() {
    on_a_small_stack(|| {
        for times in [20, 39, 149, 240, 3_000, 20_000] {
            for (open, close) in [
                ("(", ")"),
                ("(?:a|", ")"),
                ("(?=", ")"),
                ("a|", ""),
                ("(a", ")*"),
                ("(a", "){2}"),
                ("[a", "]"),
            ] {
                let pattern = format!("{}b{}", open.repeat(times), close.repeat(times));
                let ended = outcome(&format!("$match(input.text, /{pattern}/)"));
                assert!(!ended.is_empty(), "{open} {times}");
            }
        }
    });
}

#[test]
fn expensive_work_ends_within_its_limits() {
    on_a_small_stack(|| {
        for source in [
            "($f := function() { $f() }; $f())",
            "($f := function($n) { $n + $f($n + 1) }; $f(0))",
            "($f := function($n) { $f($n + 1) & $f($n + 1) }; $f(0))",
            "$map([1..900000], function($i) { $map([1..900000], function($j) { $i * $j }) })",
            "$reduce([1..900000], function($a, $b) { $a & $a & 'x' })",
            "$match(input.text, /(a+)+b/)",
            "$match(input.text, /(a*)*(a*)*(a*)*c/)",
            "$replace(input.text, /(a|aa)+$/, 'b') & $match(input.text & 'b', /(a|aa)+c/)",
            "[1..9999999]",
            "$pad('', 9999999999)",
            "$sort([1..900000], function($a, $b) { $a < $b })",
            "($a := [1..1000]; $b := [$a, $a, $a, $a]; $c := [$b, $b, $b, $b]; $d := [$c, $c, $c, $c]; [$d, $d, $d, $d, $d])",
            "($a := {'x': [1..1000]}; $b := {'p': $a, 'q': $a, 'r': $a}; $c := {'p': $b, 'q': $b, 'r': $b}; $d := {'p': $c, 'q': $c, 'r': $c}; $e := {'p': $d, 'q': $d, 'r': $d}; $f := {'p': $e, 'q': $e, 'r': $e}; $g := {'p': $f, 'q': $f, 'r': $f}; {'p': $g, 'q': $g, 'r': $g})",
            "($f := function($n, $x) { $n = 0 ? $x : $f($n - 1, [$x]) }; $f(100000, 1))",
            "**.**.**.**",
            "$string([1..900000]) & $string([1..900000]) & $string([1..900000])",
        ] {
            let start = Instant::now();
            let ended = outcome(source);
            let took = start.elapsed();
            println!("{took:>10.2?} {ended:<20} {source:.60}");
            assert!(took < Duration::from_secs(20), "{source} took {took:?}");
        }
    });
}

#[test]
fn repeated_quantifiers_do_not_use_up_memory() {
    on_a_small_stack(|| {
        for pattern in [
            "(a{1000}){1000}",
            "((a{1000}){1000}){1000}",
            "a{999999999}",
            "(a{0,1000}){0,1000}b",
            "(((a?){100}){100}){100}b",
        ] {
            let start = Instant::now();
            let ended = outcome(&format!("$match(input.text, /{pattern}/)"));
            println!("{:>10.2?} {ended:<20} {pattern}", start.elapsed());
            assert!(start.elapsed() < Duration::from_secs(20), "{pattern}");
        }
    });
}

#[test]
fn deep_templates_are_refused() {
    on_a_small_stack(|| {
        let mut value = json!("${a}");
        for _ in 0..2_000 {
            value = Value::Array(vec![value]);
        }
        let errors = Template::compile(&value).unwrap_err();
        assert_eq!(errors.len(), 1);
    });
}
