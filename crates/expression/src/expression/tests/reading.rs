//! Reading values in place: exactness, speed, and that it makes no difference.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::*;
use super::value;

#[test]
fn whole_numbers_pass_through_exactly() {
    let exact = json!(9_007_199_254_740_993_u64);
    assert_eq!(value("input.id"), Some(exact.clone()));
    assert_eq!(value("{'id': input.id}"), Some(json!({"id": exact})));
    assert_eq!(value("[input.id][0]"), Some(exact.clone()));
    assert_eq!(value("[input].id"), Some(exact));
}

#[test]
fn big_values_are_read_in_place() {
    let items: Vec<Value> = (0..100_000).map(|n| json!({"id": n, "text": "x".repeat(64)})).collect();
    let big = BTreeMap::from([("a".to_owned(), Binding::open(json!({"b": "small", "items": items})))]);
    for source in ["a.b", "a.b & '!'", "$count(a.items)", "a.items[5].id"] {
        let expression = Expression::compile(source).unwrap();
        // The first one warms up; the best of several is what the work takes, whatever else runs.
        let best = (0..10)
            .map(|_| {
                let start = Instant::now();
                expression.evaluate(&big, &Moment::default()).unwrap();
                start.elapsed()
            })
            .min()
            .unwrap();
        assert!(best < Duration::from_millis(1), "{source} took {best:?}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-1000_i64..1000).prop_map(Value::from),
        "[a-z]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[ab]", inner, 0..3).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// The short cut for plain paths gives what JSONata gives.
    #[test]
    fn walking_a_path_is_evaluating_it(input in any_json(), path in prop::collection::vec("[ab]", 0..4)) {
        let source = std::iter::once("a".to_owned()).chain(path).collect::<Vec<_>>().join(".");
        let expression = Expression::compile(&source).unwrap();
        let scope = BTreeMap::from([("a".to_owned(), Binding::open(input))]);
        let moment = Moment::default();
        if let Some(walked) = expression.evaluate_path(&scope, &moment, 100) {
            let evaluated = expression.evaluate_jsonata(&scope, &moment, 100).unwrap();
            prop_assert_eq!(walked.unwrap().value, evaluated.value);
        }
    }

    /// Reading values in place gives what converting them first gives.
    #[test]
    fn reading_in_place_is_reading_a_copy(input in any_json(), source in prop::sample::select(vec![
        "a.b", "a.*", "a.**", "a[0]", "a.b[1].a", "$keys(a)", "$string(a)", "[a, a]", "{'x': a}", "a.{'k': b}",
        "$merge([a, {'z': 1}])", "$reverse([a])", "$count(a)", "a ~> |$|{'n': 1}|", "$each(a, function($v, $k) { $k })",
    ])) {
        let expression = Expression::compile(source).unwrap();
        let whole = json!({"a": input.clone()});
        let scope = BTreeMap::from([("a".to_owned(), Binding::open(input))]);
        let ours = expression.evaluate_jsonata(&scope, &Moment::default(), 100);
        let plain = jlens_core::Expression::compile(source).unwrap().evaluate(Some(&whole), &Bindings::new());
        match (ours, plain) {
            (Ok(ours), Ok(plain)) => prop_assert_eq!(ours.value, plain),
            (Err(_), Err(_)) => {}
            (ours, plain) => prop_assert!(false, "{:?} and {:?}", ours, plain),
        }
    }
}
