//! The control API: what a test does as the people of the workspace, what it breaks, what it sees.
//!
//! `POST /standin/…` with a JSON object; the answer is JSON, and `400 {"error": …}` where the wish
//! cannot be granted. Ids as in [`super::people`].
//!
//! | POST | with | does |
//! |---|---|---|
//! | `post` | `user`, `channel` (left out: with the app), `text`, `thread_ts`, `files: [{name, text or base64}]`, `broadcast`, `silent` | says something; answers `channel`, `ts` |
//! | `edit`, `delete` | `user`, `channel`, `ts`, `text` | edits, deletes a message |
//! | `unfurl` | `channel`, `ts` | a `message_changed` that changes nothing a person wrote |
//! | `react` | `user`, `channel`, `ts`, `name` | gives a reaction |
//! | `robot` | `channel`, `text`, `thread_ts` | another app's bot says something (`bot_message`) |
//! | `join` | `user`, `channel` | comes into a channel (`channel_join`) |
//! | `assistant` | `user`, `context` (a channel) | opens a thread of the app's own surface; answers `channel`, `thread_ts` |
//! | `context` | `user`, `channel`, `thread_ts`, `context` | looks at another channel meanwhile |
//! | `press` | `user`, `channel`, `ts`, `action_id` | presses a button; answers `action_ts`, `value` |
//! | `command` | `user`, `channel`, `command`, `text` | a slash command |
//! | `users` | a user, see [`super::people::User`] | adds or changes a person |
//! | `groups` | `id`, `handle`, `users`, `disabled` | adds or changes a group |
//! | `channels` | `id`, `name`, `private`, `archived`, `members` | adds or changes a channel |
//! | `scopes`, `subscribed` | `names` | what the token may, what the app is told of |
//! | `settings` | see [`super::Options`]; what is left out stays | changes the behaviour |
//! | `faults` | see [`super::faults::Fault`]; methods `upload`, `download` too | breaks calls to come |
//! | `faults/clear` | | breaks none any more |
//! | `sockets/disconnect` | `reason` (`warning`, `refresh_requested`, `link_disabled`), `close` | says goodbye to all connections |
//! | `sockets/drop` | `count` (left out: all) | breaks connections off without a goodbye |
//! | `acks/swallow` | `count` | loses acknowledgements to come, so that events come again |
//! | `events/again` | `event_id`, or `channel` and `ts` of a message | sends an event of before once more, or those that told of a message |
//! | `events/hold`, `events/release` | | holds envelopes back, lets them go |
//! | `events/lose` | `on` | loses the events of what happens meanwhile, as in an outage |
//!
//! `GET /standin/…`: `channel?id=&after=` (messages, later than `after` if that is given, with metadata, reactions, thread counts), `threads`
//! (status, all statuses, title, prompts of each), `calls?method=` (arguments and outcome, without
//! tokens), `sockets` (number of connections), `deliveries` (how each envelope fared), `files`.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use super::answer::{Answer, Refusal, done};
use super::args::Args;
use super::delivery::Order;
use super::faults::Fault;
use super::people::{Group, User};
use super::server;
use super::shared::Shared;
use super::socket::disconnect;
use super::world::{Kind, World};
use super::{act, look};

/// Answers a wish.
pub(crate) fn answer(
    shared: &Arc<Shared>,
    what: &str,
    head: &Parts,
    body: &[u8],
) -> Response<Full<Bytes>> {
    let answer = if head.method == Method::GET {
        let query = Args::from_form(head.uri.query().unwrap_or_default());
        shared.with(|world| look::at(world, what, &query))
    } else {
        match Args::from_json(body) {
            Some(args) => shared.with(|world| wish(world, what, &args)),
            None => Err(Refusal::new("the body is no JSON object")),
        }
    };
    match answer {
        Ok(answer) => server::json(StatusCode::OK, &answer),
        Err(refusal) => server::json(StatusCode::BAD_REQUEST, &refusal.into_json()),
    }
}

