//! Whose a run is: a lock that the kernel takes from a process when it ends, however it ends. So a
//! later process knows which containers and networks nobody owns any more, and never takes those of
//! one that lives. It knows no run.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::sandbox::podman::PodmanService;
use crate::sandbox::podman_sandbox::PodmanSandbox;
use crate::service::assemble::make_private;
use crate::service::command_run::journal::Unwatched;
use crate::service::command_run::{CommandError, random};

/// Dead owners that one start sweeps; the rest is for the next one.
const DEAD_SWEPT_MAX: usize = 16;

/// Longest path of a runtime directory that is read back, in bytes; a longer one counts as none.
const PATH_BYTES_MAX: u64 = 4096;

/// A claim to everything that is labelled with an instance.
#[derive(Debug)]
pub(super) struct Owner {
    instance: String,
    runtime_dir: PathBuf,
    file: PathBuf,
    // Locked as long as it is open.
    _lock: File,
}

impl Owner {
    /// Claims an instance that nobody has, with a runtime directory of its own.
    pub(super) fn claim(state_dir: &Path, runtime_dir: &Path) -> Result<Self, CommandError> {
        let mut id = [0; 4];
        random(&mut id)?;
        let id = hex::encode(id);
        let owners = owners_dir(state_dir);
        let runtime_dir = runtime_dir.join("sandbox").join(&id);
        for directory in [&owners, &runtime_dir] {
            make_private(directory).map_err(|error| CommandError::Disk {
                path: directory.clone(),
                error: std::io::Error::other(error.to_string()),
            })?;
        }
        let file = owners.join(&id);
        let lock = locked(&file, &runtime_dir).map_err(|error| CommandError::Disk {
            path: file.clone(),
            error,
        })?;
        Ok(Self {
            instance: instance(&id),
            runtime_dir,
            file,
            _lock: lock,
        })
    }

    /// Returns what tells its containers from others.
    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    /// Returns its runtime directory.
    pub(super) fn runtime_dir(&self) -> &Path {
        &self.runtime_dir
    }

    /// Gives it up once nothing of it is left.
    pub(super) fn release(self) {
        forget(&self.runtime_dir, &self.file);
    }
}

fn owners_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("sandbox/owners")
}

fn instance(id: &str) -> String {
    format!("cli-{id}")
}

/// The file gets its name when it is locked and whole, so whoever finds it unlocked finds a dead one.
fn locked(file: &Path, runtime_dir: &Path) -> std::io::Result<File> {
    let new = file.with_extension("new");
    let mut options = OpenOptions::new();
    let mut lock = options
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&new)?;
    lock.try_lock()?;
    lock.write_all(runtime_dir.as_os_str().as_bytes())?;
    lock.sync_all()?;
    std::fs::rename(new, file)?;
    Ok(lock)
}

fn forget(runtime_dir: &Path, file: &Path) {
    // What stays is found by the next sweep.
    let _not_there = std::fs::remove_dir_all(runtime_dir);
    let _not_there = std::fs::remove_file(file);
}

/// Removes what owners left that are no more; what cannot be removed is left to the next start.
pub(super) async fn sweep_dead(state_dir: &Path, sandbox: &PodmanSandbox) {
    for dead in dead(state_dir) {
        let Dead {
            id,
            runtime_dir,
            file,
            ..
        } = &dead;
        // It may be about to make something.
        PodmanService::end_left_over(runtime_dir).await;
        match sandbox.sweep_instance(&instance(id), &Unwatched).await {
            Ok(()) => forget(runtime_dir, file),
            Err(error) => tracing::warn!(id, %error, "what a killed run left is not removed yet"),
        }
    }
}

/// An owner that is no more; locked, so that no other process sweeps it too.
struct Dead {
    id: String,
    runtime_dir: PathBuf,
    file: PathBuf,
    _lock: File,
}

fn dead(state_dir: &Path) -> Vec<Dead> {
    let entries = std::fs::read_dir(owners_dir(state_dir));
    let files = entries.into_iter().flatten().flatten().map(|e| e.path());
    files.filter_map(dead_at).take(DEAD_SWEPT_MAX).collect()
}

fn dead_at(file: PathBuf) -> Option<Dead> {
    let id = file.file_name()?.to_str()?.to_owned();
    // One without its name yet is being made.
    if id.contains('.') {
        return None;
    }
    let lock = File::open(&file).ok()?;
    lock.try_lock().ok()?;
    let mut path = Vec::new();
    (&lock).take(PATH_BYTES_MAX).read_to_end(&mut path).ok()?;
    let runtime_dir = PathBuf::from(std::ffi::OsString::from_vec(path));
    // Nothing else is ever removed, whatever the file says.
    let is_ours = runtime_dir.ends_with(Path::new("sandbox").join(&id));
    is_ours.then_some(Dead {
        id,
        runtime_dir,
        file,
        _lock: lock,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_dead_once_its_process_lets_go_and_never_before() {
        let home = tempfile::tempdir().unwrap();
        let (state, runtime) = (home.path().join("state"), home.path().join("run"));
        let one = Owner::claim(&state, &runtime).unwrap();
        let other = Owner::claim(&state, &runtime).unwrap();
        assert_ne!(one.instance(), other.instance());
        assert!(dead(&state).is_empty());
        let (instance_of_one, directory) = (one.instance.clone(), one.runtime_dir.clone());
        // As when it is killed: the lock goes, the files stay.
        drop(one);
        let found = dead(&state);
        let ids: Vec<String> = found.iter().map(|dead| instance(&dead.id)).collect();
        assert_eq!(ids, [instance_of_one]);
        assert_eq!(found[0].runtime_dir, directory);
        assert!(dead(&state).is_empty(), "it is swept by one process only");
        other.release();
        assert_eq!(std::fs::read_dir(owners_dir(&state)).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_names_another_directory_leads_to_no_removal() {
        let home = tempfile::tempdir().unwrap();
        let owners = owners_dir(home.path());
        std::fs::create_dir_all(&owners).unwrap();
        std::fs::write(owners.join("0a0a0a0a"), b"/etc").unwrap();
        std::fs::write(owners.join("0b0b0b0b.new"), b"").unwrap();
        assert!(dead(home.path()).is_empty());
    }
}
