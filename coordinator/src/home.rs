//! The folder `.mayfly`: what the local cloud and the embedded store keep on this machine.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use mayfly_proto::RunId;
use serde::{Deserialize, Serialize};

/// Bucket of the embedded store.
pub const BUCKET: &str = "mayfly";

/// File that is locked, in the folder of a run.
const LOCK: &str = "coordinator.lock";

/// File with the token of people.
pub(crate) const PEOPLE_TOKEN: &str = "people.token";

/// `.mayfly`, made on first use.
#[derive(Debug, Clone)]
pub struct Home(PathBuf);

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{what} {path}; choose another folder with --home or MAYFLY_HOME")]
pub struct HomeError {
    what: &'static str,
    path: String,
    #[source]
    source: io::Error,
}

/// Keys of the embedded store, made once and kept. No `Debug`: one is a secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct Keys {
    /// Access key id.
    pub access_key: String,
    /// Secret access key.
    pub secret_key: String,
}

/// Held by the coordinator of a run for as long as it lives; the system lets go of it when the process dies.
#[derive(Debug)]
pub struct RunLock(#[expect(dead_code, reason = "the lock lives as long as the file is open")] File);

fn fail<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> HomeError + 'a {
    move |source| HomeError {
        what,
        path: path.display().to_string(),
        source,
    }
}

fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file that only its owner may read, whole or not at all.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o400))
        .tempfile_in(parent)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

impl Home {
    /// Opens the folder, making it (mode 0700, ignored by Git) where it is missing.
    ///
    /// # Errors
    /// It cannot be made or written.
    pub fn open(path: &Path) -> Result<Self, HomeError> {
        private_dir(path).map_err(fail("cannot make", path))?;
        let path = path.canonicalize().map_err(fail("cannot open", path))?;
        let home = Self(path);
        for folder in [home.store(), home.nodes()] {
            private_dir(&folder).map_err(fail("cannot make", &folder))?;
        }
        let ignore = home.0.join(".gitignore");
        if !ignore.exists() {
            std::fs::write(&ignore, "*\n").map_err(fail("cannot write", &ignore))?;
        }
        Ok(home)
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Root of the embedded store; each bucket is a folder in it.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.0.join("store")
    }

    /// Folders of the nodes of all runs.
    #[must_use]
    pub fn nodes(&self) -> PathBuf {
        self.0.join("nodes")
    }

    /// Folders of the nodes of one run.
    #[must_use]
    pub fn run(&self, run: &RunId) -> PathBuf {
        self.nodes().join(run.as_str())
    }

    /// Where the coordinator of a run says how it is reached (mode 0400).
    #[must_use]
    pub fn control(&self, run: &RunId) -> PathBuf {
        self.run(run).join("coordinator.json")
    }

    /// The request that made a run, secrets included (mode 0400), for the coordinator that takes it over.
    #[must_use]
    pub fn request(&self, run: &RunId) -> PathBuf {
        self.run(run).join("request.json")
    }

    /// Runs that have a folder here: those that are open, and some whose folder holds what is nowhere else.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn runs(&self) -> Result<Vec<RunId>, HomeError> {
        let folder = self.nodes();
        let entries = std::fs::read_dir(&folder).map_err(fail("cannot read", &folder))?;
        let names = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Ok(names.collect())
    }

    /// The keys of the embedded store, made on first use.
    ///
    /// # Errors
    /// They cannot be read or written.
    pub fn keys(&self) -> Result<Keys, HomeError> {
        let path = self.0.join("keys.json");
        let bytes = made_once(&path, || {
            let keys = Keys {
                access_key: format!("MAYFLY{}", random_base32(10)?),
                secret_key: random_base32(25)?,
            };
            serde_json::to_vec(&keys).map_err(io::Error::other)
        });
        let keys = bytes.and_then(|bytes| serde_json::from_slice(&bytes).map_err(io::Error::other));
        keys.map_err(fail("cannot read or write the store's keys in", &path))
    }

    /// A secret of one line in a file of this name (mode 0400), made on first use; it may be replaced by hand.
    ///
    /// # Errors
    /// It cannot be read or written, or is no secret: less than 20 characters, or not plain ASCII.
    pub fn secret(&self, name: &str, make: impl FnOnce() -> io::Result<String>) -> Result<String, HomeError> {
        let path = self.0.join(name);
        let bytes = made_once(&path, || make().map(String::into_bytes));
        let secret = bytes.and_then(|bytes| one_line(&bytes));
        secret.map_err(fail("cannot read or write the secret in", &path))
    }

    /// The token of people (mode 0400), for the administrator to hand on.
    #[must_use]
    pub fn people_token(&self) -> PathBuf {
        self.0.join(PEOPLE_TOKEN)
    }

    /// A private file (mode 0400) of this name that is made on first use.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn kept(&self, name: &str, make: impl FnOnce() -> io::Result<Vec<u8>>) -> Result<Vec<u8>, HomeError> {
        let path = self.0.join(name);
        made_once(&path, make).map_err(fail("cannot read or write", &path))
    }

    /// Writes a file of this folder that only its owner may read, whole or not at all.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(path: &Path, bytes: &[u8]) -> Result<(), HomeError> {
        write_private(path, bytes).map_err(fail("cannot write", path))
    }

    /// Takes the lock of a run; `None` when another process holds it, that is: its coordinator lives.
    ///
    /// # Errors
    /// The lock's file cannot be made.
    pub fn lock(&self, run: &RunId) -> Result<Option<RunLock>, HomeError> {
        let folder = self.run(run);
        private_dir(&folder).map_err(fail("cannot make", &folder))?;
        let path = folder.join(LOCK);
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path);
        let file = file.map_err(fail("cannot open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(RunLock(file))),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(source)) => Err(fail("cannot lock", &path)(source)),
        }
    }

    /// Gives the lock of a run back that did not come to be, with the folder, unless that holds anything else.
    pub fn unlock(&self, run: &RunId, held: RunLock) {
        let folder = self.run(run);
        // What stays is an empty file.
        let _gone = std::fs::remove_file(folder.join(LOCK)).and_then(|()| std::fs::remove_dir(&folder));
        drop(held);
    }
}

