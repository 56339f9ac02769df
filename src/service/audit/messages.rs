//! Slack messages that somebody saved: answers of the Web API, pages of them one after the other, or
//! the lists of an export; of each message the checkpoint in its metadata.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::events::checkpoint::SignedCheckpoint;
use crate::handlers::channels::slack::metadata;
use crate::service::audit::mails::{SavedMessage, bytes_of, in_files};

/// Reads all messages in files and directories.
///
/// # Errors
/// Any error of the disk, and one that names a file which is no JSON or holds no messages: it may be
/// the answer of a call that failed.
pub fn saved_slack(paths: &[PathBuf]) -> std::io::Result<Vec<SavedMessage>> {
    in_files(paths, messages_in)
}

fn messages_in(path: &Path) -> std::io::Result<Vec<SavedMessage>> {
    let bytes = bytes_of(path)?;
    let name = path.display().to_string();
    let wrong = |what: &str| std::io::Error::other(format!("{name}: {what}"));
    let mut found = Vec::new();
    for page in serde_json::Deserializer::from_slice(&bytes).into_iter::<Value>() {
        let page = page.map_err(|error| wrong(&format!("it is no JSON: {error}")))?;
        let messages = page.as_array().or_else(|| page["messages"].as_array());
        let messages = messages.ok_or_else(|| {
            let refused = page["error"]
                .as_str()
                .map(|error| format!("Slack refused it: {error}"));
            wrong(&refused.unwrap_or_else(|| "it holds no list of messages".to_owned()))
        })?;
        found.extend(messages.iter().map(|message| saved(&name, message)));
    }
    Ok(found)
}

fn saved(file: &str, message: &Value) -> SavedMessage {
    let ts = message["ts"].as_str().unwrap_or("no ts");
    let checkpoint = metadata::checkpoint_of(message);
    SavedMessage {
        name: format!("{file}#{ts}"),
        date: date(ts).unwrap_or_else(|| "no date".to_owned()),
        checkpoint: checkpoint.map(SignedCheckpoint::from_line),
    }
}

/// Returns the time in a `ts`, which counts seconds since 1970.
fn date(ts: &str) -> Option<String> {
    let (seconds, _) = ts.split_once('.')?;
    let at = jiff::Timestamp::from_second(seconds.parse().ok()?).ok()?;
    Some(at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::checkpoint::LogKey;
    use crate::events::id::{DeliveryId, Sha256};
    use serde_json::json;

    fn read(text: &str) -> std::io::Result<Vec<SavedMessage>> {
        let directory = tempfile::TempDir::new().unwrap();
        let file = directory.path().join("thread.json");
        std::fs::write(&file, text).unwrap();
        saved_slack(&[file])
    }

    #[test]
    fn messages_are_found_in_answers_pages_and_exports() {
        let signed = LogKey::first([1; 32]).checkpoint(3, Sha256([2; 32]));
        let metadata = metadata::of_part(DeliveryId(7), (1, 1), Some(&signed.to_line()));
        let ours = json!({"ts": "1767225600.000100", "text": "Done", "metadata": metadata});
        let theirs = json!({"ts": "1767225601.000100", "text": "Thanks"});
        let page = json!({"ok": true, "messages": [ours, theirs]});
        for text in [
            page.to_string(),
            json!([ours, theirs]).to_string(),
            format!("{}\n{}", json!({"messages": [ours]}), json!([theirs])),
        ] {
            let [ours, theirs] = read(&text).unwrap().try_into().unwrap();
            assert_eq!(ours.date, "2026-01-01T00:00:00Z");
            assert!(ours.name.ends_with("thread.json#1767225600.000100"));
            assert_eq!(ours.checkpoint.unwrap().unwrap(), signed);
            assert!(theirs.checkpoint.is_none());
        }
    }

    #[test]
    fn a_file_without_messages_is_an_error_and_not_a_proof() {
        let refused = r#"{"ok": false, "error": "not_in_channel"}"#;
        for (text, word) in [
            (refused, "not_in_channel"),
            ("{}", "no list"),
            ("x", "no JSON"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(
                error.contains(word) && error.contains("thread.json"),
                "{error}"
            );
        }
    }
}
