//! What the process ends with: a code that scripts can rely on, and a message for people.

use std::fmt::Display;
use std::process::ExitCode;

use bowline_engine::EngineError;
use bowline_flow::Problems;
use bowline_host::sources::OpenError;
use bowline_store::StoreError;
use bowline_testing::MockError;

use crate::wiring::programs::IN_RUST;
use crate::{panics, terminal};

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything went well.
    Success,
    /// The execution failed.
    Failed,
    /// The command line, a workflow, an input or another file is wrong.
    Usage,
    /// The execution was cancelled.
    Cancelled,
    /// The data folder cannot be used: in use, damaged, newer, read-only, full.
    Store,
    /// It was stopped before the end; the execution goes on at the next run.
    Interrupted,
    /// The result could not be written to stdout; the execution ended all the same.
    Output,
    /// A fault in this program.
    Bug,
}

/// Every exit code with its meaning, for the help text and the reference.
pub(crate) const MEANINGS: &[(Exit, &str)] = &[
    (
        Exit::Success,
        "the execution succeeded, or the command did what it was asked",
    ),
    (Exit::Failed, "the execution failed"),
    (
        Exit::Usage,
        "wrong usage, an invalid workflow, or an input that does not fit",
    ),
    (Exit::Cancelled, "the execution was cancelled"),
    (
        Exit::Store,
        "the data folder cannot be used: in use, damaged, newer, read-only or full",
    ),
    (
        Exit::Interrupted,
        "stopped before the end; the execution goes on at the next run",
    ),
    (Exit::Bug, "a fault in bowline"),
    (
        Exit::Output,
        "the execution ended, but its result could not be written to stdout",
    ),
];

impl Exit {
    /// The number.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Cancelled => 3,
            Self::Store => 4,
            Self::Interrupted => 5,
            Self::Output => 74,
            Self::Bug => 70,
        }
    }

    pub(crate) fn code(self) -> ExitCode {
        ExitCode::from(self.number())
    }
}

/// Why a command could not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    error: anyhow::Error,
    hint: Option<String>,
}

/// What a command gives back.
pub(crate) type Result<T = Exit> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self {
            exit,
            error: error.into(),
            hint: None,
        }
    }

    /// The command line or a file is wrong.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self::new(Exit::Usage, anyhow::anyhow!("{message}"))
    }

    /// What to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Prints it as something that came after what the command was asked for was done.
    pub(crate) fn note(&self) {
        terminal::note(&format!("but {:#}", self.error));
        if let Some(hint) = &self.hint {
            terminal::note(&format!("  hint: {hint}"));
        }
    }

    /// Prints it and gives the exit code.
    pub(crate) fn report(self) -> Exit {
        let word = terminal::palette::err_bad("error");
        terminal::note(&format!("{word}: {:#}", self.error));
        if let Some(hint) = &self.hint {
            terminal::note(&format!("  hint: {hint}"));
        }
        self.exit
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let hint = store_hint(&error);
        let exit = if matches!(error, StoreError::Duplicate { .. }) {
            Exit::Usage
        } else {
            Exit::Store
        };
        Self {
            exit,
            error: error.into(),
            hint: hint.map(Into::into),
        }
    }
}

