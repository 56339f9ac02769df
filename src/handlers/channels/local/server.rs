//! The daemon's socket: accepts connections of permitted users and answers their requests. It runs
//! no task; it hands messages in and reads the log.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::codec::{Framed, LengthDelimitedCodec};
use tokio_util::sync::CancellationToken;

use crate::handlers::channels::local::Desk;
use crate::handlers::channels::local::peer::Peer;
use crate::handlers::channels::local::protocol::{FRAME_BYTES_MAX, Request, Response};
use crate::handlers::intake::Intake;
use crate::tasks::TaskSet;

/// Connections at once; a further client waits until one ends.
pub const CONNECTIONS_MAX: usize = 64;
/// How long a connection may take to end once the daemon stops.
const CLOSING_MAX: Duration = Duration::from_millis(800);

/// A connection as frames.
pub type Frames = Framed<UnixStream, LengthDelimitedCodec>;

/// Returns a connection's frames.
pub fn frames(stream: UnixStream) -> Frames {
    let codec = LengthDelimitedCodec::builder()
        .max_frame_length(FRAME_BYTES_MAX)
        .new_codec();
    Framed::new(stream, codec)
}

/// Makes the socket, for our user only; a socket that a dead daemon left is replaced.
///
/// # Errors
/// Any error of the file system or the kernel.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
        fs::set_permissions(dir, Permissions::from_mode(0o700))?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves until `stop` is cancelled.
pub async fn serve(
    listener: UnixListener,
    desk: Arc<Desk>,
    intake: Intake,
    stop: CancellationToken,
) {
    let connections = TaskSet::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            break;
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, most likely: let others end first.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (desk, intake, stop) = (Arc::clone(&desk), intake.clone(), stop.clone());
        drop(connections.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                ended = converse(stream, &desk, &intake) => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a local connection ended");
                    }
                }
            }
            drop(place);
        }));
    }
    connections.stop(CLOSING_MAX).await;
}

async fn converse(stream: UnixStream, desk: &Desk, intake: &Intake) -> io::Result<()> {
    let peer = Peer::of(&stream);
    let mut frames = frames(stream);
    let peer = match peer {
        Ok(peer) => peer,
        Err(error) => return answer(&mut frames, &refused(error.to_string())).await,
    };
    while let Some(frame) = frames.next().await {
        match serde_json::from_slice::<Request>(&frame?) {
            Ok(request) => desk.answer(request, &peer, intake, &mut frames).await?,
            Err(error) => {
                let words = format!("the request cannot be read (is airut up to date?): {error}");
                answer(&mut frames, &refused(words)).await?;
            }
        }
    }
    Ok(())
}

/// Sends one answer.
///
/// # Errors
/// Any error of the connection.
pub async fn answer(frames: &mut Frames, response: &Response) -> io::Result<()> {
    frames
        .send(Bytes::from(serde_json::to_vec(response)?))
        .await
}

/// Returns the answer to what cannot be done.
pub fn refused(error: String) -> Response {
    Response::Refused { error }
}
