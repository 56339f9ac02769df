//! Files: announced, uploaded, completed and shared; and fetched again with the token.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};

use super::super::answer::{Answer, Refusal, done};
use super::super::args::Args;
use super::super::faults::{self, FaultKind};
use super::super::message::Message;
use super::super::server::{self, Reply};
use super::super::shared::Shared;
use super::super::world::{BOT, BOT_TOKEN, BOT_USER, File, Kind, TEAM, World};
use super::chat;

/// The name under which faults of uploads are asked for.
const UPLOAD: &str = "upload";
/// The name under which faults of downloads are asked for.
const DOWNLOAD: &str = "download";

/// `files.getUploadURLExternal`: where to send the bytes, which must be as many as announced.
pub(super) fn announce(world: &mut World, args: &Args) -> Answer {
    let name = args.needed("filename")?;
    let bytes = args.number("length").filter(|&length| length > 0);
    let bytes = bytes.ok_or_else(|| Refusal::missing("length"))?;
    if bytes > world.options.file_bytes_max {
        return Err(Refusal::new("file_upload_size_restricted"));
    }
    let id = add(world, &name, BOT_USER, bytes, None);
    let address = world.address;
    Ok(json!({ "upload_url": format!("http://{address}/upload/v1/{id}"), "file_id": id }))
}

/// Adds a file, with its content or still without.
pub(crate) fn add(
    world: &mut World,
    name: &str,
    user: &str,
    announced_bytes: u64,
    content: Option<Vec<u8>>,
) -> String {
    let id = world.id("F0");
    let file = File {
        id: id.clone(),
        name: name.to_owned(),
        title: name.to_owned(),
        mimetype: mimetype(name).to_owned(),
        user: user.to_owned(),
        created: World::now_ms() / 1_000,
        announced_bytes,
        complete: content.is_some(),
        content,
        shares: Vec::new(),
    };
    world.files.insert(id.clone(), file);
    id
}

/// Takes the bytes of an announced file: the body itself, or the first part of a form.
pub(crate) async fn upload(shared: &Arc<Shared>, id: &str, head: &Parts, body: &Bytes) -> Reply {
    let fault = match struck(shared, UPLOAD).await {
        Ok(fault) => fault,
        Err(reply) => return reply,
    };
    let media_type = server::header_text(&head.headers, header::CONTENT_TYPE);
    let content = if media_type.starts_with("multipart/form-data") {
        let part = parts(&media_type, body).into_iter().next();
        part.map(|part| part.content).unwrap_or_default()
    } else {
        body.to_vec()
    };
    let response = shared.with(|world| {
        let bytes = content.len() as u64;
        let file = world.files.get_mut(id).filter(|file| !file.complete);
        match file {
            None => server::text(StatusCode::NOT_FOUND, "file_not_found"),
            Some(file) if file.announced_bytes != bytes => server::text(
                StatusCode::BAD_REQUEST,
                "the length is not the announced one",
            ),
            Some(file) if head.method == Method::POST || head.method == Method::PUT => {
                file.content = Some(content);
                server::text(StatusCode::OK, &format!("OK - {bytes}"))
            }
            Some(_) => server::text(StatusCode::METHOD_NOT_ALLOWED, "POST it"),
        }
    });
    if matches!(fault, Some(FaultKind::LoseAnswer)) {
        None
    } else {
        Some(response)
    }
}

/// `files.completeUploadExternal`: the files exist from now on, and are shared where it says.
pub(super) fn complete(world: &mut World, args: &Args) -> Answer {
    let files = args
        .structure("files")?
        .ok_or_else(|| Refusal::missing("files"))?;
    let files = files.as_array().filter(|files| !files.is_empty());
    let files = files.ok_or_else(|| Refusal::missing("files"))?.clone();
    let channel = match args.text("channel_id").or_else(|| args.text("channels")) {
        Some(channel) => Some(world.writable(&channel)?.id.clone()),
        None => None,
    };
    let mut ids = Vec::new();
    for given in &files {
        let id = given["id"].as_str().unwrap_or_default().to_owned();
        let file = world
            .files
            .get_mut(&id)
            .filter(|file| file.content.is_some());
        let file = file.ok_or_else(|| Refusal::new("file_not_found"))?;
        if file.complete {
            return Err(Refusal::new("file_already_completed"));
        }
        if let Some(title) = given["title"].as_str() {
            title.clone_into(&mut file.title);
        }
        ids.push(id);
    }
    for id in &ids {
        if let Some(file) = world.files.get_mut(id) {
            file.complete = true;
        }
    }
    if let Some(channel) = channel {
        let thread = args.text("thread_ts");
        let comment = args.text("initial_comment").unwrap_or_default();
        share(world, &channel, thread, comment, &ids);
    }
    let shown = ids.iter().filter_map(|id| world.files.get(id));
    let shown: Value = shown.map(|file| file.to_json(world)).collect();
    Ok(json!({ "files": shown }))
}

