//! The record of a conversation or task as text: each entry with its position and time, decisions
//! of the network in place. Pure but for the reading of bodies, which the caller lends.

use crate::events::conversation::ForgetReason;
use crate::events::id::BlobRef;
use crate::events::proxy::{RequestAllowed, RequestLine};
use crate::events::run::LineBody;
use crate::projections::audit::{Audit, End, Entry, Moment};
use crate::projections::network_log::url;
use crate::service::look::agent_line::{self, TOOL_SHOWN_MAX, cut};
use crate::service::look::text::{dollars, policy};
use crate::service::look::when::time;

/// Reads a body; what cannot be read is said in words.
pub type Read<'a> = &'a dyn Fn(&BlobRef) -> String;

/// Returns the whole record from a position on.
pub fn lines(audit: &Audit, from: u64, read: Read<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    if audit.dropped() > 0 {
        lines.push(format!(
            "({} older entries are left out; airut events has them all)",
            audit.dropped()
        ));
    }
    let entries = audit.entries().filter(|entry| entry.position.0 >= from);
    lines.extend(entries.flat_map(|entry| entry_lines(entry, read)));
    lines
}

/// Returns an entry: its first line with position and time, what follows indented.
pub fn entry_lines(entry: &Entry, read: Read<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for said in told(entry, read) {
        let mut parts = said.lines();
        let first = parts.next().unwrap_or_default();
        lines.push(format!("[{}] {}  {first}", entry.position, time(entry.at)));
        lines.extend(parts.map(|line| format!("      {line}")));
    }
    lines
}

fn told(entry: &Entry, read: Read<'_>) -> Vec<String> {
    let one = match &entry.moment {
        Moment::AgentSaid(line) => return agent_line::told(&line_text(&line.line, read)),
        Moment::Policy(policy_in_force) => {
            let run = policy_in_force.run;
            let words = policy(policy_in_force, "").join("\n");
            format!("run {run} may reach and use:\n{words}")
        }
        moment => asked(moment, read)
            .or_else(|| worked(moment, read))
            .or_else(|| network(moment))
            .or_else(|| sent(moment, read))
            .unwrap_or_default(),
    };
    vec![one]
}

fn line_text(line: &LineBody, read: Read<'_>) -> String {
    match line {
        LineBody::Inline(line) => line.clone(),
        LineBody::Blob(blob) => read(blob),
    }
}

/// What was asked, and by whom.
fn asked(moment: &Moment, read: Read<'_>) -> Option<String> {
    Some(match moment {
        Moment::Received(received) => {
            let (channel, sender) = (received.channel, &received.claimed_sender);
            format!("message by {channel}, says it is from {sender}")
        }
        Moment::Authorized(authorized) => {
            let (identity, method) = (&authorized.identity, &authorized.method);
            let (evidence, rule) = (&authorized.evidence, &authorized.rule);
            format!("let in: {identity} by rule {rule:?}, proven by {method:?} ({evidence})")
        }
        Moment::Asked(parsed) => {
            let files = match parsed.attachments.len() {
                0 => String::new(),
                count => format!(" with {count} files"),
            };
            format!("asked{files}: {}\n{}", parsed.subject, read(&parsed.body))
        }
        Moment::Begun(created) => {
            let (id, repo, model) = (created.conversation, &created.repo, &created.model);
            format!("conversation {id} begins on {repo}, model {model}")
        }
        Moment::Queued(queued) => format!("task {} waits for its turn", queued.task),
        Moment::Coalesced(coalesced) => {
            let (task, into) = (coalesced.task, coalesced.into);
            format!("task {task} is answered with {into}")
        }
        Moment::Revised(revised) => format!("the message says now: {}", revised.title),
        Moment::Held(held) => {
            let (task, reasons, others) = (held.task, held.reasons.join(", "), held.others);
            format!("task {task} is held: {reasons}; {others} others run or waited before it")
        }
        Moment::TurnedAway(away) => {
            let (task, limit, waiting) = (away.task, &away.limit, away.waiting);
            format!("task {task} is turned away: {waiting} of the {limit} wait already")
        }
        Moment::CommandGiven(given) => format!("{} gave the command {}", given.by, given.command),
        Moment::StopRequested(request) => format!("{} wants it stopped", request.by),
        _ => return None,
    })
}

