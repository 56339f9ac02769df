//! The one world that all connections share, and the only lock.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::delivery;
use super::options::Options;
use super::world::World;

/// The world behind its lock.
pub(crate) struct Shared {
    world: Mutex<World>,
    numbers: AtomicU64,
}

impl Shared {
    /// A fresh world.
    pub(crate) fn new(options: Options, address: SocketAddr) -> Arc<Self> {
        Arc::new(Self {
            world: Mutex::new(World::new(options, address)),
            numbers: AtomicU64::new(0),
        })
    }

    /// Acts on the world, then sends what that brought about. Nothing waits while it is locked.
    pub(crate) fn with<R>(self: &Arc<Self>, act: impl FnOnce(&mut World) -> R) -> R {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut world);
        delivery::flush(self, &mut world);
        result
    }

    /// A number that nothing else has.
    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }
}
