//! The command line: what to check, with which keys, from which files.

use std::fs;

use crate::note::{Key, Note};
use crate::proof::{Consistency, Inclusion};
use crate::record;

const USAGE: &str = "usage:
  airut-verify checkpoint --key KEY... CHECKPOINT
      the checkpoint is signed by one of the keys
  airut-verify inclusion --key KEY... PROOF
      the record in the proof is in the log that one of the keys signed for
  airut-verify consistency --key KEY... OLD-CHECKPOINT PROOF
      the log of the old checkpoint is the beginning of the new one in the proof
A KEY has the form name+hash+base64. A file of the name - is standard input.";

/// Longest file that is read, in bytes; a longer one is refused.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Checks what the arguments say, and returns the verdict in words.
pub(crate) fn run(arguments: &[String]) -> Result<String, String> {
    let (command, rest) = arguments.split_first().ok_or(USAGE)?;
    let (keys, files) = split(rest)?;
    match (command.as_str(), files.as_slice()) {
        ("checkpoint", [file]) => {
            let note = Note::parse(&read(file)?)?;
            let signer = note.signed_by(&keys)?;
            let (size, root) = (note.size, hex(&note.root));
            Ok(format!(
                "ok: {signer} signed a log of {size} records with root {root}"
            ))
        }
        ("inclusion", [file]) => {
            let proof = Inclusion::parse(&read(file)?)?;
            let signer = proof.checkpoint.signed_by(&keys)?;
            proof.check()?;
            let record = record::describe(&proof.record, proof.index)?;
            let size = proof.checkpoint.size;
            Ok(format!(
                "ok: {record}\nok: it is in the log of {size} records that {signer} signed"
            ))
        }
        ("consistency", [old, file]) => {
            let old = Note::parse(&read(old)?)?;
            let proof = Consistency::parse(&read(file)?)?;
            old.signed_by(&keys)?;
            let signer = proof.checkpoint.signed_by(&keys)?;
            proof.check(&old)?;
            let (first, size) = (old.size, proof.checkpoint.size);
            Ok(format!(
                "ok: the first {first} of the {size} records that {signer} signed are unchanged"
            ))
        }
        _ => Err(USAGE.to_owned()),
    }
}

fn split(arguments: &[String]) -> Result<(Vec<Key>, Vec<&str>), String> {
    let (mut keys, mut files) = (Vec::new(), Vec::new());
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--key" {
            keys.push(Key::parse(arguments.next().ok_or(USAGE)?)?);
        } else if argument.starts_with("--") {
            return Err(USAGE.to_owned());
        } else {
            files.push(argument.as_str());
        }
    }
    if keys.is_empty() {
        return Err("name at least one key that you trust with --key".to_owned());
    }
    Ok((keys, files))
}

fn read(file: &str) -> Result<String, String> {
    let path = if file == "-" { "/dev/stdin" } else { file };
    let failed = |error: std::io::Error| format!("{file}: {error}");
    let mut text = String::new();
    let open = fs::File::open(path).map_err(failed)?;
    let mut limited = std::io::Read::take(open, FILE_BYTES_MAX + 1);
    std::io::Read::read_to_string(&mut limited, &mut text).map_err(failed)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("{file}: longer than {FILE_BYTES_MAX} bytes"));
    }
    Ok(text)
}

/// Returns bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
