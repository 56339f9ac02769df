//! Everything a run needs before it can be planned: the messages' texts, mirror, workspace,
//! allowlist, image, the agent's program. Each step that fails ends in an [`Obstacle`], which is an
//! answer to the sender.

use std::path::PathBuf;

use crate::clock::{self, Stopwatch};
use crate::config::types::Repo;
use crate::events::Event;
use crate::events::conversation::{WorkspaceCloneFailed, WorkspaceCloned};
use crate::events::id::{BlobRef, RunId, StreamId};
use crate::events::log::Append;
use crate::events::repository::{MirrorFetchFailed, MirrorFetched};
use crate::events::run::FileChange;
use crate::events::seal::Owner;
use crate::handlers::effect::Assignment;
use crate::handlers::ports::{EffectError, Ports};
use crate::handlers::tasks::answer::Obstacle;
use crate::handlers::tasks::begin::context_of;
use crate::handlers::tasks::command::{command_of, command_text};
use crate::handlers::tasks::directories::Directories;
use crate::handlers::tasks::prompt::{
    PromptMessage, PromptParts, ScheduleNote, displayed, is_empty,
};
use crate::sandbox::allowlist_file::{self, ALLOWLIST_PATH};
use crate::sandbox::mirrors::{GitError, MirrorHead};
use crate::sandbox::port::{Entrypoint, ImageError, ImageRequest};
use crate::sandbox::proxy::allowlist::Allowlist;
use crate::tasks;

/// Why there is nothing to judge.
#[derive(Debug)]
pub enum Halt {
    /// The sender is told.
    Obstacle(Obstacle),
    /// It is tried again, or the service ends.
    Effect(EffectError),
}

impl From<EffectError> for Halt {
    fn from(error: EffectError) -> Self {
        Self::Effect(error)
    }
}

impl From<Obstacle> for Halt {
    fn from(obstacle: Obstacle) -> Self {
        Self::Obstacle(obstacle)
    }
}

/// The allowlist in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What may be reached.
    pub allowlist: Allowlist,
    /// The file it was read from, kept.
    pub file: BlobRef,
    /// Who gave it this form; nothing when git could not tell.
    pub change: Option<FileChange>,
}

/// Everything a run needs.
#[derive(Debug, Clone)]
pub struct Prepared<'a> {
    /// The repository's configuration.
    pub repo: &'a Repo,
    /// Where the conversation lives.
    pub directories: Directories,
    /// What the prompt is made of.
    pub prompt: PromptParts,
    /// The commit that allowlist and Dockerfile were read from.
    pub commit: String,
    /// The allowlist; nothing when the network sandbox is switched off.
    pub policy: Option<Policy>,
    /// Tag of the image.
    pub image: String,
    /// The agent's program on the host.
    pub agent: PathBuf,
}

/// Prepares the runs of a task; `run` is the first of them, and `entrypoint` what its image starts.
///
/// # Errors
/// [`Halt`] when a step fails.
pub async fn prepare<'a>(
    ports: &'a Ports,
    assignment: &Assignment,
    run: RunId,
    entrypoint: Entrypoint,
) -> Result<Prepared<'a>, Halt> {
    let task = &assignment.task;
    let repo = ports.config.repos.get(&task.repo);
    let repo = repo.ok_or(Obstacle::RepositoryGone)?;
    let directories = Directories::of(&ports.state_dir, &task.repo, task.conversation);
    let prompt = read_messages(ports, assignment, &directories).await?;
    let steps = Steps {
        ports,
        assignment,
        repo,
    };
    let head = steps.fetch_mirror().await?;
    steps.make_workspace(&directories, &head).await?;
    let policy = steps.read_policy(&head).await?;
    let image = steps.make_image(&head, run, entrypoint).await?;
    let agent = ports
        .sandbox
        .agent_binary(repo.claude_version.clone())
        .await;
    Ok(Prepared {
        repo,
        directories,
        prompt,
        commit: head.commit,
        policy,
        image,
        agent: agent.map_err(|error| Obstacle::Agent(error.to_string()))?,
    })
}

