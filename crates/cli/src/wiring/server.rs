//! The configuration of the server, from its file, the environment and the command line.

use std::path::{Path, PathBuf};

use bowline_server::config::{Loaded, Sources};
use serde_json::Value;

use super::files;
use crate::args::{ConfigArgs, LogFormat};
use crate::exit::{Failure, Result};

/// The file that is looked for where none is named.
const FILE: &str = "bowline.yaml";

/// The configuration that these arguments lead to.
pub(crate) fn configuration(args: &ConfigArgs) -> Result<Loaded> {
    let sources = Sources {
        file: file(args)?,
        // What is not text is no setting.
        env: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        flags: flags(args),
    };
    sources.load().map_err(Failure::usage)
}

fn file(args: &ConfigArgs) -> Result<Option<(PathBuf, Value)>> {
    let (path, is_named) = match (&args.config, &args.workflows) {
        (Some(path), _) => (path.clone(), true),
        (None, Some(folder)) => (folder.join(FILE), false),
        (None, None) => (PathBuf::from(FILE), false),
    };
    if !is_named && !path.is_file() {
        return Ok(None);
    }
    let mut whole = files::read(&path, "the configuration")?;
    let server = whole.get_mut("server").map(Value::take).unwrap_or_default();
    Ok(Some((path, server)))
}

fn flags(args: &ConfigArgs) -> Vec<(&'static str, &'static str, Value)> {
    let path = |path: &PathBuf| Value::from(path.to_string_lossy());
    let format = |format: LogFormat| match format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    };
    let all = [
        ("workflows", "WORKFLOWS", args.workflows.as_ref().map(path)),
        (
            "listen",
            "--listen",
            args.listen.map(|address| address.to_string().into()),
        ),
        ("publicUrl", "--public-url", args.public_url.clone().map(Value::from)),
        ("data", "--data (or BOWLINE_DATA)", args.data.as_ref().map(path)),
        ("credentials", "--credentials", args.credentials.as_ref().map(path)),
        ("envFile", "--env-file", args.env_file.as_ref().map(path)),
        (
            "logs.format",
            "--log-format",
            args.log_format.map(|one| format(one).into()),
        ),
    ];
    all.into_iter()
        .filter_map(|(name, flag, value)| Some((name, flag, value?)))
        .collect()
}

/// The folder of workflows.
pub(crate) fn workflows(loaded: &Loaded) -> &Path {
    loaded.config.workflows.as_deref().unwrap_or(Path::new("."))
}
