//! The program inside a sandbox's proxy container: it takes its orders over the link and ends with
//! it. It has no configuration, no environment and no files.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let link = match (arguments.next(), arguments.next(), arguments.next()) {
        (Some(flag), Some(link), None) if flag == "--link" => PathBuf::from(link),
        _ => return fail("usage: airut-proxy --link SOCKET"),
    };
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        return fail("a TLS provider is installed already");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let served = match runtime {
        Ok(runtime) => runtime.block_on(airut::sandbox::proxy::server::serve(&link)),
        Err(error) => return fail(&error.to_string()),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the container's log is where the daemon looks"
)]
fn fail(why: &str) -> ExitCode {
    eprintln!("airut-proxy: {why}");
    ExitCode::FAILURE
}
