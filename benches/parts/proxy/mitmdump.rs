//! mitmdump with an addon that allows by host: what a proxy of this kind costs when it is put
//! together from a well-known program. It records nothing.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use airut::clock::Stopwatch;
use tempfile::TempDir;

use super::client::Way;
use super::origin::{HOST, Origin};
use crate::parts::directory;

/// What it is told to do.
const ADDON: &str = include_str!("allow_by_host.py");

/// Pause between two looks at whether it listens.
const PAUSE: Duration = Duration::from_millis(5);

/// A running mitmdump.
pub(crate) struct Mitmdump {
    /// The way through it.
    pub(crate) way: Way,
    /// Since when the process runs.
    pub(crate) since: Stopwatch,
    child: Child,
    _directory: TempDir,
}

/// Returns where the program is, if it is set up.
pub(crate) fn binary() -> Option<PathBuf> {
    let set_up = Path::new(env!("CARGO_MANIFEST_DIR")).join(".airut-dev/mitmproxy/bin/mitmdump");
    Some(set_up).filter(|path| path.exists())
}

impl Mitmdump {
    /// Starts it in front of the origin and waits until it listens.
    pub(crate) fn start(binary: &Path, origin: &Origin) -> Self {
        let directory = directory();
        let (addon, trusted) = (
            directory.path().join("allow_by_host.py"),
            directory.path().join("origin.pem"),
        );
        std::fs::write(&addon, ADDON).unwrap();
        std::fs::write(&trusted, &origin.authority).unwrap();
        let port = free_port();
        let set = [
            format!("confdir={}", directory.path().display()),
            format!("ssl_verify_upstream_trusted_ca={}", trusted.display()),
            "keep_host_header=true".to_owned(),
        ];
        let since = Stopwatch::start();
        let child = spawn(binary, |command| {
            command.env("ALLOWED_HOST", HOST).arg("--quiet");
            command.arg("--mode");
            command.arg(format!("reverse:https://{}", origin.https));
            command.args(["--listen-host", "127.0.0.1", "--listen-port"]);
            command.arg(port.to_string()).arg("--scripts").arg(&addon);
            for option in &set {
                command.arg("--set").arg(option);
            }
        });
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        while TcpStream::connect(address).is_err() {
            sleep(PAUSE);
        }
        let authority = directory.path().join("mitmproxy-ca-cert.pem");
        let authority = std::fs::read_to_string(authority).unwrap();
        Self {
            way: Way::new(address, &authority),
            since,
            child,
            _directory: directory,
        }
    }

    /// Returns its process.
    pub(crate) fn process(&self) -> String {
        self.child.id().to_string()
    }
}

impl Drop for Mitmdump {
    fn drop(&mut self) {
        // One that has ended already is what is wanted.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the proxy is measured as a process"
)]
fn spawn(binary: &Path, arguments: impl FnOnce(&mut Command)) -> Child {
    let mut command = Command::new(binary);
    arguments(&mut command);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().unwrap()
}

/// A port that nobody listened on a moment ago.
fn free_port() -> u16 {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    taken.local_addr().unwrap().port()
}
