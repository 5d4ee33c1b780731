use std::io::Write as _;

use base64::Engine as _;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn masker(secrets: &[&str]) -> Masker {
    let masker = Masker::default();
    masker.add_all(secrets.iter().copied());
    masker
}

#[test]
fn nothing_known_changes_nothing() {
    let masker = Masker::default();
    assert!(matches!(masker.scrub_text("text"), Cow::Borrowed("text")));
    assert!(!masker.contains("text"));
}

#[test]
fn what_has_no_secret_is_not_copied() {
    let masker = masker(&["hunter2"]);
    assert!(matches!(masker.scrub_text("text"), Cow::Borrowed("text")));
    assert!(matches!(masker.scrub_bytes(b"text"), Cow::Borrowed(b"text")));
}

#[test]
fn secrets_are_replaced_in_every_form() {
    let secret = "p&ss w\"rd/é'<1>?";
    let masker = masker(&[secret]);
    let cases = [
        format!("x {secret} y"),
        format!("x {} y", base64::engine::general_purpose::STANDARD.encode(secret)),
        format!(
            "x {} y",
            base64::engine::general_purpose::STANDARD_NO_PAD.encode(secret)
        ),
        format!("x {} y", base64::engine::general_purpose::URL_SAFE.encode(secret)),
        format!(
            "x {} y",
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(secret)
        ),
        "x p%26ss%20w%22rd%2F%C3%A9%27%3C1%3E%3F y".to_owned(),
        "x p%26ss%20w%22rd%2f%c3%a9%27%3c1%3e%3f y".to_owned(),
        "x p%26ss%20w%22rd%2F%C3%A9'%3C1%3E%3F y".to_owned(),
        "x p%26ss+w%22rd%2F%C3%A9%27%3C1%3E%3F y".to_owned(),
        "x p&ss%20w%22rd/%C3%A9'%3C1%3E? y".to_owned(),
        "x p&ss w\\\"rd/é'<1>? y".to_owned(),
        "x p&ss w\\\"rd\\/é'<1>? y".to_owned(),
        "x p&ss w\\\"rd/\\u00e9'<1>? y".to_owned(),
        "x p&amp;ss w&quot;rd/é&#39;&lt;1&gt;? y".to_owned(),
    ];
    for text in cases {
        assert_eq!(masker.scrub_text(&text), "x *** y", "{text}");
        assert!(masker.contains(&text));
    }
}

#[test]
fn texts_that_hide_nothing_are_ignored() {
    let masker = masker(&["true", "1234567", "short", "null", ""]);
    assert_eq!(masker.scrub_text("true 1234567 short null"), "true 1234567 short null");
}

#[test]
fn overlapping_secrets_are_both_hidden() {
    let masker = masker(&["abcdefgh", "efghijkl", "abcdefghijklmnop"]);
    assert_eq!(masker.scrub_text("-abcdefghijkl-"), "-***-");
    assert_eq!(masker.scrub_text("-abcdefghijklmnop-"), "-***-");
    assert_eq!(masker.scrub_text("-abcdefghabcdefgh-"), "-******-");
}

#[test]
fn lines_of_a_long_secret_are_hidden_one_by_one() {
    let masker = masker(&["-----BEGIN KEY-----\nMIIEvQIBADANBgkq\r\nabc\n-----END KEY-----"]);
    assert_eq!(masker.scrub_text("  MIIEvQIBADANBgkq  "), "  ***  ");
    assert_eq!(masker.scrub_text("abc"), "abc");
}

#[test]
fn values_are_scrubbed_with_their_keys_and_numbers() {
    let masker = masker(&["tok-123456", "tok-abcdef", "12345678"]);
    let mut value = json!({
        "tok-123456": 1, "tok-abcdef": 2, "plain": ["x tok-123456", {"a": 12_345_678}, 1, true, null]
    });
    masker.scrub(&mut value);
    assert_eq!(
        value,
        json!({"***": 1, "***-2": 2, "plain": ["x ***", {"a": "***"}, 1, true, null]})
    );
    assert_eq!(value.as_object().unwrap().keys().next().unwrap(), "***");
}

#[test]
fn depth_does_not_matter() {
    let masker = masker(&["tok-123456"]);
    let mut deep = json!("tok-123456");
    for _ in 0..1_000 {
        deep = json!([deep]);
    }
    masker.scrub(&mut deep);
    let mut inside = &deep;
    while let Some(next) = inside.get(0) {
        inside = next;
    }
    assert_eq!(inside, "***");
}

#[test]
fn bytes_that_are_no_text_are_scrubbed() {
    let masker = masker(&["tok-123456"]);
    assert_eq!(&*masker.scrub_bytes(b"\xff\xfetok-123456\xff"), b"\xff\xfe***\xff");
}

#[test]
fn many_secrets_are_found_and_old_ones_are_forgotten() {
    let masker = Masker::default();
    let name = |n: usize| format!("secret-number-{n:06}!");
    masker.add_all(
        (0..CAPACITY + 500)
            .map(name)
            .collect::<Vec<_>>()
            .iter()
            .map(String::as_str),
    );
    assert!(masker.known().len() <= CAPACITY);
    assert!(masker.contains(&name(CAPACITY + 499)));
    assert!(!masker.contains(&name(0)));
    for n in 0..FRESH + 5 {
        masker.add(&format!("another-{n:06}"));
    }
    assert!(masker.contains("another-000000"));
    assert!(masker.contains(&format!("another-{:06}", FRESH + 4)));
    assert!(masker.contains(&name(CAPACITY + 499)));
}

