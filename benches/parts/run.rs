//! A whole run: from the moment a message is accepted to the moment its agent is started, with the
//! real Podman, the real proxy and the real Claude Code. Nothing of it is left out.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{median, print, print_ms};
use crate::common::{Event, Plan, World};

/// Runs of which the median counts; one more goes first, for the image and the mirror.
const ROUNDS: usize = 7;

/// What a message lets the agent do.
const PROMPT: &str = "[[say:Done.]]";

/// The steps on the way, as they are printed, and the event that ends each.
const STEPS: [(&str, &str, &str); 7] = [
    ("run.to_task", "TaskStarted", ""),
    ("run.to_mirror", "MirrorFetched", ""),
    ("run.to_workspace", "WorkspaceCloned", ""),
    ("run.to_plan", "RunPlanned", ""),
    ("run.to_network", "NetworkCreated", ""),
    ("run.to_proxy", "ProxyReady", ""),
    ("run.accepted_to_started", "ContainerStarted", "agent"),
];

/// Sends messages one by one and measures by the times that the log holds.
pub(crate) fn overhead(bare: Option<Duration>) {
    let plan = Plan {
        mail: false,
        ..Plan::default()
    };
    let Some(world) = World::start(&plan) else {
        println!("run.overhead - the part named above is missing (make setup)");
        return;
    };
    let mut daemon = world.daemon();
    for _ in 0..=ROUNDS {
        let sent = world
            .launch
            .output(&["send", "--repo", "work", "--wait", PROMPT]);
        assert!(sent.status.success(), "{sent:?}");
    }
    let events = world.events();
    let ended = daemon.stop();
    assert!(ended.success(), "the daemon ended with {ended}");
    let mut taken = steps(&events);
    for (name, ..) in STEPS {
        let taken = taken.remove(name).unwrap_or_default();
        let Some(taken) = median(taken.into_iter().skip(1).collect()) else {
            println!("{name} - the log has no such step");
            continue;
        };
        print_ms(name, taken);
        if let (Some(bare), "run.accepted_to_started") = (bare, name) {
            let overhead = taken.as_secs_f64() - bare.as_secs_f64();
            print("run.overhead", overhead * 1e3, "ms");
        }
    }
}

/// Returns the times from each message's acceptance to the end of each step, oldest first.
fn steps(events: &[Event]) -> BTreeMap<&'static str, Vec<Duration>> {
    let mut taken: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    let mut accepted_ms = 0;
    for event in events {
        let at_ms = event.0["at"].as_u64().unwrap();
        if event.kind() == "MessageReceived" {
            accepted_ms = at_ms;
        }
        for (name, kind, role) in STEPS {
            let is_end = event.kind() == kind && (role.is_empty() || event.text("role") == role);
            if is_end {
                let since = Duration::from_millis(at_ms - accepted_ms);
                taken.entry(name).or_default().push(since);
            }
        }
    }
    taken
}
