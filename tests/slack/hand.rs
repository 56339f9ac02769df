//! A test's hand in the workspace: the control API of the stand-in, blocking, over plain HTTP.
//!
//! It knows the address and nothing else of the stand-in, so that it serves beside one that runs in
//! the test's own process as well as beside the program.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long the stand-in may take for an answer, and a test for what it waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The hand.
#[derive(Debug, Clone)]
pub(crate) struct Hand {
    address: String,
}

impl Hand {
    /// Takes the address of the Web API, as `api_url` has it.
    pub(crate) fn of(api_url: &str) -> Self {
        let address = api_url
            .trim_start_matches("http://")
            .trim_end_matches("/api");
        Self {
            address: address.to_owned(),
        }
    }

    /// Returns the address of the Web API.
    pub(crate) fn api_url(&self) -> String {
        format!("http://{}/api", self.address)
    }

    /// Does something: `POST /standin/<what>`.
    #[track_caller]
    pub(crate) fn act(&self, what: &str, with: &Value) -> Value {
        let path = format!("/standin/{what}");
        let (status, body) = self.ask("POST", &path, "application/json", &with.to_string());
        assert_eq!(status, 200, "{what} {with}: {body}");
        serde_json::from_str(&body).expect("the control API speaks JSON")
    }

    /// Looks: `GET /standin/<what>`.
    #[track_caller]
    pub(crate) fn look(&self, what: &str) -> Value {
        let (status, body) = self.ask("GET", &format!("/standin/{what}"), "text/plain", "");
        assert_eq!(status, 200, "{what}: {body}");
        serde_json::from_str(&body).expect("the control API speaks JSON")
    }

    /// Looks again and again until it sees what it waits for.
    #[track_caller]
    pub(crate) fn until<T>(&self, what: &str, see: impl Fn(&Value) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            let seen = self.look(what);
            if let Some(found) = see(&seen) {
                return found;
            }
            let is_late = start.elapsed() > PATIENCE;
            assert!(
                !is_late,
                "waited {PATIENCE:?} in vain, last seen in {what}: {seen}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asks for anything, and returns status and body.
    #[track_caller]
    pub(crate) fn ask(&self, verb: &str, path: &str, kind: &str, body: &str) -> (u16, String) {
        let head = format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
        let (head, body) = self
            .exchange(verb, path, &head, body)
            .expect("the stand-in answers");
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        (status.expect("an HTTP status"), body)
    }

    /// Sends a request with these header lines; returns the head and the body of the answer.
    pub(crate) fn exchange(
        &self,
        verb: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> std::io::Result<(String, String)> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "{verb} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n{body}",
            self.address
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let broken = || std::io::Error::other("the connection was broken off");
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(broken)?;
        Ok((head.to_owned(), body.to_owned()))
    }
}
