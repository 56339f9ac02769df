//! The private internet, running in a container on a network of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::common::parts::{BASE_IMAGE, Parts};
use crate::common::{PATIENCE, run, until};

/// The key that the Messages API accepts, and that no sandbox may see.
pub(crate) const API_KEY: &str = "sk-ant-api03-real-0123456789abcdefghijklmnopqrstuvwxyz";
/// The password that a push needs, and that no sandbox may see.
pub(crate) const PUSH_TOKEN: &str = "ghp_real0123456789abcdefghijklmnopqrstuv";
/// The names that exist.
const ZONE: [&str; 4] = [
    "api.anthropic.com",
    "git.example.test",
    "origin.example.test",
    "other.example.test",
];

/// The running container and its evidence.
#[derive(Debug)]
pub(crate) struct Hosts {
    /// Its address: name server, web server, all of it.
    pub(crate) address: String,
    /// The certificate of the authority that its names are certified by.
    pub(crate) ca_file: PathBuf,
    work: PathBuf,
    child: Child,
}

impl Hosts {
    /// Starts the container `name` with its files under `dir`.
    pub(crate) fn start(parts: &Parts, name: &str, dir: &Path) -> Self {
        let work = dir.join("hosts");
        fs::create_dir_all(work.join("release")).unwrap();
        let address = network(name);
        let program = format!("{}:/test-hosts:ro", parts.hosts.display());
        let repositories = format!("{}:/repositories", dir.join("repositories").display());
        let files = format!("{}:/work", work.display());
        let mut command = Command::new("podman");
        command
            .args([
                "run",
                "--rm",
                "--interactive",
                "--pull=never",
                "--name",
                name,
            ])
            .args(["--network", name, "--ip", &address, "--volume", &program])
            .args([
                "--volume",
                &repositories,
                "--volume",
                &files,
                BASE_IMAGE,
                "/test-hosts",
            ])
            .args(["--listen", &address, "--ca-dir", "/work", "--work", "/work"])
            .args([
                "--repositories",
                "/repositories",
                "--scenarios",
                "/work/scenarios.json",
            ])
            .args([
                "--api-key",
                API_KEY,
                "--push-token",
                PUSH_TOKEN,
                "--until-stdin-closes",
            ])
            .args(ZONE.iter().flat_map(|name| ["--zone", name]));
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let ready = work.join("ready");
        until("the private internet", PATIENCE, || {
            ready.exists().then_some(())
        });
        Self {
            address,
            ca_file: work.join("ca.pem"),
            work,
            child,
        }
    }

    /// Every request, oldest first.
    pub(crate) fn requests(&self) -> Vec<Value> {
        self.lines("requests.jsonl")
    }

    /// The requests to one host.
    pub(crate) fn requests_to(&self, host: &str) -> Vec<Value> {
        self.requests()
            .into_iter()
            .filter(|request| request["host"] == host)
            .collect()
    }

    /// Every name that was asked for.
    pub(crate) fn queries(&self) -> Vec<String> {
        let name = |query: &Value| query["name"].as_str().map(str::to_owned);
        self.lines("queries.jsonl")
            .iter()
            .filter_map(name)
            .collect()
    }

    /// Every turn the model took.
    pub(crate) fn turns(&self) -> Vec<Value> {
        self.lines("turns.jsonl")
    }

    /// Lets answers go on that a `[[hold: NAME]]` holds back.
    pub(crate) fn release(&self, name: &str) {
        fs::write(self.work.join("release").join(name), b"").unwrap();
    }

    fn lines(&self, file: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.work.join(file)).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}

/// Makes the network and returns the address for the container on it.
fn network(name: &str) -> String {
    run(Command::new("podman").args(["network", "create", "--disable-dns", name]));
    let told = run(Command::new("podman").args(["network", "inspect", name]));
    let told: Value = serde_json::from_str(&told).unwrap();
    let subnet = told[0]["subnets"][0]["subnet"].as_str().unwrap();
    let (prefix, _) = subnet.rsplit_once('.').unwrap();
    format!("{prefix}.10")
}

/// Returns the values of a header of a journaled request; the name is lower case.
pub(crate) fn header<'a>(request: &'a Value, name: &str) -> Vec<&'a str> {
    let pairs = request["headers"].as_array().unwrap().iter();
    let named = pairs.filter(|pair| pair[0] == name);
    named.filter_map(|pair| pair[1].as_str()).collect()
}
