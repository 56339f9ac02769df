//! The tasks without an answer as text, with what keeps those that wait. Pure.

use crate::handlers::standing::TaskStanding;
use crate::service::look::when::time;

/// Returns a task's line.
pub fn task_line(standing: &TaskStanding) -> String {
    let TaskStanding {
        task,
        conversation,
        repo,
        sender,
        title,
        ..
    } = standing;
    let (state, title) = (state(standing), title.replace(char::is_control, " "));
    format!("{task}  {conversation}  {repo}  {sender}  {state}  {title}")
}

fn state(standing: &TaskStanding) -> String {
    if let Some(by) = &standing.stop_requested_by {
        return format!("is being stopped ({by})");
    }
    if standing.runs {
        return format!("runs, received {}", time(standing.queued_at));
    }
    let until = standing
        .until
        .filter(|_| standing.holds.iter().any(|hold| hold == "time"));
    match (standing.holds.is_empty(), until, &standing.parked) {
        (true, ..) => "begins".to_owned(),
        (false, Some(until), Some(cause)) => format!("parked until {}: {cause}", time(until)),
        (false, Some(until), None) => format!("put off until {}", time(until)),
        (false, None, _) => format!("waits: {}", standing.holds.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::id::{AtMs, ConversationId, RepoId, TaskId};

    #[test]
    fn a_task_is_told_with_what_keeps_it() {
        let at = AtMs(1_795_442_646_000);
        let standing = |holds: &[&str], until, parked: Option<&str>| TaskStanding {
            task: TaskId(1),
            conversation: ConversationId(2),
            repo: RepoId("work".to_owned()),
            sender: "alice".to_owned(),
            title: "Fix\nit".to_owned(),
            queued_at: at,
            runs: false,
            holds: holds.iter().map(|hold| (*hold).to_owned()).collect(),
            until,
            parked: parked.map(str::to_owned),
            stop_requested_by: None,
        };
        let check = |standing: &TaskStanding, state: &str| {
            let line = format!("000000000001  00000002  work  alice  {state}  Fix it");
            assert_eq!(task_line(standing), line);
        };
        let waits = standing(&["workers", "sender"], None, None);
        check(&waits, "waits: workers, sender");
        check(&standing(&[], None, None), "begins");
        let put_off = standing(&["time"], Some(at), None);
        check(&put_off, &format!("put off until {}", time(at)));
        let parked = standing(&["time"], Some(at), Some("usage limit"));
        check(&parked, &format!("parked until {}: usage limit", time(at)));
        // The time has passed, and there is no room.
        let full = standing(&["workers"], Some(at), Some("usage limit"));
        check(&full, "waits: workers");
        let runs = TaskStanding {
            runs: true,
            ..standing(&[], None, None)
        };
        check(&runs, &format!("runs, received {}", time(at)));
        let stopped = TaskStanding {
            stop_requested_by: Some("olive".to_owned()),
            ..waits
        };
        check(&stopped, "is being stopped (olive)");
    }
}
