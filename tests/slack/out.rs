//! What Airut posts to Slack, on the stand-in: a channel as the service has it sends an answer, and the
//! test looks at what then stands in the thread. What is heard of Slack is tested elsewhere.

mod files;
mod marks;
mod posted;
mod refused;
mod split;
mod unknown;

use airut::config::types::{Slack, SlackRule};
use airut::events::delivery::{AnswerTone, DeliveryKind, DeliveryTarget};
use airut::events::id::{ConversationId, DeliveryId, RepoId, TaskId};
use airut::handlers::channels::slack::SlackChannel;
use airut::handlers::channels::{Attachment, Channel as _, OutboundMessage, SendOutcome, Trace};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::hand::Hand;
use crate::rules::{ALICE, APP_TOKEN, BOT_TOKEN, GENERAL};
use crate::standin::{Options, Standin};

/// A workspace, a hand in it, and a channel that is set up for it.
pub(crate) struct Ground {
    pub(crate) standin: Standin,
    pub(crate) hand: Hand,
    pub(crate) channel: SlackChannel,
}

impl Ground {
    /// A workspace in which Alice has begun a thread; returns the thread, too.
    pub(crate) fn with_thread() -> (Self, String) {
        let standin = Standin::start(Options {
            limits: false,
            ..Options::default()
        })
        .unwrap();
        let hand = Hand::of(&standin.api_url());
        let channel = SlackChannel::new(repo(), settings(&standin)).unwrap();
        let ground = Self {
            standin,
            hand,
            channel,
        };
        let thread = ground.says(ALICE, GENERAL, "Fix it", None);
        (ground, thread)
    }

    /// Lets somebody say something; returns its `ts`.
    #[track_caller]
    pub(crate) fn says(
        &self,
        user: &str,
        channel: &str,
        text: &str,
        thread: Option<&str>,
    ) -> String {
        let mut said = json!({"user": user, "channel": channel, "text": text});
        if let Some(thread) = thread {
            said["thread_ts"] = thread.into();
        }
        let said = self.hand.act("post", &said);
        said["ts"].as_str().unwrap().to_owned()
    }

    /// Breaks calls to come; `fault` is as the stand-in's `faults` describes it.
    #[track_caller]
    pub(crate) fn breaks(&self, method: &str, fault: Value) {
        let mut fault = fault;
        fault["method"] = method.into();
        self.hand.act("faults", &fault);
    }

    /// Returns all messages of a channel, oldest first.
    #[track_caller]
    pub(crate) fn messages(&self, channel: &str) -> Vec<Value> {
        let seen = self.hand.look(&format!("channel?id={channel}"));
        seen["messages"].as_array().unwrap().clone()
    }

    /// Returns what the app wrote in a thread of the general channel, oldest first.
    #[track_caller]
    pub(crate) fn answers(&self, thread: &str) -> Vec<Value> {
        let all = self.messages(GENERAL).into_iter();
        let of_it =
            |message: &Value| message["thread_ts"] == thread && message["user"] == "U0HERALD01";
        all.filter(of_it).collect()
    }

    /// Returns the texts of those.
    #[track_caller]
    pub(crate) fn texts(&self, thread: &str) -> Vec<String> {
        let answers = self.answers(thread).into_iter();
        answers
            .map(|message| message["text"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Returns the names of the files in a thread, in the order in which they came.
    #[track_caller]
    pub(crate) fn file_names(&self, thread: &str) -> Vec<String> {
        let answers = self.answers(thread);
        let files = answers
            .iter()
            .flat_map(|message| message["files"].as_array().into_iter().flatten());
        files
            .map(|file| file["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Returns the reactions that the app gave a message.
    #[track_caller]
    pub(crate) fn reactions(&self, channel: &str, ts: &str) -> Vec<String> {
        let messages = self.messages(channel);
        let message = messages.iter().find(|message| message["ts"] == ts).unwrap();
        let reactions = message["reactions"].as_array().into_iter().flatten();
        reactions
            .map(|reaction| reaction["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Returns how often a method was called, and with what, oldest first.
    #[track_caller]
    pub(crate) fn calls(&self, method: &str) -> Vec<Value> {
        let seen = self.hand.look(&format!("calls?method={method}"));
        seen["calls"].as_array().unwrap().clone()
    }

    /// Sends a message; it must be accepted.
    #[track_caller]
    pub(crate) fn sends(&self, message: OutboundMessage) -> impl Future<Output = String> {
        let place = std::panic::Location::caller();
        async move {
            match self.channel.send(message).await {
                SendOutcome::Accepted { receipt } => receipt,
                other => panic!("{place}: {other:?}"),
            }
        }
    }

    /// Looks for a message; says whether it is there.
    pub(crate) async fn finds(&self, message: OutboundMessage) -> bool {
        match self.channel.search(message).await {
            Trace::Found { .. } => true,
            Trace::Absent { .. } => false,
            Trace::Unsearchable { error } => panic!("{error}"),
        }
    }
}

/// Returns what a channel of the stand-in's app is set up by.
pub(crate) fn settings(standin: &Standin) -> Slack {
    Slack {
        bot_token: SecretString::from(BOT_TOKEN),
        app_token: SecretString::from(APP_TOKEN),
        authorized: vec![
            SlackRule::UserGroup("crew".to_owned()),
            SlackRule::WorkspaceMembers(true),
        ],
        allowed_channels: vec![],
        api_url: standin.api_url(),
    }
}

pub(crate) fn repo() -> RepoId {
    RepoId("work".to_owned())
}

/// Returns an answer to the first message of a thread of the general channel.
pub(crate) fn answer(thread: &str, body: &str) -> OutboundMessage {
    OutboundMessage {
        delivery: DeliveryId(7),
        kind: DeliveryKind::Reply,
        repo: repo(),
        conversation: ConversationId(0xab),
        task: TaskId(1),
        target: target(GENERAL, thread, &[thread]),
        body: body.to_owned(),
        files: vec![],
        labelled_duplicate: false,
        checkpoint: Some("airut-log/1 7 root signature".to_owned()),
        attempt: 1,
    }
}

/// Returns the same as a further attempt.
pub(crate) fn again(message: &OutboundMessage) -> OutboundMessage {
    OutboundMessage {
        attempt: message.attempt + 1,
        ..message.clone()
    }
}

pub(crate) fn target(channel: &str, thread: &str, answered: &[&str]) -> DeliveryTarget {
    DeliveryTarget::Slack {
        channel: channel.to_owned(),
        thread: thread.to_owned(),
        answered: answered.iter().map(|&ts| ts.to_owned()).collect(),
        tone: AnswerTone::Good,
        is_direct: channel.starts_with('D'),
        title: String::new(),
    }
}

pub(crate) fn file(name: &str, text: &str) -> Attachment {
    Attachment {
        name: name.to_owned(),
        media_type: "text/plain".to_owned(),
        bytes: text.as_bytes().to_vec(),
    }
}
