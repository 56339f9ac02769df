//! The views as text, a line for each thing, so that two moments can be compared line by line. Pure.

use crate::events::id::AtMs;
use crate::events::message::MessageRejected;
use crate::events::run::{CredentialGrant, PolicyInForce};
use crate::projections::channel_health::{ChannelHealth, Health};
use crate::projections::config_in_force::ConfigInForce;
use crate::projections::conversations::Conversations;
use crate::projections::inbox::Inbox;
use crate::projections::live_resources::LiveResources;
use crate::projections::outbox::{DeliveryState, Outbox};
use crate::projections::state::State;
use crate::projections::usage::{Spent, Usage};
use crate::projections::views::Views;
use crate::projections::work_queue::TaskState;
use crate::service::look::when::time;

/// Conversations, by id.
pub fn conversations(conversations: &Conversations) -> Vec<String> {
    let line = |conversation: &crate::projections::conversations::Conversation| {
        let (id, repo, owner) = (conversation.id, &conversation.repo, &conversation.owner);
        let (model, replies) = (&conversation.model, conversation.replies.len());
        let began = time(conversation.created_at);
        let dollars = dollars(conversation.cost_microusd());
        let people = conversation.participants.len();
        format!(
            "{id}  {repo}  begun {began} by {owner}, {people} taking part, model {model}, \
             {replies} replies, {dollars}"
        )
    };
    conversations.iter().map(line).collect()
}

/// Messages that got no answer, the newest, and why.
pub fn rejected(inbox: &Inbox) -> Vec<String> {
    let line = |(at, rejected): &(AtMs, MessageRejected)| {
        let (id, reason, detail) = (rejected.inbound, &rejected.reason, &rejected.detail);
        let sender = &rejected.claimed_sender;
        let at = time(*at);
        format!("message {id}  {at}  says it is from {sender}  {reason:?}: {detail}")
    };
    inbox.rejections().map(line).collect()
}

/// Messages without a verdict and tasks without an answer.
pub fn queue(state: &State) -> Vec<String> {
    let waiting = state.inbox.waiting();
    let messages = waiting.iter().map(|message| {
        let (id, sender) = (message.received.inbound, &message.received.claimed_sender);
        format!("message {id}  not judged yet, says it is from {sender}")
    });
    let tasks = state.queue.tasks.values().map(|task| {
        let doing = match &task.state {
            TaskState::Waiting { not_before } if not_before.0 == 0 => "waits".to_owned(),
            TaskState::Waiting { not_before } => format!("waits until {}", time(*not_before)),
            TaskState::Running { cut_off: false } => format!("runs (attempt {})", task.attempt),
            TaskState::Running { cut_off: true } => "was cut off by a restart".to_owned(),
            TaskState::Concluding => "is concluded".to_owned(),
            TaskState::Abandoning => "is given up".to_owned(),
        };
        let (id, conversation, repo) = (task.task, task.conversation, &task.repo);
        let (messages, since) = (task.messages.len(), time(task.queued_at));
        format!("task {id}  {conversation}  {repo}  {doing}, {messages} messages, queued {since}")
    });
    messages.chain(tasks).collect()
}

/// What is in force.
pub fn config(config: &ConfigInForce) -> Vec<String> {
    let mut lines = Vec::new();
    lines.push(match &config.service {
        Some(service) => {
            let (version, host) = (&service.value.version, &service.value.host);
            let (position, at) = (service.position, time(service.at));
            format!("airut {version} on {host} since {at} [{position}]")
        }
        None => "no daemon runs".to_owned(),
    });
    if let Some(loaded) = &config.config {
        let file = match &loaded.value.sha256 {
            Some(sha256) => format!("sha256 {sha256}"),
            None => "the defaults, without a file".to_owned(),
        };
        let (position, at, repos) = (loaded.position, time(loaded.at), &loaded.value.repos);
        let repos = repos.join(", ");
        lines.push(format!(
            "configuration since {at} [{position}]: {file}, repositories: {repos}"
        ));
    }
    for (repo, policy) in &config.repos {
        let (position, at) = (policy.position, time(policy.at));
        lines.push(format!("{repo} newest policy, of {at} [{position}]"));
        lines.extend(self::policy(&policy.value, "  "));
    }
    for (run, policy) in &config.runs {
        lines.push(format!(
            "run {run} since {} [{}]",
            time(policy.at),
            policy.position
        ));
        lines.extend(self::policy(&policy.value, "  "));
    }
    lines
}

/// A policy: the allowlist by its commit and digest, who changed it, and the credentials.
pub fn policy(policy: &PolicyInForce, indent: &str) -> Vec<String> {
    let mut lines = Vec::new();
    match &policy.allowlist {
        Some(file) => {
            let (commit, sha256) = (&policy.allowlist_commit, file.sha256);
            lines.push(format!(
                "{indent}allowlist of commit {commit}, sha256 {sha256}"
            ));
        }
        None => lines.push(format!(
            "{indent}the network sandbox is switched off: everything may be reached"
        )),
    }
    if let Some(change) = &policy.allowlist_change {
        let (commit, author, at) = (&change.commit, &change.author, &change.committed_at);
        lines.push(format!(
            "{indent}last changed in {commit} by {author} at {at}"
        ));
    }
    if policy.credentials.is_empty() {
        lines.push(format!("{indent}no credentials"));
    }
    let credentials = policy.credentials.iter();
    lines.extend(credentials.map(|grant| format!("{indent}credential {}", credential(grant))));
    lines
}

