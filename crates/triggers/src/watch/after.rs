//! What becomes of a file when its execution has ended.

use std::io;
use std::path::{Path, PathBuf};

use super::config::DirectoryConfig;
use super::files;
use super::seen::Seen;
use crate::place::Ended;

/// What was done with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// It stays where it is.
    Stays,
    /// It is not there any more; where it went.
    Left(Option<PathBuf>),
    /// It has another content by now, which is another story.
    Changed,
}

/// Does with a file what the configuration says. Blocks. Doing it twice does it once.
pub(crate) fn finish(config: &DirectoryConfig, path: &Path, seen: &Seen, ended: &Ended) -> io::Result<Done> {
    let Some(look) = files::look(path)? else {
        return Ok(Done::Left(None));
    };
    let target = if ended.completed {
        &config.after.move_to
    } else {
        &config.after.failed
    };
    let deletes = ended.completed && config.after.delete;
    if target.is_none() && !deletes {
        return Ok(Done::Stays);
    }
    if !seen.looks_like(look) && files::hash(path)? != seen.sha256 {
        return Ok(Done::Changed);
    }
    let Some(target) = target else {
        std::fs::remove_file(path)?;
        return Ok(Done::Left(None));
    };
    let below = path.strip_prefix(&config.path).unwrap_or(path);
    files::move_below(path, target, below).map(|now| Done::Left(Some(now)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    fn ended(completed: bool) -> Ended {
        Ended {
            status: String::new(),
            completed,
            failed: !completed,
        }
    }

    #[test]
    fn each_end_has_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let (done, bad) = (root.join("done"), root.join("bad"));
        let file = root.join("in/x/a.csv");
        let config = |after: serde_json::Value| {
            DirectoryConfig::read(&json!({"path": root.join("in"), "recursive": true, "after": after}))
                .unwrap()
                .0
        };
        let put = || {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "abc").unwrap();
            Seen::new(files::look(&file).unwrap().unwrap(), files::hash(&file).unwrap())
        };
        let both = config(json!({"move": done, "failed": bad}));
        let seen = put();
        assert_eq!(
            finish(&both, &file, &seen, &ended(true)).unwrap(),
            Done::Left(Some(done.join("x/a.csv")))
        );
        assert_eq!(finish(&both, &file, &seen, &ended(true)).unwrap(), Done::Left(None));
        let seen = put();
        assert_eq!(
            finish(&both, &file, &seen, &ended(false)).unwrap(),
            Done::Left(Some(bad.join("x/a.csv")))
        );
        let seen = put();
        let deletes = config(json!({"delete": true}));
        assert_eq!(finish(&deletes, &file, &seen, &ended(false)).unwrap(), Done::Stays);
        assert!(file.exists());
        fs::write(&file, "another").unwrap();
        assert_eq!(finish(&deletes, &file, &seen, &ended(true)).unwrap(), Done::Changed);
        assert!(file.exists());
        let seen = put();
        assert_eq!(finish(&deletes, &file, &seen, &ended(true)).unwrap(), Done::Left(None));
        assert!(!file.exists());
    }
}
