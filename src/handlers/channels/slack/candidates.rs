//! Asking Slack whom an answer may mention: whoever wrote in its thread, the configured groups and
//! their members, the thread's channel and the configured ones (spec row SLK-15). What cannot be found
//! out is not mentioned, and stays text.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::config::types::SlackRule;
use crate::handlers::channels::OutboundMessage;
use crate::handlers::channels::slack::SlackChannel;
use crate::handlers::channels::slack::authorize::User;
use crate::handlers::channels::slack::mentions_out::{Candidates, Names, Person, may_mention};
use crate::handlers::channels::slack::outgoing::thread;
use crate::handlers::channels::slack::web::WebError;
use crate::handlers::replies::address::is_direct;

/// Most people whose names are asked for; those beyond are not mentioned.
const PEOPLE_MAX: usize = 100;

/// Most channels whose names are asked for; those beyond are not mentioned.
const CHANNELS_MAX: usize = 50;

/// Longest time that asking may take; then nobody is mentioned whose name is not known yet.
const ASKING_TIME_MAX: Duration = Duration::from_secs(60);

impl SlackChannel {
    /// Returns the names that an answer may mention; asks for none where it mentions nothing.
    pub(super) async fn names(&self, message: &OutboundMessage) -> Names {
        if !may_mention(&message.body) {
            return Names::default();
        }
        let mut candidates = Candidates::default();
        let asking = self.ask(message, &mut candidates);
        match tokio::time::timeout(ASKING_TIME_MAX, asking).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(repo = %self.repo, %error, "not all names are known");
            }
            Err(_) => tracing::warn!(repo = %self.repo, "not all names are known in time"),
        }
        Names::of(&candidates)
    }

    /// Asks for everything that may be mentioned; what is known when something fails stays known.
    async fn ask(&self, message: &OutboundMessage, into: &mut Candidates) -> Result<(), WebError> {
        let (channel, thread) = thread(message);
        let mut people = BTreeSet::new();
        if let Ok(messages) = self.thread_after(channel, thread, thread).await {
            let authors = messages.iter().filter(|posted| posted["bot_id"].is_null());
            people.extend(authors.filter_map(|posted| posted["user"].as_str().map(str::to_owned)));
        }
        let groups = self.ask_groups(into, &mut people).await;
        for id in people.iter().take(PEOPLE_MAX) {
            into.people
                .extend(person(self.people.user(&self.web, id).await?));
        }
        let channels = self.settings.allowed_channels.iter().map(String::as_str);
        let channels = std::iter::once(channel).chain(channels);
        // A direct message has no name, and may not be asked about.
        let channels = channels.filter(|id| !is_direct(id));
        for id in channels.take(CHANNELS_MAX) {
            let name = self.people.channel(&self.web, id).await?;
            into.channels.insert(name, id.to_owned());
        }
        groups
    }

    async fn ask_groups(
        &self,
        into: &mut Candidates,
        people: &mut BTreeSet<String>,
    ) -> Result<(), WebError> {
        let handles: BTreeSet<&str> = self.settings.authorized.iter().filter_map(handle).collect();
        if handles.is_empty() {
            return Ok(());
        }
        let all = self.people.groups(&self.web).await?.into_iter();
        for group in all.filter(|group| handles.contains(group.handle.as_str())) {
            people.extend(self.people.members(&self.web, &group.handle).await?);
            into.groups.insert(group.handle, group.id);
        }
        Ok(())
    }
}

fn handle(rule: &SlackRule) -> Option<&str> {
    match rule {
        SlackRule::UserGroup(handle) => Some(handle),
        SlackRule::WorkspaceMembers(_) | SlackRule::UserId(_) => None,
    }
}

/// Returns somebody who can read a mention.
fn person(user: User) -> Option<Person> {
    let is_reader = !user.deleted && !user.is_bot;
    is_reader.then_some(Person {
        id: user.id,
        display_name: user.profile.display_name.unwrap_or_default(),
        real_name: user.profile.real_name.unwrap_or_default(),
        name: user.name,
    })
}
