//! Listening to Slack for ever: a connection that Slack is going to end is followed by another before
//! it ends, one that is lost is made again, and what was written meanwhile is looked for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::events::channel::{ChannelConnected, ChannelStopped};
use crate::events::event::ChannelEvent;
use crate::events::id::ChannelKind;
use crate::handlers::channels::back_off::{back_off, degraded, guarded};
use crate::handlers::channels::slack::SlackChannel;
use crate::handlers::channels::slack::hear::Hearing;
use crate::handlers::channels::slack::socket::{Hear, Life, Socket};
use crate::handlers::channels::slack::web::WebError;
use crate::handlers::intake::Intake;

/// Greetings that wait at once; of more, some are left away.
const GREETINGS_MAX: usize = 32;

/// How long a connection that Slack is going to end is kept beside the next one, for what is on its
/// way already.
const LEAVING_TIME_MAX: Duration = Duration::from_secs(10);

/// How often the log is read along while Slack is silent, so that no look takes long.
const READ_ALONG_EVERY: Duration = Duration::from_secs(5);

/// Why listening was interrupted; it begins again after a pause.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Slack answers nothing, or refuses.
    #[error(transparent)]
    Web(WebError),
    /// Only an operator can help, and Slack is asked on all the same.
    #[error("{0}; put a valid token into the configuration")]
    Token(WebError),
    /// No connection came about.
    #[error("no connection to Slack came about: {0}")]
    Refused(String),
    /// The connection ended.
    #[error("the connection to Slack was lost: {0}")]
    Lost(String),
    /// A panic, which is a defect; it ends what was being done and nothing more.
    #[error("listening to Slack failed; this is a defect of Airut")]
    Defect,
}

impl From<WebError> for ListenError {
    fn from(error: WebError) -> Self {
        match error.is_about_the_token() {
            true => Self::Token(error),
            false => Self::Web(error),
        }
    }
}

/// The connections that are open: one, and for a while the one before.
struct Sockets {
    current: Socket,
    leaving: Option<Socket>,
}

impl Sockets {
    async fn replace(&mut self, next: Socket) {
        let before = std::mem::replace(&mut self.current, next);
        if let Some(older) = self.leaving.replace(before) {
            older.close().await;
        }
    }

    async fn close(self) {
        self.current.close().await;
        if let Some(leaving) = self.leaving {
            leaving.close().await;
        }
    }
}

