//! The stream that hyper's HTTP/1 server reads from. Heads wait here until they are whole and judged;
//! bodies pass through and are counted, so that it is known where the next head begins. A refused
//! head becomes a stand-in request, which the service answers in its turn with what is wrong.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::sandbox::proxy::limits::{
    HEAD_TIME_MAX, LINGER_BYTES_MAX, LINGER_TIME_MAX, READ_AHEAD_BYTES_MAX,
};
use crate::sandbox::proxy::strict::chunks::Chunks;
use crate::sandbox::proxy::strict::head::{self, Framing, Malformed, Progress};
use crate::sandbox::proxy::strict::verdicts::{RefusedHead, Verdicts};

/// What hyper reads in place of a refused head; the service never takes it for a request, since it
/// knows the number under which a request was refused.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused.invalid\r\nconnection: close\r\n\r\n";

/// Bytes of a refused head that are kept for the report.
const REPORTED_HEAD_BYTES_MAX: usize = 8 * 1024;

/// Bytes read from the agent at a time.
const READ_BYTES: usize = 8 * 1024;

/// A connection of which hyper sees well-formed requests alone.
pub struct StrictStream<S> {
    inner: S,
    verdicts: Verdicts,
    /// Read, and not yet handed on.
    ahead: BytesMut,
    /// How many bytes of `ahead` are judged.
    judged: usize,
    ended: bool,
    phase: Phase,
    /// Heads that were handed on, stand-ins included.
    heads: u64,
    /// Whether the head that was handed on last may switch the connection.
    may_switch: bool,
    /// Runs while a head arrives.
    patience: Option<Pin<Box<Sleep>>>,
    farewell: Farewell,
}

enum Phase {
    Head(Progress),
    Length(u64),
    Chunked(Chunks),
    /// The answer tells what follows.
    Undecided,
    /// Another protocol, whatever it says.
    Tunnel,
    /// Nothing more is served.
    Refused,
}

/// The end of a connection: our side is closed, then the agent's bytes are awaited a little, since a
/// reset would take the answer from it (RFC 9112, 9.6).
enum Farewell {
    Open,
    Lingering {
        until: Pin<Box<Sleep>>,
        bytes: usize,
    },
    Done,
}

impl<S> StrictStream<S> {
    /// Wraps a connection from its first byte on.
    pub fn new(inner: S, verdicts: Verdicts) -> Self {
        Self {
            inner,
            verdicts,
            ahead: BytesMut::new(),
            judged: 0,
            ended: false,
            phase: Phase::Head(Progress::default()),
            heads: 0,
            may_switch: false,
            patience: None,
            farewell: Farewell::Open,
        }
    }

    /// Judges what is there, as far as it can be.
    fn judge(&mut self, context: &Context<'_>) -> io::Result<()> {
        match &mut self.phase {
            Phase::Head(progress) => match progress.end(&self.ahead) {
                Ok(Some(end)) => self.judge_head(end),
                Ok(None) => {}
                Err(why) => self.refuse(why),
            },
            Phase::Length(left) => {
                let have = self.ahead.len() as u64;
                let taken = have.min(*left);
                *left -= taken;
                self.judged = usize::try_from(taken).unwrap_or(self.ahead.len());
            }
            Phase::Chunked(chunks) => match chunks.pass(&self.ahead) {
                Ok(passed) => self.judged = passed,
                Err(why) => {
                    self.verdicts.break_off(why.clone());
                    return Err(io::Error::new(io::ErrorKind::InvalidData, why));
                }
            },
            Phase::Undecided => match self.verdicts.switched(self.heads, context.waker()) {
                Some(true) => {
                    self.phase = Phase::Tunnel;
                    self.judged = self.ahead.len();
                }
                Some(false) => {
                    self.phase = Phase::Head(Progress::default());
                    return self.judge(context);
                }
                None => {}
            },
            Phase::Tunnel => self.judged = self.ahead.len(),
            Phase::Refused => {}
        }
        self.leave_body();
        Ok(())
    }

    fn judge_head(&mut self, end: usize) {
        match head::read(&self.ahead[..end]) {
            Ok(read) => {
                self.heads += 1;
                self.judged = end;
                self.patience = None;
                self.may_switch = read.may_switch;
                self.phase = match read.framing {
                    Framing::Length(length) => Phase::Length(length),
                    Framing::Chunked => Phase::Chunked(Chunks::new()),
                };
            }
            Err(why) => self.refuse(why),
        }
    }

    /// Goes on to what follows a body that is complete.
    fn leave_body(&mut self) {
        let complete = match &self.phase {
            Phase::Length(left) => *left == 0,
            Phase::Chunked(chunks) => chunks.is_complete(),
            _ => false,
        };
        if complete && self.may_switch {
            self.phase = Phase::Undecided;
        } else if complete {
            self.phase = Phase::Head(Progress::default());
        }
    }