/// Says the files in a channel.
fn share(
    world: &mut World,
    channel: &str,
    thread: Option<String>,
    comment: String,
    ids: &[String],
) {
    let message = Message {
        ts: world.ts(),
        user: Some(BOT_USER.to_owned()),
        bot_id: Some(BOT.to_owned()),
        subtype: Some("file_share".to_owned()),
        text: comment,
        thread_ts: thread,
        files: ids.to_vec(),
        ..Message::default()
    };
    note_shares(world, channel, &message);
    chat::said(world, channel, message);
}

/// Notes at each file of a message where it is shared.
pub(crate) fn note_shares(world: &mut World, channel: &str, message: &Message) {
    for id in &message.files {
        if let Some(file) = world.files.get_mut(id) {
            let place = (
                channel.to_owned(),
                message.ts.clone(),
                message.thread_ts.clone(),
            );
            file.shares.push(place);
        }
    }
}

/// `files.info`.
pub(super) fn info(world: &mut World, args: &Args) -> Answer {
    let id = args
        .text("file")
        .ok_or_else(|| Refusal::new("file_not_found"))?;
    let file = world.files.get(&id).filter(|file| file.complete);
    let file = file.ok_or_else(|| Refusal::new("file_not_found"))?;
    Ok(json!({
        "file": file.to_json(world), "comments": [], "response_metadata": { "next_cursor": "" },
    }))
}

/// `files.delete`.
pub(super) fn delete(world: &mut World, args: &Args) -> Answer {
    let id = args.needed("file")?;
    let file = world
        .files
        .remove(&id)
        .ok_or_else(|| Refusal::new("file_not_found"))?;
    for (channel, ts, _) in &file.shares {
        if let Ok(message) = world.message_mut(channel, ts) {
            message.files.retain(|file| *file != id);
        }
    }
    done()
}

/// Gives a file's bytes to whoever shows the token. Everybody else is sent to the page where people
/// log in, with status 200: a client that does not look takes it for the file.
pub(crate) async fn download(shared: &Arc<Shared>, path: &str, head: &Parts) -> Reply {
    let fault = match struck(shared, DOWNLOAD).await {
        Ok(fault) => fault,
        Err(reply) => return reply,
    };
    let authorization = server::header_text(&head.headers, header::AUTHORIZATION);
    if authorization != format!("Bearer {BOT_TOKEN}") {
        return Some(login_page());
    }
    let id = path.split('/').next().and_then(|part| part.split_once('-'));
    let id = id.map(|(_, id)| id.to_owned()).unwrap_or_default();
    let response = shared.with(|world| {
        if !world.scopes.contains("files:read") {
            return login_page();
        }
        let file = world.files.get(&id).filter(|file| file.complete);
        match file.and_then(|file| file.content.clone().map(|content| (file, content))) {
            Some((file, content)) => {
                server::body(StatusCode::OK, &file.mimetype, Bytes::from(content))
            }
            None => server::text(StatusCode::NOT_FOUND, "there is no such file"),
        }
    });
    if matches!(fault, Some(FaultKind::LoseAnswer)) {
        None
    } else {
        Some(response)
    }
}

/// Takes the fault of an upload or download: an error as the reply to give, or what is left to do.
async fn struck(shared: &Arc<Shared>, what: &str) -> Result<Option<FaultKind>, Reply> {
    let fault = shared.with(|world| faults::strike(&mut world.faults, what));
    match fault {
        Some(FaultKind::LoseRequest) => Err(None),
        Some(FaultKind::Status { status }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            Err(Some(server::text(status, "upstream connect error")))
        }
        Some(FaultKind::RateLimited { retry_after }) => {
            let mut response = server::text(StatusCode::TOO_MANY_REQUESTS, "ratelimited");
            server::set(&mut response, header::RETRY_AFTER, &retry_after.to_string());
            Err(Some(response))
        }
        Some(FaultKind::Delay { delay_ms }) => {
            tokio::time::sleep(std::time::Duration::from_millis(delay_ms)).await;
            Ok(None)
        }
        Some(FaultKind::Error { error }) => {
            Err(Some(server::text(StatusCode::BAD_REQUEST, &error)))
        }
        fault => Ok(fault),
    }
}

