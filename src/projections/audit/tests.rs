use super::*;
use crate::events::id::RepoId;
use crate::events::proxy::{RequestLine, ResponseCompleted};
use crate::events::task::TaskQueued;
use crate::projections::testing::recorded;

const CONVERSATION: ConversationId = ConversationId(1);

fn queued(key: &str) -> (TaskId, Event) {
    let inbound = InboundId::from_dedupe_key(key);
    let queued = TaskQueued {
        sender_name: String::new(),
        task: inbound.task(),
        inbound,
        repo: RepoId("r".to_owned()),
        conversation: CONVERSATION,
        sender: "alice".to_owned(),
        title: key.to_owned(),
    };
    (inbound.task(), queued.into())
}

fn allowed(run: RunId, request: u64) -> Event {
    let line = RequestLine {
        method: "POST".to_owned(),
        scheme: "https".to_owned(),
        host: "api.test".to_owned(),
        port: 443,
        path: "/v1".to_owned(),
        query_sha256: None,
        http_version: "HTTP/2".to_owned(),
    };
    RequestAllowed {
        run,
        request: RequestId(request),
        line,
        rule: "domains[0]".to_owned(),
        credentials: vec![],
        stripped: vec![],
    }
    .into()
}

fn completed(run: RunId, request: u64, bytes_up: u64) -> Event {
    ResponseCompleted {
        run,
        request: RequestId(request),
        status: 200,
        bytes_up,
        bytes_down: 7,
        first_byte_ms: 1,
        duration_ms: 2,
        complete: true,
    }
    .into()
}

fn fold(subject: Subject, events: Vec<Event>) -> Audit {
    let mut audit = Audit::of(subject);
    recorded(events)
        .iter()
        .for_each(|recorded| audit.apply(recorded));
    audit
}

#[test]
fn the_end_of_a_request_stands_beside_its_decision() {
    let (one, queued_one) = queued("a");
    let (other, queued_other) = queued("b");
    let events = vec![
        queued_one,
        queued_other,
        allowed(one.run(1), 1),
        allowed(other.run(1), 1),
        allowed(one.run(1), 2),
        completed(other.run(1), 1, 99),
        completed(one.run(1), 2, 5),
        completed(one.run(1), 2, 6),
    ];
    let audit = fold(Subject::Task(one), events);
    let sent: Vec<_> = audit
        .entries()
        .filter_map(|entry| {
            let Moment::Allowed { end, .. } = &entry.moment else {
                return None;
            };
            let up = end.as_ref().map(|end| match end {
                End::Completed(end) => end.bytes_up,
                End::Failed(_) => 0,
            });
            Some((entry.position.0, up))
        })
        .collect();
    assert_eq!(sent, [(3, None), (5, Some(5))]);
}

#[test]
fn of_too_many_lines_the_oldest_give_way_and_decisions_stay() {
    let (task, queued) = queued("a");
    let run = task.run(1);
    let line = |index: usize| -> Event {
        crate::events::run::AgentErrorOutput {
            run,
            text: crate::events::run::LineBody::Inline(index.to_string()),
        }
        .into()
    };
    let mut events = vec![queued, allowed(run, 1)];
    events.extend((0..LINES_MAX + 3).map(line));
    let audit = fold(Subject::Task(task), events);
    assert_eq!(audit.dropped(), 3);
    assert_eq!(audit.entries().count(), LINES_MAX + 2);
    let positions: Vec<u64> = audit.entries().take(3).map(|e| e.position.0).collect();
    assert_eq!(positions, [1, 2, 6]);
}
