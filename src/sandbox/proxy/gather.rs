//! Gathers a request's body for the filters that read it, within the room there is for all of them,
//! and hands it on. Bodies that no filter reads are never gathered.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use http::{Request, request};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::sandbox::proxy::allowlist::Allowlist;
use crate::sandbox::proxy::body::ProxyBody;
use crate::sandbox::proxy::filter::{Blocked, Filtered, Head, Plan};
use crate::sandbox::proxy::limits::{FILTERED_BYTES_MAX, FILTERED_TIME_MAX};
use crate::sandbox::proxy::policy::{Asked, Rule};
use crate::sandbox::proxy::target::Target;

/// Bytes of room that one permit stands for.
const ROOM_UNIT_BYTES: usize = 1024;

/// Headers that tell a digest of the body that came, and not of the one that goes.
const DIGESTS: [&str; 4] = ["content-digest", "content-md5", "digest", "repr-digest"];

/// Room for the bodies that filters hold.
#[derive(Debug, Clone)]
pub(super) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(
            FILTERED_BYTES_MAX / ROOM_UNIT_BYTES,
        )))
    }
}

impl Room {
    async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(ROOM_UNIT_BYTES)).ok()?;
        Arc::clone(&self.0).acquire_many_owned(units).await.ok()
    }
}

/// A request that met its filters.
pub(super) struct Met {
    /// The request as it may go.
    pub(super) request: Request<ProxyBody>,
    /// What the filters said.
    pub(super) tags: Vec<String>,
}

/// A request that a filter refused.
pub(super) struct Refused {
    /// Why.
    pub(super) blocked: Blocked,
    /// What the filters said.
    pub(super) tags: Vec<String>,
}

/// Runs a request through the filters it meets; without any its body streams on.
pub(super) async fn meet(
    room: &Room,
    allowlist: &Allowlist,
    rule: Rule,
    target: &Target,
    request: Request<Incoming>,
) -> Result<Met, Refused> {
    let (parts, incoming) = request.into_parts();
    let asked = Asked {
        host: &target.host,
        path_and_query: &target.path_and_query,
        method: parts.method.as_str(),
    };
    let Some(plan) = Plan::of(allowlist, rule, asked) else {
        let body = incoming.map_err(Into::into).boxed_unsync();
        let request = Request::from_parts(parts, body);
        return Ok(Met {
            request,
            tags: Vec::new(),
        });
    };
    let gathered = tokio::time::timeout(FILTERED_TIME_MAX, gather(room, &plan, incoming)).await;
    let gathered =
        gathered.unwrap_or_else(|_| Err(plan.unreadable("did not arrive in time").into()));
    let filtered = match &gathered {
        Ok((body, _)) => {
            let headers = &parts.headers;
            plan.apply(Head { asked, headers }, body)
        }
        Err(filtered) => Filtered::clone(filtered),
    };
    let Filtered {
        rewritten,
        tags,
        blocked,
    } = filtered;
    match (blocked, gathered) {
        (None, Ok((body, room))) => {
            let request = with_body(parts, body, rewritten, room);
            Ok(Met { request, tags })
        }
        (Some(blocked), _) => Err(Refused { blocked, tags }),
        (None, Err(_)) => {
            let blocked = Blocked::uninspectable("filter", "no body");
            Err(Refused { blocked, tags })
        }
    }
}

/// Returns the whole body and the room it takes.
async fn gather(
    room: &Room,
    plan: &Plan<'_>,
    mut incoming: Incoming,
) -> Result<(Bytes, OwnedSemaphorePermit), Box<Filtered>> {
    let bytes_max = plan.bytes_max();
    let told = incoming.size_hint().exact();
    let expected = usize::try_from(told.unwrap_or(bytes_max as u64)).unwrap_or(usize::MAX);
    if expected > bytes_max {
        return Err(plan.too_large().into());
    }
    let taken = room.take(expected).await;
    let taken = taken.ok_or_else(|| plan.unreadable("no room"))?;
    let mut body = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|_| plan.unreadable("broke off"))?;
        let Ok(piece) = frame.into_data() else {
            // Trailers belong to a body that streams.
            continue;
        };
        if piece.len() > bytes_max - body.len() {
            return Err(plan.too_large().into());
        }
        body.extend_from_slice(&piece);
    }
    Ok((body.freeze(), taken))
}

/// Returns the request with its body, whose room is taken until it is sent.
fn with_body(
    mut parts: request::Parts,
    body: Bytes,
    rewritten: Option<Vec<u8>>,
    room: OwnedSemaphorePermit,
) -> Request<ProxyBody> {
    if rewritten.is_some() {
        forget_digests(&mut parts.headers);
    }
    let body = rewritten.map_or(body, Bytes::from);
    if !body.is_empty() || parts.headers.contains_key(CONTENT_LENGTH) {
        let length = HeaderValue::from(body.len());
        parts.headers.insert(CONTENT_LENGTH, length);
    }
    let body = Full::new(body).map_err(move |never| {
        let _until_sent = &room;
        match never {}
    });
    Request::from_parts(parts, body.boxed_unsync())
}

fn forget_digests(headers: &mut HeaderMap) {
    for name in DIGESTS {
        headers.remove(HeaderName::from_static(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::proxy::limits::TOOLS_BODY_BYTES_MAX;

    /// Returns a body that holds room as a gathered one does.
    async fn hold(room: &Room, bytes: usize) -> Request<ProxyBody> {
        let taken = room.take(bytes).await.unwrap();
        let (parts, ()) = Request::new(()).into_parts();
        with_body(parts, Bytes::from_static(b"body"), None, taken)
    }

    async fn fits(room: &Room, bytes: usize) -> bool {
        let patience = std::time::Duration::from_secs(1);
        tokio::time::timeout(patience, room.take(bytes))
            .await
            .is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_are_held_up_to_the_limit_and_a_further_one_waits_until_one_is_sent() {
        let room = Room::default();
        let mut held = Vec::new();
        for _ in 0..FILTERED_BYTES_MAX / TOOLS_BODY_BYTES_MAX {
            assert!(fits(&room, TOOLS_BODY_BYTES_MAX).await, "below the limit");
            held.push(hold(&room, TOOLS_BODY_BYTES_MAX).await);
        }
        assert!(!fits(&room, 1).await, "at the limit there is no room");
        let mut sent = held.swap_remove(0).into_body();
        assert!(sent.frame().await.unwrap().is_ok());
        assert!(!fits(&room, 1).await, "its bytes are on their way");
        drop(sent);
        assert!(!fits(&room, TOOLS_BODY_BYTES_MAX + 1).await);
        assert!(fits(&room, TOOLS_BODY_BYTES_MAX).await);
    }
}
