//! Two repositories whose apps are in one thread: each has its own conversation there.

use std::collections::BTreeSet;

use airut::events::Event;
use airut::events::event::ConversationEvent;
use airut::events::id::RepoId;

use super::{Ground, Said, until};
use crate::rules::{ALICE, GENERAL};

#[tokio::test(flavor = "multi_thread")]
async fn two_apps_in_one_thread_do_not_mix_their_conversations() {
    let ground = Ground::new(&[]).with_repo("other");
    let repos = ["work", "other"].map(|name| RepoId(name.to_owned()));
    let service = ground.service().await;
    let said = |thread| Said {
        user: ALICE,
        channel: GENERAL,
        thread,
        text: "Fix it",
    };
    let root = ground.says_unheard(said(None));
    for (round, repo) in (1..).zip([0, 1, 0, 1, 0, 1]) {
        let (thread, ts) = match round {
            1 | 2 => (None, root.clone()),
            _ => (Some(root.as_str()), ground.says_unheard(said(Some(&root)))),
        };
        ground
            .hears(&service, &repos[repo], said(thread), &ts)
            .await;
        until(service.log(), "TaskCompleted", round).await;
    }
    // Six answers, and one acknowledgement of each conversation.
    until(service.log(), "DeliverySucceeded", 8).await;
    assert!(service.stop("test").await);
    assert_eq!(ground.replies(GENERAL, &root).len(), 6);
    let events = ground.world.events().into_iter();
    let created: Vec<(RepoId, _)> = events
        .filter_map(|recorded| match recorded.event {
            Event::Conversation(ConversationEvent::Created(created)) => {
                Some((created.repo, created.conversation))
            }
            _ => None,
        })
        .collect();
    let of: BTreeSet<&RepoId> = created.iter().map(|(repo, _)| repo).collect();
    assert_eq!((created.len(), of.len()), (2, 2), "{created:?}");
}
