//! Frozen runs: an agent whose honey surrogate was seen is stopped where it is and kept, so that
//! somebody can look at its files and processes. A mark beside the runs' files says what is kept and
//! until when, so that no sweep removes it and none keeps it for ever.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::clock;
use crate::events::Event;
use crate::events::container::{
    ContainerRemoved, ContainerRole, FrozenRunReleased, FrozenState, ReleaseCause, RunFrozen,
};
use crate::events::id::{AtMs, RunId};
use crate::sandbox::podman_sandbox::PodmanSandbox;
use crate::sandbox::podman_sandbox::names::Names;
use crate::sandbox::port::RunFailure;
use crate::sandbox::recorder::Recorder;

/// How long a frozen run is kept, in milliseconds: three days, over a weekend. From then on the next
/// run or start removes it.
pub const FROZEN_TIME_MS_MAX: u64 = 72 * 60 * 60 * 1000;

/// Frozen runs that are kept at once; a further one takes the place of the oldest.
pub const FROZEN_RUNS_MAX: usize = 4;

/// What is written down of a frozen run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    run: String,
    kept_until_ms: u64,
}

impl PodmanSandbox {
    /// Stops an agent where it is, and takes the proxy with all it knows away from it. What cannot be
    /// paused is killed, and kept all the same.
    pub(super) async fn freeze(
        &self,
        run: RunId,
        names: &Names,
        why: String,
        recorder: &dyn Recorder,
    ) -> Result<(), RunFailure> {
        let state = match self.podman().pause(&names.agent).await {
            Ok(()) => FrozenState::Paused,
            Err(error) => {
                tracing::warn!(%run, %error, "the agent cannot be paused; it is killed and kept");
                self.podman().kill(&names.agent, "SIGKILL").await?;
                FrozenState::Killed
            }
        };
        let kept_until_ms = clock::now_ms() + FROZEN_TIME_MS_MAX;
        let mark = Mark {
            run: run.to_string(),
            kept_until_ms,
        };
        if let Err(error) = self.write_mark(names, &mark).await {
            let place = self.marks().display().to_string();
            return Err(RunFailure::Setup(format!("{place}: {error}")));
        }
        let frozen = RunFrozen {
            run,
            container: names.agent.clone(),
            state,
            why,
            kept_until: AtMs(kept_until_ms),
        };
        recorder.record(vec![frozen.into()]).await?;
        if self.podman().remove_container(&names.proxy).await? {
            let role = ContainerRole::Proxy;
            let removed = ContainerRemoved { run, role };
            recorder.record(vec![removed.into()]).await?;
        }
        Ok(())
    }

    /// Returns whether a run is kept.
    pub(super) fn is_frozen(&self, run: RunId) -> bool {
        let names = Names::of(&self.settings.instance, run);
        self.marks().join(names.directory).exists()
    }

    /// Removes what is kept no longer: what is too old or too much, and what somebody removed.
    pub(super) async fn release_due(&self, recorder: &dyn Recorder) {
        let mut marks = self.read_marks().await;
        marks.sort_by_key(|(_, until_ms)| std::cmp::Reverse(*until_ms));
        for (place, (run, kept_until_ms)) in marks.into_iter().enumerate() {
            let names = Names::of(&self.settings.instance, run);
            let facts = self.podman().inspect_container(&names.agent).await;
            let cause = match facts {
                Err(error) if error.is_not_found() => ReleaseCause::Removed,
                Ok(_) | Err(_) if kept_until_ms <= clock::now_ms() => ReleaseCause::Time,
                Ok(_) | Err(_) if place >= FROZEN_RUNS_MAX => ReleaseCause::Number,
                Ok(_) | Err(_) => continue,
            };
            if let Err(error) = self.release(run, cause, recorder).await {
                tracing::warn!(%run, %error, "a frozen run stays");
            }
        }
    }

    /// Lets a run go. One without a mark is there no longer: somebody was faster, or the machine was
    /// started again.
    pub(super) async fn release(
        &self,
        run: RunId,
        cause: ReleaseCause,
        recorder: &dyn Recorder,
    ) -> Result<(), RunFailure> {
        let _one_at_a_time = self.releasing.lock().await;
        let cause = match self.is_frozen(run) {
            true => cause,
            false => ReleaseCause::Removed,
        };
        let released: Event = FrozenRunReleased { run, cause }.into();
        recorder.record(vec![released]).await?;
        // Without its mark it is a left-over like any other.
        let names = Names::of(&self.settings.instance, run);
        let _not_there = tokio::fs::remove_file(self.marks().join(&names.directory)).await;
        self.note_left_over(run);
        self.remove_left_overs(recorder).await;
        Ok(())
    }

    fn marks(&self) -> PathBuf {
        self.settings.runtime_dir.join("frozen")
    }

    async fn write_mark(&self, names: &Names, mark: &Mark) -> std::io::Result<()> {
        let marks = self.marks();
        tokio::fs::create_dir_all(&marks).await?;
        let text = serde_json::to_vec(mark).map_err(std::io::Error::other)?;
        tokio::fs::write(marks.join(&names.directory), text).await
    }

