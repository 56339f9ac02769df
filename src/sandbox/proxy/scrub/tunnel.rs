//! Upgraded connections: bytes both ways until both have ended, those to the agent looked through
//! as they come. It knows no message boundaries.

use std::io;

use bytes::BytesMut;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf,
};

use crate::sandbox::proxy::scrub::body::Search;

/// Bytes read at once.
const PIECE_BYTES: usize = 16 * 1024;

/// Passes bytes between the agent and upstream; returns how many went up and down.
///
/// # Errors
/// When either connection fails.
pub(in crate::sandbox::proxy) async fn pass<A, U>(
    agent: A,
    upstream: U,
    search: Option<&Search>,
) -> io::Result<(u64, u64)>
where
    A: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    let (mut agent, mut upstream) = (agent, upstream);
    let Some(search) = search else {
        return tokio::io::copy_bidirectional(&mut agent, &mut upstream).await;
    };
    let (mut from_agent, to_agent) = tokio::io::split(agent);
    let (from_upstream, mut to_upstream) = tokio::io::split(upstream);
    let up = async {
        let passed = tokio::io::copy(&mut from_agent, &mut to_upstream).await?;
        to_upstream.shutdown().await?;
        Ok(passed)
    };
    tokio::try_join!(up, look_through(from_upstream, to_agent, search))
}

async fn look_through<A: AsyncWrite, U: AsyncRead>(
    mut from: ReadHalf<U>,
    mut to: WriteHalf<A>,
    search: &Search,
) -> io::Result<u64> {
    let (mut scrubbing, mut passed) = (search.begin(), 0);
    loop {
        let mut piece = BytesMut::with_capacity(PIECE_BYTES);
        let ended = from.read_buf(&mut piece).await? == 0;
        let goes = if ended {
            scrubbing.finish()
        } else {
            scrubbing.push(piece.freeze())
        };
        to.write_all(&goes).await?;
        to.flush().await?;
        passed += goes.len() as u64;
        if ended {
            to.shutdown().await?;
            return Ok(passed);
        }
    }
}
