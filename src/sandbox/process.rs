//! The only file that starts processes: with a time limit, with bounded output, killed when nobody
//! waits for them any more.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the one place that may start processes"
)]

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use crate::sandbox::cut::last_bytes;

/// Output kept of a process, for each of its two streams; the rest is read and dropped, and more on
/// standard output is an error: half an answer is none.
pub const OUTPUT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Longest end of standard error that an error tells, in bytes.
const TAIL_BYTES_MAX: usize = 4 * 1024;

/// Why a process did not do its work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("{program} could not be started: {error}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        error: String,
    },
    /// It took too long and was killed.
    #[error("{program} took longer than {seconds} s and was ended")]
    Timeout {
        /// The program.
        program: String,
        /// Its limit.
        seconds: u64,
    },
    /// It wrote more than is kept: what was asked for is too large.
    #[error("{program} wrote more than {OUTPUT_BYTES_MAX} bytes")]
    TooLong {
        /// The program.
        program: String,
    },
    /// It ended with an error.
    #[error("{program} failed: {stderr}")]
    Failed {
        /// The program.
        program: String,
        /// Its exit code, if it ended by itself.
        code: Option<i32>,
        /// The end of its standard error.
        stderr: String,
    },
}

/// A command to be run to its end.
#[derive(Debug)]
pub struct Call<'a> {
    program: &'a str,
    command: Command,
    stdin: Vec<u8>,
    timeout: Duration,
}

impl<'a> Call<'a> {
    /// Returns a call of a program, without arguments and with an empty standard input.
    pub fn new(program: &'a str, timeout: Duration) -> Self {
        let mut command = Command::new(program);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.kill_on_drop(true);
        Self {
            program,
            command,
            stdin: Vec::new(),
            timeout,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Removes an environment variable that this process has.
    #[must_use]
    pub fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn directory(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// Sets what it reads on standard input.
    #[must_use]
    pub fn stdin(mut self, bytes: Vec<u8>) -> Self {
        self.stdin = bytes;
        self
    }

    /// Runs it and returns its standard output.
    ///
    /// # Errors
    /// [`ProcessError`].
    pub async fn output(mut self) -> Result<Vec<u8>, ProcessError> {
        let program = self.program.to_owned();
        let start = |error: std::io::Error| ProcessError::Start {
            program: program.clone(),
            error: error.to_string(),
        };
        let mut child = self.command.spawn().map_err(start)?;
        let running = run(&mut child, &self.stdin);
        let Ok(ended) = tokio::time::timeout(self.timeout, running).await else {
            // `kill_on_drop` reaps it; an error means that it is gone already.
            let _gone = child.start_kill();
            return Err(ProcessError::Timeout {
                program,
                seconds: self.timeout.as_secs(),
            });
        };
        let (status, stdout, stderr) = ended.map_err(start)?;
        if status.success() {
            return stdout.ok_or(ProcessError::TooLong { program });
        }
        let stderr = tail(&stderr);
        Err(ProcessError::Failed {
            program,
            code: status.code(),
            stderr,
        })
    }
}

async fn run(
    child: &mut Child,
    input: &[u8],
) -> std::io::Result<(std::process::ExitStatus, Option<Vec<u8>>, Vec<u8>)> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // A process that does not read its input to the end may still succeed.
            let _unread = stdin.write_all(input).await;
        }
    };
    let ((), stdout, stderr) = tokio::join!(write, read(stdout), read(stderr));
    let ((stdout, is_whole), (stderr, _)) = (stdout?, stderr?);
    Ok((child.wait().await?, is_whole.then_some(stdout), stderr))
}

/// Returns what a process writes to a stream, and whether that is all of it.
async fn read(stream: Option<impl AsyncRead + Unpin>) -> std::io::Result<(Vec<u8>, bool)> {
    let mut kept = Vec::new();
    let Some(mut stream) = stream else {
        return Ok((kept, true));
    };
    let mut chunk = vec![0; 64 * 1024];
    let mut is_whole = true;
    loop {
        let length = stream.read(&mut chunk).await?;
        if length == 0 {
            return Ok((kept, is_whole));
        }
        let room = OUTPUT_BYTES_MAX - kept.len();
        is_whole &= length <= room;
        kept.extend(&chunk[..length.min(room)]);
    }
}

/// Returns the end of a text, for people: at most 20 lines.
fn tail(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.trim().lines().collect();
    let lines = lines[lines.len().saturating_sub(20)..].join("\n");
    last_bytes(&lines, TAIL_BYTES_MAX).to_owned()
}

/// A process of ours that runs beside us and is killed when this is dropped.
#[derive(Debug)]
pub struct Companion {
    child: Child,
}

