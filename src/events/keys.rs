//! The key ring: a file for each owner, beside the bodies, that only the service reads. It knows no
//! body and no event.
//!
//! ```text
//! keys/00/00000000000a   the 32 bytes of a key; empty once it was destroyed
//! ```
//!
//! A key is durable before anything is sealed with it. Of a destroyed one an empty file stays, so
//! that nothing is ever sealed for its owner again, and so that a backup learns of it.

use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

use crate::events::id::Sha256;
use crate::events::seal::{KEY_BYTES, Owner, SealKey};

/// Name of the key ring's directory beside that of the bodies.
pub const DIRECTORY: &str = "keys";

/// Keys that are remembered; beyond that all are forgotten and read again.
const CACHED_MAX: usize = 1024;

/// Why a key could not be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It was destroyed: its conversation was forgotten.
    #[error("the key of {0} was destroyed, because its conversation was forgotten")]
    Destroyed(Owner),
    /// The file holds no key: restore it from a backup.
    #[error("the key file {0} is damaged; restore it from a backup")]
    Damaged(PathBuf),
    /// The disk failed.
    #[error("the key file {path} failed: {error}")]
    Disk {
        /// The file.
        path: PathBuf,
        /// What failed.
        error: std::io::Error,
    },
}

/// A directory of keys.
#[derive(Debug)]
pub struct KeyRing {
    directory: PathBuf,
    written: AtomicU64,
    source: Source,
    // Locked for looking a key up, also while it is read from the disk.
    cached: Mutex<HashMap<Owner, Arc<SealKey>>>,
}