impl SlackChannel {
    /// Listens until `stop` is cancelled.
    pub(super) async fn listen_for_ever(
        self: &Arc<Self>,
        intake: &Intake,
        stop: &CancellationToken,
    ) {
        let mut failures = 0;
        while !stop.is_cancelled() {
            let mut was_connected = false;
            let listening = Box::pin(self.listen_once(intake, stop, &mut was_connected));
            let Err(error) = guarded(listening, ListenError::Defect).await else {
                break;
            };
            failures = if was_connected { 1 } else { failures + 1 };
            let pause = back_off(failures, &self.repo, clock::now());
            self.report_degraded(intake, &error, failures, pause).await;
            stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
        let stopped = ChannelStopped {
            repo: self.repo.clone(),
            channel: ChannelKind::Slack,
        };
        self.report(intake, ChannelEvent::Stopped(stopped)).await;
    }

    /// Connects and takes messages in until something fails, or `stop` is cancelled.
    async fn listen_once(
        self: &Arc<Self>,
        intake: &Intake,
        stop: &CancellationToken,
        was_connected: &mut bool,
    ) -> Result<(), ListenError> {
        let Some(own) = stop.run_until_cancelled(self.web.auth_test()).await else {
            return Ok(());
        };
        let (opened, mut greetings) = mpsc::channel(GREETINGS_MAX);
        let hearing = Arc::new(Hearing {
            channel: Arc::clone(self),
            intake: intake.clone(),
            own: own?,
            opened,
        });
        let Some(current) = self.connect(&hearing, stop).await? else {
            return Ok(());
        };
        let connected_at = clock::now();
        *was_connected = true;
        let leaving = None;
        let mut sockets = Sockets { current, leaving };
        let connected = ChannelConnected {
            repo: self.repo.clone(),
            channel: ChannelKind::Slack,
            endpoint: self.web.api_url().to_owned(),
            mode: "socket mode".to_owned(),
        };
        self.report(intake, ChannelEvent::Connected(connected))
            .await;
        let ended = tokio::select! {
            () = stop.cancelled() => Ok(()),
            lost = self.stay_connected(&hearing, &mut sockets, stop) => lost,
            () = self.catch_up(&hearing, connected_at) => Ok(()),
            () = self.greet_all(intake, &mut greetings) => Ok(()),
            () = self.read_along() => Ok(()),
        };
        sockets.close().await;
        ended
    }

    /// Opens a connection and waits until it is ready; nothing when `stop` is cancelled.
    async fn connect(
        &self,
        hearing: &Arc<Hearing>,
        stop: &CancellationToken,
    ) -> Result<Option<Socket>, ListenError> {
        let hearing = Arc::clone(hearing);
        let hear: Hear = Box::new(move |payload| {
            let hearing = Arc::clone(&hearing);
            Box::pin(async move { hearing.hears(&payload).await })
        });
        let opened = Socket::open(&self.web, hear).await;
        let mut socket = opened.map_err(ListenError::Refused)?;
        let why = match stop.run_until_cancelled(socket.ready()).await {
            Some(Ok(())) => return Ok(Some(socket)),
            Some(Err(why)) => why,
            None => {
                socket.close().await;
                return Ok(None);
            }
        };
        socket.close().await;
        // The client does not say why Slack gave it no connection.
        match stop
            .run_until_cancelled(self.web.try_to_open_a_socket())
            .await
        {
            Some(Err(error)) => Err(error.into()),
            Some(Ok(())) | None => Err(ListenError::Refused(why)),
        }
    }

    /// Lets each connection that is going to end be followed by another, until one is lost.
    async fn stay_connected(
        &self,
        hearing: &Arc<Hearing>,
        sockets: &mut Sockets,
        stop: &CancellationToken,
    ) -> Result<(), ListenError> {
        loop {
            let Sockets { current, leaving } = &mut *sockets;
            let life = tokio::select! {
                life = current.until_leaving() => life,
                () = until_left(leaving) => {
                    if let Some(left) = sockets.leaving.take() {
                        left.close().await;
                    }
                    continue;
                }
            };
            let Life::Leaving(why) = life else {
                let why = sockets.current.until_gone().await;
                return Err(ListenError::Lost(why));
            };
            tracing::info!(repo = %self.repo, why, "another connection to Slack is opened");
            match self.connect(hearing, stop).await? {
                Some(next) => sockets.replace(next).await,
                None => return Ok(()),
            }
        }
    }

    async fn read_along(&self) {
        loop {
            tokio::time::sleep(READ_ALONG_EVERY).await;
            self.threads.look(&self.repo, |_| ());
        }
    }

    async fn report_degraded(
        &self,
        intake: &Intake,
        error: &ListenError,
        failures: u32,
        pause: Duration,
    ) {
        tracing::warn!(repo = %self.repo, %error, failures, "Slack is not listened to");
        let degraded = degraded(
            (&self.repo, ChannelKind::Slack),
            error,
            failures,
            (clock::now(), pause),
        );
        self.report(intake, ChannelEvent::Degraded(degraded)).await;
    }

    pub(super) async fn report(&self, intake: &Intake, event: ChannelEvent) {
        if let Err(error) = intake.channel_event(event).await {
            tracing::error!(repo = %self.repo, %error, "the app's state cannot be recorded");
        }
    }
}

/// Waits until the connection before is gone, or has been kept long enough; for ever without one.
async fn until_left(leaving: &mut Option<Socket>) {
    match leaving {
        Some(socket) => {
            let gone = tokio::time::timeout(LEAVING_TIME_MAX, socket.until_gone());
            gone.await.ok();
        }
        None => std::future::pending().await,
    }
}
