//! Where an answer goes: subject, `Message-ID` and threading headers (spec rows EML-20 to EML-22).
//! Pure; the same request always gets the same `Message-ID`, so that it can be searched for.

use crate::events::delivery::{AnswerTone, DeliveryTarget};
use crate::events::id::{AtMs, ChannelKind, ConversationId, DeliveryId};
use crate::events::message::ReplyAddress;

/// References carried on; of a longer list the first and the newest are kept, as mail readers do.
pub const REFERENCES_MAX: usize = 50;

/// Bytes of all references together; beyond that only the newest are kept, so that a request to
/// deliver always fits into the log.
pub const REFERENCES_BYTES_MAX: usize = 16 * 1024;

/// Characters of an answered subject; the rest is cut.
pub const SUBJECT_CHARS_MAX: usize = 1000;

/// Messages that an answer in Slack marks; of more the newest are marked, so that a request to deliver
/// always fits into the log.
pub const ANSWERED_MAX: usize = 64;

/// Characters of a thread's title (spec row SLK-24); the rest is cut.
pub const TITLE_CHARS_MAX: usize = 60;

/// What an answer's address is made of.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// The delivery.
    pub delivery: DeliveryId,
    /// The conversation.
    pub conversation: ConversationId,
    /// The answered message's subject.
    pub subject: &'a str,
    /// The configured `From`; empty without mail.
    pub from: &'a str,
    /// When the answer is requested.
    pub at: AtMs,
}

/// Returns where an answer to `reply_to` goes.
pub fn target(reply_to: &ReplyAddress, envelope: Envelope<'_>) -> DeliveryTarget {
    match reply_to {
        ReplyAddress::Email {
            to,
            message_id,
            references,
        } => DeliveryTarget::Email {
            to: to.clone(),
            subject: reply_subject(envelope.subject, envelope.conversation),
            message_id: message_id_of(envelope),
            in_reply_to: message_id.clone(),
            references: extended(references, message_id),
        },
        ReplyAddress::Local => DeliveryTarget::Local,
        ReplyAddress::Slack {
            channel,
            thread,
            message,
        } => DeliveryTarget::Slack {
            channel: channel.clone(),
            thread: thread.clone(),
            answered: vec![message.clone()],
            tone: AnswerTone::Good,
            is_direct: is_direct(channel),
            title: String::new(),
        },
    }
}

/// What an answer in a Slack thread does beside being read. Mail has none of it.
#[derive(Debug, Clone, Copy)]
pub struct Marks<'a> {
    /// The messages that are answered; of those of the thread each gets a mark.
    pub answered: &'a [&'a ReplyAddress],
    /// What the answer tells.
    pub tone: AnswerTone,
    /// What a direct message's thread is called from now on, of which the first line counts; empty
    /// when it keeps its name.
    pub title: &'a str,
}

impl Marks<'_> {
    /// Those of a word in between, which ends nothing: none.
    pub const NONE: Self = Self {
        answered: &[],
        tone: AnswerTone::Good,
        title: "",
    };
}

/// Returns the same place, for an answer with these marks.
pub fn marked(target: DeliveryTarget, marks: Marks<'_>) -> DeliveryTarget {
    let DeliveryTarget::Slack {
        channel,
        thread,
        is_direct,
        ..
    } = target
    else {
        return target;
    };
    let of_thread = |address: &&ReplyAddress| match address {
        ReplyAddress::Slack {
            channel: other_channel,
            thread: other_thread,
            message,
        } => {
            let is_of_it = *other_channel == channel && *other_thread == thread;
            (is_of_it && !message.is_empty()).then(|| message.clone())
        }
        ReplyAddress::Email { .. } | ReplyAddress::Local => None,
    };
    let mut answered: Vec<String> = marks.answered.iter().filter_map(of_thread).collect();
    answered.drain(..answered.len().saturating_sub(ANSWERED_MAX));
    let title = marks.title.trim().lines().next().unwrap_or_default();
    let title = if is_direct { title.trim() } else { "" };
    DeliveryTarget::Slack {
        channel,
        thread,
        answered,
        tone: marks.tone,
        is_direct,
        title: title.chars().take(TITLE_CHARS_MAX).collect(),
    }
}

/// Says whether a Slack channel is a direct message, which its id tells.
pub fn is_direct(channel: &str) -> bool {
    channel.starts_with('D')
}

/// Returns where a mail goes that answers none (spec row EML-43); an answer to it finds the conversation
/// by its `Message-ID` and its subject. `envelope.subject` is its title.
pub fn new_mail(to: &str, envelope: Envelope<'_>) -> DeliveryTarget {
    let title = shortened(envelope.subject);
    let subject = format!("[ID:{}] {title}", envelope.conversation);
    DeliveryTarget::Email {
        to: to.to_owned(),
        subject: subject.trim_end().to_owned(),
        message_id: message_id_of(envelope),
        in_reply_to: String::new(),
        references: vec![],
    }
}

