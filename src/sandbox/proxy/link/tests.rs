//! A link whose daemon says nothing: how long and how much waits for it.

use tokio::time::Instant;

use super::*;

/// Returns a link, and what is said over it; nobody writes that to any socket.
fn link() -> (Link, mpsc::Receiver<FromProxy>) {
    let (outgoing, waiting) = mpsc::channel(LINK_WAITING_MAX);
    let link = Link {
        outgoing,
        receipts: Arc::new(Mutex::new(Some(Receipts::new()))),
        tokens: Arc::default(),
        numbers: Arc::default(),
    };
    (link, waiting)
}

fn fact() -> Fact {
    Fact::UpstreamFailed {
        request: 1,
        error: "gone".to_owned(),
        status: 502,
    }
}

#[tokio::test(start_paused = true)]
async fn a_decision_and_a_token_are_waited_for_as_long_as_their_limits() {
    let (link, _waiting) = link();
    let since = Instant::now();
    assert_eq!(link.decide(fact()).await, Err(NotRecorded::Failed));
    assert_eq!(since.elapsed().as_secs(), RECEIPT_TIME_MAX.as_secs());
    let since = Instant::now();
    assert_eq!(link.token("GH_TOKEN").await, None);
    assert_eq!(since.elapsed().as_secs(), TOKEN_TIME_MAX.as_secs());
    let forgotten = link.receipts().as_ref().is_some_and(HashMap::is_empty);
    assert!(
        forgotten && link.tokens().is_empty(),
        "nobody waits any more"
    );
}

#[tokio::test(start_paused = true)]
async fn as_many_messages_wait_as_may_and_a_further_one_until_there_is_room() {
    let (link, mut waiting) = link();
    for number in 1..=LINK_WAITING_MAX {
        assert!(link.try_note(fact()), "{number}");
    }
    assert!(!link.try_note(fact()), "one beyond the limit");
    let second = std::time::Duration::from_secs(1);
    let noting = tokio::time::timeout(second, link.note(fact())).await;
    assert!(noting.is_err(), "it waits");
    assert!(waiting.recv().await.is_some());
    link.note(fact()).await;
    assert!(!link.try_note(fact()), "it has taken the room");
}

#[tokio::test]
async fn a_message_is_as_long_as_it_may_be() {
    for (bytes, fits) in [
        (LINK_MESSAGE_BYTES_MAX - 1, true),
        (LINK_MESSAGE_BYTES_MAX, true),
        (LINK_MESSAGE_BYTES_MAX + 1, false),
    ] {
        // Two of them are its quotes.
        let said = "a".repeat(bytes - 2);
        let framed = encode(&said);
        let read = read_message::<String>(&mut &framed[..]).await;
        assert_eq!(read.ok().flatten(), fits.then_some(said), "{bytes}");
    }
}
