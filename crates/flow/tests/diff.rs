//! Two versions of a workflow compared.
#![expect(clippy::panic, reason = "tests")]

mod common;

use bowline_flow::diff::place_of;
use bowline_flow::{Difference, LoadOptions, Plan, Source, diff, load};

fn plan(text: &str) -> Plan {
    load(
        Source::new("w.yaml", text),
        &common::registry(),
        &LoadOptions::default(),
    )
    .unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

const OLD: &str = "
steps:
  - { id: charge, type: http-request, config: { method: POST, url: https://pay.example, body: { n: \"${input.n}\" } }, timeout: 5s }
  - set: { fee: 3 }
  - { id: receipt, type: http-request, config: { url: https://mail.example, body: \"${charge.body.id}\" } }
  - id: items
    forEach: \"${input.items}\"
    steps: [ { id: put, type: http-request, config: { url: \"https://store.example/${item.id}\" } } ]
  - id: again
    repeat: { until: \"${ try.body.done }\", delay: 5s }
    steps: [ { id: try, type: http-request, config: { url: https://poll.example } } ]
  - { id: audit, type: http-request, config: { url: https://audit.example } }
  - { id: note, type: http-request, config: { url: \"https://note.example/${fee}\" }, callback: { correlate: \"${response.body.id}\" } }
  - { id: ship, workflow: ship-order, input: { n: 1 } }
  - { wait: 1h, id: pause_here }
";

fn changed(edits: &[(&str, &str)]) -> Difference {
    let mut new = OLD.to_owned();
    for (from, to) in edits {
        assert!(new.contains(from), "{from}");
        new = new.replace(from, to);
    }
    diff(&plan(OLD), &plan(&new))
}

#[test]
fn the_same_is_no_difference() {
    let same = changed(&[]);
    assert!(same.is_empty());
    for path in [
        "charge",
        "charge#2",
        "items[2]/put",
        "items[0..100]/",
        "again[1..1001]",
        "again[3]/delay",
        "note/callback",
        "ship",
        "pause_here",
    ] {
        assert!(same.keeps(path), "{path}");
        assert_eq!(same.missing(path), None, "{path}");
    }
    assert!(!same.keeps("unheard-of"));
}

#[test]
fn timeouts_and_conditions_keep_results_and_requests_do_not() {
    let difference = changed(&[
        (
            "timeout: 5s",
            "timeout: 9s, when: \"${input.n > 0}\", errorHandling: { maxRetries: 7 }",
        ),
        ("https://store.example", "https://new-store.example"),
        ("delay: 5s", "delay: 9s"),
        ("fee: 3", "fee: 4"),
        ("n: 1", "n: 2"),
    ]);
    let told = "\
~ items/put (http-request): config changed; it runs again
~ ship (ship-order): input changed; it runs again
. again (repeat): changed in what is not recorded; what was done is kept
. charge (http-request): changed in what is not recorded; what was done is kept
. set-2 (set): changed in what is not recorded; what was done is kept
! note keeps its result and reads fee, which changed
";
    assert_eq!(difference.to_string(), told);
    for (path, keeps) in [
        ("charge", true),
        ("receipt", true),
        ("items[2]/put", false),
        ("items[0..100]", false),
        ("again[7]/try", true),
        ("again[1..1001]/", false),
        ("audit", true),
        ("note", true),
        ("note/callback", true),
        ("ship", false),
    ] {
        assert_eq!(difference.keeps(path), keeps, "{path}");
        let is_changed_loop = path.contains("..");
        assert_eq!(difference.missing(path).is_some(), is_changed_loop, "{path}");
    }
}

#[test]
fn what_was_done_and_has_no_place_is_missing() {
    let difference = changed(&[
        (
            "  - { id: audit, type: http-request, config: { url: https://audit.example } }\n",
            "",
        ),
        (
            "id: receipt, type: http-request, config: { url: https://mail.example, body: \"${charge.body.id}\" }",
            "id: receipt, type: email-send, config: { to: [a], subject: b, text: c }",
        ),
        (", callback: { correlate: \"${response.body.id}\" }", ""),
        ("id: pause_here", "id: other_pause"),
        ("forEach: \"${input.items}\"", "forEach: \"${input.others}\""),
    ]);
    let told = "\
+ other_pause (timer)
- audit (http-request)
- note/callback (callback)
- pause_here (timer)
~ items (forEach): forEach changed; it runs again
~ items/put (http-request): forEach changed; it runs again
~ receipt: was http-request, is email-send
";
    assert_eq!(difference.to_string(), told);
    let done = [
        "charge",
        "receipt",
        "items[0]/put",
        "audit",
        "note",
        "note/callback",
        "pause_here",
    ];
    let missing: Vec<String> = done
        .iter()
        .filter_map(|path| difference.missing(path))
        .map(|missing| missing.to_string())
        .collect();
    let expected = [
        "`receipt` was done as http-request, and is email-send in the new version",
        "`audit` (http-request) was done, and the new version does not have it",
        "`note/callback` (callback) was done, and the new version does not have it",
    ];
    assert_eq!(missing, expected);
    assert!(!difference.keeps("items[0]/put"), "another list has other items");
}

#[test]
fn a_callback_is_asked_for_again_with_its_call() {
    let difference = changed(&[("https://note.example", "https://notes.example")]);
    assert!(!difference.keeps("note") && !difference.keeps("note/callback"));
    let json = serde_json::to_value(&difference).unwrap_or_default();
    assert_eq!(json["changed"][0]["path"], "note");
    assert_eq!(json["changed"][0]["fields"], serde_json::json!(["config"]));
}

#[test]
fn places_have_no_numbers() {
    for (path, place) in [
        ("a", "a"),
        ("items[2]/put#2", "items/put"),
        ("a[1]/b[2]/c.compensation", "a/b/c.compensation"),
        ("items[0..100]#2", "items"),
    ] {
        assert_eq!(place_of(path), place);
    }
}
