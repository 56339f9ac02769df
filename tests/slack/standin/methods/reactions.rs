//! Methods about reactions.

use serde_json::json;

use super::super::answer::{Answer, Refusal, done};
use super::super::args::Args;
use super::super::events;
use super::super::message::Message;
use super::super::world::{BOT_USER, World};

/// Different reactions that one person may give one message.
const OF_ONE_PERSON_MAX: usize = 23;
/// Different reactions of a message.
const REACTIONS_MAX: usize = 50;

/// `reactions.add`.
pub(super) fn add(world: &mut World, args: &Args) -> Answer {
    let (channel, ts) = place(world, args)?;
    let name = name(args)?;
    give(world, &channel, &ts, &name, BOT_USER)?;
    done()
}

/// `reactions.remove`.
pub(super) fn remove(world: &mut World, args: &Args) -> Answer {
    let (channel, ts) = place(world, args)?;
    let name = name(args)?;
    let message = world.message_mut(&channel, &ts)?;
    let given = message
        .reactions
        .iter_mut()
        .find(|(given, _)| *given == name);
    let users = given
        .map(|(_, users)| users)
        .ok_or_else(|| Refusal::new("no_reaction"))?;
    let at = users.iter().position(|user| user == BOT_USER);
    users.remove(at.ok_or_else(|| Refusal::new("no_reaction"))?);
    message.reactions.retain(|(_, users)| !users.is_empty());
    events::reaction(world, "reaction_removed", BOT_USER, &name, (&channel, &ts));
    done()
}

/// `reactions.get`.
pub(super) fn get(world: &mut World, args: &Args) -> Answer {
    let (channel, ts) = place(world, args)?;
    let message = world.message(&channel, &ts)?;
    let mut shown = message.to_json(world);
    if !message.reactions.is_empty() {
        shown["reactions"] = message.reactions_json();
    }
    let digits = ts.replace('.', "");
    let permalink = format!("https://herald.slack.com/archives/{channel}/p{digits}");
    shown["permalink"] = permalink.into();
    Ok(json!({ "type": "message", "message": shown, "channel": channel }))
}

/// Gives a message a person's reaction.
pub(crate) fn give(
    world: &mut World,
    channel: &str,
    ts: &str,
    name: &str,
    user: &str,
) -> Result<(), Refusal> {
    let message = world.message_mut(channel, ts)?;
    let has = |users: &Vec<String>| users.iter().any(|one| one == user);
    let of_user = message
        .reactions
        .iter()
        .filter(|(_, users)| has(users))
        .count();
    let names = message.reactions.len();
    let given = message
        .reactions
        .iter_mut()
        .find(|(given, _)| given == name);
    match given {
        Some((_, users)) if has(users) => return Err(Refusal::new("already_reacted")),
        _ if of_user >= OF_ONE_PERSON_MAX => return Err(Refusal::new("too_many_emoji")),
        Some((_, users)) => users.push(user.to_owned()),
        None if names >= REACTIONS_MAX => return Err(Refusal::new("too_many_reactions")),
        None => message
            .reactions
            .push((name.to_owned(), vec![user.to_owned()])),
    }
    events::reaction(world, "reaction_added", user, name, (channel, ts));
    Ok(())
}

fn place(world: &World, args: &Args) -> Result<(String, String), Refusal> {
    let (Some(channel), Some(ts)) = (args.text("channel"), args.text("timestamp")) else {
        return Err(Refusal::new("no_item_specified"));
    };
    let channel = world.channel(&channel)?;
    if channel.archived {
        return Err(Refusal::new("is_archived"));
    }
    if !channel.members.contains(BOT_USER) {
        return Err(Refusal::new("not_in_channel"));
    }
    let message: &Message = world.message(&channel.id, &ts)?;
    if message.subtype.as_deref() == Some("tombstone") {
        return Err(Refusal::new("not_reactable"));
    }
    Ok((channel.id.clone(), ts))
}

/// The emoji's name: without colons, of the letters that names have.
fn name(args: &Args) -> Result<String, Refusal> {
    let name = args.needed("name")?;
    let base = name.split("::").next().unwrap_or_default();
    let is_letter = |letter: char| {
        letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_-+'".contains(letter)
    };
    if base.is_empty() || !base.chars().all(is_letter) {
        return Err(Refusal::new("invalid_name"));
    }
    Ok(name)
}
