//! Every workflow of `examples/` loads, and the inputs beside it fit.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bowline_checks::files::root;
use bowline_flow::{SHARED_FILE, check_input, load_file};

#[test]
fn every_example_loads_and_takes_its_inputs() -> Result<()> {
    let (mut workflows, mut inputs) = (0, 0);
    let mut broken = Vec::new();
    for folder in entries(&root().join("examples"))?
        .into_iter()
        .filter(|path| path.is_dir())
    {
        let files = entries(&folder)?;
        for file in files.iter().filter(|file| is_workflow(file)) {
            workflows += 1;
            let plan = match load_file(file, &super::REGISTRY) {
                Ok(plan) => plan,
                Err(problems) => {
                    broken.push(problems.to_string());
                    continue;
                }
            };
            for input in files.iter().filter(|file| is_named(file, "input")) {
                inputs += 1;
                let text = std::fs::read_to_string(input)?;
                let value = serde_json::from_str(&text).with_context(|| input.display().to_string())?;
                let wrong = check_input(&plan, &value);
                broken.extend(wrong.into_iter().map(|what| format!("{}: {what}", input.display())));
            }
        }
    }
    assert!(
        workflows >= 3 && inputs >= 3,
        "only {workflows} workflows and {inputs} inputs were found"
    );
    super::none("examples that do not work", &broken);
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut found = read.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    found.sort();
    Ok(found)
}

fn is_workflow(file: &Path) -> bool {
    let ending = file
        .extension()
        .is_some_and(|ending| ending == "yaml" || ending == "yml");
    ending
        && !is_named(file, "mocks")
        && !is_named(file, SHARED_FILE)
        && !file.to_string_lossy().ends_with(".test.yaml")
}

fn is_named(file: &Path, start: &str) -> bool {
    file.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with(start))
}
