//! `bowline schedules`: those of a running server.

use comfy_table::{Table, presets};
use serde_json::{Value, json};

use crate::args::{OfServer, SchedulesCommand};
use crate::exit::{Exit, Result};
use crate::terminal::{self, text};
use crate::wiring::api::{Api, part};
use crate::wiring::session::block_on;

pub(super) fn run(command: &SchedulesCommand) -> Result {
    block_on(async {
        match command {
            SchedulesCommand::List(args) => {
                let all = server(&args.of).await?.get("schedules").await?;
                list(&all["items"], args.of.json)
            }
            SchedulesCommand::Show(args) => {
                let one = server(&args.of).await?.get(&path(&args.name, "")).await?;
                show(&one, args.of.json)
            }
            SchedulesCommand::Pause(args) => {
                let body = args
                    .note
                    .as_ref()
                    .map_or_else(|| json!({}), |note| json!({ "note": note }));
                let one = server(&args.of).await?.post(&path(&args.name, "/pause"), &body).await?;
                show(&one, args.of.json)
            }
            SchedulesCommand::Unpause(args) => {
                let one = server(&args.of).await?;
                let one = one.post(&path(&args.name, "/unpause"), &json!({})).await?;
                show(&one, args.of.json)
            }
            SchedulesCommand::Run(args) => {
                let mut body = json!({});
                if let Some(overlap) = &args.overlap {
                    body["overlap"] = json!(overlap);
                }
                let fire = server(&args.of).await?.post(&path(&args.name, "/run"), &body).await?;
                fires(&json!([fire]), args.of.json)
            }
            SchedulesCommand::Backfill(args) => {
                let mut body = json!({ "from": args.from, "until": args.until });
                if let Some(overlap) = &args.overlap {
                    body["overlap"] = json!(overlap);
                }
                let server = server(&args.of).await?;
                let all = server.post(&path(&args.name, "/backfill"), &body).await?;
                fires(&all["items"], args.of.json)
            }
            SchedulesCommand::Fires(args) => {
                let fate = args.fate.as_deref().map(|fate| format!("&fate={}", part(fate)));
                let query = format!("/fires?limit={}{}", args.limit, fate.unwrap_or_default());
                let page = server(&args.of).await?.get(&path(&args.name, &query)).await?;
                fires(&page["items"], args.of.json)
            }
        }
    })
}

async fn server(of: &OfServer) -> Result<Api> {
    Api::of(&of.data.folder, &of.organization).await
}

fn path(name: &str, rest: &str) -> String {
    format!("schedules/{}{rest}", part(name))
}

fn field(value: &Value, name: &str) -> String {
    text::one_line(value[name].as_str().unwrap_or_default())
}

/// How it stands, in a word or two.
fn state(schedule: &Value) -> String {
    if schedule["gone"] == json!(true) {
        return "gone from its workflow".to_owned();
    }
    match (&schedule["problem"], &schedule["paused"]) {
        (Value::String(problem), _) => text::one_line(problem),
        (_, Value::Object(paused)) => {
            let note = paused.get("note").and_then(Value::as_str).unwrap_or_default();
            text::one_line(&format!("paused: {note}"))
        }
        _ => "active".to_owned(),
    }
}

fn list(items: &Value, as_json: bool) -> Result {
    if as_json {
        terminal::print_json(items)?;
        return Ok(Exit::Success);
    }
    let items = items.as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        terminal::note("there are no schedules");
        return Ok(Exit::Success);
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["NAME", "WORKFLOW", "DUE", "NEXT", "STATE"]);
    for schedule in items {
        let next = schedule["next"][0].as_str().unwrap_or("-").to_owned();
        table.add_row([
            field(schedule, "name"),
            field(schedule, "workflow"),
            field(schedule, "words"),
            next,
            state(schedule),
        ]);
    }
    terminal::print(&text::table(&mut table))?;
    Ok(Exit::Success)
}

fn show(schedule: &Value, as_json: bool) -> Result {
    if as_json {
        terminal::print_json(schedule)?;
        return Ok(Exit::Success);
    }
    let times = |name: &str, key: Option<&str>| {
        let all = schedule[name].as_array().into_iter().flatten();
        let all = all.filter_map(|one| key.map_or(one, |key| &one[key]).as_str());
        all.collect::<Vec<_>>().join(", ")
    };
    let last = schedule["last"].as_object().map(|last| {
        let of = |name: &str| last.get(name).and_then(Value::as_str).unwrap_or_default();
        format!("{} {} at {}", of("execution"), of("status"), of("endedAt"))
    });
    for (name, value) in [
        ("schedule", field(schedule, "name")),
        ("workflow", field(schedule, "workflow")),
        ("due", field(schedule, "words")),
        ("state", state(schedule)),
        ("next", times("next", None)),
        ("running", times("running", Some("execution"))),
        ("waiting", times("waiting", None)),
        ("last", last.unwrap_or_default()),
    ] {
        if !value.is_empty() {
            terminal::print(&format!("{name:<10} {value}"))?;
        }
    }
    Ok(Exit::Success)
}

fn fires(items: &Value, as_json: bool) -> Result {
    if as_json {
        terminal::print_json(items)?;
        return Ok(Exit::Success);
    }
    let items = items.as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        terminal::note("it was not due");
        return Ok(Exit::Success);
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["DUE", "FATE", "EXECUTION", "WHY"]);
    for fire in items {
        let until = fire["until"].as_str().map(|until| format!(" to {until}"));
        let count = fire["count"].as_u64().map(|count| format!(" ({count} times)"));
        table.add_row([
            format!("{}{}", field(fire, "due"), until.unwrap_or_default()),
            format!("{}{}", field(fire, "fate"), count.unwrap_or_default()),
            field(fire, "execution"),
            field(fire, "reason"),
        ]);
    }
    terminal::print(&text::table(&mut table))?;
    Ok(Exit::Success)
}
