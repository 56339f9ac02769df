//! HTTP: which path is whose, how arguments come, and the upgrade to a socket.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::args::Args;
use super::methods::files;
use super::shared::Shared;
use super::{control, socket, web};

/// Request bodies above this are refused: Slack takes files of 1 GB, no test sends one.
const BODY_BYTES_MAX: usize = 256 << 20;

/// What a connection is answered; nothing at all breaks it off.
pub(crate) type Reply = Option<Response<Full<Bytes>>>;

/// Why a connection is broken off: it is meant to be.
#[derive(Debug, thiserror::Error)]
#[error("the connection is broken off on purpose")]
struct BrokenOff;

/// Serves until it is dropped.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(converse(stream, Arc::clone(&shared)));
    }
}

async fn converse(stream: TcpStream, shared: Arc<Shared>) {
    drop(stream.set_nodelay(true));
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { answer(&shared, request).await.ok_or(BrokenOff) }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // Clients hang up whenever they like.
    drop(connection.with_upgrades().await);
}

async fn answer(shared: &Arc<Shared>, mut request: Request<Incoming>) -> Reply {
    let path = request.uri().path().to_owned();
    if path.trim_end_matches('/') == "/link" {
        return Some(link(shared, &mut request));
    }
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return Some(text(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body did not arrive",
        ));
    };
    let body = body.to_bytes();
    if let Some(method) = path.strip_prefix("/api/") {
        return web::call(shared, method, &head, &body).await;
    }
    if let Some(what) = path.strip_prefix("/standin/") {
        return Some(control::answer(shared, what, &head, &body));
    }
    if let Some(id) = path.strip_prefix("/upload/v1/") {
        return files::upload(shared, id, &head, &body).await;
    }
    if let Some(file) = path.strip_prefix("/files-pri/") {
        return files::download(shared, file, &head).await;
    }
    if path.starts_with("/response/") && head.method == Method::POST {
        return Some(text(StatusCode::OK, "ok"));
    }
    Some(text(
        StatusCode::NOT_FOUND,
        "there is nothing under this path",
    ))
}

/// Upgrades to Socket Mode; a ticket is good once.
fn link(shared: &Arc<Shared>, request: &mut Request<Incoming>) -> Response<Full<Bytes>> {
    let query = Args::from_form(request.uri().query().unwrap_or_default());
    let ticket = query.text("ticket").unwrap_or_default();
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY);
    let Some(accept) = key.map(|key| derive_accept_key(key.as_bytes())) else {
        return text(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket");
    };
    if !shared.with(|world| world.tickets.remove(&ticket)) {
        return text(StatusCode::UNAUTHORIZED, "the ticket is unknown or used");
    }
    let (shared, upgrade) = (Arc::clone(shared), hyper::upgrade::on(request));
    let is_short = query.flag("debug_reconnects");
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            socket::converse(shared, upgraded, is_short).await;
        }
    });
    let mut response = text(StatusCode::SWITCHING_PROTOCOLS, "");
    let headers = [
        (header::UPGRADE, "websocket"),
        (header::CONNECTION, "Upgrade"),
        (header::SEC_WEBSOCKET_ACCEPT, accept.as_str()),
    ];
    for (name, value) in headers {
        set(&mut response, name, value);
    }
    response
}

/// Reads the arguments of a call. A method that takes no JSON sees none of it, as at Slack.
pub(crate) fn arguments(head: &Parts, body: &[u8], takes_json: bool) -> Option<Args> {
    let mut args = Args::from_form(head.uri.query().unwrap_or_default());
    let media_type = header_text(&head.headers, header::CONTENT_TYPE);
    if media_type.starts_with("application/json") {
        if takes_json {
            args.extend(Args::from_json(body)?);
        }
    } else if media_type.starts_with("multipart/form-data") {
        for part in files::parts(&media_type, body) {
            let value = String::from_utf8_lossy(&part.content).into_owned();
            args.insert(part.name, Value::String(value));
        }
    } else {
        args.extend(Args::from_form(&String::from_utf8_lossy(body)));
    }
    Some(args)
}

/// Returns a header as text; empty where there is none.
pub(crate) fn header_text(headers: &HeaderMap, name: header::HeaderName) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

/// Sets a header whose value is known to be one.
pub(crate) fn set(response: &mut Response<Full<Bytes>>, name: header::HeaderName, value: &str) {
    if let Ok(value) = value.parse() {
        response.headers_mut().insert(name, value);
    }
}

/// An answer in plain text.
pub(crate) fn text(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    body(
        status,
        "text/plain; charset=utf-8",
        Bytes::from(text.to_owned()),
    )
}

/// An answer in JSON.
pub(crate) fn json(status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
    let bytes = Bytes::from(value.to_string());
    body(status, "application/json; charset=utf-8", bytes)
}

/// An answer of any type.
pub(crate) fn body(status: StatusCode, media_type: &str, bytes: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(bytes));
    *response.status_mut() = status;
    set(&mut response, header::CONTENT_TYPE, media_type);
    response
}
