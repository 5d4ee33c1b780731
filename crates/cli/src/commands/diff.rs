//! `bowline diff`: two versions of a workflow, and what a deployment of the new one means for what is under way.

use std::path::Path;

use bowline_core::Origin;
use bowline_flow::{Difference, Plan, diff};
use bowline_store::{Definition, ExecutionFilter, ExecutionRow, Store};
use bowline_store_sqlite::SqliteStore;
use serde_json::{Value, json};

use crate::args::DiffArgs;
use crate::exit::{Exit, Failure, Result};
use crate::terminal::{self, text};
use crate::wiring::blobs::Loader;
use crate::wiring::replay::{replay, replayer};
use crate::wiring::{answers, programs, registry, store, workflow};

/// Executions read at once.
const PAGE: usize = 500;
/// So many executions that cannot go on are named; with `--json` all are.
const NAMED: usize = 20;

pub(super) fn run(args: &DiffArgs) -> Result {
    let store = store::look(&args.data.folder)?;
    let old = version(store.as_ref(), &args.of.organization, &args.old)?;
    let new = version(store.as_ref(), &args.of.organization, &args.new)?;
    if old.1.name != new.1.name {
        let message = format!(
            "{} is workflow {}, and {} is workflow {}",
            args.old, old.1.name, args.new, new.1.name
        );
        return Err(Failure::usage(message).hint("name two versions of one workflow"));
    }
    let difference = diff(&old.1, &new.1);
    let touched = match &store {
        Some(store) => touched(store, args, &old.0, &new.0, &difference)?,
        None => Vec::new(),
    };
    if args.json {
        let executions: Vec<Value> = touched.iter().map(Touched::json).collect();
        terminal::print_json(&json!({
            "workflow": new.1.name,
            "old": old.0.hash,
            "new": new.0.hash,
            "difference": difference,
            "executions": executions,
        }))?;
    } else {
        let short = |hash: &str| hash.chars().take(12).collect::<String>();
        let (from, to) = (short(&old.0.hash), short(&new.0.hash));
        terminal::print(&format!("{}: version {from} to {to}", new.1.name))?;
        terminal::print(difference.to_string().trim_end())?;
        tell(&touched, args)?;
    }
    let is_fine = touched.iter().all(|one| !matches!(one.fate, Fate::Neither(..)));
    Ok(if is_fine { Exit::Success } else { Exit::Failed })
}

/// A version: of a file, by its hash, or the one of a workflow that came last.
fn version(store: Option<&SqliteStore>, organization: &str, name: &str) -> Result<(Definition, Plan)> {
    let path = Path::new(name);
    if path.is_file() {
        let found = workflow::open_version(path, &registry())?;
        return Ok((found.definition, found.plan));
    }
    let nothing = || {
        Failure::usage(format!("{name} is no file, no version and no workflow"))
            .hint("name a file, the beginning of a version's hash, or a workflow that was started in the data folder")
    };
    let store = store.ok_or_else(nothing)?;
    let mut found = store.definitions(organization, name)?;
    if found.is_empty() && name.len() >= 4 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        for workflow in store.workflows(organization)? {
            let all = store.definitions(organization, &workflow)?;
            found.extend(all.into_iter().filter(|one| one.hash.starts_with(name)));
        }
        if found.len() > 1 {
            return Err(Failure::usage(format!(
                "several versions have a hash that begins with {name}"
            )));
        }
    }
    let definition = found.pop().ok_or_else(nothing)?;
    let (_, plan) = programs::read(&definition, &registry()).map_err(|error| Failure::usage(text::message(&error)))?;
    Ok((definition, plan))
}

/// An unfinished execution of the old version.
struct Touched {
    row: ExecutionRow,
    fate: Fate,
}

enum Fate {
    /// Its journal fits the new version as it is.
    Replays,
    /// It can be moved; these paths would be done again.
    Moves(Vec<String>),
    /// Neither; where the replay parts, and what would be lost.
    Neither(String, Vec<String>),
}