fn wish(world: &mut World, what: &str, args: &Args) -> Answer {
    match what {
        "post" => act::post(world, args),
        "edit" => act::edit(world, args),
        "delete" => act::delete(world, args),
        "unfurl" => act::unfurl(world, args),
        "react" => act::react(world, args),
        "robot" => act::robot(world, args),
        "join" => act::join(world, args),
        "assistant" => act::assistant(world, args),
        "context" => act::context(world, args),
        "press" => act::press(world, args),
        "command" => act::command(world, args),
        "users" => user(world, args),
        "groups" => group(world, args),
        "channels" => channel(world, args),
        "scopes" => {
            world.scopes = names(args, "names")?.into_iter().collect();
            done()
        }
        "subscribed" => {
            world.subscribed = names(args, "names")?.into_iter().collect();
            done()
        }
        "settings" => settings(world, args),
        "faults" => {
            world.faults.push(read::<Fault>(args.to_json())?);
            done()
        }
        "faults/clear" => {
            world.faults.clear();
            done()
        }
        _ => deliver(world, what, args),
    }
}

fn deliver(world: &mut World, what: &str, args: &Args) -> Answer {
    let delivery = &mut world.delivery;
    match what {
        "sockets/disconnect" => {
            let reason = args
                .text("reason")
                .unwrap_or_else(|| "refresh_requested".to_owned());
            for one in &mut delivery.connections {
                one.leaving = true;
                drop(one.orders.send(Order::Say(disconnect(&reason).to_string())));
                if args.flag("close") {
                    drop(one.orders.send(Order::Close));
                }
            }
        }
        "sockets/drop" => {
            let count = args.number("count").unwrap_or(u64::MAX);
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            for one in delivery.connections.iter().take(count) {
                drop(one.orders.send(Order::Drop));
            }
        }
        "acks/swallow" => delivery.swallow_acks = args.number("count").unwrap_or(1),
        "events/again" if args.text("ts").is_some() => {
            delivery.message_again(&args.needed("channel")?, &args.needed("ts")?);
        }
        "events/again" => {
            let id = args.needed("event_id")?;
            if !delivery.again(&id) {
                return Err(Refusal::new("there was no such event"));
            }
        }
        "events/hold" => delivery.is_held = true,
        "events/release" => delivery.is_held = false,
        "events/lose" => delivery.is_lossy = args.flag("on"),
        _ => return Err(Refusal::new("there is no such wish")),
    }
    done()
}

fn settings(world: &mut World, args: &Args) -> Answer {
    let mut whole = serde_json::to_value(&world.options).map_err(unreadable)?;
    super::answer::merge(&mut whole, args.to_json());
    world.options = read(whole)?;
    done()
}

fn user(world: &mut World, args: &Args) -> Answer {
    let id = args.text("id").unwrap_or_else(|| world.id("U0"));
    let known = world.users.get(&id).cloned().unwrap_or_default();
    let mut whole = serde_json::to_value(known).map_err(unreadable)?;
    super::answer::merge(&mut whole, args.to_json());
    whole["id"] = id.clone().into();
    world.users.insert(id.clone(), read::<User>(whole)?);
    Ok(json!({ "id": id }))
}

fn group(world: &mut World, args: &Args) -> Answer {
    let id = args.text("id").unwrap_or_else(|| world.id("S0"));
    let handle = args.needed("handle")?;
    let group = Group {
        id: id.clone(),
        name: handle.clone(),
        handle,
        users: names(args, "users")?,
        disabled: args.flag("disabled"),
    };
    world.groups.insert(id.clone(), group);
    Ok(json!({ "id": id }))
}

fn channel(world: &mut World, args: &Args) -> Answer {
    let id = args.text("id").unwrap_or_else(|| world.id("C0"));
    if !world.channels.contains_key(&id) {
        let name = args.needed("name")?;
        let kind = if args.flag("private") {
            Kind::Private
        } else {
            Kind::Public
        };
        world.open_channel(&id, &name, kind, &[]);
    }
    let members = args
        .structure("members")?
        .map(|_| names(args, "members"))
        .transpose()?;
    if let Some(channel) = world.channels.get_mut(&id) {
        if args.text("archived").is_some() {
            channel.archived = args.flag("archived");
        }
        if let Some(members) = members {
            channel.members = members.into_iter().collect();
        }
    }
    Ok(json!({ "id": id }))
}

fn names(args: &Args, name: &str) -> Result<Vec<String>, Refusal> {
    read(args.structure(name)?.unwrap_or_else(|| json!([])))
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Refusal> {
    serde_json::from_value(value).map_err(unreadable)
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` hands over")]
fn unreadable(error: serde_json::Error) -> Refusal {
    Refusal::new(&error.to_string())
}
