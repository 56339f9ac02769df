//! The private internet of a test: one small program that answers names, speaks HTTP and HTTPS
//! under them, and stands in for the Messages API, a git host and a plain web server.
//!
//! It runs in a container beside the sandboxes, so that they reach it exactly as they would reach
//! the world: through the proxy, by name. It knows nothing of Airut. Everything it is asked is a
//! line in `requests.jsonl`, `turns.jsonl` or `queries.jsonl` of its work directory.

#![expect(
    clippy::disallowed_methods,
    reason = "a program of its own, outside the service: it has no clock, no task set and no ports"
)]
#![expect(
    clippy::print_stderr,
    reason = "its standard error is where a broken test world shows"
)]

mod anthropic;
mod authority;
mod dns;
mod git;
mod journal;
mod options;
mod origin;
mod registry;
mod scenario;
mod site;
mod socket;
mod stream;

use std::process::ExitCode;
use std::sync::Arc;

use crate::journal::Journal;
use crate::options::Options;
use crate::site::Site;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("test-hosts: {error}");
            ExitCode::FAILURE
        }
    }
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

async fn run() -> Result<(), AnyError> {
    let options = Options::from_args(std::env::args().skip(1))?;
    std::fs::create_dir_all(&options.work)?;
    let tls = authority::server_config(&options)?;
    let journal = Journal::open(&options.work)?;
    let site = Arc::new(Site::new(options, journal));
    let listeners = site::bind(&site, tls).await?;
    let names = dns::bind(&site).await?;
    std::fs::write(site.options.work.join("ready"), b"")?;
    tokio::select! {
        ended = listeners.serve() => ended,
        ended = names.serve() => ended,
        () = standard_input_closed(), if site.options.until_stdin_closes => Ok(()),
    }
}

/// Returns once whoever started this program has gone: a dead test leaves nothing behind.
async fn standard_input_closed() {
    let (gone, closed) = tokio::sync::oneshot::channel();
    // A thread of its own, because a read of standard input cannot be cancelled.
    std::thread::spawn(move || {
        drop(std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
        gone.send(())
    });
    drop(closed.await);
}
