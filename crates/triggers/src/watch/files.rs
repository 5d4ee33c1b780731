//! The file system: what is in a directory, what a file's content hashes to, and moving a file away. All of it blocks.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::config::{DirectoryConfig, Names};
use super::stability::Look;

/// What a walk through a directory found.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    pub(crate) files: Vec<(PathBuf, Look)>,
    /// What could not be read: with these, a file that was not found may still be there.
    pub(crate) unread: Vec<String>,
    /// There is no such directory.
    pub(crate) missing: bool,
    /// Which directory it is; none where it is not there, or the system does not tell.
    pub(crate) root: Option<Identity>,
}

/// Which directory it is that stands at a path: the numbers of its file system and of itself.
pub(crate) type Identity = (u64, u64);

/// Which directory it is.
#[cfg(unix)]
pub(crate) fn identity(folder: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(folder)
        .ok()
        .map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
pub(crate) fn identity(_: &Path) -> Option<Identity> {
    None
}

/// What a file looks like; none where it is not there, or no file.
pub(crate) fn look(path: &Path) -> io::Result<Option<Look>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(Some(look_of(&metadata))),
        Ok(_) => Ok(None),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

fn look_of(metadata: &Metadata) -> Look {
    let modified = metadata.modified().map_or(0, |at| match at.duration_since(UNIX_EPOCH) {
        Ok(since) => i128::try_from(since.as_nanos()).unwrap_or(i128::MAX),
        Err(before) => -i128::try_from(before.duration().as_nanos()).unwrap_or(i128::MAX),
    });
    Look {
        size: metadata.len(),
        modified,
    }
}

/// Finds all files that a configuration is about.
pub(crate) fn walk(config: &DirectoryConfig, names: &Names) -> Walk {
    let mut walk = Walk {
        root: identity(&config.path),
        ..Walk::default()
    };
    let mut folders = vec![(config.path.clone(), 0)];
    while let Some((folder, level)) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound && level > 0 => continue,
            Err(error) => {
                walk.missing |= error.kind() == io::ErrorKind::NotFound;
                walk.unread.push(format!("{}: {error}", folder.display()));
                continue;
            }
        };
        for entry in entries {
            let found = entry.map(|entry| (entry.path(), entry.metadata()));
            match found {
                Ok((path, Ok(metadata))) if metadata.is_dir() => {
                    if config.enters(&path, level + 1) {
                        folders.push((path, level + 1));
                    }
                }
                Ok((path, Ok(metadata))) if metadata.is_file() => {
                    if path.strip_prefix(&config.path).is_ok_and(|below| names.take(below)) {
                        walk.files.push((path, look_of(&metadata)));
                    }
                }
                // Gone since it was listed; or a link, a pipe, a device.
                Ok((_, Err(error))) if error.kind() == io::ErrorKind::NotFound => {}
                Ok((_, Ok(_))) => {}
                Ok((path, Err(error))) => walk.unread.push(format!("{}: {error}", path.display())),
                Err(error) => walk.unread.push(format!("{}: {error}", folder.display())),
            }
        }
    }
    walk
}

/// Whether a path is one that a walk would find, if it were there.
pub(crate) fn is_meant(config: &DirectoryConfig, names: &Names, path: &Path) -> bool {
    let Ok(below) = path.strip_prefix(&config.path) else {
        return false;
    };
    let parents: Vec<&Path> = below
        .ancestors()
        .skip(1)
        .filter(|part| !part.as_os_str().is_empty())
        .collect();
    let levels = parents.len();
    names.take(below)
        && parents
            .iter()
            .enumerate()
            .all(|(at, parent)| config.enters(&config.path.join(parent), levels - at))
}