impl KeyRing {
    /// Returns the key ring in a directory, which is made with the first key.
    pub fn of(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            written: AtomicU64::new(0),
            source: Source::Random,
            cached: Mutex::default(),
        }
    }

    /// Returns a key ring whose keys follow from a number: for simulations, in which one seed gives
    /// one log, and for nothing else.
    pub fn of_seed(directory: &Path, seed: u64) -> Self {
        Self {
            source: Source::Seed(seed),
            ..Self::of(directory)
        }
    }

    /// Returns the key ring of a state directory.
    pub fn of_state(state_dir: &Path) -> Self {
        Self::of(&state_dir.join(DIRECTORY))
    }

    /// Returns an owner's key; nothing when it has none, or none any more.
    ///
    /// # Errors
    /// [`KeyError::Damaged`] or [`KeyError::Disk`].
    pub fn get(&self, owner: Owner) -> Result<Option<Arc<SealKey>>, KeyError> {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = cached.get(&owner) {
            return Ok(Some(Arc::clone(key)));
        }
        match self.read(owner)? {
            Found::Key(key) => {
                if cached.len() >= CACHED_MAX {
                    cached.clear();
                }
                let key = Arc::new(key);
                cached.insert(owner, Arc::clone(&key));
                Ok(Some(key))
            }
            Found::Destroyed | Found::Nothing => Ok(None),
        }
    }

    /// Returns an owner's key, which is made when it has none; it is durable then.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn get_or_make(&self, owner: Owner) -> Result<Arc<SealKey>, KeyError> {
        if let Some(key) = self.get(owner)? {
            return Ok(key);
        }
        let bytes = self.new_key(owner)?;
        // Whoever was faster, or destroyed it before, has its way.
        self.put_new(owner, &*bytes)?;
        self.get(owner)?.ok_or(KeyError::Destroyed(owner))
    }

    fn new_key(&self, owner: Owner) -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        match self.source {
            Source::Random => {
                let filled = getrandom::fill(&mut *bytes);
                let failed = |error: getrandom::Error| std::io::Error::other(error.to_string());
                filled.map_err(|error| disk(&self.path(owner))(failed(error)))?;
            }
            Source::Seed(seed) => {
                let owner = owner.to_string();
                *bytes = Sha256::of_parts(&[&seed.to_be_bytes(), owner.as_bytes()]).0;
            }
        }
        Ok(bytes)
    }

    /// Returns whether an owner's key was destroyed.
    ///
    /// # Errors
    /// [`KeyError::Damaged`] or [`KeyError::Disk`].
    pub fn is_destroyed(&self, owner: Owner) -> Result<bool, KeyError> {
        Ok(matches!(self.read(owner)?, Found::Destroyed))
    }

    /// Destroys an owner's key, also one that it has not got yet; durable on return. The bytes are
    /// overwritten first, for what that is worth on the disk at hand.
    ///
    /// # Errors
    /// [`KeyError::Disk`].
    pub fn destroy(&self, owner: Owner) -> Result<(), KeyError> {
        self.let_go(owner);
        let path = self.path(owner);
        self.put_new(owner, &[])?;
        let mut file = OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(disk(&path))?;
        let length = file.metadata().map_err(disk(&path))?.len();
        if length > 0 {
            file.write_all(&[0; KEY_BYTES]).map_err(disk(&path))?;
            file.sync_all().map_err(disk(&path))?;
        }
        file.set_len(0)
            .and_then(|()| file.sync_all())
            .map_err(disk(&path))
    }

    /// Lets go of a key in memory: another key ring of the same directory destroyed it.
    pub fn let_go(&self, owner: Owner) {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        cached.remove(&owner);
    }

    /// Brings this ring up to another: what is there comes here, what was destroyed there is
    /// destroyed here. Returns how many keys came and how many went.
    ///
    /// # Errors
    /// [`KeyError`] when one of the two failed.
    pub fn follow(&self, other: &Self) -> Result<(usize, usize), KeyError> {
        let (mut came, mut went) = (0, 0);
        for path in other.files()? {
            let name = path.file_name().and_then(|name| name.to_str());
            let owner = match name {
                Some("service") => Owner::Service,
                Some(name) => match name.parse() {
                    Ok(task) => Owner::Task(task),
                    // What an interrupted write left.
                    Err(_) => continue,
                },
                None => continue,
            };
            let bytes = Zeroizing::new(std::fs::read(&path).map_err(disk(&path))?);
            let have = self.read(owner)?;
            match (bytes.is_empty(), have) {
                (true, Found::Destroyed) | (false, Found::Key(_) | Found::Destroyed) => {}
                (true, Found::Key(_) | Found::Nothing) => {
                    self.destroy(owner)?;
                    went += 1;
                }
                (false, Found::Nothing) => {
                    self.put_new(owner, &bytes)?;
                    came += 1;
                }
            }
        }
        Ok((came, went))
    }

    fn files(&self) -> Result<Vec<PathBuf>, KeyError> {
        let mut files = Vec::new();
        for directory in entries(&self.directory)? {
            files.extend(entries(&directory)?);
        }
        Ok(files)
    }

    /// Returns where a key lies: 256 directories keep each of them small.
    fn path(&self, owner: Owner) -> PathBuf {
        let name = owner.to_string();
        self.directory.join(&name[..2]).join(name)
    }

    fn read(&self, owner: Owner) -> Result<Found, KeyError> {
        let path = self.path(owner);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(disk(&path)(error)),
        };
        let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_BYTES));
        file.read_to_end(&mut bytes).map_err(disk(&path))?;
        if bytes.is_empty() {
            return Ok(Found::Destroyed);
        }
        match bytes.first_chunk() {
            Some(key) if bytes.len() == KEY_BYTES => Ok(Found::Key(SealKey::new(key))),
            _ => Err(KeyError::Damaged(path)),
        }
    }

    /// Writes a key's file unless there is one; a crash leaves it whole or not at all.
    fn put_new(&self, owner: Owner, bytes: &[u8]) -> Result<(), KeyError> {
        let path = self.path(owner);
        let parent = path.parent().unwrap_or(&self.directory);
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(parent);
        made.map_err(disk(parent))?;
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let new = path.with_extension(format!("new-{}-{number}", std::process::id()));
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).write(true).mode(0o600);
        let written = options.open(&new).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
        let linked = written.and_then(|()| match std::fs::hard_link(&new, &path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            Ok(()) | Err(_) => Ok(()),
        });
        // What is left of it has a name that no key has; the error matters more.
        let removed = std::fs::remove_file(&new);
        linked.and(removed).map_err(disk(&path))?;
        let above = self.directory.parent().unwrap_or(&self.directory);
        for directory in [parent, &self.directory, above] {
            File::open(directory)
                .and_then(|directory| directory.sync_all())
                .map_err(disk(directory))?;
        }
        Ok(())
    }
}

