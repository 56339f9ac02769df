//! Where a real secret may be taken out of its wrapping, and that no message does.

use crate::{code, product_files};

/// Files that expose a secret: where it is read, put in, signed with or sent, and nowhere else.
const EXPOSE: &[&str] = &[
    "src/handlers/channels/email/imap/connect.rs",
    "src/handlers/channels/email/oauth.rs",
    "src/handlers/channels/email/smtp.rs",
    "src/handlers/channels/slack/web.rs",
    "src/handlers/tasks/surrogates.rs",
    "src/sandbox/credentials.rs",
    "src/sandbox/credentials/signing.rs",
    "src/sandbox/git/remote.rs",
    "src/sandbox/github.rs",
    "src/sandbox/podman/specs.rs",
    "src/sandbox/proxy/armed.rs",
    "src/sandbox/proxy/ca.rs",
    "src/sandbox/proxy/credentials.rs",
    "src/sandbox/proxy/honey.rs",
    "src/sandbox/proxy/signing.rs",
];

/// Beginnings of what people or other processes get to read: messages, errors and arguments.
const TELL: &[&str] = &[
    "tracing::debug!(",
    "tracing::error!(",
    "tracing::info!(",
    "tracing::trace!(",
    "tracing::warn!(",
    "anyhow!(",
    "bail!(",
    "panic!(",
    "print!(",
    "println!(",
    "write!(",
    "writeln!(",
    "#[error(",
    ".arg(",
    ".args(",
    ".expect(",
];

fn exposes(text: &str) -> bool {
    text.contains(".expose()") || text.contains(".expose_secret()")
}

/// Returns what stands between the parenthesis that ends `text` here and its partner.
fn within(text: &str) -> &str {
    let mut depth = 1_usize;
    let end = text.find(|character| {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    &text[..end.unwrap_or(text.len())]
}

#[test]
fn secrets_are_taken_out_in_few_places_and_no_message_or_argument_holds_one() {
    let mut files = Vec::new();
    for (name, text) in product_files() {
        let product: Vec<&str> = code(&text).collect();
        let product = product.join("\n");
        if !exposes(&product) {
            continue;
        }
        for tell in TELL {
            for (at, _) in product.match_indices(tell) {
                let told = within(&product[at + tell.len()..]);
                assert!(!exposes(told), "{name} tells a secret: {tell}{told}");
            }
        }
        files.push(name);
    }
    files.sort();
    assert_eq!(files, EXPOSE);
}

#[test]
fn a_message_that_tells_a_secret_is_found() {
    let told = within("\"{}\", (1 + 2), key.expose()); other.expose()");
    assert!(exposes(told) && !told.contains("other"));
    assert!(!exposes(within("name); key.expose_secret()")));
}