/// SHA-256 of a file's content, in hexadecimal, without having it in memory.
pub(crate) fn hash(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut part = vec![0; 256 * 1024];
    loop {
        match file.read(&mut part) {
            Ok(0) => break,
            Ok(read) => hash.update(&part[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(format!("{:x}", hash.finalize()))
}

/// Moves a file below a directory, under its name or the first free one; the path it has now. Nothing is overwritten,
/// and after a crash it is under one of the names, or under both.
pub(crate) fn move_below(file: &Path, folder: &Path, below: &Path) -> io::Result<PathBuf> {
    let wanted = folder.join(below);
    let parent = wanted.parent().unwrap_or(folder).to_owned();
    fs::create_dir_all(&parent)?;
    for number in 0..10_000 {
        let target = if number == 0 {
            wanted.clone()
        } else {
            parent.join(numbered(&wanted, number))
        };
        match fs::hard_link(file, &target) {
            Ok(()) => {
                fs::remove_file(file)?;
                return Ok(target);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // A crash came between the link and the removal.
                if is_same(file, &target)? {
                    fs::remove_file(file)?;
                    return Ok(target);
                }
            }
            // Another file system, or one without links.
            Err(_) => {
                let mut copy = tempfile::NamedTempFile::new_in(&parent)?;
                io::copy(&mut File::open(file)?, copy.as_file_mut())?;
                copy.as_file().set_permissions(fs::metadata(file)?.permissions())?;
                copy.as_file().sync_all()?;
                match copy.persist_noclobber(&target) {
                    Ok(_) => {
                        File::open(&parent)?.sync_all()?;
                        fs::remove_file(file)?;
                        return Ok(target);
                    }
                    Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(error) => return Err(error.error),
                }
            }
        }
    }
    Err(io::Error::new(
        io::ErrorKind::AlreadyExists,
        format!("there are 10,000 files like {} already", wanted.display()),
    ))
}

#[cfg(unix)]
fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (one, other) = (fs::symlink_metadata(one)?, fs::symlink_metadata(other)?);
    Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
}

#[cfg(not(unix))]
fn is_same(_: &Path, _: &Path) -> io::Result<bool> {
    Ok(false)
}

fn numbered(path: &Path, number: u32) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    match path.extension() {
        Some(extension) => format!("{stem}-{number}.{}", extension.to_string_lossy()),
        None => format!("{stem}-{number}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_walk_finds_what_is_meant_and_only_that() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for file in ["a.csv", "b.txt", "x/c.csv", "x/y/d.csv", "done/e.csv"] {
            fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            fs::write(root.join(file), file).unwrap();
        }
        std::os::unix::fs::symlink(root.join("a.csv"), root.join("link.csv")).unwrap();
        let found = |more: serde_json::Value| {
            let mut config = json!({"path": root, "pattern": "*.csv"});
            config
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            let (config, names) = DirectoryConfig::read(&config).unwrap();
            let walk = walk(&config, &names);
            assert!(walk.unread.is_empty() && !walk.missing);
            for (path, look) in &walk.files {
                assert!(is_meant(&config, &names, path), "{}", path.display());
                assert_eq!(look.size, fs::metadata(path).unwrap().len());
            }
            let mut names: Vec<_> = walk
                .files
                .iter()
                .map(|(path, _)| path.strip_prefix(root).unwrap().to_owned())
                .collect();
            names.sort();
            names
        };
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(found(json!({})), paths(&["a.csv"]));
        assert_eq!(
            found(json!({"recursive": true})),
            paths(&["a.csv", "done/e.csv", "x/c.csv", "x/y/d.csv"])
        );
        assert_eq!(found(json!({"recursive": true, "depth": 1})), paths(&["a.csv"]));
        assert_eq!(
            found(json!({"recursive": true, "depth": 2})),
            paths(&["a.csv", "done/e.csv", "x/c.csv"])
        );
        let after = json!({"recursive": true, "after": {"move": root.join("done")}});
        assert_eq!(found(after), paths(&["a.csv", "x/c.csv", "x/y/d.csv"]));
    }

    #[test]
    fn a_directory_that_is_not_there_is_told() {
        let (config, names) = DirectoryConfig::read(&json!({"path": "/nowhere/at/all"})).unwrap();
        let walk = walk(&config, &names);
        assert!(walk.missing && walk.unread.len() == 1);
    }

    #[test]
    fn a_hash_is_of_the_content() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("abc");
        fs::write(&file, "abc").unwrap();
        assert_eq!(
            hash(&file).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn moving_overwrites_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let done = folder.path().join("done");
        for (at, wanted) in ["x/a.csv", "x/a-1.csv", "x/a-2.csv"].iter().enumerate() {
            let file = folder.path().join("a.csv");
            fs::write(&file, at.to_string()).unwrap();
            assert_eq!(
                move_below(&file, &done, Path::new("x/a.csv")).unwrap(),
                done.join(wanted)
            );
            assert!(!file.exists());
            assert_eq!(fs::read_to_string(done.join(wanted)).unwrap(), at.to_string());
        }
        // As a crash leaves it.
        let file = folder.path().join("b.csv");
        fs::write(&file, "b").unwrap();
        fs::hard_link(&file, done.join("b.csv")).unwrap();
        assert_eq!(
            move_below(&file, &done, Path::new("b.csv")).unwrap(),
            done.join("b.csv")
        );
        assert!(!file.exists() && !done.join("b-1.csv").exists());
    }
}