async fn read_messages(
    ports: &Ports,
    assignment: &Assignment,
    directories: &Directories,
) -> Result<PromptParts, Halt> {
    let task = &assignment.task;
    let mut messages = vec![];
    for message in &task.messages {
        let body = ports.bodies.get_text(&message.parsed.body).await;
        let mut body = body.map_err(EffectError::from)?;
        if let Some(ended) = command_of(task, message) {
            body = command_text(ports, &body, ended).await?;
        }
        messages.push(PromptMessage {
            sender: displayed(&message.sender, &message.sender_name),
            at: message.received_at,
            body,
        });
    }
    let first = task.messages.first();
    let new = assignment.conversation.replies.is_empty();
    let scheduled = task.schedule.as_ref();
    let subject = first
        .filter(|_| new && scheduled.is_none())
        .map(|first| first.parsed.subject.clone());
    let mut prompt = PromptParts {
        channel: assignment.conversation.channel,
        subject: subject.unwrap_or_default(),
        schedule: scheduled.map(|schedule| ScheduleNote {
            name: schedule.fired.name.clone(),
            to: schedule.fired.to.clone(),
        }),
        messages,
        files: vec![],
        interrupted: task.prompted,
        lost_session: None,
    };
    let sent = sent_files(assignment);
    on_disk(directories, move |directories| {
        directories.make()?;
        directories.clear_outbox(&sent);
        Ok(())
    })
    .await?;
    for file in task.attachments() {
        let file = ports
            .bodies
            .get_file(file)
            .await
            .map_err(EffectError::from)?;
        let put = move |directories: Directories| directories.put_into_inbox(&file);
        prompt.files.push(on_disk(directories, put).await?);
    }
    if is_empty(&prompt) {
        return Err(Obstacle::EmptyMessage.into());
    }
    Ok(prompt)
}

/// Returns what the last answer took from the outbox: the service may have ended before it removed
/// it.
fn sent_files(assignment: &Assignment) -> Vec<String> {
    let last = assignment.conversation.replies.last();
    let sent = last.filter(|_| assignment.task.run.is_none());
    let files = sent.into_iter().flat_map(|(_, reply)| &reply.files);
    files.map(|file| file.name.clone()).collect()
}

/// Works on the directories on a thread that may wait for the disk.
async fn on_disk<T: Send + 'static>(
    directories: &Directories,
    work: impl FnOnce(Directories) -> std::io::Result<T> + Send + 'static,
) -> Result<T, Halt> {
    let directories = directories.clone();
    let worked = tasks::apart(move || work(directories)).await;
    let ended_early = |error: tasks::EndedEarly| std::io::Error::other(error);
    worked.map_err(ended_early).flatten().map_err(workspace)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "map_err hands the error over"
)]
fn workspace(error: std::io::Error) -> Halt {
    Obstacle::Workspace(error.to_string()).into()
}

/// The steps before a run, with what they share.
struct Steps<'a> {
    ports: &'a Ports,
    assignment: &'a Assignment,
    repo: &'a Repo,
}

