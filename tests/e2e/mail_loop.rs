//! A mail goes in, the agent changes a file and pushes a branch, the answer comes back in the
//! thread; a second mail goes on where the first ended.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::common::hosts::{API_KEY, PUSH_TOKEN, header};
use crate::common::log::{assert_gapless, count};
use crate::common::mail::{ALICE, BOT, answer_to, message};
use crate::common::mailbox::Mail;
use crate::common::{Event, PATIENCE, Plan, World, until};

const CHANGE: &str = "[[bash:git checkout -q -b herald && echo 'Hear ye.' >> README.md \
                      && git commit -qam 'Say it' && git push -q origin herald && git status -sb]]\
                      [[say:I changed **README.md** and pushed the branch `herald`.]]";

#[test]
fn a_mail_is_answered_in_its_thread_and_its_work_is_pushed() {
    let Some(world) = World::start(&Plan::default()) else {
        return;
    };
    let mut daemon = world.daemon();
    let mail = message(ALICE, "first@example.test", "A change, please", CHANGE);
    world.mail().send(ALICE, &mail);
    let replied = daemon.await_replies(1);

    let reply = the_reply(&world, "first@example.test", "pushed the branch");
    let conversation = replied.correlation();
    assert_eq!(
        reply.subject(),
        format!("Re: [ID:{conversation}] A change, please")
    );
    assert!(
        reply
            .header("References")
            .unwrap()
            .contains("<first@example.test>")
    );
    assert!(reply.header("From").unwrap().contains(BOT));
    assert_eq!(
        reply.header("Auto-Submitted").as_deref(),
        Some("auto-replied")
    );

    assert_eq!(world.repository.branches(), ["herald", "main"]);
    assert!(
        world
            .repository
            .read("herald", "README.md")
            .ends_with("Hear ye.\n")
    );
    assert!(
        world.mail().inbox(BOT).is_empty(),
        "the mail is deleted once it is in the log"
    );

    let asked = world.hosts.requests_to("api.anthropic.com");
    let keys = asked.iter().filter(|request| request["method"] == "POST");
    assert!(keys.clone().count() >= 2, "the agent asked the model");
    keys.for_each(|request| assert_eq!(header(request, "x-api-key"), [API_KEY]));
    let pushed = world.hosts.requests_to("git.example.test");
    let pushed = pushed
        .iter()
        .find(|request| request["path"] == "/work.git/git-receive-pack");
    let credential = BASE64_STANDARD.encode(format!("airut:{PUSH_TOKEN}"));
    assert_eq!(
        header(pushed.unwrap(), "authorization"),
        [format!("Basic {credential}")]
    );

    assert!(daemon.stop().success());
    let events = world.events();
    assert_gapless(&events);
    assert_eq!(count(&events, "MessageReceived"), 1);
    assert_eq!(count(&events, "TaskCompleted"), 1);
    assert!(count(&events, "RequestAllowed") >= 3);
    assert_eq!(world.sandboxes(&events), Vec::<String>::new());
    assert_inbox_witnesses(&world, &reply);
}

/// The answer in the inbox proves that the log is what it was, and that it is not once somebody
/// changed what lies before it.
#[track_caller]
fn assert_inbox_witnesses(world: &World, reply: &Mail) {
    let saved = world.dir.join("reply.eml");
    std::fs::write(&saved, &reply.raw).unwrap();
    let verify = || {
        let arguments = ["verify", "--mail", saved.to_str().unwrap()];
        let output = world.launch.output(&arguments);
        let words = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(words).unwrap())
    };
    let (code, words) = verify();
    assert_eq!(code, Some(0), "{words}");
    assert!(words.contains("events, unchanged"), "{words}");
    let journal = world.dir.join("state/airut/log/journal");
    let mut bytes = std::fs::read(&journal).unwrap();
    bytes[200] ^= 1;
    std::fs::write(&journal, bytes).unwrap();
    let (code, words) = verify();
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("the record is damaged"), "{words}");
    assert!(words.contains("are not what they were"), "{words}");
}

#[test]
fn a_second_mail_resumes_the_same_session() {
    let Some(world) = World::start(&Plan::default()) else {
        return;
    };
    let mut daemon = world.daemon();
    world.mail().send(
        ALICE,
        &message(ALICE, "one@example.test", "Talk", "[[say:The first.]]"),
    );
    daemon.await_replies(1);
    let first = the_reply(&world, "one@example.test", "The first.");

    world.mail().send(
        ALICE,
        &answer_to(&first, ALICE, "two@example.test", "[[say:The second.]]"),
    );
    daemon.await_replies(2);
    let second = the_reply(&world, "two@example.test", "The second.");
    assert_eq!(first.subject(), second.subject());

    let sessions: Vec<_> = daemon.seen().iter().filter_map(session).collect();
    assert!(
        sessions.windows(2).all(|pair| pair[0] == pair[1]),
        "{sessions:?}"
    );
    assert_eq!(count(daemon.seen(), "ConversationCreated"), 1);
    let messages: Vec<_> = world
        .hosts
        .turns()
        .iter()
        .map(|turn| turn["messages"].as_u64().unwrap())
        .collect();
    assert!(
        messages[1] > messages[0],
        "the second turn carries the first: {messages:?}"
    );
}

/// Returns Alice's one mail that answers `id` with `words`.
#[track_caller]
pub(crate) fn the_reply(world: &World, id: &str, words: &str) -> Mail {
    let found = || {
        let inbox = world.mail().inbox(ALICE).into_iter();
        let mut replies = inbox.filter(|mail| mail.answers(id) && mail.text().contains(words));
        let reply = replies.next();
        assert!(replies.next().is_none(), "{id} is answered twice");
        reply
    };
    until("the reply in Alice's inbox", PATIENCE, found)
}

fn session(event: &Event) -> Option<String> {
    let session = event.field("session").as_str();
    session
        .filter(|_| event.kind() == "AgentEventObserved")
        .map(str::to_owned)
}