/// How it was worked on.
fn worked(moment: &Moment, read: Read<'_>) -> Option<String> {
    Some(match moment {
        Moment::Started(started) => {
            let (task, attempt) = (started.task, started.attempt);
            format!("work on task {task} begins (attempt {attempt})")
        }
        Moment::Interrupted(cut_off) => {
            let (run, decision) = (cut_off.run, &cut_off.decision);
            format!("a restart found run {run} unfinished: {decision:?}")
        }
        Moment::RetryScheduled(retry) => {
            let (at, cause) = (time(retry.not_before), &retry.cause);
            format!("it is tried again, not before {at}: {cause}")
        }
        Moment::Parked(parked) => {
            let (until, cause) = (time(parked.until), &parked.cause);
            format!("it is parked until {until}: {cause}")
        }
        Moment::CutOff(cut_off) => {
            let (run, turns) = (cut_off.run, cut_off.turns);
            format!("run {run} was cut off after {turns} turns")
        }
        Moment::Completed(completed) => {
            let (task, reason, detail) = (completed.task, &completed.reason, &completed.detail);
            let detail = if detail.is_empty() {
                String::new()
            } else {
                format!(": {detail}")
            };
            format!("task {task} is over: {reason:?}{detail}")
        }
        Moment::Prompted(prompt) => {
            let (run, bytes, sha256) = (prompt.run, prompt.prompt.bytes, prompt.prompt.sha256);
            format!("run {run} is asked {bytes} bytes, sha256 {sha256}")
        }
        Moment::Planned(planned) => {
            let (run, image, argv) = (planned.run, &planned.image, planned.argv.join(" "));
            format!("run {run} is planned: image {image}, claude {argv}")
        }
        Moment::AgentComplained(complaint) => {
            let text = line_text(&complaint.text, read);
            format!("agent's error output: {}", cut(&text, TOOL_SHOWN_MAX))
        }
        Moment::Judged(judged) => {
            let (run, outcome, rule) = (judged.run, &judged.outcome, &judged.rule);
            let (cost, turns) = (dollars(judged.cost_microusd), judged.turns);
            format!("run {run} is judged: {outcome:?} by {rule:?}, {turns} turns, {cost}")
        }
        _ => return None,
    })
}

/// What the proxy decided.
fn network(moment: &Moment) -> Option<String> {
    Some(match moment {
        Moment::Name(query) => {
            let (kind, name, answer) = (&query.query_type, &query.name, &query.answer);
            format!("NAME {kind} {name} -> {answer}")
        }
        Moment::NamesNotListed(names) => format!("NAME {} further queries", names.count),
        Moment::Allowed { allowed, end } => decision(allowed, end.as_ref()),
        Moment::Inspected(inspected) => format!("BODY  {}", inspected.tags.join("; ")),
        Moment::Blocked(blocked) => {
            let (line, status) = (request(&blocked.line), blocked.status);
            let (cause, detail) = (&blocked.cause, &blocked.detail);
            format!("BLOCKED {line} -> {status} ({cause:?}: {detail})")
        }
        Moment::Refused(refused) => {
            let (name, port, reason) = (&refused.name, refused.port, &refused.reason);
            format!("REFUSED a connection to {name}:{port} ({reason})")
        }
        Moment::SignatureRefused(refused) => {
            let (name, status) = (&refused.credential, refused.status);
            let code = refused.code.as_deref().unwrap_or("no code");
            format!("REFUSED a signature of {name} -> {status} ({code})")
        }
        Moment::DecisionLimit(limit) => {
            let max = limit.decisions_max;
            format!("LIMIT of {max} requests reached: all further ones are denied")
        }
        Moment::Honey(seen) => {
            let line = seen
                .line
                .as_ref()
                .map(|line| format!(" of {}", request(line)));
            let (place, line) = (&seen.place, line.unwrap_or_default());
            format!("HONEY surrogate seen in {place}{line}: nothing leaves after this")
        }
        Moment::RelaxedAudit(relaxed) => {
            let delay = relaxed.delay_ms_max;
            format!("RELAXED audit: a request may leave up to {delay} ms before it is recorded")
        }
        _ => return None,
    })
}

