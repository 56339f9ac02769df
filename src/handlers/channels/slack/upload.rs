//! Uploading a file into a thread: an address is asked for, the bytes go there, and then the file is
//! shared (<https://docs.slack.dev/messaging/working-with-files#upload>). It knows nothing of answers.

use serde::Deserialize;
use serde_json::Value;

use crate::handlers::channels::SendOutcome;
use crate::handlers::channels::slack::SlackChannel;
use crate::handlers::channels::slack::outgoing::{Upload, shared};
use crate::handlers::channels::slack::post::not_posted;
use crate::handlers::channels::slack::web::WebError;

/// The attempt at which a file that cannot be brought to Slack is told as failed instead of being
/// tried once more.
const UPLOAD_ATTEMPTS_MAX: u32 = 4;

/// What `files.getUploadURLExternal` answers.
#[derive(Debug, Deserialize)]
struct Place {
    upload_url: String,
    file_id: String,
}

/// What became of a file.
#[derive(Debug)]
pub(super) enum Uploaded {
    /// It is in the thread.
    Whole,
    /// It is not, and its reader is told this.
    Failed(String),
    /// The attempt to send ends here.
    Ended(SendOutcome),
}

impl SlackChannel {
    /// Uploads a file into a thread of a channel; `attempt` is that of its answer.
    pub(super) async fn upload(
        &self,
        (channel, thread): (&str, &str),
        upload: &Upload,
        attempt: u32,
    ) -> Uploaded {
        // Slack takes no file without bytes (`length` must be more than 0).
        if upload.bytes.is_empty() {
            return Uploaded::Failed("it is empty".to_owned());
        }
        let place = match self.hand_over(upload).await {
            Ok(place) => place,
            Err(error) => return not_brought(error, attempt),
        };
        let shared = shared(&place.file_id, &upload.title, (channel, thread));
        let method = "files.completeUploadExternal";
        let completed: Result<Value, WebError> = self.web.post(method, &shared).await;
        match completed {
            Ok(_) => Uploaded::Whole,
            // Whether it is there now will be found out.
            Err(error @ (WebError::Unknown { .. } | WebError::Unreadable { .. })) => {
                Uploaded::Ended(SendOutcome::Unknown {
                    detail: error.to_string(),
                })
            }
            Err(error) => not_brought(error, attempt),
        }
    }

    /// Brings the bytes to Slack, where nobody sees them yet.
    async fn hand_over(&self, upload: &Upload) -> Result<Place, WebError> {
        let length = upload.bytes.len().to_string();
        let arguments = [("filename", upload.name.as_str()), ("length", &length)];
        let method = "files.getUploadURLExternal";
        let place: Place = self.web.get(method, &arguments).await?;
        let url = place.upload_url.as_str();
        self.web.put_bytes(url, &upload.bytes).await?;
        Ok(place)
    }
}

/// What Slack refuses is told; what may pass is tried again, but not for ever.
fn not_brought(error: WebError, attempt: u32) -> Uploaded {
    match error {
        WebError::Refused { error, .. } => Uploaded::Failed(error),
        _ if attempt >= UPLOAD_ATTEMPTS_MAX => Uploaded::Failed(error.to_string()),
        _ => Uploaded::Ended(not_posted(&error)),
    }
}
