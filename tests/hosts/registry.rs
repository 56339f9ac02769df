//! Registries of packages, as files that a test laid down, and a gRPC service that gives back what
//! it is told.
//!
//! `/files/…` are the files in `files` of the work directory. A call of gRPC is answered with its own
//! messages, and with the trailer that says that all is well.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;

use crate::site::{Asked, Body, Site, respond, text};

/// Answers what is a registry's or the service's; nothing for the rest.
pub(crate) fn answer(site: &Site, asked: &Asked) -> Option<Response<Body>> {
    let media_type = asked.head.headers.get(header::CONTENT_TYPE);
    if media_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc")) {
        return Some(echo(asked.body.clone()));
    }
    let path = asked.head.uri.path().strip_prefix("/files/")?;
    let is_plain = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    let file = site.options.work.join("files").join(path);
    Some(match std::fs::read(file) {
        Ok(bytes) if is_plain => {
            let media_type = if path.ends_with(".html") {
                "text/html"
            } else {
                "application/octet-stream"
            };
            respond(StatusCode::OK, media_type, Bytes::from(bytes))
        }
        _ => text(StatusCode::NOT_FOUND, "there is no such file\n"),
    })
}

fn echo(messages: Bytes) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let frames = [Ok(Frame::data(messages)), Ok(Frame::trailers(trailers))];
    let body = StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync();
    let mut response = Response::new(body);
    let media_type = HeaderValue::from_static("application/grpc");
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, media_type);
    response
}
