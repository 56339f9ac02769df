//! One call over HTTPS on a connection of its own: for what is asked rarely, of whoever the operator
//! named. Over verified TLS and HTTP/1.1 alone; it knows nobody that is asked.

use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Sends a request to the host and port of `uri`, and returns status and body of the answer. It is not
/// bounded in time.
///
/// # Errors
/// In words, also for an answer of more than `bytes_max` bytes.
pub async fn call(
    tls: &TlsConnector,
    uri: &Uri,
    request: Request<Full<Bytes>>,
    bytes_max: usize,
) -> Result<(StatusCode, Bytes), String> {
    let host = uri.host().unwrap_or_default().to_owned();
    let port = uri.port_u16().unwrap_or(443);
    let tcp = TcpStream::connect((host.as_str(), port)).await;
    let name = ServerName::try_from(host).map_err(words)?;
    let secured = tls.connect(name, tcp.map_err(words)?).await;
    let stream = TokioIo::new(secured.map_err(words)?);
    let handshake = hyper::client::conn::http1::handshake(stream).await;
    let (mut sender, connection) = handshake.map_err(words)?;
    let answer = async move {
        let response = sender.send_request(request).await.map_err(words)?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, bytes_max).collect().await;
        Ok((parts.status, body.map_err(words)?.to_bytes()))
    };
    // The connection works only while it is waited for, and ends with its sender.
    let (answer, _ended) = tokio::join!(answer, connection);
    answer
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}