fn credential(grant: &CredentialGrant) -> String {
    let (name, kind) = (&grant.name, &grant.kind);
    if grant.scopes.is_empty() {
        return format!("{name} ({kind}): the agent sees its value");
    }
    let (scopes, headers) = (grant.scopes.join(", "), grant.headers.join(", "));
    let foreign = if grant.allow_foreign {
        ", foreign ones pass too"
    } else {
        ""
    };
    format!("{name} ({kind}): to {scopes} in {headers}{foreign}")
}

/// The network lines of all conversations.
pub fn network(views: &Views) -> Vec<String> {
    let mut lines = Vec::new();
    for conversation in views.state.conversations.iter() {
        let Some(kept) = views.network.lines(conversation.id) else {
            continue;
        };
        let id = conversation.id;
        if kept.dropped > 0 {
            lines.push(format!(
                "{id}  ({} older lines are only in the log)",
                kept.dropped
            ));
        }
        lines.extend(kept.lines.iter().map(|line| format!("{id}  {line}")));
    }
    lines
}

/// Channels by repository and kind.
pub fn channels(channels: &ChannelHealth) -> Vec<String> {
    let line = |(name, health): (&str, &Health)| match health {
        Health::Connected {
            endpoint,
            mode,
            since,
        } => format!(
            "{name}  connected to {endpoint} ({mode}) since {}",
            time(*since)
        ),
        Health::Degraded {
            error,
            failures,
            retry_at,
        } => {
            let again = time(*retry_at);
            format!("{name}  failed {failures} times, again at {again}: {error}")
        }
        Health::Stopped => format!("{name}  stopped"),
    };
    channels.iter().map(line).collect()
}

/// What exists of each run.
pub fn resources(resources: &LiveResources) -> Vec<String> {
    let line = |(run, live): (crate::events::id::RunId, &_)| {
        let crate::projections::live_resources::LiveRun {
            network,
            proxy,
            agent,
        } = live;
        let parts = [("network", network), ("proxy", proxy), ("agent", agent)];
        let there = parts.into_iter().filter_map(|(part, name)| {
            let name = name.as_ref()?;
            Some(format!("{part} {name}"))
        });
        let there = there.collect::<Vec<_>>().join(", ");
        let there = if there.is_empty() {
            "announced, nothing made".to_owned()
        } else {
            there
        };
        format!("run {run}  {there}")
    };
    resources.runs().map(line).collect()
}

/// Messages without an end.
pub fn outbox(outbox: &Outbox) -> Vec<String> {
    let open = outbox.open();
    let open = open.iter().map(|outgoing| {
        let request = &outgoing.request;
        let (id, task, channel) = (request.delivery, request.task, request.channel);
        let state = match outgoing.state {
            DeliveryState::Due { .. } if outgoing.recovery.is_some() => "due".to_owned(),
            DeliveryState::Due { not_before } if not_before.0 == 0 => "due".to_owned(),
            DeliveryState::Due { not_before } => format!("due at {}", time(not_before)),
            DeliveryState::Attempted => "being sent".to_owned(),
            DeliveryState::Unknown { since } => format!("unknown since {}", time(since)),
        };
        let (kind, attempts) = (request.kind, outgoing.attempts);
        format!("{id}  {kind:?} for task {task} by {channel}, {state}, {attempts} attempts")
    });
    let mut lines: Vec<String> = open.collect();
    if outbox.abandoned() > 0 {
        lines.push(format!("{} given up so far", outbox.abandoned()));
    }
    lines
}

/// What work has cost.
pub fn usage(usage: &Usage) -> Vec<String> {
    let spent = |what: &str, spent: &Spent| {
        let dollars = dollars(spent.cost_microusd);
        let (input, output, turns) = (spent.usage.input, spent.usage.output, spent.turns);
        let seconds = spent.duration_ms / 1000;
        format!("{what}  {dollars}, {turns} turns, {input} tokens in, {output} out, {seconds} s")
    };
    let repos = usage.repos.iter();
    let repos = repos.map(|(repo, sum)| spent(&format!("repository {repo}"), sum));
    let conversations = usage.conversations.iter();
    let conversations = conversations.map(|(id, sum)| spent(&format!("conversation {id}"), sum));
    let all = std::iter::once(spent("all", &usage.total));
    all.chain(repos).chain(conversations).collect()
}

/// Returns an amount of money in words.
pub fn dollars(microusd: u64) -> String {
    format!(
        "${}.{:04}",
        microusd / 1_000_000,
        microusd % 1_000_000 / 100
    )
}
