//! Whether a message is meant for Airut: what is not leaves no trace. Pure.

use crate::handlers::channels::slack::mentions_in::mentions;
use crate::handlers::channels::slack::parse::Message;
use crate::handlers::channels::slack::web::reading::Own;
use crate::handlers::replies::address::is_direct;

/// What it depends on beside the message.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// Who Airut is.
    pub own: &'a Own,
    /// Channels that are listened in; empty: all.
    pub allowed_channels: &'a [String],
    /// Whether Airut takes part in the message's thread.
    pub is_engaged: bool,
}

/// Returns whether a message is meant for Airut (spec rows SLK-04 to SLK-06): a direct message, one
/// that mentions it, or one in a thread that it takes part in. What another bot writes counts only
/// where it mentions Airut: it is refused then, where an operator sees it.
pub fn is_meant(message: &Message, circumstances: Circumstances<'_>) -> bool {
    let own = circumstances.own;
    let by_bot = message.bot_id.is_some() || message.user.is_none();
    let is_ours = message.user.as_ref() == Some(&own.user_id)
        || (message.bot_id.is_some() && message.bot_id == own.bot_id);
    if is_ours || message.ts.is_empty() || message.channel.is_empty() {
        return false;
    }
    if message.is_direct() {
        return message.is_of_a_person();
    }
    if !is_listened_in(&message.channel, circumstances.allowed_channels) {
        return false;
    }
    let mentions_us = mentions(&message.text, &own.user_id);
    match by_bot {
        true => mentions_us && matches!(message.subtype.as_deref(), None | Some("bot_message")),
        false => message.is_of_a_person() && (mentions_us || circumstances.is_engaged),
    }
}

/// Returns whether Airut listens in a channel: in direct messages always (spec row SLK-05).
pub fn is_listened_in(channel: &str, allowed: &[String]) -> bool {
    is_direct(channel) || allowed.is_empty() || allowed.iter().any(|allowed| allowed == channel)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message {
            channel: "C1".to_owned(),
            ts: "1.1".to_owned(),
            user: Some("U1".to_owned()),
            text: "Hello".to_owned(),
            ..Message::default()
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Message), is_engaged: bool, expected: bool) {
        let own = Own {
            team_id: "T1".to_owned(),
            user_id: "UBOT".to_owned(),
            bot_id: Some("BOT".to_owned()),
        };
        let mut message = message();
        change(&mut message);
        let circumstances = Circumstances {
            own: &own,
            allowed_channels: &["C1".to_owned()],
            is_engaged,
        };
        assert_eq!(is_meant(&message, circumstances), expected, "{message:?}");
    }

    fn mention(message: &mut Message) {
        message.text = "Please <@UBOT> look".to_owned();
    }

    #[test]
    fn slk_04_a_channel_is_joined_by_mention_and_a_thread_then_sticks() {
        check(|_| {}, false, false);
        check(mention, false, true);
        check(|_| {}, true, true);
        check(|m| m.text = "<@UBOTHER> and <@U2>".to_owned(), false, false);
    }

    #[test]
    fn slk_05_other_channels_are_not_listened_in_and_direct_messages_always_are() {
        let elsewhere = |m: &mut Message| {
            mention(m);
            m.channel = "C2".to_owned();
        };
        check(elsewhere, true, false);
        check(|m| m.channel = "D2".to_owned(), false, true);
    }

    #[test]
    fn slk_06_what_no_person_says_to_airut_leaves_no_trace() {
        for kind in [
            "channel_join",
            "channel_topic",
            "me_message",
            "bot_message",
            "tombstone",
        ] {
            check(|m| m.subtype = Some(kind.to_owned()), true, false);
        }
        for kind in ["file_share", "thread_broadcast"] {
            check(|m| m.subtype = Some(kind.to_owned()), true, true);
        }
        check(|m| m.bot_id = Some("B2".to_owned()), true, false);
        let ours = |m: &mut Message| {
            mention(m);
            m.bot_id = Some("BOT".to_owned());
        };
        check(ours, true, false);
        check(|m| m.user = Some("UBOT".to_owned()), true, false);
        let direct_by_bot = |m: &mut Message| {
            m.channel = "D1".to_owned();
            m.bot_id = Some("B2".to_owned());
        };
        check(direct_by_bot, true, false);
    }

    #[test]
    fn m4_a_bot_that_mentions_airut_is_recorded_so_that_its_refusal_is_seen() {
        let by_bot = |m: &mut Message| {
            mention(m);
            m.bot_id = Some("B2".to_owned());
            m.subtype = Some("bot_message".to_owned());
            m.user = None;
        };
        check(by_bot, false, true);
    }
}
