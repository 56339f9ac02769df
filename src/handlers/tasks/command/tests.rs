//! What is kept of a command's output, and what the agent is given of it.

use super::*;
use crate::events::id::{BlobRef, ConversationId, Sha256, TaskId};
use crate::sandbox::podman::OutputChunk;

fn gather(output_bytes_max: u64, chunks: &[OutputChunk]) -> (Wrote, bool) {
    let flood = CancellationToken::new();
    let gathered = Gathered::new(output_bytes_max, flood.clone());
    chunks.iter().for_each(|chunk| gathered.keep(chunk));
    (gathered.take(), flood.is_cancelled())
}

fn out(bytes: usize) -> OutputChunk {
    OutputChunk::Stdout(vec![b'o'; bytes])
}

/// Gap 40: what a command writes is not all kept in memory.
#[test]
fn gap_40_of_a_commands_output_only_the_beginning_is_kept_and_of_its_errors_the_end() {
    for (wrote, kept) in [(9, 9), (10, 10), (11, 10)] {
        let (gathered, _) = gather(10, &[out(4), out(wrote - 4)]);
        assert_eq!(
            (gathered.output.len(), gathered.output_bytes),
            (kept, wrote as u64)
        );
    }
    for (wrote, kept) in [
        (ERROR_BYTES_MAX - 1, ERROR_BYTES_MAX - 1),
        (ERROR_BYTES_MAX, ERROR_BYTES_MAX),
        (ERROR_BYTES_MAX + 1, ERROR_BYTES_MAX),
    ] {
        let end = OutputChunk::Stderr(b"!".to_vec());
        let begin = OutputChunk::Stderr(vec![b'e'; wrote - 1]);
        let (gathered, _) = gather(10, &[begin, end]);
        assert_eq!(gathered.errors.len(), kept);
        assert_eq!(gathered.errors.last(), Some(&b'!'));
    }
}

#[test]
fn a_command_that_writes_more_than_a_run_may_is_ended() {
    let whole = OUTPUT_BYTES_MAX / 256;
    let chunk = out(usize::try_from(whole).unwrap());
    let most = vec![chunk; 256];
    assert!(!gather(10, &most).1);
    let (wrote, is_ended) = gather(10, &[most, vec![out(1)]].concat());
    assert!(is_ended && wrote.is_flood());
}

fn ended(exit_code: i32, output_bytes: u64) -> ScheduleCommandEnded {
    let body = |bytes| BlobRef {
        sha256: Sha256([0; 32]),
        bytes,
        media_type: "text/plain".to_owned(),
    };
    ScheduleCommandEnded {
        task: TaskId(1),
        conversation: ConversationId(1),
        run: TaskId(1).run(1),
        exit_code,
        timed_out: false,
        out_of_memory: false,
        too_much_output: false,
        output: body(5),
        output_bytes,
        errors: body(0),
    }
}

#[test]
fn output_that_was_cut_says_where_and_how_much_there_was() {
    assert_eq!(compose("x", &ended(0, 5), "hello", ""), "hello");
    let cut = compose("x", &ended(0, 6), "hello", "");
    assert_eq!(
        cut,
        "hello\n\n[cut after 5 bytes; the command wrote 6 bytes]"
    );
}

#[test]
fn a_command_that_failed_is_told_with_how_and_what_it_wrote() {
    let told = |ended: &ScheduleCommandEnded| compose("ops/watch --all", ended, "hello", "why");
    let failed = told(&ended(3, 5));
    for part in ["exit code 3", "Command: ops/watch --all", "hello", "why"] {
        assert!(failed.contains(part), "{part} in {failed}");
    }
    let timed_out = ScheduleCommandEnded {
        timed_out: true,
        ..ended(137, 5)
    };
    assert!(told(&timed_out).contains("ran into its time limit"));
    let flooded = ScheduleCommandEnded {
        too_much_output: true,
        ..ended(0, 5)
    };
    assert!(told(&flooded).contains("wrote more than"));
    let starved = ScheduleCommandEnded {
        out_of_memory: true,
        ..ended(137, 5)
    };
    assert!(told(&starved).contains("more memory than it may use"));
}
