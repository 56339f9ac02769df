//! A small program for auditors: it checks proofs and checkpoints of a log. It shares no code with
//! the program that made them, knows no store, and reads only the files that it is given.

use std::process::ExitCode;

#[path = "airut-verify/command.rs"]
mod command;
#[path = "airut-verify/merkle.rs"]
mod merkle;
#[path = "airut-verify/note.rs"]
mod note;
#[path = "airut-verify/proof.rs"]
mod proof;
#[path = "airut-verify/record.rs"]
mod record;

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the verdict is the output"
)]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match command::run(&arguments) {
        Ok(verdict) => {
            println!("{verdict}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("airut-verify: {why}");
            ExitCode::FAILURE
        }
    }
}