fn login_page() -> Response<Full<Bytes>> {
    let page = "<!DOCTYPE html><html><head><title>Slack</title></head><body>Sign in to Herald</body></html>";
    server::body(
        StatusCode::OK,
        "text/html; charset=utf-8",
        Bytes::from(page),
    )
}

impl File {
    /// The `file` object.
    pub(crate) fn to_json(&self, world: &World) -> Value {
        let bytes = self
            .content
            .as_ref()
            .map_or(self.announced_bytes, |content| content.len() as u64);
        let base = format!("http://{}/files-pri/{TEAM}-{}", world.address, self.id);
        let filetype = self
            .name
            .rsplit_once('.')
            .map_or("text", |(_, ending)| ending);
        let mut shown = json!({
            "id": self.id, "created": self.created, "timestamp": self.created, "name": self.name,
            "title": self.title, "mimetype": self.mimetype, "filetype": filetype,
            "pretty_type": filetype.to_uppercase(), "user": self.user, "user_team": TEAM,
            "editable": false, "size": bytes, "mode": "hosted", "is_external": false,
            "external_type": "", "is_public": false, "public_url_shared": false,
            "display_as_bot": false, "username": "", "file_access": "visible",
            "url_private": format!("{base}/{}", self.name),
            "url_private_download": format!("{base}/download/{}", self.name),
            "permalink": format!("https://herald.slack.com/files/{}/{}/{}", self.user, self.id, self.name),
            "permalink_public": format!("https://slack-files.com/{TEAM}-{}-0123456789", self.id),
            "is_starred": false, "has_rich_preview": false, "media_display_type": "unknown",
            "channels": [], "groups": [], "ims": [], "comments_count": 0,
        });
        let mut shares: BTreeMap<&str, BTreeMap<&str, Vec<Value>>> = BTreeMap::new();
        for (channel, ts, thread) in &self.shares {
            let kind = world
                .channels
                .get(channel)
                .map_or(Kind::Public, |channel| channel.kind);
            let (list, visibility) = match kind {
                Kind::Public => ("channels", "public"),
                Kind::Private => ("groups", "private"),
                Kind::Direct => ("ims", "private"),
            };
            if let Some(list) = shown[list].as_array_mut() {
                list.push(channel.clone().into());
            }
            let mut share = json!({ "ts": ts, "team_id": TEAM, "reply_users": [], "reply_users_count": 0, "reply_count": 0 });
            if let Some(thread) = thread {
                share["thread_ts"] = thread.clone().into();
            }
            shares
                .entry(visibility)
                .or_default()
                .entry(channel)
                .or_default()
                .push(share);
        }
        shown["is_public"] = shares.contains_key("public").into();
        shown["shares"] = json!(shares);
        shown
    }
}

fn mimetype(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "md" => "text/markdown",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "txt" | "log" | "csv" | "json" => "text/plain",
        _ => "application/octet-stream",
    }
}

/// A part of a form.
pub(crate) struct Part {
    /// The field's name.
    pub(crate) name: String,
    /// Its bytes.
    pub(crate) content: Vec<u8>,
}

/// Reads `multipart/form-data` (RFC 7578).
pub(crate) fn parts(media_type: &str, body: &[u8]) -> Vec<Part> {
    let boundary = media_type.split("boundary=").nth(1).unwrap_or_default();
    let boundary = boundary
        .split(';')
        .next()
        .unwrap_or_default()
        .trim_matches('"');
    let (first, later) = (format!("--{boundary}"), format!("\r\n--{boundary}"));
    let mut parts = Vec::new();
    let Some(mut rest) = find(body, first.as_bytes()).map(|at| &body[at + first.len()..]) else {
        return parts;
    };
    while let Some(end) = find(rest, later.as_bytes()) {
        let part = &rest[..end];
        if let Some(blank) = find(part, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&part[..blank]);
            let name = head
                .split("name=\"")
                .nth(1)
                .and_then(|name| name.split('"').next());
            let name = name.unwrap_or_default().to_owned();
            parts.push(Part {
                name,
                content: part[blank + 4..].to_vec(),
            });
        }
        rest = &rest[end + later.len()..];
    }
    parts
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}
