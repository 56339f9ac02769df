//! The daemon: how long it takes to answer with an empty log, and the memory it has then.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use airut::clock::Stopwatch;

use super::{directory, print, status_mib};

/// A daemon that does not answer by then is reported as not measured.
const START_MAX: Duration = Duration::from_secs(20);

/// After its start the daemon rests so long before its memory is read.
const REST: Duration = Duration::from_secs(2);

/// Starts a daemon without repositories and waits for its socket.
pub(crate) fn start() {
    let directory = directory();
    // A socket's path is short; the target directory's may not be.
    let runtime = tempfile::TempDir::new().unwrap();
    let watch = Stopwatch::start();
    let mut child = spawn(directory.path(), runtime.path());
    let socket = runtime.path().join("airut/airut.sock");
    while UnixStream::connect(&socket).is_err() {
        if watch.elapsed() > START_MAX || child.try_wait().unwrap().is_some() {
            println!("daemon.start - the daemon does not start without repositories here");
            println!("daemon.idle_rss - the daemon does not start without repositories here");
            return stop(child);
        }
        sleep(Duration::from_millis(1));
    }
    print("daemon.start", watch.elapsed().as_secs_f64() * 1e3, "ms");
    sleep(REST);
    let process = child.id().to_string();
    print("daemon.idle_rss", status_mib(&process, "VmRSS"), "MiB");
    stop(child);
}

#[expect(
    clippy::disallowed_methods,
    reason = "the daemon is measured as a process"
)]
fn spawn(directory: &Path, runtime: &Path) -> Child {
    let config = directory.join("airut.yaml");
    std::fs::write(&config, "config_version: 5\nrepos: {}\n").unwrap();
    Command::new(env!("CARGO_BIN_EXE_airut"))
        .args(["run-gateway", "--resilient", "--config"])
        .arg(&config)
        .env("HOME", directory)
        .env("XDG_STATE_HOME", directory.join("state"))
        .env("XDG_RUNTIME_DIR", runtime)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Asks the daemon to end as an operator would, so that it takes its Podman service along.
fn stop(mut child: Child) {
    let process = i32::try_from(child.id()).unwrap();
    if let Some(process) = rustix::process::Pid::from_raw(process) {
        // An error says that it is gone already.
        let _already_gone = rustix::process::kill_process(process, rustix::process::Signal::TERM);
    }
    child.wait().unwrap();
}