/// Returns the channel that leads there.
pub fn channel_of(target: &DeliveryTarget) -> ChannelKind {
    match target {
        DeliveryTarget::Email { .. } => ChannelKind::Email,
        DeliveryTarget::Local => ChannelKind::Local,
        DeliveryTarget::Slack { .. } => ChannelKind::Slack,
    }
}

/// Returns the name by which a channel will know the thread the answer stands in.
pub fn thread_key(target: &DeliveryTarget) -> Option<String> {
    match target {
        DeliveryTarget::Email { message_id, .. } => Some(message_id.clone()),
        DeliveryTarget::Local => None,
        DeliveryTarget::Slack {
            channel, thread, ..
        } => Some(format!("{channel}:{thread}")),
    }
}

fn message_id_of(envelope: Envelope<'_>) -> String {
    let nonce = &envelope.delivery.to_string()[..8];
    let (conversation, seconds) = (envelope.conversation, envelope.at.0 / 1000);
    format!(
        "<airut.{conversation}.{seconds}.{nonce}@{}>",
        domain(envelope.from)
    )
}

/// Returns the domain of a `From` such as `Airut <airut@example.org>`, or `localhost`.
fn domain(from: &str) -> &str {
    let domain = from.rsplit_once('@').map(|(_, domain)| domain);
    let domain = domain.unwrap_or_default().trim_end_matches('>').trim();
    if domain.is_empty() {
        "localhost"
    } else {
        domain
    }
}

fn shortened(subject: &str) -> &str {
    let end = subject.char_indices().nth(SUBJECT_CHARS_MAX);
    subject[..end.map_or(subject.len(), |(at, _)| at)].trim()
}

fn reply_subject(subject: &str, conversation: ConversationId) -> String {
    let mut rest = shortened(subject);
    while let Some(shorter) = without_reply_prefix(rest) {
        rest = shorter;
    }
    let tag = format!("[ID:{conversation}]");
    if rest.contains(&tag) {
        format!("Re: {rest}")
    } else {
        format!("Re: {tag} {rest}").trim_end().to_owned()
    }
}

fn without_reply_prefix(subject: &str) -> Option<&str> {
    let prefix = subject.get(..3)?;
    prefix
        .eq_ignore_ascii_case("re:")
        .then(|| subject[3..].trim_start())
}