impl Companion {
    /// Starts a process; its output goes nowhere.
    ///
    /// # Errors
    /// [`ProcessError::Start`].
    pub fn start(program: &str, arguments: &[&str]) -> Result<Self, ProcessError> {
        let mut command = Command::new(program);
        command.args(arguments).kill_on_drop(true);
        // Ctrl-C in a terminal is for us: the companion is needed for the end of what runs.
        command.process_group(0);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let start = |error: std::io::Error| ProcessError::Start {
            program: program.to_owned(),
            error: error.to_string(),
        };
        Ok(Self {
            child: command.spawn().map_err(start)?,
        })
    }

    /// Returns its process, unless it has ended.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Returns whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it and waits until it is gone.
    pub async fn stop(mut self) {
        // An error means that it is gone already.
        let _gone = self.child.kill().await;
    }
}

/// Time for a leftover to end by itself once it is asked to; then it is killed.
const LEFTOVER_END_TIME_MAX: Duration = Duration::from_secs(5);

/// Ends processes that were started with exactly these arguments, by whatever program: companions of
/// a process of ours that was killed. The arguments must name something that is only ours. Returns
/// once they are gone, so that nothing they were still about comes into being behind our back.
pub async fn end_leftovers(arguments: &[&str]) {
    let leftovers = with_arguments(arguments);
    signal(&leftovers, rustix::process::Signal::TERM);
    let gone = async {
        while leftovers.iter().any(|id| has_arguments(*id, arguments)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    if tokio::time::timeout(LEFTOVER_END_TIME_MAX, gone)
        .await
        .is_err()
    {
        signal(&with_arguments(arguments), rustix::process::Signal::KILL);
    }
}

fn with_arguments(arguments: &[&str]) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    ids.filter(|id| has_arguments(*id, arguments)).collect()
}

fn signal(ids: &[i32], signal: rustix::process::Signal) {
    for id in ids
        .iter()
        .filter_map(|id| rustix::process::Pid::from_raw(*id))
    {
        // It may have ended by itself just now.
        let _ended = rustix::process::kill_process(id, signal);
    }
}

fn has_arguments(id: i32, arguments: &[&str]) -> bool {
    let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    let line = line.strip_suffix(&[0]).unwrap_or(&line);
    let mut words = line.split(|byte| *byte == 0).skip(1);
    let mut wanted = arguments.iter();
    wanted.all(|wanted| words.next() == Some(wanted.as_bytes())) && words.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Call<'static> {
        Call::new("sh", Duration::from_secs(10)).args(["-c", script])
    }

    #[tokio::test]
    async fn a_leftover_is_ended_by_its_arguments_and_nobody_else_is() {
        let mine = ["300.0000017"];
        let mut leftover = Companion::start("sleep", &mine).unwrap();
        let mut other = Companion::start("sleep", &["300.0000018"]).unwrap();
        while !has_arguments(leftover.child.id().unwrap().cast_signed(), &mine) {
            tokio::task::yield_now().await;
        }
        end_leftovers(&mine).await;
        leftover.child.wait().await.unwrap();
        assert!(!leftover.is_running() && other.is_running());
    }

    #[tokio::test]
    async fn output_and_failure_are_told_apart() {
        let output = shell("cat; echo there")
            .stdin(b"hello ".to_vec())
            .output()
            .await;
        assert_eq!(output.unwrap(), b"hello there\n");
        let failed = shell("echo why >&2; exit 3").output().await.unwrap_err();
        assert!(
            matches!(failed, ProcessError::Failed { code: Some(3), ref stderr, .. } if stderr == "why")
        );
    }

    #[tokio::test]
    async fn half_an_output_is_no_success_and_an_error_is_short() {
        let script = format!("head -c {} /dev/zero", OUTPUT_BYTES_MAX + 1);
        let long = shell(&script).output().await;
        assert!(matches!(long, Err(ProcessError::TooLong { .. })));
        let whole = format!("head -c {OUTPUT_BYTES_MAX} /dev/zero");
        let whole = shell(&whole).output().await.unwrap();
        assert_eq!(whole.len(), OUTPUT_BYTES_MAX);
        let failed = "head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1";
        let failed = shell(failed).output().await.unwrap_err();
        assert!(failed.to_string().len() <= TAIL_BYTES_MAX + 20);
    }

    #[tokio::test]
    async fn a_process_that_takes_too_long_is_ended() {
        let call = Call::new("sleep", Duration::from_millis(50)).args(["60"]);
        assert!(matches!(
            call.output().await,
            Err(ProcessError::Timeout { .. })
        ));
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let call = Call::new("no-such-program-here", Duration::from_secs(1));
        assert!(
            call.output()
                .await
                .unwrap_err()
                .to_string()
                .contains("no-such-program-here")
        );
    }
}
