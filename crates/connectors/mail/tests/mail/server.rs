//! A real mail server for the tests, of its own process.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A mail server of its own process; it ends with this value.
pub(crate) struct MailServer {
    process: Child,
    pub(crate) port: u16,
    pub(crate) folder: TempDir,
    /// The certificate that it shows, as PEM.
    pub(crate) certificate: String,
}

/// A message that the server took.
pub(crate) struct Stored {
    pub(crate) facts: Value,
    pub(crate) bytes: Vec<u8>,
}

impl MailServer {
    /// Starts a server with these arguments. `None`, and a loud word, where Python or aiosmtpd is missing.
    pub(crate) fn start(arguments: &[&str]) -> Option<Self> {
        let Some(python) = python() else {
            println!("skipped: no Python with aiosmtpd here (Debian: apt-get install python3-aiosmtpd)");
            return None;
        };
        let folder = TempDir::new().expect("a temporary folder");
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])
            .expect("a certificate");
        let certificate = made.cert.pem();
        std::fs::write(folder.path().join("cert.pem"), &certificate).expect("written");
        std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).expect("written");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mail/smtp_server.py");
        let mut process = Command::new(python)
            .args(["-W", "ignore"])
            .arg(script)
            .arg(folder.path())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        let output = process.stdout.take().expect("its output");
        BufReader::new(output).read_line(&mut line).expect("its first line");
        let port = line.strip_prefix("ready ").and_then(|port| port.trim().parse().ok());
        Some(Self {
            process,
            port: port.expect("`ready PORT`"),
            folder,
            certificate,
        })
    }

    /// The configuration of a connection to it, with `more` over it.
    pub(crate) fn connection(&self, more: Value) -> Value {
        let mut connection = json!({ "host": "127.0.0.1", "port": self.port, "timeout": "10s" });
        for (name, value) in more.as_object().expect("an object") {
            connection[name] = value.clone();
        }
        connection
    }

    /// The messages that it took, in order.
    pub(crate) fn stored(&self) -> Vec<Stored> {
        (1..)
            .map_while(|number| {
                let bytes = std::fs::read(self.folder.path().join(format!("{number}.eml"))).ok()?;
                let facts = std::fs::read(self.folder.path().join(format!("{number}.json"))).ok()?;
                Some(Stored {
                    facts: serde_json::from_slice(&facts).expect("JSON"),
                    bytes,
                })
            })
            .collect()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        // Nothing can be done here about a process that is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A Python that has aiosmtpd: Debian's own first, for which the package is.
fn python() -> Option<&'static str> {
    ["/usr/bin/python3", "python3"].into_iter().find(|python| {
        let import = Command::new(python)
            .args(["-c", "import aiosmtpd"])
            .stderr(Stdio::null())
            .status();
        import.is_ok_and(|status| status.success())
    })
}
