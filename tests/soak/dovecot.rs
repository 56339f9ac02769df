//! Dovecot as something that dies: the whole server, or only those of its processes that speak with a
//! client. Processes of other servers on this machine are left alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::common::{PATIENCE, run, until};

/// The server that `tests/servers/mail.sh` has started.
#[derive(Debug)]
pub(crate) struct Dovecot {
    dir: PathBuf,
    ports: Vec<u16>,
    /// Nothing as long as it is the one that the script started.
    child: Option<Child>,
}

impl Dovecot {
    /// Returns the server whose files are in `dir`, and which listens on these ports.
    pub(crate) fn of(dir: &Path, ports: &[u16]) -> Self {
        Self {
            dir: dir.to_owned(),
            ports: ports.to_vec(),
            child: None,
        }
    }

    /// Stops the server, all of it, and starts it again.
    pub(crate) fn restart(&mut self) {
        signal("TERM", self.master());
        if let Some(mut child) = self.child.take() {
            child.wait().unwrap();
        }
        until("Dovecot's end", PATIENCE, || {
            (!self.ports.iter().any(|port| listens(*port))).then_some(())
        });
        let errors = fs::File::options()
            .append(true)
            .open(self.dir.join("log/dovecot.out"))
            .unwrap();
        let child = Command::new("setsid")
            .args(["dovecot", "-F", "-c"])
            .arg(self.dir.join("dovecot/dovecot.conf"))
            .stdin(Stdio::null())
            .stdout(errors.try_clone().unwrap())
            .stderr(errors)
            .spawn()
            .unwrap();
        fs::write(self.dir.join("dovecot.pid"), child.id().to_string()).unwrap();
        self.child = Some(child);
        until("Dovecot to listen again", PATIENCE, || {
            self.ports.iter().all(|port| listens(*port)).then_some(())
        });
    }

    /// Kills the processes that serve signed-in clients.
    pub(crate) fn kill_sessions(&self) {
        for process in children(self.master())
            .into_iter()
            .filter(|pid| is_session(*pid))
        {
            signal("KILL", process);
        }
    }

    fn master(&self) -> u32 {
        let text = fs::read_to_string(self.dir.join("dovecot.pid")).unwrap();
        text.trim().parse().unwrap()
    }
}

fn signal(name: &str, pid: u32) {
    // It may have ended by itself meanwhile.
    run(Command::new("sh").args([
        "-c",
        "kill -s \"$1\" \"$2\" || true",
        "kill",
        name,
        &pid.to_string(),
    ]));
}

/// Says whether a port of loopback is listened on (proc(5), /proc/net/tcp).
fn listens(port: u16) -> bool {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let ours = format!("0100007F:{port:04X} 00000000:0000 0A");
    table.lines().any(|line| line.contains(&ours))
}

/// Returns the processes of a parent (proc(5), /proc/pid/stat).
fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| parent_of(*pid) == Some(parent)).collect()
}

fn parent_of(pid: u32) -> Option<u32> {
    let facts = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = facts.rsplit_once(')')?;
    after_name.split_whitespace().nth(1)?.parse().ok()
}

fn is_session(pid: u32) -> bool {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim() == "imap"
}
