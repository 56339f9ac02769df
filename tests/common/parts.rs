//! The parts that must be on the machine: where they are, and what to say when they are not.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where the real parts are.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    /// The gateway's binary.
    pub(crate) airut: PathBuf,
    /// The statically linked proxy.
    pub(crate) proxy: PathBuf,
    /// The program of the private internet.
    pub(crate) hosts: PathBuf,
    /// The real Claude Code.
    pub(crate) claude: PathBuf,
    /// Its version.
    pub(crate) claude_version: String,
}

/// The image that test sandboxes and the private internet run on.
pub(crate) const BASE_IMAGE: &str = "localhost/airut-test-base:latest";

impl Parts {
    /// Finds every part, or says which is missing and skips (or fails, see the module's words).
    pub(crate) fn find() -> Option<Self> {
        match Self::look() {
            Ok(parts) => Some(parts),
            Err(missing) => {
                let required = std::env::var_os("AIRUT_REQUIRE_REAL").is_some();
                assert!(!required, "a real part is missing: {missing}");
                eprintln!("SKIPPED: {missing}");
                None
            }
        }
    }

    fn look() -> Result<Self, String> {
        let image = ["image", "exists", BASE_IMAGE];
        works("podman", &["info"], "Podman does not run here (make setup)")?;
        works("podman", &image, "the base image is missing (make setup)")?;
        works(
            "postfix",
            &["-c", "/nonexistent", "status"],
            "Postfix is missing (make setup)",
        )
        .or_else(|missing| {
            if on_path("postfix") {
                Ok(())
            } else {
                Err(missing)
            }
        })?;
        if !on_path("dovecot") {
            return Err("Dovecot is missing (make setup)".to_owned());
        }
        let claude = file("AIRUT_CLAUDE_BIN", "the real claude (make setup)")?;
        let claude_version = version_of(&claude)?;
        let airut = option_env!("CARGO_BIN_EXE_airut").map(PathBuf::from);
        Ok(Self {
            airut: airut.map_or_else(|| file("AIRUT_BIN", "airut"), Ok)?,
            proxy: file("AIRUT_PROXY_BIN", "the static airut-proxy (make proxy)")?,
            hosts: hosts_program()?,
            claude,
            claude_version,
        })
    }
}

fn works(program: &str, args: &[&str], missing: &str) -> Result<(), String> {
    let mut command = Command::new(program);
    let quiet = command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let works = quiet.status().is_ok_and(|status| status.success());
    if works {
        Ok(())
    } else {
        Err(missing.to_owned())
    }
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/bin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(usual)
        .any(|dir| dir.join(program).exists())
}

fn file(variable: &str, what: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os(variable).map(PathBuf::from);
    path.filter(|path| path.exists())
        .ok_or_else(|| format!("{what} is not where {variable} says"))
}

/// The program lies beside the test's own directory of the build.
fn hosts_program() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut candidates = own.ancestors().map(|dir| dir.join("examples/test-hosts"));
    let found = candidates.find(|path| path.exists());
    found.ok_or_else(|| "cargo build --example test-hosts was not run".to_owned())
}

fn version_of(claude: &Path) -> Result<String, String> {
    let output = Command::new(claude)
        .arg("--version")
        .stdin(Stdio::null())
        .output();
    let output = output.map_err(|error| format!("{}: {error}", claude.display()))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = said.split_whitespace().next().map(str::to_owned);
    version.ok_or_else(|| format!("{} does not tell its version", claude.display()))
}