/// Where new keys come from.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// The machine's randomness.
    Random,
    /// A simulation's seed.
    Seed(u64),
}

enum Found {
    Key(SealKey),
    Destroyed,
    Nothing,
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, KeyError> {
    let read = match std::fs::read_dir(directory) {
        Ok(read) => read,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(disk(directory)(error)),
    };
    let paths = read.map(|entry| entry.map(|entry| entry.path()));
    paths.collect::<Result<_, _>>().map_err(disk(directory))
}

fn disk(path: &Path) -> impl FnOnce(std::io::Error) -> KeyError {
    let path = path.to_owned();
    |error| KeyError::Disk { path, error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::id::TaskId;
    use crate::events::seal::{open_text, seal_text};

    const OWNER: Owner = Owner::Task(TaskId(0xa));

    fn mode(path: &Path) -> u32 {
        use std::os::unix::fs::PermissionsExt as _;
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_key_is_made_once_and_nobody_else_may_read_it() {
        let directory = tempfile::TempDir::new().unwrap();
        let ring = KeyRing::of_state(directory.path());
        assert!(ring.get(OWNER).unwrap().is_none());
        let sealed = seal_text(&ring.get_or_make(OWNER).unwrap(), OWNER, "secret");
        let again = KeyRing::of_state(directory.path());
        let key = again.get_or_make(OWNER).unwrap();
        assert_eq!(open_text(&key, OWNER, &sealed).unwrap(), "secret");
        assert_eq!(mode(&again.path(OWNER)), 0o600);
        assert_eq!(mode(&directory.path().join(DIRECTORY)), 0o700);
        assert_eq!(again.files().unwrap(), [again.path(OWNER)]);
    }

    #[test]
    fn a_destroyed_key_is_gone_and_never_made_again() {
        let directory = tempfile::TempDir::new().unwrap();
        let ring = KeyRing::of_state(directory.path());
        ring.get_or_make(OWNER).unwrap();
        for _again in 0..2 {
            ring.destroy(OWNER).unwrap();
            assert!(ring.get(OWNER).unwrap().is_none());
            assert!(ring.is_destroyed(OWNER).unwrap());
            let refused = ring.get_or_make(OWNER);
            assert!(matches!(refused, Err(KeyError::Destroyed(OWNER))));
            assert_eq!(ring.path(OWNER).metadata().unwrap().len(), 0);
        }
    }

    #[test]
    fn a_ring_that_follows_another_gets_its_keys_and_loses_those_that_were_destroyed() {
        let directory = tempfile::TempDir::new().unwrap();
        let ring = KeyRing::of(&directory.path().join("one"));
        let copy = KeyRing::of(&directory.path().join("other"));
        assert_eq!(copy.follow(&ring).unwrap(), (0, 0));
        ring.get_or_make(OWNER).unwrap();
        ring.get_or_make(Owner::Service).unwrap();
        assert_eq!(copy.follow(&ring).unwrap(), (2, 0));
        assert_eq!(copy.follow(&ring).unwrap(), (0, 0));
        ring.destroy(OWNER).unwrap();
        assert_eq!(copy.follow(&ring).unwrap(), (0, 1));
        assert!(copy.get(OWNER).unwrap().is_none());
        assert!(copy.get(Owner::Service).unwrap().is_some());
    }

    #[test]
    fn a_file_that_is_no_key_is_refused() {
        let directory = tempfile::TempDir::new().unwrap();
        let ring = KeyRing::of_state(directory.path());
        ring.get_or_make(OWNER).unwrap();
        ring.let_go(OWNER);
        std::fs::write(ring.path(OWNER), b"short").unwrap();
        assert!(matches!(ring.get(OWNER), Err(KeyError::Damaged(_))));
    }
}
