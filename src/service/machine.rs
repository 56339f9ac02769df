//! What Airut needs of the machine it runs on: programs, and how new they must be.

use std::time::Duration;

use crate::config::types::Email;
use crate::handlers::channels::email::tls::{Trust, TrustError};
use crate::sandbox::process::Call;

/// Time for a program to tell its version.
const VERSION_TIME_MAX: Duration = Duration::from_secs(10);

/// A program that is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// The oldest version that will do.
    pub minimum: &'static str,
    /// Its version, or why it has none.
    pub found: Result<String, String>,
}

impl Tool {
    /// Returns whether it is there and new enough.
    pub fn is_new_enough(&self) -> bool {
        self.found
            .as_ref()
            .is_ok_and(|found| numbers(found) >= numbers(self.minimum))
    }
}

/// Reads the authorities that a mailbox's servers may be certified by.
///
/// # Errors
/// [`TrustError`] naming the file.
pub fn authorities(email: &Email) -> Result<(), TrustError> {
    Trust::load(email.tls_ca_file.as_deref()).map(|_trust| ())
}

/// Asks git and the container engine for their versions.
pub async fn tools(container_command: &str) -> Vec<Tool> {
    vec![
        tool("git", "2.25").await,
        tool(container_command, "4.0").await,
    ]
}

async fn tool(name: &str, minimum: &'static str) -> Tool {
    let told = Call::new(name, VERSION_TIME_MAX)
        .args(["--version"])
        .output()
        .await;
    let version = |told: Vec<u8>| {
        let told = String::from_utf8_lossy(&told).into_owned();
        let mut words = told.split_whitespace();
        let version = words.find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        version
            .map(str::to_owned)
            .ok_or_else(|| format!("{name} tells no version"))
    };
    let found = told.map_err(|error| error.to_string()).and_then(version);
    Tool {
        name: name.to_owned(),
        minimum,
        found,
    }
}

/// Returns a version's numbers, whatever is no digit left out of each (spec row CLI-04).
fn numbers(version: &str) -> Vec<u64> {
    let number = |part: &str| {
        part.chars()
            .filter(char::is_ascii_digit)
            .collect::<String>()
    };
    version
        .split('.')
        .map(|part| number(part).parse().unwrap_or_default())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        let tool = |found: &str| Tool {
            name: "git".to_owned(),
            minimum: "2.25",
            found: Ok(found.to_owned()),
        };
        assert!(tool("2.25").is_new_enough());
        assert!(tool("2.39.5").is_new_enough());
        assert!(tool("10.0").is_new_enough());
        assert!(!tool("2.9.9").is_new_enough());
    }
}
