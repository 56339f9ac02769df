//! WebSockets: whatever is said to any path of the plain web server comes back.

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderValue, Response, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::site::{Body, respond};

/// Accepts a WebSocket, if the request asks for one.
pub(crate) fn answer(head: &http::request::Parts, upgrade: OnUpgrade) -> Option<Response<Body>> {
    let key = head.headers.get(SEC_WEBSOCKET_KEY)?;
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok()?;
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            echo(upgraded).await;
        }
    });
    let mut response = respond(StatusCode::SWITCHING_PROTOCOLS, "text/plain", Bytes::new());
    let headers = response.headers_mut();
    headers.clear();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    Some(response)
}

async fn echo(upgraded: Upgraded) {
    let stream = TokioIo::new(upgraded);
    let mut stream = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    // Pings are answered by the library; after a farewell nothing more comes.
    while let Some(Ok(message)) = stream.next().await {
        let says = message.is_text() || message.is_binary();
        if says && stream.send(message).await.is_err() {
            return;
        }
    }
}
