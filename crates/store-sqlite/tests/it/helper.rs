//! A second process for tests: this test binary again, told by a variable what to do.
//!
//! The binary has a test named `helper` that calls [`role`]; [`Helper::start`] runs only that.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

const ROLE: &str = "BOWLINE_STORE_TEST_ROLE";
const FOLDER: &str = "BOWLINE_STORE_TEST_FOLDER";
/// What the helper says begins with this, and is told apart from what the test harness prints.
const MARK: &str = "helper says ";

/// What this process is to do, and with which folder, if it is a helper.
pub(crate) fn role() -> Option<(String, std::path::PathBuf)> {
    Some((std::env::var(ROLE).ok()?, std::env::var_os(FOLDER)?.into()))
}

/// Says something to the test, in one write.
pub(crate) fn say(text: &str) {
    let line = format!("\n{MARK}{text}\n");
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).unwrap();
    out.flush().unwrap();
}

/// Waits until the test closes this process's input.
pub(crate) fn wait_for_the_end() {
    let mut line = String::new();
    while std::io::stdin().read_line(&mut line).unwrap() > 0 {}
}

/// The other process. Killed when this is dropped.
pub(crate) struct Helper {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Helper {
    /// Starts it, below the program and arguments in `under` if there are any.
    pub(crate) fn start(role: &str, folder: &Path, under: &[&OsStr]) -> Self {
        let this = std::env::current_exe().unwrap();
        let mut words = under.iter().copied().chain([this.as_os_str()]);
        let mut command = Command::new(words.next().unwrap());
        let mut child = command
            .args(words)
            .args(["--exact", "helper", "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .env(FOLDER, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next thing it says; none when it has ended.
    pub(crate) fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        while self.out.read_line(&mut line).unwrap() > 0 {
            if let Some(said) = line.trim_end().strip_prefix(MARK) {
                return Some(said.to_owned());
            }
            line.clear();
        }
        None
    }

    /// All it says from now on.
    pub(crate) fn hear_all(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.hear()).collect()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Closes its input and waits for it to end well.
    pub(crate) fn end(&mut self) {
        drop(self.child.stdin.take());
        self.hear_all();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a program can be run; says loudly that a test is skipped if not.
pub(crate) fn have(program: &str, arguments: &[&str]) -> bool {
    let found = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        println!("skipped: `{program} {}` does not work here", arguments.join(" "));
    }
    found
}
