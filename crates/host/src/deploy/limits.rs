//! How much one deployment through the API may be: what it takes to check grows faster than its text, and a definition
//! holds every workflow that can be reached from it.

use std::collections::{BTreeMap, BTreeSet};

use bowline_flow::{Outline, SHARED_FILE, Source, outline};

use crate::{ErrorKind, HostError};

/// All files together, in bytes.
const BYTES: usize = 8 << 20;

/// The steps of one workflow.
const STEPS: usize = 5_000;

/// The steps of all of them.
const ALL_STEPS: usize = 20_000;

/// All definitions together, in bytes: each has its own text and those of the workflows that can be reached from it.
const DEFINITIONS: usize = 32 << 20;

/// Refuses files that are more than one deployment may be. Reads them, so not on a thread of the runtime.
pub(crate) fn refuse_large(files: &[(String, String)], others: &BTreeMap<String, Source>) -> Result<(), HostError> {
    let bytes: usize = files.iter().map(|(_, text)| text.len()).sum();
    if bytes > BYTES {
        let message = format!("the files have {bytes} bytes");
        return Err(too_large(&message));
    }
    let shared = files.iter().find(|(name, _)| name == SHARED_FILE);
    let shared = shared.map_or(0, |(_, text)| text.len());
    let mut steps = 0;
    let mut known: BTreeMap<String, (usize, Vec<String>)> = BTreeMap::new();
    let mut new = Vec::new();
    for (name, text) in files.iter().filter(|(name, _)| name != SHARED_FILE) {
        // What cannot be read is told as a problem of its own, which takes no time.
        let Some(read) = outline(&Source::new(name, text)) else {
            continue;
        };
        if read.steps > STEPS {
            let message = format!("{name} has {} steps", read.steps);
            return Err(too_large(&message));
        }
        steps += read.steps;
        known.insert(read.name.clone(), (text.len() + shared, read.children));
        new.push(read.name);
    }
    if steps > ALL_STEPS {
        let message = format!("the files have {steps} steps");
        return Err(too_large(&message));
    }
    for (name, source) in others {
        if known.contains_key(name) {
            continue;
        }
        let children = outline(source).map_or_else(Vec::new, |Outline { children, .. }| children);
        let shared = source.shared.as_ref().map_or(0, |shared| shared.text.len());
        known.insert(name.clone(), (source.text.len() + shared, children));
    }
    let mut bytes = 0;
    for name in &new {
        let mut seen = BTreeSet::new();
        let mut wanted = vec![name];
        while let Some(name) = wanted.pop() {
            let Some((size, children)) = known.get(name).filter(|_| seen.insert(name)) else {
                continue;
            };
            bytes += size;
            if bytes > DEFINITIONS {
                let message = "the files, each with the workflows that it starts and those that they start, have more \
                               bytes than that";
                return Err(too_large(message));
            }
            wanted.extend(children);
        }
    }
    Ok(())
}

fn too_large(what: &str) -> HostError {
    let message = format!(
        "the deployment is too large: {what}; one may have {} MiB of files, {STEPS} steps in a workflow, {ALL_STEPS} in \
         all, and {} MiB where each workflow is counted with all that it starts",
        BYTES >> 20,
        DEFINITIONS >> 20,
    );
    HostError::new(ErrorKind::Invalid, "workflow.too-large", message)
        .hint("deploy fewer files at once, or make a workflow of several that it starts")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(files: &[(String, String)], others: &BTreeMap<String, Source>) -> Option<&'static str> {
        refuse_large(files, others).err().map(|error| error.code)
    }

    fn steps(count: usize) -> String {
        let step = "  - set: { a: 1 }\n";
        format!("steps:\n{}", step.repeat(count))
    }

    fn starts(child: &str, filler: usize) -> String {
        let filler = "#".repeat(filler);
        format!("steps:\n  - workflow: {child}\n  - workflow: {child}\n{filler}\n")
    }

    #[test]
    fn what_takes_too_long_to_check_is_refused() {
        let none = BTreeMap::new();
        let file = |name: &str, text: String| (format!("{name}.yaml"), text);
        assert_eq!(code(&[file("a", steps(5_000))], &none), None);
        assert_eq!(code(&[file("a", steps(5_001))], &none), Some("workflow.too-large"));
        let many: Vec<_> = (0..5).map(|n| file(&format!("w{n}"), steps(4_500))).collect();
        assert_eq!(code(&many[..4], &none), None);
        assert_eq!(code(&many, &none), Some("workflow.too-large"));
        assert_eq!(
            code(&[file("a", " ".repeat(BYTES + 1))], &none),
            Some("workflow.too-large")
        );
    }

    #[test]
    fn a_workflow_counts_with_all_that_it_starts() {
        let chain = |count: usize, filler: usize| -> Vec<(String, String)> {
            let one = |n: usize| (format!("w{n}.yaml"), starts(&format!("w{}", n + 1), filler));
            (0..count).map(one).collect()
        };
        // 450 files of a kilobyte are no more than 450 kB, and 100 MB where each has all behind it.
        assert_eq!(code(&chain(450, 1_000), &BTreeMap::new()), Some("workflow.too-large"));
        assert_eq!(code(&chain(100, 1_000), &BTreeMap::new()), None);
        let deployed = chain(40, 100_000).into_iter().map(|(name, text)| {
            let source = Source::new(&name, &text);
            (name.trim_end_matches(".yaml").to_owned(), source)
        });
        let deployed: BTreeMap<_, _> = deployed.collect();
        let new = |count: usize| -> Vec<(String, String)> {
            (0..count).map(|n| (format!("n{n}.yaml"), starts("w0", 0))).collect()
        };
        assert_eq!(code(&new(1), &deployed), None);
        assert_eq!(code(&new(9), &deployed), Some("workflow.too-large"));
    }
}
