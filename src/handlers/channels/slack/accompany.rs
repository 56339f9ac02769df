//! Showing in Slack how the work goes on: one loop follows the log and shows one thing after the other.
//! It is an ornament: each call has little time, and what fails is left away. What is to be shown is
//! decided elsewhere.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::events::id::{AtMs, TaskId};
use crate::events::log::{ReadError, Subscription};
use crate::handlers::channels::Company;
use crate::handlers::channels::slack::SlackChannel;
use crate::handlers::channels::slack::metadata;
use crate::handlers::channels::slack::post::{LookError, Posted, SEEN};
use crate::handlers::channels::slack::progress::{PlanStep, Progress, Show, Thread};
use crate::handlers::channels::slack::web::WebError;

/// Longest time that showing one thing may take; then it is left away, or tried again if it is a plan.
const SHOW_TIME_MAX: Duration = Duration::from_secs(15);

/// The pause before a plan that could not be shown is tried again, unless Slack names another.
const PLAN_RETRY_MS: u64 = 5_000;

/// What became of showing a plan.
enum Shown {
    /// It is in the message with this `ts`.
    In(String),
    /// It was looked for and is there, or is not.
    LookedFor(Option<String>),
    /// It is not shown, or nobody knows.
    Failed { is_unknown: bool, wait_ms: u64 },
}

impl SlackChannel {
    /// Shows progress until `stop` is cancelled.
    pub(super) async fn show_progress(&self, company: &Company, stop: &CancellationToken) {
        let mut progress = Progress::of(self.repo.clone(), &company.queued);
        let mut log = company.log.subscribe(company.after);
        let followed = stop.run_until_cancelled(self.follow(&mut progress, &mut log));
        if let Some(Err(error)) = followed.await {
            tracing::error!(repo = %self.repo, %error, "no progress is shown in Slack any more");
        }
    }

    /// Follows the log until it ends.
    async fn follow(
        &self,
        progress: &mut Progress,
        log: &mut Subscription,
    ) -> Result<(), ReadError> {
        loop {
            // Whatever is there already is taken in first: what it makes old is not shown.
            read_on(progress, log)?;
            if let Some(show) = progress.take_show() {
                self.show(&show).await;
                // What came meanwhile may have made the mark needless.
                read_on(progress, log)?;
                // A mark whose setting took too long may be there, too.
                if let Show::Seen { task, channel, ts } = show {
                    progress.mark_set(task, channel, ts);
                }
            } else if let Some(task) = progress.due_plan(clock::now()) {
                self.show_plan(progress, task).await;
            } else {
                let recorded = tokio::select! {
                    biased;
                    recorded = log.next() => recorded?,
                    () = until(progress.wakes_at()) => continue,
                };
                match recorded {
                    Some(recorded) => progress.observe(&recorded),
                    None => return Ok(()),
                }
            }
        }
    }

    async fn show(&self, show: &Show) {
        let (method, body) = match show {
            Show::Seen { channel, ts, .. } => ("reactions.add", mark(channel, ts)),
            Show::Unseen { channel, ts } => ("reactions.remove", mark(channel, ts)),
            Show::Status { thread, status } => {
                let Thread { channel, thread } = thread;
                let body = json!({"channel_id": channel, "thread_ts": thread, "status": status});
                ("assistant.threads.setStatus", body)
            }
        };
        let shown = tokio::time::timeout(SHOW_TIME_MAX, self.decorate(method, &body));
        if shown.await.is_err() {
            tracing::warn!(repo = %self.repo, method, "Slack took too long");
        }
    }

    async fn show_plan(&self, progress: &mut Progress, task: TaskId) {
        let Some(step) = progress.plan_step(task) else {
            return;
        };
        let taken = tokio::time::timeout(SHOW_TIME_MAX, self.take_step(task, step)).await;
        let shown = taken.unwrap_or(Shown::Failed {
            is_unknown: true,
            wait_ms: PLAN_RETRY_MS,
        });
        let now = clock::now();
        match shown {
            Shown::In(ts) => progress.plan_shown(task, ts, now),
            Shown::LookedFor(ts) => progress.plan_looked_for(task, ts),
            Shown::Failed {
                is_unknown,
                wait_ms,
            } => progress.plan_failed(task, is_unknown, AtMs(now.0 + wait_ms)),
        }
    }

    async fn take_step(&self, task: TaskId, step: PlanStep) -> Shown {
        let (method, body) = match step {
            PlanStep::Find(at) => {
                return match self.find_plan(task, &at).await {
                    Ok(ts) => Shown::LookedFor(ts),
                    Err(LookError::Web(error)) => failed(&error),
                    // In so long a thread a second plan does less harm than none.
                    Err(LookError::TooLong) => Shown::LookedFor(None),
                };
            }
            PlanStep::Post(body) => ("chat.postMessage", body),
            PlanStep::Update(body) => ("chat.update", body),
        };
        // What Slack asks to wait is waited for here, where other things are shown meanwhile.
        let shown: Result<Posted, WebError> = self.web.post_at_once(method, &body).await;
        match shown {
            Ok(Posted { ts }) => Shown::In(ts),
            Err(error) => {
                tracing::warn!(repo = %self.repo, %error, "a plan could not be shown");
                failed(&error)
            }
        }
    }

    async fn find_plan(&self, task: TaskId, at: &Thread) -> Result<Option<String>, LookError> {
        let own = self.people.own(&self.web).await?;
        let messages = self
            .thread_after(&at.channel, &at.thread, &at.thread)
            .await?;
        let is_it = |message: &&Value| {
            message["user"] == own.user_id.as_str() && metadata::is_plan_of(message, task)
        };
        let found = messages.iter().find(is_it);
        Ok(found.and_then(|message| Some(message["ts"].as_str()?.to_owned())))
    }
}

/// Takes in whatever is there already.
fn read_on(progress: &mut Progress, log: &mut Subscription) -> Result<(), ReadError> {
    while let Some(recorded) = log.try_next()? {
        progress.observe(&recorded);
    }
    Ok(())
}

fn mark(channel: &str, ts: &str) -> Value {
    json!({"channel": channel, "timestamp": ts, "name": SEEN})
}

fn failed(error: &WebError) -> Shown {
    let (is_unknown, wait_ms) = match error {
        WebError::RateLimited { retry_after } => {
            let asked = u64::try_from(retry_after.as_millis());
            (false, asked.unwrap_or(u64::MAX).clamp(1, 3_600_000))
        }
        WebError::Unknown { .. } | WebError::Unreadable { .. } => (true, PLAN_RETRY_MS),
        WebError::Refused { .. } | WebError::Unreachable { .. } => (false, PLAN_RETRY_MS),
    };
    Shown::Failed {
        is_unknown,
        wait_ms,
    }
}

/// Waits until a time; for ever without one.
async fn until(at: Option<AtMs>) {
    match at {
        Some(at) => {
            let wait = at.0.saturating_sub(clock::now().0);
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
        None => std::future::pending().await,
    }
}