fn request(line: &RequestLine) -> String {
    format!("{} {}", line.method, url(line))
}

fn decision(allowed: &RequestAllowed, end: Option<&End>) -> String {
    let (line, rule) = (request(&allowed.line), &allowed.rule);
    let used = allowed.credentials.iter();
    let used = used.map(|used| format!(", with {} in {}", used.credential, used.header));
    let used: String = used.collect();
    let stripped = match allowed.stripped.as_slice() {
        [] => String::new(),
        names => format!(", without its {}", names.join(", ")),
    };
    let end = match end {
        None => "no end is known".to_owned(),
        Some(End::Completed(end)) => {
            let (status, up, down) = (end.status, end.bytes_up, end.bytes_down);
            let cut_off = if end.complete { "" } else { ", cut off" };
            format!("{status}, {up} bytes up, {down} bytes down{cut_off}")
        }
        Some(End::Failed(failed)) => format!("{} ({})", failed.status, failed.error),
    };
    format!("ALLOWED {line} by {rule}{used}{stripped} -> {end}")
}

/// What was answered, and whether it arrived.
fn sent(moment: &Moment, read: Read<'_>) -> Option<String> {
    Some(match moment {
        Moment::Answered(reply) => {
            let kind = if reply.is_error {
                "error reply"
            } else {
                "reply"
            };
            let (index, cost) = (reply.index, dollars(reply.cost_microusd));
            let files = reply
                .files
                .iter()
                .map(|file| format!("\n(file {})", file.name));
            let files: String = files.collect();
            format!("{kind} {index} ({cost}):\n{}{files}", read(&reply.body))
        }
        Moment::ToSend(request) => {
            let (kind, channel, id) = (request.kind, request.channel, request.delivery);
            format!("{kind:?} {id} is to be sent by {channel}")
        }
        Moment::Sent(sent) => {
            let (id, attempt, receipt) = (sent.delivery, sent.attempt, &sent.receipt);
            format!("{id} arrived with attempt {attempt}: {receipt}")
        }
        Moment::SendFailed(failed) => {
            let (id, attempt, error) = (failed.delivery, failed.attempt, &failed.error);
            format!("{id} attempt {attempt} failed: {error}")
        }
        Moment::SentOrNot(unknown) => {
            let (id, attempt, detail) = (unknown.delivery, unknown.attempt, &unknown.detail);
            format!("{id} attempt {attempt} may have arrived: {detail}")
        }
        Moment::GivenUp(given_up) => {
            format!("{} is given up: {}", given_up.delivery, given_up.error)
        }
        Moment::ToForget(asked) => match asked.reason {
            ForgetReason::Operator => format!("{} wants it forgotten", asked.by),
            ForgetReason::Retention => "it is old enough to be forgotten".to_owned(),
            ForgetReason::Silent => "its command had nothing to say".to_owned(),
        },
        Moment::Forgotten(forgotten) => {
            let (keys, bodies) = (forgotten.keys, forgotten.bodies);
            let freed = forgotten.bytes_freed;
            format!(
                "FORGOTTEN: destroyed keys: {keys}, erased bodies: {bodies}, freed bytes: {freed}"
            )
        }
        _ => return None,
    })
}
