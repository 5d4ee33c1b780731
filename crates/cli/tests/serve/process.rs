//! A server as a process.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Longer than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// The server, killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// The program, without what the environment of the tests might set.
pub(crate) fn program(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bowline"));
    clean(&mut command).current_dir(folder).args(args);
    command
}

fn clean(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("BOWLINE_")) {
            command.env_remove(&name);
        }
    }
    command.env_remove("LISTEN_FDS").env_remove("NOTIFY_SOCKET")
}

impl Process {
    /// A server on a free port.
    pub(crate) fn start(folder: &Path, args: &[&str]) -> Self {
        let mut command = program(folder, &["serve", "--listen", "127.0.0.1:0"]);
        command.args(args).stdin(Stdio::null());
        Self::wait(command, folder)
    }

    /// A server on a socket that it is handed as a service manager does: as its third file.
    pub(crate) fn with_socket(folder: &Path, socket: &TcpListener) -> Self {
        let mut command = Command::new("sh");
        let run = "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" serve";
        clean(&mut command)
            .current_dir(folder)
            .args(["-c", run, env!("CARGO_BIN_EXE_bowline")])
            .stdin(Stdio::from(OwnedFd::from(socket.try_clone().unwrap())));
        Self::wait(command, folder)
    }

    fn wait(mut command: Command, folder: &Path) -> Self {
        let log = File::options()
            .append(true)
            .create(true)
            .open(folder.join("log"))
            .unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let Some(address) = line.trim().strip_prefix("listening on http://") else {
            let status = child.wait().unwrap();
            let log = std::fs::read_to_string(folder.join("log")).unwrap();
            panic!("the server said {line:?} and ended with {status}: {log}");
        };
        Self {
            address: address.parse().unwrap(),
            child,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Resident memory, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kilobytes * 1024
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.terminate();
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < LONG, "the server does not stop");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
