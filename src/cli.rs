//! The commands: one file for each, its arguments and then `run`. This room names `config` and
//! `service` and nothing behind them.

mod allowlist;
mod backup;
mod check;
mod checkpoint;
mod events;
mod forget;
mod format;
mod init;
mod log_source;
mod mail;
mod output;
mod paths;
mod pentest;
mod prove;
mod rebuild;
mod render;
mod replay;
mod reply;
mod restore;
mod run_gateway;
mod sandbox;
mod schedule;
mod send;
mod stop;
mod tasks;
mod upgrade;
mod verify;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use output::Output;

/// The command did not do its work, or the configuration is wrong.
const EXIT_FAILED: u8 = 1;

/// Hand work to Claude Code by e-mail or from the command line, and get the result back.
#[derive(Debug, Parser)]
#[command(name = "airut", version, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a configuration to start from
    Init(init::Arguments),
    /// Check the configuration and what Airut needs of this machine
    Check(check::Arguments),
    /// Run the daemon
    RunGateway(run_gateway::Arguments),
    /// Hand a message to the running daemon
    Send(send::Arguments),
    /// Wait for the answer to a task and print it
    Reply(reply::Arguments),
    /// Print the log
    Events(events::Arguments),
    /// Look at a mail as Airut does
    Mail(mail::Arguments),
    /// Print any view, conversation or task as it was at a moment
    Replay(replay::Arguments),
    /// List the tasks that run or wait, and what each waits for
    Tasks(tasks::Arguments),
    /// Stop a task or whatever runs in a conversation
    Stop(stop::Arguments),
    /// Destroy what a conversation said, for good
    Forget(forget::Arguments),
    /// Check that the log is what it was
    Verify(verify::Arguments),
    /// Print the log's size and root, signed
    Checkpoint(checkpoint::Arguments),
    /// Print a proof that airut-verify checks
    Prove(prove::Arguments),
    /// Ask an allowlist file before it is merged
    Allowlist(allowlist::Arguments),
    /// Show what a reply looks like on the wire; nothing is sent
    Render(render::Arguments),
    /// Attack the sandbox from inside, in every way that is known
    Pentest(pentest::Arguments),
    /// Work on the log itself
    Log(rebuild::Arguments),
    /// Copy the log and what it refers to, beside a running daemon too
    Backup(backup::Arguments),
    /// Put a backup in the place of a log that is not there
    Restore(restore::Arguments),
    /// Tell when a schedule is due
    Schedule(schedule::Arguments),
    /// Run a command in the sandbox, without a daemon
    Sandbox(sandbox::Arguments),
}

/// Reads the command line and runs what it asks for.
pub fn main() -> ExitCode {
    let output = Output::of_terminal();
    let Some(command) = Arguments::parse().command else {
        let mut usage = Arguments::command();
        output.line(&format!("Airut {}", env!("CARGO_PKG_VERSION")));
        output.line(&usage.render_help().to_string());
        return ExitCode::SUCCESS;
    };
    let ran = match command {
        Command::Init(arguments) => init::run(&arguments, &output),
        Command::Check(arguments) => check::run(&arguments, &output),
        Command::RunGateway(arguments) => run_gateway::run(&arguments, &output),
        Command::Send(arguments) => send::run(&arguments, &output),
        Command::Reply(arguments) => reply::run(&arguments, &output),
        Command::Events(arguments) => events::run(&arguments, &output),
        Command::Mail(arguments) => mail::run(&arguments, &output),
        Command::Replay(arguments) => replay::run(&arguments, &output),
        Command::Tasks(arguments) => tasks::run(&arguments, &output),
        Command::Stop(arguments) => stop::run(&arguments, &output),
        Command::Forget(arguments) => forget::run(&arguments, &output),
        Command::Verify(arguments) => verify::run(&arguments, &output),
        Command::Checkpoint(arguments) => checkpoint::run(&arguments, &output),
        Command::Prove(arguments) => prove::run(&arguments, &output),
        Command::Allowlist(arguments) => allowlist::run(&arguments, &output),
        Command::Render(arguments) => render::run(&arguments, &output),
        Command::Pentest(arguments) => pentest::run(&arguments, &output),
        Command::Log(arguments) => rebuild::run(&arguments, &output),
        Command::Backup(arguments) => backup::run(&arguments, &output),
        Command::Restore(arguments) => restore::run(&arguments, &output),
        Command::Schedule(arguments) => schedule::run(&arguments, &output),
        Command::Sandbox(arguments) => return sandbox::run(&arguments.command, output),
    };
    ran.unwrap_or_else(|error| {
        output.error(&error.to_string());
        ExitCode::from(EXIT_FAILED)
    })
}

/// Reads the command line of `airut-sandbox`, the same as that of `airut sandbox`.
pub fn sandbox_main() -> ExitCode {
    sandbox::main(Output::of_terminal())
}

/// Runs a future on a runtime of its own.
fn block_on<F: Future>(future: F) -> anyhow::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(future))
}
