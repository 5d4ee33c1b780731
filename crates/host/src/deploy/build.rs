//! From files to definitions: workflows that belong together are checked against each other.

use std::collections::BTreeMap;
use std::path::Path;

use bowline_connector::Registry;
use bowline_flow::{Bundle, LoadOptions, Plan, Problems, SHARED_FILE, Source, load, name_and_children};
use bowline_store::Definition;

use crate::Problem;
use crate::sources::{definition, started_by};

/// A workflow that can be deployed.
pub(crate) struct Built {
    /// The name of its file.
    pub(crate) file: String,
    /// What it says.
    pub(crate) plan: Plan,
    /// What is stored.
    pub(crate) definition: Definition,
}

/// A file that cannot be.
pub(crate) struct Broken {
    /// The name of the file.
    pub(crate) file: String,
    /// The name of the workflow, as far as it can be told.
    pub(crate) workflow: String,
    /// What is wrong.
    pub(crate) problems: Vec<Problem>,
}

/// What files came to.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) built: Vec<Built>,
    pub(crate) broken: Vec<Broken>,
}

/// A file with its place among the others.
struct File {
    name: String,
    workflow: String,
    source: Source,
    children: Vec<String>,
}

/// Makes definitions of `files`, one of which may be the shared file. `others` are workflows that may be started besides
/// those in the files. Relative paths in them are resolved against `folder`.
pub(crate) fn build(
    files: &[(String, String)],
    others: &BTreeMap<String, Source>,
    folder: &Path,
    registry: &Registry,
) -> Outcome {
    let shared = files.iter().find(|(name, _)| name == SHARED_FILE);
    let sources: Vec<File> = files
        .iter()
        .filter(|(name, _)| name != SHARED_FILE)
        .map(|(name, text)| {
            let mut source = Source::new(name, text);
            if let Some((shared, text)) = shared {
                source = source.with_shared(shared, text);
            }
            let (workflow, children) = name_and_children(&source).unwrap_or_else(|| (stem(name), Vec::new()));
            File {
                name: name.clone(),
                workflow,
                source,
                children,
            }
        })
        .collect();
    let mut twins: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut workflows: BTreeMap<String, Vec<String>> = others
        .iter()
        .map(|(name, source)| {
            let children = name_and_children(source).map(|(_, children)| children);
            (name.clone(), children.unwrap_or_default())
        })
        .collect();
    for file in &sources {
        twins.entry(file.workflow.clone()).or_default().push(file.name.clone());
        workflows.insert(file.workflow.clone(), file.children.clone());
    }
    let is_alone = |files: &Vec<String>| files.len() < 2;
    twins.retain(|_, files| !is_alone(files));
    let options = LoadOptions {
        workflows: Some(workflows),
        twins,
    };
    let loaded: Vec<(&File, Result<Plan, Problems>)> = sources
        .iter()
        .map(|file| (file, load(file.source.clone(), registry, &options)))
        .collect();
    let plans: BTreeMap<&str, &Result<Plan, Problems>> = loaded
        .iter()
        .map(|(file, result)| (file.workflow.as_str(), result))
        .collect();
    let mut outcome = Outcome::default();
    for (file, result) in &loaded {
        let broken = |problems| Broken {
            file: file.name.clone(),
            workflow: file.workflow.clone(),
            problems,
        };
        match result {
            Err(problems) => outcome.broken.push(broken(Problem::all(problems))),
            Ok(plan) => match children(plan, &plans, others, registry) {
                Err(problems) => outcome.broken.push(broken(problems)),
                Ok(children) => {
                    let bundle = Bundle::new(folder.to_owned(), plan.source.clone(), children);
                    outcome.built.push(Built {
                        file: file.name.clone(),
                        definition: definition(&bundle, &plan.name),
                        plan: plan.clone(),
                    });
                }
            },
        }
    }
    outcome
}

/// Every workflow that can be reached from a plan, by name.
fn children(
    plan: &Plan,
    plans: &BTreeMap<&str, &Result<Plan, Problems>>,
    others: &BTreeMap<String, Source>,
    registry: &Registry,
) -> Result<BTreeMap<String, Source>, Vec<Problem>> {
    let mut found = BTreeMap::new();
    let mut wanted = started_by(plan);
    let mut problems = Vec::new();
    while let Some(name) = wanted.pop() {
        if name == plan.name || found.contains_key(&name) {
            continue;
        }
        let (source, children) = match (plans.get(name.as_str()), others.get(&name)) {
            (Some(Ok(child)), _) => (child.source.clone(), started_by(child)),
            (Some(Err(_)), _) => {
                problems.push(Problem {
                    file: plan.source.file.clone(),
                    hint: Some(format!("mend the file of `{name}` first")),
                    ..Problem::plain(format!("it starts the workflow `{name}`, whose file has problems"))
                });
                found.insert(name, Source::new("", ""));
                continue;
            }
            (None, Some(source)) => {
                let children = load(source.clone(), registry, &LoadOptions::default());
                (source.clone(), children.as_ref().map(started_by).unwrap_or_default())
            }
            // The checker has refused names that nothing has.
            (None, None) => continue,
        };
        wanted.extend(children);
        found.insert(name, source);
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

fn stem(name: &str) -> String {
    Path::new(name)
        .file_stem()
        .map_or_else(|| name.to_owned(), |stem| stem.to_string_lossy().into_owned())
}
