//! Where an answer goes: subject, `Message-ID` and threading headers (spec rows EML-20 to EML-22).
//! Pure; the same request always gets the same `Message-ID`, so that it can be searched for.

use crate::events::delivery::DeliveryTarget;
use crate::events::id::{AtMs, ChannelKind, ConversationId, DeliveryId};
use crate::events::message::ReplyAddress;

/// References carried on; of a longer list the first and the newest are kept, as mail readers do.
pub const REFERENCES_MAX: usize = 50;

/// Bytes of all references together; beyond that only the newest are kept, so that a request to
/// deliver always fits into the log.
pub const REFERENCES_BYTES_MAX: usize = 16 * 1024;

/// Characters of an answered subject; the rest is cut.
pub const SUBJECT_CHARS_MAX: usize = 1000;

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
            channel, thread, ..
        } => DeliveryTarget::Slack {
            channel: channel.clone(),
            thread: thread.clone(),
        },
    }
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
        DeliveryTarget::Slack { channel, thread } => Some(format!("{channel}:{thread}")),
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