impl Steps<'_> {
    async fn record(&self, stream: StreamId, event: Event) -> Result<(), EffectError> {
        let context = context_of(&self.assignment.task, clock::now());
        let append = Append::to(&stream, vec![event], context);
        self.ports.append(append).await
    }

    async fn fetch_mirror(&self) -> Result<MirrorHead, Halt> {
        let repo = &self.assignment.task.repo;
        let stopwatch = Stopwatch::start();
        let fetched = self.ports.mirrors.fetch(repo, &self.repo.repo_url).await;
        let event: Event = match &fetched {
            Ok(head) => MirrorFetched {
                repo: repo.clone(),
                branch: head.branch.clone(),
                commit: head.commit.clone(),
                created: head.created,
                duration_ms: stopwatch.elapsed_ms(),
            }
            .into(),
            Err(error) => MirrorFetchFailed {
                repo: repo.clone(),
                error: error.to_string(),
            }
            .into(),
        };
        self.record(StreamId::repository(repo), event).await?;
        fetched.map_err(|error| Obstacle::Mirror(error.to_string()).into())
    }

    async fn make_workspace(
        &self,
        directories: &Directories,
        head: &MirrorHead,
    ) -> Result<(), Halt> {
        let workspace = directories.workspace();
        let known = self.assignment.conversation.workspace.is_some();
        if known && workspace.is_dir() {
            return Ok(());
        }
        let task = &self.assignment.task;
        let stopwatch = Stopwatch::start();
        let mirrors = &self.ports.mirrors;
        let cloned = mirrors
            .clone_workspace(&task.repo, &self.repo.repo_url, &workspace)
            .await;
        let event: Event = match &cloned {
            Ok(_) => WorkspaceCloned {
                conversation: task.conversation,
                branch: head.branch.clone(),
                commit: head.commit.clone(),
                duration_ms: stopwatch.elapsed_ms(),
            }
            .into(),
            Err(error) => WorkspaceCloneFailed {
                conversation: task.conversation,
                error: error.to_string(),
            }
            .into(),
        };
        let stream = StreamId::conversation(task.conversation);
        self.record(stream, event).await?;
        let obstacle = |error: GitError| Obstacle::Workspace(error.to_string());
        cloned.map(|_| ()).map_err(|error| obstacle(error).into())
    }

    async fn read_policy(&self, head: &MirrorHead) -> Result<Option<Policy>, Halt> {
        if !self.repo.network_sandbox {
            return Ok(None);
        }
        let repo = &self.assignment.task.repo;
        let read = self
            .ports
            .mirrors
            .read_file(repo, &head.commit, ALLOWLIST_PATH)
            .await;
        let bytes = read.map_err(|error| Obstacle::Allowlist(error.to_string()))?;
        let allowlist = allowlist_file::parse(&bytes);
        let allowlist = allowlist.map_err(|error| Obstacle::Allowlist(error.to_string()))?;
        let file = self
            .ports
            .bodies
            .put(Owner::Service, bytes, "application/yaml")
            .await;
        Ok(Some(Policy {
            allowlist,
            file: file.map_err(EffectError::from)?,
            change: self.last_change(&head.commit).await,
        }))
    }

    /// Who changed the allowlist last: an auditor asks for it, but no run waits for it in vain.
    async fn last_change(&self, commit: &str) -> Option<FileChange> {
        let repo = &self.assignment.task.repo;
        let mirrors = &self.ports.mirrors;
        match mirrors.last_change(repo, commit, ALLOWLIST_PATH).await {
            Ok(change) => Some(FileChange {
                commit: change.commit,
                author: change.author,
                committed_at: change.committed_at,
            }),
            Err(error) => {
                tracing::warn!(%repo, %error, "git cannot tell who changed the allowlist last");
                None
            }
        }
    }

    async fn make_image(
        &self,
        head: &MirrorHead,
        run: RunId,
        entrypoint: Entrypoint,
    ) -> Result<String, Halt> {
        let repo = &self.assignment.task.repo;
        let path = &self.repo.container_path;
        let read = self
            .ports
            .mirrors
            .read_directory(repo, &head.commit, path)
            .await;
        let mut context = read.map_err(|error| Obstacle::Image(error.to_string()))?;
        let dockerfile = context.iter().position(|(name, _)| name == "Dockerfile");
        let Some(dockerfile) = dockerfile else {
            let missing = format!("{path}/Dockerfile is not in the default branch");
            return Err(Obstacle::Image(missing).into());
        };
        let (_, dockerfile) = context.remove(dockerfile);
        let request = ImageRequest {
            run,
            dockerfile,
            context,
            entrypoint,
        };
        let built = self
            .ports
            .sandbox
            .ensure_image(request, self.ports.recorder(run))
            .await;
        built.map_err(|error| match error {
            ImageError::Engine(_) => Obstacle::Sandbox(error.to_string()).into(),
            ImageError::Build(error) => Obstacle::Image(error).into(),
            ImageError::Record(error) => EffectError::Later(error.to_string()).into(),
        })
    }
}
