//! The files that pages refer to. They are part of the program.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

/// A file to serve as it is.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// The last part of its path: `app.css`.
    pub name: &'static str,
    /// Its `content-type`.
    pub media: &'static str,
    /// Its content.
    pub content: &'static str,
}

const ASSETS: [Asset; 3] = [
    Asset {
        name: "app.css",
        media: "text/css; charset=utf-8",
        content: include_str!("assets/app.css"),
    },
    Asset {
        name: "app.js",
        media: "text/javascript; charset=utf-8",
        content: include_str!("assets/app.js"),
    },
    Asset {
        name: "bowline.svg",
        media: "image/svg+xml",
        content: include_str!("assets/bowline.svg"),
    },
];

/// The file of this name. A page refers to it with `?v=` and the [version](version) behind, so it may be cached for ever.
pub fn asset(name: &str) -> Option<Asset> {
    ASSETS.into_iter().find(|asset| asset.name == name)
}

/// Changes when any of the files does.
pub(crate) fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let mut hasher = DefaultHasher::new();
        for asset in ASSETS {
            asset.content.hash(&mut hasher);
        }
        format!("{:016x}", hasher.finish())
    });
    &VERSION
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        for asset in ASSETS {
            let outside = asset.content.replace("http://www.w3.org/2000/svg", "");
            for mark in ["http://", "https://", "//cdn", "@import", "url("] {
                assert!(!outside.contains(mark), "{} has {mark}", asset.name);
            }
        }
        assert!(asset("secret").is_none());
        assert_eq!(version().len(), 16);
    }
}