fn store_hint(error: &StoreError) -> Option<&'static str> {
    match error {
        StoreError::Locked { .. } => {
            Some("wait for it, stop it, or use another folder with --data; reading commands work beside it")
        }
        StoreError::Corrupt { .. } => Some("restore a backup, or use another folder with --data"),
        StoreError::Newer { .. } => Some("use the version of bowline that wrote it, or a newer one"),
        StoreError::ReadOnly { .. } => Some("check the permissions, or use another folder with --data"),
        StoreError::Full { .. } => Some("make room; nothing that was acknowledged is lost"),
        StoreError::Duplicate { .. } => Some("choose another --id, or look at it with `bowline executions show`"),
        StoreError::Conflict { .. }
        | StoreError::EntryExists { .. }
        | StoreError::EntryChanged { .. }
        | StoreError::Refused(_)
        | StoreError::Other { .. } => None,
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let exit = match &error {
            EngineError::Store(store) => {
                let hint = store_hint(store).map(Into::into);
                let duplicate = matches!(**store, StoreError::Duplicate { .. });
                let exit = if duplicate { Exit::Usage } else { Exit::Store };
                return Self {
                    exit,
                    error: error.into(),
                    hint,
                };
            }
            // A thread that panicked drops what others wait for.
            EngineError::Stopped(_) if panics::seen() => Exit::Bug,
            EngineError::Stopped(_) | EngineError::Blob(_) | EngineError::Busy(_) | EngineError::TooManyKept(_) => {
                Exit::Store
            }
            EngineError::Definition(_)
            | EngineError::Unknown(_)
            | EngineError::Ended { .. }
            | EngineError::BadToken
            | EngineError::TooLarge { .. }
            | EngineError::Invalid(_)
            | EngineError::Stuck(_)
            | EngineError::KeyTaken { .. }
            | EngineError::EntryExists { .. }
            | EngineError::EntryChanged { .. }
            | EngineError::AlreadyRunning(_)
            | EngineError::NotResumable { .. } => Exit::Usage,
            EngineError::Thread(_) => Exit::Bug,
        };
        let hint = engine_hint(&error);
        Self {
            exit,
            error: error.into(),
            hint,
        }
    }
}

/// What to do where a workflow's variables are missing.
const ENVIRONMENT: &str = "give what it was started with: --env-file, --credentials, --mocks, or set the variable";

fn engine_hint(error: &EngineError) -> Option<String> {
    Some(match error {
        EngineError::BadToken => {
            "copy the whole token, as `bowline callback list` shows it, and name the data folder with --data".into()
        }
        EngineError::KeyTaken { execution, .. } => {
            format!(
                "look at it with `bowline executions show {execution}`, or say with --reuse and --conflict what is to be done"
            )
        }
        EngineError::Definition(error) if error.code == "definition.environment" => ENVIRONMENT.into(),
        EngineError::Definition(error) if error.code == IN_RUST => "start that program".into(),
        EngineError::Stuck(stuck) if stuck.error.contains(IN_RUST) => "start that program".into(),
        EngineError::Stuck(stuck) if stuck.error.contains("definition.environment") => ENVIRONMENT.into(),
        EngineError::Ended { id, .. } => format!("see `bowline executions show {id}`"),
        _ => return None,
    })
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        let mut text = String::new();
        for problem in &problems.0 {
            text.push('\n');
            text.push_str(&problem.to_string());
        }
        let count = problems.0.len();
        let summary = match count {
            1 => "1 problem in the workflow".to_owned(),
            Problems::MOST => format!("{count} problems in the workflow, and perhaps more"),
            _ => format!("{count} problems in the workflow"),
        };
        Self::usage(format!("{summary}{text}"))
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Problems(problems) => problems.into(),
            OpenError::Folder(message) => Self::usage(message),
        }
    }
}

impl From<MockError> for Failure {
    fn from(error: MockError) -> Self {
        Self::new(Exit::Usage, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_documented_ones() {
        let numbers: Vec<u8> = MEANINGS.iter().map(|(exit, _)| exit.number()).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 70, 74]);
    }

    #[test]
    fn trouble_with_the_store_is_told_from_wrong_usage() {
        let path = std::path::PathBuf::from("x.db");
        assert_eq!(Failure::from(StoreError::Full { path }).exit, Exit::Store);
        assert_eq!(
            Failure::from(StoreError::Duplicate { id: "x".into() }).exit,
            Exit::Usage
        );
        assert_eq!(Failure::from(EngineError::Unknown("x".into())).exit, Exit::Usage);
    }
}
