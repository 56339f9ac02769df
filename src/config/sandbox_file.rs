//! Reading `.airut/sandbox.yaml` from its file. It knows no `.env` file: the repository under test
//! could bring its own.

use std::io::ErrorKind;
use std::path::Path;

use crate::config::env;
use crate::config::load::{CONFIG_BYTES_MAX, LoadError};
use crate::config::read::sandbox::{self, SandboxFile};
use crate::config::resolve::Variables;

/// Where it lies, from the working directory.
pub const SANDBOX_FILE_PATH: &str = ".airut/sandbox.yaml";

/// Reads the file; the usual one need not be there.
///
/// # Errors
/// [`LoadError`] with file, line, column and what to do.
pub fn load(named: Option<&Path>) -> Result<SandboxFile, LoadError> {
    let path = named.unwrap_or_else(|| Path::new(SANDBOX_FILE_PATH));
    let unreadable = |error| LoadError::Unreadable {
        path: path.to_owned(),
        error,
    };
    let text = match std::fs::metadata(path) {
        Ok(facts) if facts.len() > CONFIG_BYTES_MAX => {
            let text = format!("it is longer than {CONFIG_BYTES_MAX} bytes");
            let error = std::io::Error::new(ErrorKind::FileTooLarge, text);
            return Err(unreadable(error));
        }
        Ok(_) => std::fs::read_to_string(path).map_err(unreadable)?,
        Err(error) if error.kind() == ErrorKind::NotFound => match named {
            Some(path) => return Err(LoadError::Missing(path.to_owned())),
            None => String::new(),
        },
        Err(error) => return Err(unreadable(error)),
    };
    sandbox::read(&text, &environment()).map_err(|problem| LoadError::Wrong {
        path: path.to_owned(),
        problem,
    })
}

/// Returns the caller's environment.
pub fn environment() -> Variables {
    env::of_process()
}