    fn refuse(&mut self, why: Malformed) {
        self.heads += 1;
        self.patience = None;
        let kept = self.ahead.len().min(REPORTED_HEAD_BYTES_MAX);
        let bytes = self.ahead[..kept].to_vec();
        self.verdicts.refuse(self.heads, RefusedHead { why, bytes });
        self.ahead = BytesMut::from(STAND_IN);
        self.judged = STAND_IN.len();
        self.phase = Phase::Refused;
    }

    /// Returns how many bytes may go straight to whoever reads.
    fn straight(&self) -> u64 {
        match &self.phase {
            Phase::Length(left) => *left,
            Phase::Chunked(chunks) => chunks.data_left(),
            Phase::Tunnel => u64::MAX,
            _ => 0,
        }
    }

    fn count(&mut self, bytes: u64) {
        match &mut self.phase {
            Phase::Length(left) => *left -= bytes,
            Phase::Chunked(chunks) => chunks.count_data(bytes),
            _ => {}
        }
        self.leave_body();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> StrictStream<S> {
    /// Reads past the judged bytes without gathering them.
    fn poll_straight(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let most = usize::try_from(self.straight()).unwrap_or(usize::MAX);
        let before = buffer.filled().len();
        if most >= buffer.remaining() {
            ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        } else {
            let part = buffer.initialize_unfilled_to(most);
            let mut part = ReadBuf::new(part);
            ready!(Pin::new(&mut self.inner).poll_read(context, &mut part))?;
            let read = part.filled().len();
            buffer.advance(read);
        }
        let read = buffer.filled().len() - before;
        self.ended |= read == 0;
        self.count(read as u64);
        Poll::Ready(Ok(()))
    }

    /// Reads more to judge.
    fn poll_ahead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let old = self.ahead.len();
        if old >= READ_AHEAD_BYTES_MAX {
            return Poll::Pending;
        }
        self.ahead.resize(old + READ_BYTES, 0);
        let mut buffer = ReadBuf::new(&mut self.ahead[old..]);
        let polled = Pin::new(&mut self.inner).poll_read(context, &mut buffer);
        let read = buffer.filled().len();
        self.ahead.truncate(old + read);
        ready!(polled)?;
        self.ended |= read == 0;
        Poll::Ready(Ok(()))
    }

    /// Waits for the rest of a head, and not longer than a head may take.
    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.ahead.is_empty() || !matches!(self.phase, Phase::Head(_)) {
            return Poll::Pending;
        }
        let patience = self
            .patience
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(HEAD_TIME_MAX)));
        ready!(patience.as_mut().poll(context));
        self.refuse(Malformed {
            status: StatusCode::REQUEST_TIMEOUT,
            detail: "the head did not arrive in time",
        });
        Poll::Ready(())
    }

    /// Throws away what comes, at most so many bytes.
    fn poll_discard(&mut self, context: &mut Context<'_>, mut most: usize) -> Poll<usize> {
        let mut scratch = [0; READ_BYTES];
        let mut discarded = 0;
        while most > 0 && !self.ended {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.inner).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    discarded += buffer.filled().len();
                    most = most.saturating_sub(buffer.filled().len());
                }
                Poll::Ready(_) => self.ended = true,
                Poll::Pending if discarded == 0 => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(discarded)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for StrictStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.judged > 0 {
                let some = self.judged.min(buffer.remaining());
                buffer.put_slice(&self.ahead[..some]);
                self.ahead.advance(some);
                self.judged -= some;
                return Poll::Ready(Ok(()));
            }
            if self.ahead.is_empty() && self.straight() > 0 {
                return self.poll_straight(context, buffer);
            }
            if matches!(self.phase, Phase::Refused) {
                // The answer is still to be written: an end now would take it for nothing.
                return Poll::Pending;
            }
            self.judge(context)?;
            if self.judged > 0 {
                continue;
            }
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            match self.poll_ahead(context)? {
                Poll::Ready(()) => {}
                Poll::Pending => ready!(self.poll_patience(context)),
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for StrictStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.farewell {
                Farewell::Done => return Poll::Ready(Ok(())),
                Farewell::Open => {
                    ready!(Pin::new(&mut self.inner).poll_shutdown(context))?;
                    // In a tunnel the other direction goes on.
                    self.farewell = if self.ended || matches!(self.phase, Phase::Tunnel) {
                        Farewell::Done
                    } else {
                        Farewell::Lingering {
                            until: Box::pin(tokio::time::sleep(LINGER_TIME_MAX)),
                            bytes: 0,
                        }
                    };
                }
                Farewell::Lingering { until, bytes } => {
                    let (over, left) = (
                        until.as_mut().poll(context).is_ready(),
                        LINGER_BYTES_MAX.saturating_sub(*bytes),
                    );
                    if over || left == 0 || self.ended {
                        self.farewell = Farewell::Done;
                        continue;
                    }
                    let more = ready!(self.poll_discard(context, left));
                    if let Farewell::Lingering { bytes, .. } = &mut self.farewell {
                        *bytes += more;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
