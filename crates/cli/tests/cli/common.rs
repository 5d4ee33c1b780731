//! A folder with workflows, and the binary run in it.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longer than anything takes, so that what never comes is a failure and not a test that never ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// A temporary folder with all fixtures.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let mut copied = 0;
        for entry in std::fs::read_dir(fixtures).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, folder.path(path.file_name().unwrap().to_str().unwrap())).unwrap();
            copied += 1;
        }
        assert!(copied > 5, "the fixtures are there");
        folder
    }

    pub(crate) fn root(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bowline"));
        command
            .current_dir(self.root())
            .args(args)
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        for name in [
            "NO_COLOR",
            "BOWLINE_LOG",
            "BOWLINE_DATA",
            "BOWLINE_SERVER_DATA",
            "SHOP_URL",
            "TERM",
        ] {
            command.env_remove(name);
        }
        command
    }

    /// Runs to the end.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        self.spawn(args).end()
    }

    /// Runs and gives stdout as JSON.
    pub(crate) fn json(&self, args: &[&str]) -> serde_json::Value {
        let ended = self.run(args);
        assert_eq!(ended.code, Some(0), "{}", ended.told());
        serde_json::from_str(&ended.stdout).unwrap()
    }

    pub(crate) fn spawn(&self, args: &[&str]) -> Running {
        Running::new(self.command(args))
    }

    /// The ids of all executions, newest first.
    pub(crate) fn ids(&self) -> Vec<String> {
        let rows = self.json(&["executions", "list", "--json"]);
        rows.as_array()
            .unwrap()
            .iter()
            .map(|row| row["id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The paths of all calls that the recording mocks have had.
    pub(crate) fn calls(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("calls.jsonl")).unwrap_or_default();
        text.lines()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["path"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect()
    }
}

/// A process under way.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    stdout: Option<JoinHandle<String>>,
}

impl Running {
    fn new(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut stdout = child.stdout.take().unwrap();
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let stdout = std::thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).unwrap();
            text
        });
        Self {
            child,
            lines,
            seen: Vec::new(),
            stdout: Some(stdout),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until a line with this text is on stderr.
    pub(crate) fn until(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("no `{text}` on stderr:\n{}", self.seen.join("\n"))
                }
            }
        }
    }

    /// Sends a signal, such as `INT`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.pid().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub(crate) fn end(self) -> Ended {
        self.end_while(|_| {})
    }

    /// Waits for its end, and does something again and again until then.
    pub(crate) fn end_while(mut self, again: impl Fn(&Self)) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                self.child.kill().unwrap();
                self.seen.extend(self.lines.iter());
                panic!("it does not end:\n{}", self.seen.join("\n"));
            }
            again(&self);
            std::thread::sleep(Duration::from_millis(5));
        };
        self.seen.extend(self.lines.iter());
        let stdout = self.stdout.take().unwrap().join().unwrap();
        Ended {
            code: status.code(),
            stdout,
            stderr: self.seen.join("\n"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, or the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process left.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// All of it, for snapshots and messages.
    pub(crate) fn told(&self) -> String {
        let code = self
            .code
            .map_or_else(|| "by a signal".to_owned(), |code| code.to_string());
        format!(
            "exit: {code}\n---- stdout\n{}\n---- stderr\n{}",
            self.stdout.trim_end(),
            self.stderr
        )
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Compares with a snapshot in which what differs from run to run is replaced.
pub(crate) fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (pattern, replacement) in [
        (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "[id]"),
        (r"[0-9a-f]{64}", "[hash]"),
        (r"bw_[A-Za-z0-9_-]{30,}", "[token]"),
        (r"version [0-9a-f]{12} to [0-9a-f]{12}", "version [hash] to [hash]"),
        (r"\(in [0-9a-z ]+\)", "(in [time])"),
        // An hour may end tomorrow, and some of it may have passed.
        (r"until \d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}", "until [time]"),
        (r"\b59m( \d+s)?", "1h"),
        (r"\(version [0-9a-f]{12}\)", "(version [hash])"),
        (r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z", "[moment]"),
        (r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}(\.\d{3})?", "[moment]"),
        (r"\b\d{2}:\d{2}:\d{2}(\.\d{3})?", "[time]"),
        (r"\b\d+\.\d+s( so far)?", "[took]"),
        (r"\b\d+ms", "[ms]"),
        (r"127\.0\.0\.1:\d+", "[address]"),
        (r"/[^ ]*/\.tmp[A-Za-z0-9]+", "[folder]"),
        (r"pid \d+", "pid [pid]"),
    ] {
        settings.add_filter(pattern, replacement);
    }
    settings.bind(|| insta::assert_snapshot!(name, text));
}
