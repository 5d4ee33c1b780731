//! nginx and tinyproxy as child processes, each in a folder of its own.

use std::fmt::Write;
use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::certificates::Identity;
use crate::support::free_port;

/// A running daemon; it is killed and its folder removed when this is dropped.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) folder: TempDir,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Finds `program` on `PATH` or where Debian puts daemons. `None`, after saying so, when it is missing.
fn find(program: &str, package: &str) -> Option<String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let found = path
        .split(':')
        .chain(["/usr/sbin", "/sbin"])
        .map(|folder| format!("{folder}/{program}"));
    let found = found.into_iter().find(|candidate| Path::new(candidate).is_file());
    if found.is_none() {
        eprintln!("skipped: {program} is not installed (apt-get install {package})");
    }
    found
}

/// Starts a daemon and waits until every port takes connections. `None` when it ended, as it does when
/// another test got hold of its port in between.
fn start(program: &str, arguments: &[&str], folder: TempDir, ports: &[u16]) -> Option<Daemon> {
    let log = fs::File::create(folder.path().join("output.log")).unwrap();
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut daemon = Daemon { child, folder };
    let deadline = Instant::now() + Duration::from_secs(20);
    let output = |daemon: &Daemon| fs::read_to_string(daemon.folder.path().join("output.log")).unwrap_or_default();
    for port in ports {
        while TcpStream::connect(("127.0.0.1", *port)).is_err() {
            if daemon.child.try_wait().unwrap().is_some() {
                eprintln!("{program} ended: {}", output(&daemon));
                return None;
            }
            assert!(
                Instant::now() < deadline,
                "{program} does not listen: {}",
                output(&daemon)
            );
            std::thread::yield_now();
        }
    }
    daemon.child.try_wait().unwrap().is_none().then_some(daemon)
}

/// Tries `start` until it works; each try takes other ports.
fn until_started<T>(start: impl Fn() -> Option<T>) -> T {
    (0..5).find_map(|_| start()).expect("the daemon ended five times")
}

/// One server of an nginx: its certificate, and the authority that its clients must have one of.
pub(crate) struct Site<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) client_authority: Option<&'a str>,
    pub(crate) protocols: &'a str,
}

/// Starts an nginx with one TLS server per site. Returns it and the sites' ports.
pub(crate) fn nginx(sites: &[Site<'_>]) -> Option<(Daemon, Vec<u16>)> {
    let program = find("nginx", "nginx-light")?;
    Some(until_started(|| start_nginx(&program, sites)))
}

fn start_nginx(program: &str, sites: &[Site<'_>]) -> Option<(Daemon, Vec<u16>)> {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().display().to_string();
    let mut servers = String::new();
    let mut ports = Vec::new();
    for (at, site) in sites.iter().enumerate() {
        let port = free_port();
        ports.push(port);
        fs::write(folder.path().join(format!("{at}.crt")), &site.identity.certificate).unwrap();
        fs::write(folder.path().join(format!("{at}.key")), &site.identity.key).unwrap();
        let client = site.client_authority.map(|pem| {
            fs::write(folder.path().join(format!("{at}.clients")), pem).unwrap();
            format!("ssl_client_certificate {root}/{at}.clients; ssl_verify_client on;")
        });
        let _ = write!(
            servers,
            "server {{ listen 127.0.0.1:{port} ssl http2; ssl_certificate {root}/{at}.crt; ssl_certificate_key {root}/{at}.key;
               ssl_protocols {}; {} default_type application/json;
               location /down {{ return 302 http://localhost:{port}/; }}
               location / {{ return 200 '{{\"client\":\"$ssl_client_s_dn\",\"protocol\":\"$ssl_protocol\",\"http\":\"$server_protocol\"}}'; }} }}\n",
            site.protocols,
            client.unwrap_or_default(),
        );
    }
    let config = format!(
        "daemon off; master_process off; pid {root}/nginx.pid; error_log stderr; events {{ worker_connections 64; }}
         http {{ access_log off; client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;
         uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;\n{servers} }}"
    );
    fs::write(folder.path().join("nginx.conf"), config).unwrap();
    let daemon = start(
        program,
        &["-e", "stderr", "-p", &root, "-c", &format!("{root}/nginx.conf")],
        folder,
        &ports,
    );
    Some((daemon?, ports))
}

/// Starts a tinyproxy that asks for this user name and password. Returns it and its port.
pub(crate) fn tinyproxy(username: &str, password: &str) -> Option<(Daemon, u16)> {
    let program = find("tinyproxy", "tinyproxy")?;
    Some(until_started(|| start_tinyproxy(&program, username, password)))
}

fn start_tinyproxy(program: &str, username: &str, password: &str) -> Option<(Daemon, u16)> {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let path = folder.path().join("tinyproxy.conf");
    let config = format!(
        "Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 50\nAllow 127.0.0.1\nBasicAuth {username} {password}\nLogFile \"{}\"\nLogLevel Connect\n",
        folder.path().join("proxy.log").display()
    );
    fs::write(&path, config).unwrap();
    let daemon = start(program, &["-d", "-c", &path.display().to_string()], folder, &[port]);
    Some((daemon?, port))
}
