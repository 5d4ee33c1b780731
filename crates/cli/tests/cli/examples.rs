//! The examples of the repository run as their documentation says.

use std::path::Path;

use crate::common::Folder;

#[test]
fn every_example_is_sound_and_runs() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut ran = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let example = entry.unwrap().path();
        let name = example.file_name().unwrap().to_str().unwrap().to_owned();
        if !example.join(format!("{name}.yaml")).is_file() {
            continue;
        }
        // In a copy: examples write files beside themselves.
        let folder = Folder::new();
        for file in std::fs::read_dir(&example).unwrap() {
            let file = file.unwrap().path();
            if file.is_file() {
                std::fs::copy(&file, folder.path(file.file_name().unwrap().to_str().unwrap())).unwrap();
            }
        }
        let workflow = format!("{name}.yaml");
        let checked = folder.run(&["validate", &workflow]);
        assert_eq!(checked.code, Some(0), "{}", checked.told());
        let shared = std::fs::read_to_string(example.join("bowline.yaml")).unwrap_or_default();
        if shared.contains("callbacks:") {
            // It is answered from outside: its own test runs it on a server.
            continue;
        }
        let args = [
            "run",
            &workflow,
            "--mocks",
            "mocks.yaml",
            "-i",
            "@input.json",
            "--virtual-time",
        ];
        let ended = folder.run(&args);
        assert_eq!(ended.code, Some(0), "{name}: {}", ended.told());
        ran += 1;
    }
    assert!(ran >= 4, "only {ran} examples were found");
}
