//! `bowline approve` and `approvals`.

use bowline_core::{Answer, Payload};
use bowline_flow::check_answer;
use bowline_store::{Store, WaitKind, WaitRow};
use comfy_table::{Table, presets};
use serde_json::{Map, Value, json};

use super::{address, deliver};
use crate::args::{ApproveArgs, WaitListArgs};
use crate::exit::{Exit, Failure, Result};
use crate::terminal::{self, text, time};
use crate::wiring::answers::{self, is_approval};
use crate::wiring::{files, store};

pub(crate) fn approve(args: &ApproveArgs) -> Result {
    let store = store::existing(&args.engine.data.folder)?;
    let row = store::find(&store, &args.id)?;
    // With a quorum each of those who are asked has an approval of their own.
    let is_theirs = |wait: &WaitRow| {
        let who = about(wait)["who"].clone();
        match (&args.by, who) {
            (Some(by), Value::Array(who)) if wait_has_quorum(wait) => who.iter().any(|one| one == by.as_str()),
            _ => true,
        }
    };
    // Who names one may answer for others.
    let fits = |wait: &WaitRow| is_approval(wait) && (args.path.is_some() || is_theirs(wait));
    let address = address::of_execution(&store, &row, args.path.as_deref(), &fits, "approval")?;
    let mut answer = match args.form.as_deref() {
        Some(form) => match files::input(Some(form))? {
            Value::Object(fields) => fields,
            _ => return Err(Failure::usage("--form is not an object of fields")),
        },
        None => Map::new(),
    };
    answer.insert("approved".into(), (!args.reject).into());
    if let Some(by) = &args.by {
        answer.insert("by".into(), by.as_str().into());
    }
    if let Some(comment) = &args.comment {
        answer.insert("comment".into(), comment.as_str().into());
    }
    let answer = Value::Object(answer);
    let output = Payload::of(&answer).map_err(|error| Failure::new(Exit::Bug, error))?;
    deliver::run(&args.engine, &address, Answer::Succeeded { output, event: None })
}

/// An answer that does not fit the form fails the step, so it is not sent.
pub(super) fn refuse_unfit(wait: &WaitRow, answer: &Value) -> Result<()> {
    let form = about(wait)["form"].clone();
    if form.is_null() {
        return Ok(());
    }
    let problems = check_answer(&form, answer);
    if problems.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = problems.iter().map(|problem| text::one_line(problem)).collect();
    Err(Failure::usage(format!(
        "the answer does not fit the approval's form: {}",
        list.join("; ")
    ))
    .hint("give the form's fields with --form; `bowline approvals --json` shows the form"))
}

fn about(wait: &WaitRow) -> Value {
    wait.detail
        .as_deref()
        .and_then(|detail| serde_json::from_slice(detail).ok())
        .unwrap_or_default()
}

fn wait_has_quorum(wait: &WaitRow) -> bool {
    about(wait)["quorum"].is_object()
}

pub(crate) fn approvals(args: &WaitListArgs) -> Result {
    let Some(store) = store::look(&args.data.folder)? else {
        if args.json {
            terminal::print_json(&json!([]))?;
        } else {
            terminal::note("nobody is asked to approve anything");
        }
        return Ok(Exit::Success);
    };
    let exec = match &args.execution {
        Some(id) => Some(store::find(&store, id)?.exec),
        None => None,
    };
    let open = answers::some(&store, exec, Some(WaitKind::Callback), args.limit as usize, is_approval)?;
    let mut rows = Vec::with_capacity(open.len());
    for wait in &open {
        let execution = store.execution_by_no(wait.exec)?.map(|row| row.id).unwrap_or_default();
        rows.push((execution, wait, about(wait)));
    }
    if args.json {
        let all = rows.iter().map(|(execution, wait, about)| {
            json!({
                "execution": execution,
                "path": wait.path,
                "who": about["who"],
                "what": about["what"],
                "quorum": about["quorum"],
                "form": about["form"],
                "openedAt": time::rfc3339(wait.opened_at),
                "until": wait.until.map(time::rfc3339),
            })
        });
        terminal::print_json(&Value::Array(all.collect()))?;
    } else if rows.is_empty() {
        terminal::note("nobody is asked to approve anything");
    } else {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        table.set_header(["EXECUTION", "PATH", "WHO", "UNTIL", "WHAT"]);
        for (execution, wait, about) in &rows {
            let who = match &about["who"] {
                Value::Array(who) => who.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
                other => other.as_str().unwrap_or_default().to_owned(),
            };
            table.add_row([
                execution.clone(),
                text::one_line(&wait.path),
                text::one_line(&who),
                wait.until.map(time::date).unwrap_or_default(),
                text::one_line(about["what"].as_str().unwrap_or_default()),
            ]);
        }
        terminal::print(&text::table(&mut table))?;
        super::list::more(rows.len(), args);
    }
    Ok(Exit::Success)
}
