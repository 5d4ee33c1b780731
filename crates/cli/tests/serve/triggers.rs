//! Schedules and directories through `kill -9`: each due time has one fate, each file one execution.
//!
//! `BOWLINE_KILLS` says how often the server is killed, for those who have the time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::process::{LONG, Process};

/// Due every second, and overlapping in every way that it may.
const TICKS: &str = "
name: ticks
triggers:
  - { id: allow, type: schedule, config: { every: 1s, overlap: allow } }
  - { id: skip, type: schedule, config: { cron: '* * * * * *', overlap: skip } }
  - { id: buffer, type: schedule, config: { every: 1s, overlap: bufferAll } }
steps:
  - wait: 300ms
output: '${input}'
";

/// A file and nothing else.
const FILES: &str = "
name: files
triggers:
  - type: directory-watcher
    config: { path: INBOX, pattern: '*.csv', debounce: 50ms, rescan: 500ms, after: { move: DONE } }
steps:
  - set: { name: '${input.name}' }
output: '${input}'
";

fn kills(default: u32) -> u32 {
    std::env::var("BOWLINE_KILLS").map_or(default, |kills| kills.parse().unwrap())
}

async fn get(server: &Process, path: &str) -> Value {
    let client = reqwest::Client::builder().no_proxy().timeout(LONG).build().unwrap();
    let answer = client.get(server.url(path)).send().await.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    answer.json().await.unwrap()
}

/// Every item of a list that has pages.
async fn all(server: &Process, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let mut page = get(server, &format!("{path}{cursor}")).await;
        items.append(page["items"].as_array_mut().unwrap());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}"))
}

/// Seconds since the Unix epoch.
fn seconds(time: &str) -> i64 {
    time.parse::<jiff::Timestamp>().unwrap().as_second()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_due_time_has_one_fate_through_kills() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ticks.yaml"), TICKS.trim_start()).unwrap();
    let mut server = Process::start(folder.path(), &[]);
    for number in 0..kills(6) {
        // At another moment of the second each time, and down for longer than a second now and then.
        let alive = Duration::from_millis(900 + u64::from(number * 137 % 700));
        tokio::time::sleep(alive).await;
        drop(server);
        if number % 3 == 2 {
            tokio::time::sleep(Duration::from_millis(1500)).await;
        }
        server = Process::start(folder.path(), &[]);
    }
    for schedule in ["ticks.allow", "ticks.skip", "ticks.buffer"] {
        let answer = reqwest::Client::builder().no_proxy().build().unwrap();
        let paused = answer
            .post(server.url(&format!("/api/v1/schedules/{schedule}/pause")))
            .send()
            .await
            .unwrap();
        assert!(paused.status().is_success());
        // What was started, or waits, comes to its end.
        let began = Instant::now();
        let view = loop {
            let view = get(&server, &format!("/api/v1/schedules/{schedule}")).await;
            if view["running"] == json!([]) {
                break view;
            }
            assert!(began.elapsed() < LONG, "{view}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let mut fates: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        let fires = all(&server, &format!("/api/v1/schedules/{schedule}/fires?limit=500")).await;
        for fire in &fires {
            fates
                .entry(seconds(text(fire, "due")))
                .or_default()
                .push(text(fire, "fate").to_owned());
        }
        let (first, last) = (*fates.keys().next().unwrap(), seconds(text(&view, "settledUntil")));
        assert!(last - first >= 5, "{schedule} was hardly ever due: {fates:?}");
        for due in first..=last {
            assert_eq!(fates.get(&due).map(Vec::len), Some(1), "{schedule} at {due}: {fates:?}");
        }
        // Each start is one execution, of that due time.
        let started: BTreeMap<&str, &str> = fires
            .iter()
            .filter(|fire| fire["fate"] == "started")
            .map(|fire| (text(fire, "execution"), text(fire, "due")))
            .collect();
        for (id, due) in &started {
            let execution = get(&server, &format!("/api/v1/executions/{id}")).await;
            assert_eq!(text(&execution["input"], "scheduledAt"), *due);
            assert_eq!(text(&execution["input"], "schedule"), schedule);
        }
        let path = format!("/api/v1/executions?workflow=ticks&limit=500&input[schedule]={schedule}");
        let executions: BTreeSet<String> = all(&server, &path)
            .await
            .iter()
            .map(|one| text(one, "id").to_owned())
            .collect();
        assert_eq!(
            executions,
            started.keys().map(ToString::to_string).collect(),
            "{schedule}"
        );
    }
}

fn write(inbox: &Path, number: u32) {
    // As careful programs do it; every third is written in place, in two parts.
    let name = inbox.join(format!("{number}.csv"));
    if number.is_multiple_of(3) {
        use std::io::Write;
        let mut file = std::fs::File::create(name).unwrap();
        file.write_all(b"one,").unwrap();
        file.write_all(format!("{number}\n").as_bytes()).unwrap();
    } else {
        let part = inbox.join(format!("{number}.part"));
        std::fs::write(&part, format!("one,{number}\n")).unwrap();
        std::fs::rename(part, name).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_starts_one_execution_through_kills() {
    let folder = tempfile::tempdir().unwrap();
    let (inbox, done) = (folder.path().join("inbox"), folder.path().join("done"));
    std::fs::create_dir(&inbox).unwrap();
    let flow = FILES
        .replace("INBOX", inbox.to_str().unwrap())
        .replace("DONE", done.to_str().unwrap());
    std::fs::write(folder.path().join("files.yaml"), flow.trim_start()).unwrap();
    let mut number = 0;
    let mut some = |count: u32| {
        for _ in 0..count {
            write(&inbox, number);
            number += 1;
        }
    };
    let mut server = Process::start(folder.path(), &[]);
    for kill in 0..kills(6) {
        for _ in 0..10 {
            some(4);
            tokio::time::sleep(Duration::from_millis(40 + u64::from(kill * 7 % 23))).await;
        }
        drop(server);
        some(5);
        server = Process::start(folder.path(), &[]);
    }
    let began = Instant::now();
    let left = || std::fs::read_dir(&inbox).unwrap().count();
    while left() > 0 {
        assert!(began.elapsed() < LONG, "{} files are left", left());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let executions = all(&server, "/api/v1/executions?workflow=files&limit=500").await;
    let mut names = BTreeMap::new();
    for execution in &executions {
        let execution = get(&server, &format!("/api/v1/executions/{}", text(execution, "id"))).await;
        *names.entry(text(&execution["input"], "name").to_owned()).or_insert(0) += 1;
    }
    let expected: BTreeMap<String, i32> = (0..number).map(|number| (format!("{number}.csv"), 1)).collect();
    assert_eq!(names, expected);
    assert_eq!(std::fs::read_dir(&done).unwrap().count(), number as usize);
}
