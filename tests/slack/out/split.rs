//! Answers that are longer than a message (spec row SLK-21), up to the limits and beyond.

use super::{Ground, answer};

const CHARS_MAX: usize = 40_000;

/// Posts so long an answer, and returns how many characters each message has and which files came.
async fn check(chars: usize) -> (Vec<usize>, Vec<String>) {
    let (ground, thread) = Ground::with_thread();
    ground.sends(answer(&thread, &text(chars))).await;
    let answers = ground.answers(&thread);
    let is_file = |message: &&serde_json::Value| message["files"].is_array();
    let lengths = answers.iter().filter(|message| !is_file(message));
    let lengths = lengths.map(|message| message["text"].as_str().unwrap().chars().count());
    (lengths.collect(), ground.file_names(&thread))
}

/// Lines of a hundred characters, of which the last is shorter.
fn text(chars: usize) -> String {
    let line = format!("{}\n", "ä".repeat(99));
    let text: String = line.chars().cycle().take(chars).collect();
    // A text does not end with an empty line, which nobody would see.
    match text.strip_suffix('\n') {
        Some(text) => format!("{text}ä"),
        None => text,
    }
}

#[tokio::test]
async fn an_answer_of_up_to_forty_thousand_characters_is_one_message() {
    assert_eq!(check(CHARS_MAX - 1).await, (vec![CHARS_MAX - 1], vec![]));
    assert_eq!(check(CHARS_MAX).await, (vec![CHARS_MAX], vec![]));
    let (lengths, files) = check(CHARS_MAX + 1).await;
    assert_eq!((lengths.len(), files.len()), (2, 0));
    assert!(lengths[0] <= CHARS_MAX && lengths[0] > CHARS_MAX - 200);
    // Between two messages there is no empty line to be lost, but one end of a line.
    assert_eq!(lengths.iter().sum::<usize>(), CHARS_MAX + 1);
}

#[tokio::test]
async fn an_answer_of_more_than_five_messages_is_a_file_and_its_beginning() {
    let fitting = 5 * 39_900;
    let (lengths, files) = check(fitting).await;
    assert_eq!((lengths.len(), files.len()), (5, 0));
    let (lengths, files) = check(fitting + CHARS_MAX).await;
    assert_eq!(files, ["response.md"]);
    assert_eq!(lengths.len(), 1);
    let (ground, thread) = Ground::with_thread();
    let long = text(fitting + CHARS_MAX);
    ground.sends(answer(&thread, &long)).await;
    let beginning = ground.texts(&thread).remove(0);
    let note = "_The answer is longer: all of it is in the file_ `response.md`_._";
    assert!(beginning.ends_with(note), "{beginning}");
    let files = ground.hand.look("files");
    let file = &files["files"][0];
    assert_eq!(
        (&file["title"], &file["text"]),
        (&"Response".into(), &long.into())
    );
}

#[tokio::test]
async fn a_block_of_code_that_goes_on_in_the_next_message_is_code_there_too() {
    let (ground, thread) = Ground::with_thread();
    let code: String = (0..1_500)
        .map(|n| format!("let number_{n:06} = {n:010};\n"))
        .collect();
    ground
        .sends(answer(
            &thread,
            &format!("So:\n\n```rust\n{code}```\n\nDone."),
        ))
        .await;
    let texts = ground.texts(&thread);
    assert_eq!(texts.len(), 2);
    for text in &texts {
        assert_eq!(text.matches("```").count(), 2, "each block is closed");
    }
    assert!(
        texts[1].starts_with("```\nlet number_"),
        "{}",
        &texts[1][..40]
    );
    for n in 0..1_500 {
        let line = format!("let number_{n:06} = {n:010};");
        let count: usize = texts.iter().map(|text| text.matches(&line).count()).sum();
        assert_eq!(count, 1, "{line}");
    }
}