#[test]
fn what_is_in_use_is_not_forgotten() {
    let masker = masker(&["in-use-always"]);
    for round in 0..6 {
        masker.add("in-use-always");
        let texts: Vec<String> = (0..CAPACITY / 4).map(|n| format!("round-{round}-{n:06}")).collect();
        masker.add_all(texts.iter().map(String::as_str));
    }
    assert!(masker.contains("in-use-always"));
}

#[test]
fn clones_and_threads_share_what_is_known() {
    let masker = Masker::default();
    std::thread::scope(|threads| {
        for thread in 0..4 {
            let masker = masker.clone();
            threads.spawn(move || {
                for n in 0..40 {
                    masker.add(&format!("secret-{thread}-{n}"));
                    masker.add("shared-secret");
                }
            });
        }
    });
    assert_eq!(masker.known().len(), 161);
    for (thread, n) in (0..4).flat_map(|thread| (0..40).map(move |n| (thread, n))) {
        assert!(masker.contains(&format!("secret-{thread}-{n}")));
    }
}

#[test]
fn a_writer_finds_secrets_across_writes_of_a_line() {
    let mut writer = MaskingWriter::new(Vec::new(), masker(&["tok-123456"]));
    writer.write_all(b"one tok-1").unwrap();
    writer.write_all(b"23456 two\nthree").unwrap();
    writer.write_all(b" tok-123456").unwrap();
    assert_eq!(writer.into_inner().unwrap(), b"one *** two\nthree ***");
}

#[test]
fn a_writer_passes_on_lines_and_what_is_flushed() {
    struct Seen<'s>(&'s std::sync::Mutex<Vec<u8>>);
    impl std::io::Write for Seen<'_> {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let seen = std::sync::Mutex::new(Vec::new());
    let now = || String::from_utf8(seen.lock().unwrap().clone()).unwrap();
    let mut writer = MaskingWriter::new(Seen(&seen), masker(&["tok-123456"]));
    writer.write_all(b"a\nb").unwrap();
    assert_eq!(now(), "a\n");
    writer.flush().unwrap();
    assert_eq!(now(), "a\nb");
    writer.write_all(b"c").unwrap();
    drop(writer);
    assert_eq!(now(), "a\nbc");
}

#[test]
fn a_writer_cuts_endless_lines_but_not_secrets() {
    let mut writer = MaskingWriter::new(Vec::new(), masker(&["tok-123456"]));
    let line = "tok-123456".repeat(400_000);
    for part in line.as_bytes().chunks(70_001) {
        writer.write_all(part).unwrap();
        assert!(writer.waiting.len() <= (1 << 20) + 70_001);
    }
    assert_eq!(writer.into_inner().unwrap(), "***".repeat(400_000).into_bytes());
}

#[test]
fn a_part_tells_what_it_learns_and_knows_nothing_of_others() {
    let whole = Masker::default();
    let (one, other) = (whole.part(), whole.part());
    one.add("secret-of-one");
    other.add("secret-of-other");
    let text = "secret-of-one secret-of-other";
    assert_eq!(one.scrub_text(text), "*** secret-of-other");
    assert_eq!(other.scrub_text(text), "secret-of-one ***");
    assert_eq!(whole.scrub_text(text), "*** ***");
}

#[test]
fn what_a_part_uses_is_not_forgotten_above() {
    let whole = Masker::default();
    let part = whole.part();
    part.add("secret-of-one");
    for number in 0..CAPACITY * 2 {
        whole.add(&format!("another-secret-{number}"));
        part.add("secret-of-one");
    }
    assert_eq!(whole.scrub_text("secret-of-one"), "***");
}

proptest! {
    #[test]
    fn no_form_of_a_secret_is_left(
        secrets in prop::collection::vec("[ -~äé\n]{6,30}", 1..5),
        texts in prop::collection::vec("[ -~]{0,10}", 6),
        picks in prop::collection::vec((0_usize..5, 0_usize..40), 5),
    ) {
        let masker = masker(&secrets.iter().map(String::as_str).collect::<Vec<_>>());
        let mut text = String::new();
        for (filler, (secret, form)) in texts.iter().zip(&picks) {
            let forms = forms::of(&secrets[secret % secrets.len()]);
            text += filler;
            text += std::str::from_utf8(&forms[form % forms.len()]).unwrap();
        }
        let clean = masker.scrub_text(&text);
        for secret in secrets.iter().filter(|secret| forms::worth_hiding(secret)) {
            for form in forms::of(secret) {
                let form = std::str::from_utf8(&form).unwrap();
                // A form that the mask itself could complete is not evidence of a leak.
                prop_assert!(form.contains("**") || !clean.contains(form), "{form:?} in {clean:?}");
            }
        }
        let bytes = masker.scrub_bytes(text.as_bytes());
        prop_assert_eq!(bytes.as_ref(), clean.as_bytes());
    }
}