fn extended(references: &[String], message_id: &str) -> Vec<String> {
    let mut all: Vec<String> = references.to_vec();
    if !message_id.is_empty() && !all.iter().any(|known| known == message_id) {
        all.push(message_id.to_owned());
    }
    if all.len() > REFERENCES_MAX {
        let surplus = all.len() - REFERENCES_MAX;
        all.drain(1..=surplus);
    }
    let mut bytes = 0;
    let fits = |reference: &&String| {
        bytes += reference.len();
        bytes <= REFERENCES_BYTES_MAX
    };
    let fitting = all.iter().rev().take_while(fits).count();
    all.split_off(all.len() - fitting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::channels::email::headers::Headers;
    use crate::handlers::channels::email::thread::conversation_hint;

    fn envelope<'a>(subject: &'a str, from: &'a str) -> Envelope<'a> {
        Envelope {
            delivery: DeliveryId(0x1234_5678_9abc_def0),
            conversation: ConversationId(0xab),
            subject,
            from,
            at: AtMs(1_700_000_000_999),
        }
    }

    #[test]
    fn an_answer_stands_in_its_thread() {
        let reply_to = ReplyAddress::Email {
            to: "alice@example.org".to_owned(),
            message_id: "<2@example.org>".to_owned(),
            references: vec!["<1@example.org>".to_owned()],
        };
        let envelope = envelope("RE: Re: Fix it", "Airut <airut@example.org>");
        let expected = DeliveryTarget::Email {
            to: "alice@example.org".to_owned(),
            subject: "Re: [ID:000000ab] Fix it".to_owned(),
            message_id: "<airut.000000ab.1700000000.12345678@example.org>".to_owned(),
            in_reply_to: "<2@example.org>".to_owned(),
            references: vec!["<1@example.org>".to_owned(), "<2@example.org>".to_owned()],
        };
        assert_eq!(target(&reply_to, envelope), expected);
    }

    fn slack(channel: &str, thread: &str, message: &str) -> ReplyAddress {
        ReplyAddress::Slack {
            channel: channel.to_owned(),
            thread: thread.to_owned(),
            message: message.to_owned(),
        }
    }

    #[track_caller]
    fn check_marks(answered: &[&ReplyAddress], title: &str, expected: (&[&str], &str)) {
        let marks = Marks {
            answered,
            tone: AnswerTone::Failed,
            title,
        };
        let target = marked(target(answered[0], envelope("", "")), marks);
        let DeliveryTarget::Slack {
            answered,
            tone,
            title,
            ..
        } = target
        else {
            panic!("it is not for Slack");
        };
        let answered: Vec<&str> = answered.iter().map(String::as_str).collect();
        assert_eq!((&answered[..], title.as_str()), expected);
        assert_eq!(tone, AnswerTone::Failed);
    }

    #[test]
    fn an_answer_in_slack_marks_the_messages_of_its_thread() {
        let (one, two) = (slack("C1", "1.0", "1.0"), slack("C1", "1.0", "2.0"));
        let (other, unnamed) = (slack("C1", "3.0", "3.0"), slack("C1", "1.0", ""));
        let all = [&one, &two, &other, &unnamed, &ReplyAddress::Local];
        check_marks(&all, "Fix it", (&["1.0", "2.0"], ""));
        let of: Vec<ReplyAddress> = (0..=ANSWERED_MAX)
            .map(|number| slack("C1", "1.0", &format!("{number}.0")))
            .collect();
        let refs: Vec<&ReplyAddress> = of.iter().collect();
        let names: Vec<String> = (0..=ANSWERED_MAX).map(|n| format!("{n}.0")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        check_marks(&refs[1..], "", (&names[1..], ""));
        check_marks(&refs, "", (&names[1..], ""));
    }

    #[test]
    fn a_direct_message_is_called_by_the_first_line_of_its_request() {
        let direct = slack("D1", "1.0", "1.0");
        check_marks(&[&direct], "\n Fix it \nnow", (&["1.0"], "Fix it"));
        let exact = "é".repeat(TITLE_CHARS_MAX);
        check_marks(&[&direct], &exact, (&["1.0"], &exact));
        check_marks(&[&direct], &format!("{exact}é"), (&["1.0"], &exact));
    }

    #[test]
    fn a_mail_that_answers_none_is_answered_into_its_conversation() {
        let target = new_mail(
            "alice@example.org",
            envelope("Weekly report", "airut@example.org"),
        );
        let DeliveryTarget::Email {
            subject,
            message_id,
            in_reply_to,
            references,
            ..
        } = target
        else {
            panic!("it is no mail");
        };
        assert_eq!(subject, "[ID:000000ab] Weekly report");
        assert!(in_reply_to.is_empty() && references.is_empty());
        for (head, subject) in [
            (format!("In-Reply-To: {message_id}\n"), ""),
            (String::new(), "Re: [ID:000000ab] Weekly report"),
        ] {
            let headers = Headers::of(head.as_bytes());
            let found = conversation_hint(&headers, subject).map(|(id, _)| id);
            assert_eq!(found, Some(ConversationId(0xab)), "{head}{subject}");
        }
    }

    #[test]
    fn a_subject_keeps_its_tag_and_gets_no_second_one() {
        let check = |subject: &str, expected: &str| {
            assert_eq!(reply_subject(subject, ConversationId(0xab)), expected);
        };
        check("Re: [ID:000000ab] Fix it", "Re: [ID:000000ab] Fix it");
        check("", "Re: [ID:000000ab]");
        check("Ré", "Re: [ID:000000ab] Ré");
    }

    #[test]
    fn long_references_keep_the_first_and_the_newest() {
        let long: Vec<String> = (0..80).map(|n| format!("<{n}@h>")).collect();
        let kept = extended(&long, "<new@h>");
        assert_eq!(kept.len(), REFERENCES_MAX);
        assert_eq!((kept[0].as_str(), kept[49].as_str()), ("<0@h>", "<new@h>"));
    }

    #[test]
    fn an_address_stays_short_whatever_it_answers() {
        let long: Vec<String> = (0..40)
            .map(|n| format!("<{n}{}@h>", "x".repeat(990)))
            .collect();
        let kept = extended(&long, "<new@h>");
        assert_eq!(kept.last().map(String::as_str), Some("<new@h>"));
        let bytes: usize = kept.iter().map(String::len).sum();
        assert!((15_000..=REFERENCES_BYTES_MAX).contains(&bytes), "{bytes}");
        let subject = reply_subject(&"é".repeat(5000), ConversationId(0xab));
        assert_eq!(subject.matches('é').count(), SUBJECT_CHARS_MAX);
    }

    #[test]
    fn a_from_without_a_domain_gives_localhost() {
        assert_eq!(domain("airut"), "localhost");
        assert_eq!(domain("Airut <airut@example.org>"), "example.org");
    }
}
