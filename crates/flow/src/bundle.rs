//! What is stored as a definition: a workflow, those it starts, and the folder they are from.
//!
//! Everything that a later process needs to go on with an execution is in here, whatever has become of
//! the files since. The hash of the content is the version of the workflow.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::source::{Shared, Source, hexadecimal};
use crate::unserved::unserved;

/// A workflow with the workflows that it, or one of them, starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bundle {
    /// Against which relative paths in the workflow are resolved; absolute.
    pub folder: PathBuf,
    /// The workflow.
    pub main: Source,
    /// Every workflow that can be reached from it, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub children: BTreeMap<String, Source>,
}

impl Bundle {
    /// A bundle of what was read from `folder`. Files are named without their folder, so that the version
    /// does not depend on how the path was written.
    #[must_use]
    pub fn new(folder: PathBuf, main: Source, children: BTreeMap<String, Source>) -> Self {
        let children = children
            .into_iter()
            .map(|(name, source)| (name, bare(source)))
            .collect();
        Self {
            folder,
            main: bare(main),
            children,
        }
    }

    /// The bundle of a child: the same workflows, from its side.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<Self> {
        let main = self.children.get(name)?.clone();
        Some(Self {
            folder: self.folder.clone(),
            main,
            children: self.children.clone(),
        })
    }

    /// What is stored.
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        // Texts only, which always are JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// SHA-256 of [`content`](Self::content), in hexadecimal: the version of the workflow.
    #[must_use]
    pub fn hash(&self) -> String {
        hexadecimal(&Sha256::digest(self.content()))
    }

    /// Reads what [`content`](Self::content) gave.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn from_content(content: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(content)
    }
}

fn bare(mut source: Source) -> Source {
    source.file = file_name(&source.file);
    source.shared = source.shared.and_then(unserved).map(|shared| Shared {
        file: file_name(&shared.file),
        ..shared
    });
    source
}

fn file_name(path: &str) -> String {
    Path::new(path)
        .file_name()
        .map_or_else(|| path.to_owned(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_reads_back_and_its_version_is_that_of_its_texts() {
        let children = BTreeMap::from([("leaf".to_owned(), Source::new("a/leaf.yaml", "steps: []"))]);
        let bundle = Bundle::new("/f".into(), Source::new("./a/main.yaml", "x"), children.clone());
        assert_eq!(Bundle::from_content(&bundle.content()).unwrap(), bundle);
        assert_eq!(bundle.main.file, "main.yaml");
        assert_eq!(
            bundle.hash(),
            Bundle::new("/f".into(), Source::new("b/main.yaml", "x"), children).hash()
        );
        let shared = |text: &str| Source::new("main.yaml", "x").with_shared("b/bowline.yaml", text);
        let hash = |main: Source| Bundle::new("/f".into(), main, BTreeMap::new()).hash();
        let of_server = shared("server:\n  listen: a\n");
        assert_eq!(
            hash(of_server),
            hash(Source::new("main.yaml", "x")),
            "the server's own settings"
        );
        assert_ne!(
            hash(shared("retention: { keep: 5 }\n")),
            hash(Source::new("main.yaml", "x"))
        );
        assert_eq!(bundle.child("leaf").unwrap().main.text, "steps: []");
        assert_eq!(bundle.child("other"), None);
    }
}