/// Two first commands at once must agree: the file is linked into place, and the loser reads the winner's.
fn made_once(path: &Path, make: impl FnOnce() -> io::Result<Vec<u8>>) -> io::Result<Vec<u8>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        read => return read,
    }
    let bytes = make()?;
    let draft = path.with_extension(random_base32(5)?);
    write_private(&draft, &bytes)?;
    let linked = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => std::fs::read(path),
        Err(error) => Err(error),
        Ok(()) => Ok(bytes),
    }
}

/// What a file with one secret says.
fn one_line(bytes: &[u8]) -> io::Result<String> {
    let text = std::str::from_utf8(bytes).unwrap_or_default().trim_end();
    if text.len() < 20 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let wrong =
            "it is no secret: write one line of 20 or more letters and digits, or remove it for a new one";
        return Err(io::Error::new(io::ErrorKind::InvalidData, wrong));
    }
    Ok(text.to_owned())
}

/// `bytes` random bytes as text; 5 bytes are 8 characters.
///
/// # Errors
/// The system gives no random bytes.
pub fn random_base32(bytes: usize) -> io::Result<String> {
    let mut buffer = vec![0; bytes];
    getrandom::fill(&mut buffer).map_err(io::Error::other)?;
    Ok(data_encoding::BASE32_NOPAD.encode(&buffer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_and_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(&dir.path().join(".mayfly")).unwrap();
        let first = home.keys().unwrap();
        assert_eq!(first.secret_key, home.keys().unwrap().secret_key);
        let mode = home
            .path()
            .join("keys.json")
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o400);
    }

    #[test]
    fn what_is_no_secret_is_not_taken_for_one() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        for bad in [
            &b""[..],
            b"\n",
            b"short",
            b"two lines of\na secret that is long",
            b"\xff".repeat(30).as_slice(),
        ] {
            std::fs::write(dir.path().join("a.token"), bad).unwrap();
            let error = home.secret("a.token", || Ok(String::new())).unwrap_err();
            assert!(error.to_string().contains("a.token"), "{error}");
        }
        std::fs::write(dir.path().join("a.token"), "chosen-by-a-person-1234\n").unwrap();
        let secret = home.secret("a.token", || Ok(String::new())).unwrap();
        assert_eq!(secret, "chosen-by-a-person-1234");
    }

    #[test]
    fn the_lock_of_a_run_is_held_once() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        let run: RunId = "iris-abcdefgh".parse().unwrap();
        let held = home.lock(&run).unwrap();
        assert!(held.is_some());
        assert!(home.lock(&run).unwrap().is_none());
        drop(held);
        let held = home.lock(&run).unwrap().unwrap();
        home.unlock(&run, held);
        assert!(!home.run(&run).exists());
        let held = home.lock(&run).unwrap().unwrap();
        std::fs::write(home.run(&run).join("kept"), "").unwrap();
        home.unlock(&run, held);
        assert!(home.run(&run).join("kept").exists());
        assert!(home.lock(&run).unwrap().is_some());
    }
}
