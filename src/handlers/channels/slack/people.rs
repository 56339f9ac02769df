//! What Slack said about users and groups, remembered for a while (spec row SLK-10): long enough to
//! spare Slack, short enough that nobody who was put out stays in for long.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::clock;
use crate::events::id::AtMs;
use crate::handlers::channels::slack::authorize::User;
use crate::handlers::channels::slack::web::reading::{Group, Own};
use crate::handlers::channels::slack::web::{Web, WebError};

/// How long an answer is used, in milliseconds; then it is asked for anew.
pub const ANSWER_AGE_MAX_MS: u64 = 300_000;

/// Answers of one kind that are kept; of more, the oldest is asked for again.
pub const ANSWERS_MAX: usize = 1_000;

/// Answers by what was asked for.
#[derive(Debug)]
struct Answers<T>(Mutex<BTreeMap<String, (AtMs, T)>>);

impl<T> Default for Answers<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Answers<T> {
    fn get(&self, id: &str, now: AtMs) -> Option<T> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, answer) = kept.get(id)?;
        (now.0.saturating_sub(at.0) < ANSWER_AGE_MAX_MS).then(|| answer.clone())
    }

    fn keep(&self, id: &str, answer: T, now: AtMs) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(id.to_owned(), (now, answer));
        if kept.len() > ANSWERS_MAX {
            let oldest = kept.iter().min_by_key(|(_, (at, _))| *at);
            let oldest = oldest.map(|(id, _)| id.clone());
            oldest.and_then(|oldest| kept.remove(&oldest));
        }
    }
}

/// What was asked for lately.
#[derive(Debug, Default)]
pub struct People {
    own: Answers<Own>,
    users: Answers<User>,
    groups: Answers<Vec<Group>>,
    members: Answers<Vec<String>>,
    channels: Answers<String>,
}

impl People {
    /// Returns whose bot token it is.
    ///
    /// # Errors
    /// [`WebError`]; nothing old is used instead.
    pub async fn own(&self, web: &Web) -> Result<Own, WebError> {
        if let Some(own) = self.own.get("", clock::now()) {
            return Ok(own);
        }
        let own = web.auth_test().await?;
        self.own.keep("", own.clone(), clock::now());
        Ok(own)
    }

    /// Returns a user.
    ///
    /// # Errors
    /// [`WebError`]; nothing old is used instead.
    pub async fn user(&self, web: &Web, id: &str) -> Result<User, WebError> {
        if let Some(user) = self.users.get(id, clock::now()) {
            return Ok(user);
        }
        let user = web.user(id).await?;
        self.users.keep(id, user.clone(), clock::now());
        Ok(user)
    }

    /// Returns the workspace's user groups.
    ///
    /// # Errors
    /// [`WebError`]; nothing old is used instead.
    pub async fn groups(&self, web: &Web) -> Result<Vec<Group>, WebError> {
        if let Some(groups) = self.groups.get("", clock::now()) {
            return Ok(groups);
        }
        let groups = web.groups().await?;
        self.groups.keep("", groups.clone(), clock::now());
        Ok(groups)
    }

    /// Returns what a channel is called.
    ///
    /// # Errors
    /// [`WebError`]; nothing old is used instead.
    pub async fn channel(&self, web: &Web, id: &str) -> Result<String, WebError> {
        if let Some(name) = self.channels.get(id, clock::now()) {
            return Ok(name);
        }
        let name = web.channel_name(id).await?;
        self.channels.keep(id, name.clone(), clock::now());
        Ok(name)
    }

    /// Returns the members of the group with this handle.
    ///
    /// # Errors
    /// [`WebError`]; nothing old is used instead.
    pub async fn members(&self, web: &Web, handle: &str) -> Result<Vec<String>, WebError> {
        if let Some(members) = self.members.get(handle, clock::now()) {
            return Ok(members);
        }
        let groups = self.groups(web).await?;
        let Some(group) = groups.into_iter().find(|group| group.handle == handle) else {
            return Err(WebError::of_code("usergroups.list", "no_such_subteam"));
        };
        let members = web.members(&group.id).await?;
        self.members.keep(handle, members.clone(), clock::now());
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slk_10_an_answer_is_used_for_five_minutes_and_not_longer() {
        let answers = Answers::default();
        answers.keep("U1", 1, AtMs(1_000));
        assert_eq!(
            answers.get("U1", AtMs(1_000 + ANSWER_AGE_MAX_MS - 1)),
            Some(1)
        );
        assert_eq!(answers.get("U1", AtMs(1_000 + ANSWER_AGE_MAX_MS)), None);
    }

    #[test]
    fn the_oldest_answer_makes_room() {
        let answers = Answers::default();
        for number in 0..=ANSWERS_MAX as u64 {
            answers.keep(&number.to_string(), number, AtMs(number));
        }
        assert_eq!(answers.get("0", AtMs(1)), None);
        assert_eq!(answers.get("1", AtMs(1)), Some(1));
    }
}
