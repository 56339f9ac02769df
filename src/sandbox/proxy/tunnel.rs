//! Two upgraded connections as one: bytes pass both ways, counted, and not for ever in silence; those
//! to the agent are looked through as they come. It knows no message boundaries.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::sandbox::proxy::scrub::Scrubbing;
use crate::sandbox::proxy::scrub::body::Search;

/// Bytes that wait in each direction; further ones wait with whoever sends them.
const PASSING_BYTES_MAX: usize = 16 * 1024;

/// Passes bytes until both sides are done; returns whether they were, rather than broken off or silent
/// for `idle_time_max`. The counters hold what has passed, however it ends.
pub(super) async fn pass<D, U>(
    down: D,
    up: U,
    search: Option<&Search>,
    (bytes_up, bytes_down): (&AtomicU64, &AtomicU64),
    idle_time_max: Duration,
) -> bool
where
    D: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    let (down_reader, down_writer) = tokio::io::split(down);
    let (up_reader, up_writer) = tokio::io::split(up);
    let both = async {
        tokio::try_join!(
            one_way(down_reader, up_writer, None, bytes_up),
            one_way(
                up_reader,
                down_writer,
                search.map(Search::begin),
                bytes_down
            ),
        )
    };
    let silence = async {
        let passed = || bytes_up.load(Ordering::Relaxed) + bytes_down.load(Ordering::Relaxed);
        let mut before = passed();
        loop {
            tokio::time::sleep(idle_time_max).await;
            let now = passed();
            if now == before {
                return;
            }
            before = now;
        }
    };
    tokio::select! {
        ended = both => ended.is_ok(),
        () = silence => false,
    }
}

async fn one_way(
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    mut scrubbing: Option<Scrubbing>,
    bytes: &AtomicU64,
) -> io::Result<()> {
    let mut buffer = vec![0; PASSING_BYTES_MAX];
    loop {
        let read = reader.read(&mut buffer).await?;
        match &mut scrubbing {
            None => writer.write_all(&buffer[..read]).await?,
            Some(scrubbing) if read == 0 => writer.write_all(&scrubbing.finish()).await?,
            Some(scrubbing) => {
                let piece = Bytes::copy_from_slice(&buffer[..read]);
                writer.write_all(&scrubbing.push(piece)).await?;
            }
        }
        if read == 0 {
            return writer.shutdown().await;
        }
        writer.flush().await?;
        bytes.fetch_add(read as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::BufStream;

    use super::*;

    const IDLE: Duration = Duration::from_secs(900);

    #[tokio::test(start_paused = true)]
    async fn a_silent_tunnel_is_closed_and_one_that_speaks_in_time_is_not() {
        let (mut agent, down) = tokio::io::duplex(64);
        let (mut origin, up) = tokio::io::duplex(64);
        let (bytes_up, bytes_down) = (AtomicU64::new(0), AtomicU64::new(0));
        let began = tokio::time::Instant::now();
        let passing = pass(down, up, None, (&bytes_up, &bytes_down), IDLE);
        let speaking = async {
            for _ in 0..3 {
                tokio::time::sleep(IDLE - Duration::from_secs(1)).await;
                agent.write_all(b"ping").await.unwrap();
                origin.read_exact(&mut [0; 4]).await.unwrap();
            }
            origin.write_all(b"pong!").await.unwrap();
            agent.read_exact(&mut [0; 5]).await.unwrap();
        };
        let (complete, ()) = tokio::join!(passing, speaking);
        assert!(!complete, "nobody hung up");
        assert!(began.elapsed() > IDLE * 3, "{:?}", began.elapsed());
        assert!(began.elapsed() <= IDLE * 5, "{:?}", began.elapsed());
        assert_eq!((bytes_up.into_inner(), bytes_down.into_inner()), (12, 5));
    }

    #[tokio::test]
    async fn an_end_on_one_side_is_handed_on_and_the_other_side_may_finish() {
        let (mut agent, down) = tokio::io::duplex(64);
        let (mut origin, up) = tokio::io::duplex(64);
        let (bytes_up, bytes_down) = (AtomicU64::new(0), AtomicU64::new(0));
        let passing = pass(down, up, None, (&bytes_up, &bytes_down), IDLE);
        let speaking = async {
            agent.write_all(b"last").await.unwrap();
            agent.shutdown().await.unwrap();
            let mut said = String::new();
            origin.read_to_string(&mut said).await.unwrap();
            origin.write_all(b"answer").await.unwrap();
            drop(origin);
            let mut answer = String::new();
            agent.read_to_string(&mut answer).await.unwrap();
            (said, answer)
        };
        let (complete, (said, answer)) = tokio::join!(passing, speaking);
        assert!(complete);
        assert_eq!((said.as_str(), answer.as_str()), ("last", "answer"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_piece_leaves_before_the_next_one_is_awaited() {
        // As TLS does, these keep what is written until they are flushed.
        let (mut agent, down) = tokio::io::duplex(64);
        let (mut origin, up) = tokio::io::duplex(64);
        let (down, up) = (BufStream::new(down), BufStream::new(up));
        let (bytes_up, bytes_down) = (AtomicU64::new(0), AtomicU64::new(0));
        let passing = pass(down, up, None, (&bytes_up, &bytes_down), IDLE);
        let speaking = async {
            agent.write_all(b"ping").await.unwrap();
            origin.read_exact(&mut [0; 4]).await.unwrap();
            origin.write_all(b"pong").await.unwrap();
            agent.read_exact(&mut [0; 4]).await.unwrap();
        };
        tokio::select! {
            _ = passing => panic!("the tunnel was silent, since a piece was kept"),
            () = speaking => {}
        }
    }
}
