//! Upstream connections that wait for another request, bounded in number and in time. It opens none
//! and reads no clock.

use std::collections::HashMap;
use std::time::Duration;

use hyper::client::conn::{http1, http2};

use crate::sandbox::proxy::body::ProxyBody;
use crate::sandbox::proxy::limits::{IDLE_HOSTS_MAX, IDLE_PER_HOST_MAX, IDLE_TIME_MAX};

/// Where a request is sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Destination {
    pub(super) https: bool,
    pub(super) host: String,
    /// WebSockets need HTTP/1.1.
    pub(super) http1_only: bool,
}

/// What sends requests over a connection.
pub(super) enum Sender {
    One(http1::SendRequest<ProxyBody>),
    Two(http2::SendRequest<ProxyBody>),
}

/// The connections, by where they lead. `now` is the time since some moment, and never goes back.
#[derive(Default)]
pub(super) struct Pool(HashMap<Destination, Kept>);

/// The connections to one place.
#[derive(Default)]
struct Kept {
    used: Duration,
    one: Vec<(Duration, http1::SendRequest<ProxyBody>)>,
    two: Option<http2::SendRequest<ProxyBody>>,
}

impl Pool {
    /// Keeps a connection that is ready again once its response is read to the end.
    pub(super) fn keep_one(
        &mut self,
        destination: &Destination,
        sender: http1::SendRequest<ProxyBody>,
        now: Duration,
    ) {
        let kept = self.entry(destination, now);
        kept.one
            .retain(|(since, sender)| !is_over(*since, now) && !sender.is_closed());
        if kept.one.len() < IDLE_PER_HOST_MAX {
            kept.one.push((now, sender));
        }
    }

    /// Keeps a connection that takes further requests at once.
    pub(super) fn keep_two(
        &mut self,
        destination: &Destination,
        sender: http2::SendRequest<ProxyBody>,
        now: Duration,
    ) {
        self.entry(destination, now).two = Some(sender);
    }

    /// Returns a connection that can be used.
    pub(super) fn take(&mut self, destination: &Destination, now: Duration) -> Option<Sender> {
        let kept = self.0.get_mut(destination)?;
        let over = is_over(kept.used, now);
        kept.two.take_if(|sender| over || sender.is_closed());
        if let Some(sender) = &kept.two {
            return Some(Sender::Two(sender.clone()));
        }
        kept.one
            .retain(|(since, sender)| !is_over(*since, now) && !sender.is_closed());
        let ready = kept.one.iter().position(|(_, sender)| sender.is_ready())?;
        Some(Sender::One(kept.one.swap_remove(ready).1))
    }

    /// Lets go of what was not used for long; a response that still comes is read to its end.
    pub(super) fn sweep(&mut self, now: Duration) {
        self.0.retain(|_, kept| !is_over(kept.used, now));
    }

    /// Returns the connections to a place, which takes the place of the one not used for longest.
    fn entry(&mut self, destination: &Destination, now: Duration) -> &mut Kept {
        if !self.0.contains_key(destination) && self.0.len() >= IDLE_HOSTS_MAX {
            let oldest = self.0.iter().min_by_key(|(_, kept)| kept.used);
            let oldest = oldest.map(|(destination, _)| destination.clone());
            oldest.and_then(|oldest| self.0.remove(&oldest));
        }
        let kept = self.0.entry(destination.clone()).or_default();
        kept.used = now;
        kept
    }
}

fn is_over(since: Duration, now: Duration) -> bool {
    now.saturating_sub(since) >= IDLE_TIME_MAX
}

#[cfg(test)]
mod tests {
    use hyper_util::rt::TokioIo;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn destination(number: usize) -> Destination {
        Destination {
            https: true,
            host: format!("h{number}.test"),
            http1_only: false,
        }
    }

    /// Keeps connections to so many hosts, one a millisecond; they are open as long as the pool is.
    async fn keep(pool: &mut Pool, hosts: usize, per_host: usize) -> Vec<impl Sized + use<>> {
        let mut connections = Vec::new();
        for number in 0..hosts {
            for _ in 0..per_host {
                let (near, far) = tokio::io::duplex(64);
                let (sender, connection) = http1::handshake(TokioIo::new(near)).await.unwrap();
                let now = Duration::from_millis(number as u64);
                pool.keep_one(&destination(number), sender, now);
                connections.push((connection, far));
            }
        }
        connections
    }

    #[tokio::test]
    async fn the_host_not_used_for_longest_makes_room() {
        let mut pool = Pool::default();
        let _open = keep(&mut pool, IDLE_HOSTS_MAX, 1).await;
        assert_eq!(pool.0.len(), IDLE_HOSTS_MAX, "at the limit all are kept");
        let mut pool = Pool::default();
        let _open = keep(&mut pool, IDLE_HOSTS_MAX + 1, 1).await;
        assert_eq!(pool.0.len(), IDLE_HOSTS_MAX);
        assert!(!pool.0.contains_key(&destination(0)));
        assert!(pool.0.contains_key(&destination(1)));
        assert!(pool.0.contains_key(&destination(IDLE_HOSTS_MAX)));
    }

    #[tokio::test]
    async fn a_host_has_so_many_idle_connections_and_no_more() {
        let mut pool = Pool::default();
        let _open = keep(&mut pool, 1, IDLE_PER_HOST_MAX + 1).await;
        assert_eq!(pool.0[&destination(0)].one.len(), IDLE_PER_HOST_MAX);
    }

    #[tokio::test]
    async fn an_idle_connection_is_let_go() {
        let mut pool = Pool::default();
        let _open = keep(&mut pool, 1, 1).await;
        pool.sweep(IDLE_TIME_MAX - SECOND);
        assert_eq!(pool.0.len(), 1);
        assert!(pool.take(&destination(0), IDLE_TIME_MAX).is_none());
        assert!(
            pool.0[&destination(0)].one.is_empty(),
            "it is not used again"
        );
        pool.sweep(IDLE_TIME_MAX);
        assert!(pool.0.is_empty());
    }
}
