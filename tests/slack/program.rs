//! The Slack stand-in as a program of its own, for tests of whole worlds and for trying by hand:
//! `slack-standin [--port N] [--settings JSON]` prints the address for `api_url` and serves until
//! its standard input is closed. It knows nothing of Airut.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the address goes to whoever started it, and so does what went wrong"
)]

mod standin;

use std::process::ExitCode;

use standin::{Options, Standin};

fn main() -> ExitCode {
    let standin = match options().and_then(|options| Ok(Standin::start(options)?)) {
        Ok(standin) => standin,
        Err(error) => {
            eprintln!("slack-standin: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{}", standin.api_url());
    // A dead test leaves nothing behind.
    drop(std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    ExitCode::SUCCESS
}

fn options() -> Result<Options, Box<dyn std::error::Error>> {
    let mut options = Options::default();
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        let value = args.next().ok_or_else(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--port" => options.port = value.parse()?,
            "--settings" => options = serde_json::from_str(&value)?,
            _ => return Err(format!("unknown option {flag}").into()),
        }
    }
    Ok(options)
}
