//! `bowline workflows`: those of a running server.

use std::path::Path;

use bowline_flow::SHARED_FILE;
use comfy_table::{Table, presets};
use serde_json::{Value, json};

use crate::args::{DeployArgs, OfServer, WorkflowsCommand};
use crate::exit::{Exit, Failure, Result};
use crate::terminal::{self, text};
use crate::wiring::api::{Api, part};
use crate::wiring::files;
use crate::wiring::session::block_on;

pub(super) fn run(command: &WorkflowsCommand) -> Result {
    block_on(async {
        match command {
            WorkflowsCommand::List(args) => {
                let all = server(&args.of).await?.get("workflows").await?;
                list(&all["items"], args.of.json)
            }
            WorkflowsCommand::Show(args) => {
                let one = server(&args.of).await?.get(&path(&args.name, "")).await?;
                show(&one, args.of.json)
            }
            WorkflowsCommand::Deploy(args) => deploy(args).await,
            WorkflowsCommand::Remove(args) => {
                server(&args.of).await?.delete(&path(&args.name, "")).await?;
                Ok(done(&format!(
                    "workflow {} is not in use any more; its executions stay",
                    args.name
                )))
            }
            WorkflowsCommand::Pause(args) => {
                let server = server(&args.of).await?;
                server.post(&path(&args.name, "/pause"), &json!({})).await?;
                Ok(done(&format!(
                    "workflow {} is paused: its executions stand still, also those that start later",
                    args.name
                )))
            }
            WorkflowsCommand::Unpause(args) => {
                let server = server(&args.of).await?;
                server.post(&path(&args.name, "/unpause"), &json!({})).await?;
                Ok(done(&format!("workflow {} goes on", args.name)))
            }
        }
    })
}

async fn server(of: &OfServer) -> Result<Api> {
    Api::of(&of.data.folder, &of.organization).await
}

fn path(name: &str, rest: &str) -> String {
    format!("workflows/{}{rest}", part(name))
}

fn done(what: &str) -> Exit {
    terminal::note(what);
    Exit::Success
}

async fn deploy(args: &DeployArgs) -> Result {
    let mut paths: Vec<&Path> = args.files.iter().map(AsRef::as_ref).collect();
    let shared = paths.first().map(|first| first.with_file_name(SHARED_FILE));
    if let Some(shared) = shared
        .as_deref()
        .filter(|shared| shared.is_file() && !paths.contains(shared))
    {
        paths.push(shared);
    }
    let mut sent = Vec::with_capacity(paths.len());
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.is_empty() {
            return Err(Failure::usage(format!("{} names no file", path.display())));
        }
        sent.push(json!({ "name": name, "text": files::text(path, "the file")? }));
    }
    let body = json!({ "files": sent, "dryRun": args.dry_run });
    let deployed = server(&args.of).await?.post("workflows", &body).await?;
    if args.of.json {
        terminal::print_json(&deployed)?;
        return Ok(Exit::Success);
    }
    let unchanged = deployed["unchanged"].as_array().map(Vec::as_slice).unwrap_or_default();
    for version in deployed["deployments"].as_array().into_iter().flatten() {
        let name = text::one_line(version["workflow"].as_str().unwrap_or_default());
        let number = &version["version"];
        let word = match (unchanged.contains(&version["workflow"]), args.dry_run) {
            (true, _) => "is deployed already, as",
            (false, true) => "would be",
            (false, false) => "is deployed as",
        };
        terminal::print(&format!("{name} {word} version {number}"))?;
    }
    Ok(Exit::Success)
}

/// What is wrong with it, one line each.
fn problems(workflow: &Value) -> Vec<String> {
    let mut all = Vec::new();
    for list in ["problems", "triggerProblems"] {
        for problem in workflow[list].as_array().into_iter().flatten() {
            let message = problem["message"].as_str().unwrap_or_default();
            let at = match (&problem["file"], &problem["line"]) {
                (Value::String(file), Value::Number(line)) => format!("{file}:{line}: "),
                _ => String::new(),
            };
            all.push(text::one_line(&format!("{at}{message}")));
        }
    }
    for name in workflow["missing"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        all.push(format!("{name} is missing"));
    }
    all
}

fn state(workflow: &Value) -> &'static str {
    if !workflow["withdrawnAt"].is_null() {
        "removed"
    } else if workflow["paused"] == json!(true) {
        "paused"
    } else if !problems(workflow).is_empty() {
        "needs attention"
    } else {
        "ready"
    }
}

fn triggers(workflow: &Value) -> String {
    let all = workflow["triggers"].as_array().into_iter().flatten();
    let all = all.filter_map(|trigger| trigger["kind"].as_str());
    all.collect::<Vec<_>>().join(", ")
}

fn list(items: &Value, as_json: bool) -> Result {
    if as_json {
        terminal::print_json(items)?;
        return Ok(Exit::Success);
    }
    let items = items.as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        terminal::note("no workflow is deployed");
        return Ok(Exit::Success);
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["NAME", "VERSION", "FROM", "STATE", "TRIGGERS"]);
    for workflow in items {
        table.add_row([
            text::one_line(workflow["name"].as_str().unwrap_or_default()),
            workflow["version"]
                .as_u64()
                .map(|version| version.to_string())
                .unwrap_or_default(),
            workflow["source"].as_str().unwrap_or_default().to_owned(),
            state(workflow).to_owned(),
            triggers(workflow),
        ]);
    }
    terminal::print(&text::table(&mut table))?;
    for workflow in items {
        for problem in problems(workflow) {
            let name = workflow["name"].as_str().unwrap_or_default();
            terminal::note(&format!("{}: {problem}", text::one_line(name)));
        }
    }
    Ok(Exit::Success)
}

fn show(workflow: &Value, as_json: bool) -> Result {
    if as_json {
        terminal::print_json(workflow)?;
        return Ok(Exit::Success);
    }
    let text_of = |name: &str| text::one_line(workflow[name].as_str().unwrap_or_default());
    for (name, value) in [
        ("workflow", text_of("name")),
        ("about", text_of("description")),
        ("state", state(workflow).to_owned()),
        ("file", text_of("file")),
        ("triggers", triggers(workflow)),
    ] {
        if !value.is_empty() {
            terminal::print(&format!("{name:<10} {value}"))?;
        }
    }
    for problem in problems(workflow) {
        terminal::print(&format!("{:<10} {problem}", "problem"))?;
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["VERSION", "DEPLOYED", "FROM", "BY", "HASH"]);
    for version in workflow["versions"].as_array().into_iter().flatten() {
        let of = |name: &str| text::one_line(version[name].as_str().unwrap_or_default());
        let hash: String = of("hash").chars().take(12).collect();
        table.add_row([version["version"].to_string(), of("at"), of("source"), of("by"), hash]);
    }
    terminal::print("")?;
    terminal::print(&text::table(&mut table))?;
    Ok(Exit::Success)
}