impl Touched {
    fn json(&self) -> Value {
        let (fate, again, why) = match &self.fate {
            Fate::Replays => ("replays", None, None),
            Fate::Moves(again) => ("moves", Some(again), None),
            Fate::Neither(parts, lost) => ("neither", None, Some(json!({ "replay": parts, "lost": lost }))),
        };
        json!({
            "execution": self.row.id,
            "status": self.row.status.name(),
            "fate": fate,
            "doneAgain": again,
            "why": why,
        })
    }
}

fn touched(
    store: &SqliteStore,
    args: &DiffArgs,
    old: &Definition,
    new: &Definition,
    difference: &Difference,
) -> Result<Vec<Touched>> {
    let mut found = Vec::new();
    if old.hash == new.hash {
        return Ok(found);
    }
    let loader = Loader::new(&args.data.folder)?;
    let replayer = replayer(&args.of.organization, None, None)?;
    let program = replayer
        .program(new)
        .map_err(|error| Failure::usage(text::message(&error)))?;
    let mut filter = ExecutionFilter {
        organization: Some(args.of.organization.clone()),
        unfinished: true,
        definition: Some(old.hash.clone()),
        limit: PAGE,
        ..ExecutionFilter::default()
    };
    loop {
        let page = store.executions(&filter)?;
        let Some(oldest) = page.last() else { return Ok(found) };
        filter.before = Some(oldest.exec);
        for row in page {
            let fits = replay(store, &row, &program, &loader)?;
            let records = store::records(store, &row)?;
            let kept = Origin::of(&row.id.as_str().into(), &records, String::new(), &|_| true).kept;
            let lost: Vec<String> = kept
                .iter()
                .filter_map(|kept| difference.missing(&kept.path))
                .map(|missing| missing.to_string())
                .collect();
            let again: Vec<String> = kept
                .iter()
                .filter(|kept| !difference.keeps(kept.path.trim_end_matches('/')))
                .map(|kept| kept.path.to_string())
                .collect();
            let fate = match fits {
                // That the new version asks for the same names is not all: what it asks for may have changed.
                Ok(_) if lost.is_empty() && again.is_empty() => Fate::Replays,
                _ if lost.is_empty() => Fate::Moves(again),
                Ok(_) => Fate::Neither("the journal fits, but what was done has changed".to_owned(), lost),
                Err(parts) => Fate::Neither(parts.to_string(), lost),
            };
            found.push(Touched { row, fate });
        }
    }
}

fn tell(touched: &[Touched], args: &DiffArgs) -> Result<()> {
    if touched.is_empty() {
        return terminal::print("no unfinished execution is on the old version");
    }
    let total = text::count(touched.len(), "unfinished execution");
    let stay = if touched.len() == 1 {
        "is on the old version and stays"
    } else {
        "are on the old version and stay"
    };
    terminal::print(&format!("\n{total} {stay} on it:"))?;
    let count = |fits: fn(&Fate) -> bool| touched.iter().filter(|one| fits(&one.fate)).count();
    terminal::print(&format!(
        "  {} would replay on the new version",
        count(|fate| matches!(fate, Fate::Replays))
    ))?;
    let moves = count(|fate| matches!(fate, Fate::Moves(_)));
    let data = answers::data(&args.data.folder);
    terminal::print(&format!(
        "  {moves} can be moved: `bowline executions resume ID --on {}{data}`",
        args.new
    ))?;
    let neither = count(|fate| matches!(fate, Fate::Neither(..)));
    terminal::print(&format!("  {neither} can do neither"))?;
    let mut named = 0;
    for one in touched {
        let line = match &one.fate {
            Fate::Replays => continue,
            Fate::Moves(again) if again.is_empty() => "moves; nothing that is done is done again".to_owned(),
            Fate::Moves(again) => format!("moves; done again: {}", again.join(", ")),
            Fate::Neither(_, lost) => format!("cannot: {}", lost.join("; ")),
        };
        if named == NAMED {
            return terminal::print("  ... and more; --json names all");
        }
        named += 1;
        terminal::print(&format!("  {}  {}", one.row.id, text::one_line(&line)))?;
    }
    Ok(())
}
