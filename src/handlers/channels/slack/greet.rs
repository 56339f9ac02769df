//! Greeting whoever opens a thread with the assistant (spec row SLK-03), once, and with prompts to
//! choose from. A greeting that fails is left away.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::events::channel::SlackThreadGreeted;
use crate::handlers::channels::slack::SlackChannel;
use crate::handlers::channels::slack::hear::Opened;
use crate::handlers::intake::Intake;

/// Longest time that a greeting may take; then it is left away.
const GREETING_TIME_MAX: Duration = Duration::from_secs(20);

/// What is shown until the greeting is there.
const STATUS: &str = "is getting ready...";

/// The greeting.
pub const GREETING: &str = "Hello! How can I help you today?";

/// Prompts to choose from: what each is called, and what choosing it says.
const PROMPTS: [(&str, &str); 3] = [
    (
        "Explain the repository",
        "Give me a tour of this repository: what it is for and how it is laid out.",
    ),
    (
        "Look into a bug",
        "Help me to find the cause of a bug. Ask me what you need to know first.",
    ),
    (
        "What is being worked on?",
        "What has changed in this repository lately, and what looks unfinished?",
    ),
];

impl SlackChannel {
    /// Greets everybody who is to be greeted, one after the other.
    pub(super) async fn greet_all(&self, intake: &Intake, greetings: &mut mpsc::Receiver<Opened>) {
        while let Some(opened) = greetings.recv().await {
            let greeted = SlackThreadGreeted {
                repo: self.repo.clone(),
                channel: opened.channel.clone(),
                thread: opened.thread.clone(),
            };
            match intake.greet_once(greeted).await {
                Ok(true) => {
                    let greeting = Box::pin(self.greet(&opened));
                    tokio::time::timeout(GREETING_TIME_MAX, greeting).await.ok();
                }
                Ok(false) => {}
                Err(error) => tracing::error!(repo = %self.repo, %error, "nobody is greeted"),
            }
        }
        std::future::pending::<()>().await;
    }

    async fn greet(&self, opened: &Opened) {
        let Opened { channel, thread } = opened;
        let prompts = PROMPTS.map(|(title, message)| json!({"title": title, "message": message}));
        let steps = [
            (
                "assistant.threads.setStatus",
                json!({"channel_id": channel, "thread_ts": thread, "status": STATUS}),
            ),
            (
                "chat.postMessage",
                json!({"channel": channel, "thread_ts": thread, "text": GREETING}),
            ),
            (
                "assistant.threads.setSuggestedPrompts",
                json!({"channel_id": channel, "thread_ts": thread, "prompts": prompts}),
            ),
        ];
        for (method, arguments) in &steps {
            let done: Result<Value, _> = self.web.post(method, arguments).await;
            if let Err(error) = done {
                tracing::warn!(repo = %self.repo, method, %error, "a greeting is not whole");
            }
        }
    }
}