    /// Returns what is kept; a mark that does not read counts as due.
    async fn read_marks(&self) -> Vec<(RunId, u64)> {
        let mut marks = Vec::new();
        let Ok(mut entries) = tokio::fs::read_dir(self.marks()).await else {
            return marks;
        };
        while let Ok(Some(entry)) = entries.next_entry().await {
            let text = tokio::fs::read(entry.path()).await.unwrap_or_default();
            let mark = serde_json::from_slice::<Mark>(&text).ok();
            let read = mark.and_then(|mark| Some((mark.run.parse().ok()?, mark.kept_until_ms)));
            match read {
                Some(mark) => marks.push(mark),
                // It protects nothing that could be named: the next sweep removes what it meant.
                None => drop(tokio::fs::remove_file(entry.path()).await),
            }
        }
        marks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::podman_sandbox::testing::{Answer, FakePodman, Kept};

    fn run(number: u64) -> RunId {
        crate::events::id::TaskId(number).run(1)
    }

    async fn keep(sandbox: &PodmanSandbox, run: RunId, kept_until_ms: u64) {
        let names = Names::of("i", run);
        let mark = Mark {
            run: run.to_string(),
            kept_until_ms,
        };
        sandbox.write_mark(&names, &mark).await.unwrap();
    }

    fn causes(kept: &Kept) -> Vec<(RunId, String)> {
        let events = kept.events();
        let released = events.iter().filter_map(|event| match event {
            Event::Container(crate::events::event::ContainerEvent::FrozenRunReleased(released)) => {
                Some((released.run, format!("{:?}", released.cause)))
            }
            _ => None,
        });
        released.collect()
    }

    #[tokio::test]
    async fn a_frozen_run_is_kept_until_its_time_is_over() {
        let (podman, kept) = (FakePodman::start(), Kept::default());
        let sandbox = podman.sandbox();
        let now = clock::now_ms();
        keep(&sandbox, run(1), now - 1).await;
        keep(&sandbox, run(2), now).await;
        keep(&sandbox, run(3), now + 60_000).await;
        sandbox.remove_all_of(run(3), &kept).await.unwrap();
        assert!(kept.events().is_empty(), "a kept run is not removed");
        sandbox.release_due(&kept).await;
        let mut causes = causes(&kept);
        causes.sort();
        let time = |number| (run(number), "Time".to_owned());
        assert_eq!(causes, [time(1), time(2)]);
        assert!(sandbox.is_frozen(run(3)) && !sandbox.is_frozen(run(1)));
    }

    #[tokio::test]
    async fn a_further_frozen_run_takes_the_place_of_the_oldest() {
        let (podman, kept) = (FakePodman::start(), Kept::default());
        let sandbox = podman.sandbox();
        let now = clock::now_ms();
        let most = FROZEN_RUNS_MAX as u64;
        for number in 1..most {
            keep(&sandbox, run(number), now + 60_000 + number).await;
        }
        sandbox.release_due(&kept).await;
        keep(&sandbox, run(most), now + 60_000 + most).await;
        sandbox.release_due(&kept).await;
        assert!(causes(&kept).is_empty());
        keep(&sandbox, run(most + 1), now + 60_001 + most).await;
        sandbox.release_due(&kept).await;
        assert_eq!(causes(&kept), [(run(1), "Number".to_owned())]);
    }

    #[tokio::test]
    async fn a_frozen_run_whose_container_was_removed_is_released() {
        let (podman, kept) = (FakePodman::start(), Kept::default());
        let sandbox = podman.sandbox();
        keep(&sandbox, run(1), clock::now_ms() + 60_000).await;
        let name = Names::of("i", run(1)).agent;
        podman.answers(&format!("{name}/json"), Answer::Status(404));
        sandbox.release_due(&kept).await;
        assert_eq!(causes(&kept), [(run(1), "Removed".to_owned())]);
        assert!(!sandbox.is_frozen(run(1)));
    }

    #[tokio::test]
    async fn a_frozen_run_is_let_go_on_request_and_one_that_is_not_there_is_recorded_as_gone() {
        let (podman, kept) = (FakePodman::start(), Kept::default());
        let sandbox = podman.sandbox();
        keep(&sandbox, run(1), clock::now_ms() + 60_000).await;
        for number in [1, 2] {
            let cause = ReleaseCause::Requested;
            sandbox.release(run(number), cause, &kept).await.unwrap();
        }
        let told = [
            (run(1), "Requested".to_owned()),
            (run(2), "Removed".to_owned()),
        ];
        assert_eq!(causes(&kept), told);
        assert!(!sandbox.is_frozen(run(1)));
    }

    #[tokio::test]
    async fn what_cannot_be_paused_is_killed_and_kept() {
        let (podman, kept) = (FakePodman::start(), Kept::default());
        let sandbox = podman.sandbox();
        podman.answers("/pause", Answer::Status(500));
        let names = Names::of("i", run(1));
        let why = "the header x".to_owned();
        sandbox.freeze(run(1), &names, why, &kept).await.unwrap();
        assert_eq!(kept.names(), ["RunFrozen", "ContainerRemoved"]);
        podman.was_asked("kill?signal=SIGKILL").await;
        assert!(sandbox.is_frozen(run(1)));
    }
}
