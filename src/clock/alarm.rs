//! An alarm of the kernel at a time of the machine's clock (timerfd_create(2), `CLOCK_REALTIME`). It
//! rings at that time also when the machine slept or the clock was set to get there, and whenever the
//! clock is set (`TFD_TIMER_CANCEL_ON_SET`).

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// An alarm that is set.
#[derive(Debug)]
pub(super) struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    /// Sets an alarm at a time in milliseconds since the Unix epoch.
    #[expect(
        deprecated,
        reason = "its successor is unsafe, for descriptors that are not owned; this one is"
    )]
    pub(super) fn set(at_ms: u64) -> std::io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Realtime, flags)?;
        let at = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec {
                // A time of 0 would switch it off.
                tv_sec: i64::try_from(at_ms / 1000).unwrap_or(i64::MAX).max(1),
                tv_nsec: i64::try_from(at_ms % 1000 * 1_000_000).unwrap_or_default(),
            },
        };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        timerfd_settime(&timer, flags, &at)?;
        Ok(Self(AsyncFd::with_interest(timer, Interest::READABLE)?))
    }

    /// Waits until it rings, or the clock is set.
    pub(super) async fn rings(&self) {
        loop {
            let Ok(mut ready) = self.0.readable().await else {
                return;
            };
            let mut count = [0; 8];
            match rustix::io::read(self.0.get_ref(), &mut count) {
                Err(Errno::AGAIN) => ready.clear_ready(),
                // It rang, or the clock was set (`ECANCELED`).
                Ok(_) | Err(_) => return,
            }
        }
    }
}
