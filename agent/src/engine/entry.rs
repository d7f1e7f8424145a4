//! Where the job runs and what it is: both inside the clone once every link is followed.

use std::path::{Path, PathBuf};

use mayfly_proto::engine::SESSION;

use super::Job;
use crate::prepare::PrepareError;

/// The folder to run in and the entry; no entry where a command line runs.
pub(super) fn locate(job: &Job) -> Result<(PathBuf, Option<PathBuf>), PrepareError> {
    let root = job
        .code
        .canonicalize()
        .map_err(|error| PrepareError::infra(format!("read the clone: {error}")))?;
    let folder = inside(&root, &root.join(&job.path), "path", &job.path)?;
    if !folder.is_dir() {
        return Err(PrepareError::job(format!(
            "path {:?} is not a folder of the repository",
            job.path
        )));
    }
    if job.entry.is_empty() || job.entry == SESSION {
        return Ok((folder, None));
    }
    let entry = inside(&root, &folder.join(&job.entry), "entry", &job.entry)?;
    let meta = entry
        .metadata()
        .map_err(|error| PrepareError::job(format!("entry {:?}: {error}", job.entry)))?;
    if !meta.is_file() {
        return Err(PrepareError::job(format!("entry {:?} is not a file", job.entry)));
    }
    if meta.len() == 0 {
        return Err(PrepareError::job(format!(
            "entry {:?} is empty (zero bytes)",
            job.entry
        )));
    }
    Ok((folder, Some(entry)))
}

fn inside(root: &Path, path: &Path, what: &str, given: &str) -> Result<PathBuf, PrepareError> {
    let real = path.canonicalize().map_err(|_| {
        PrepareError::job(format!(
            "{what} {given:?} does not exist in the repository at this commit"
        ))
    })?;
    if real.starts_with(root) {
        Ok(real)
    } else {
        Err(PrepareError::job(format!(
            "{what} {given:?} leads out of the repository"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare::Kind;

    #[test]
    fn entries_that_cannot_run_are_named() {
        let clone = tempfile::tempdir().unwrap();
        let at = |name: &str| clone.path().join(name);
        std::fs::create_dir(at("folder.py")).unwrap();
        std::fs::write(at("empty.py"), "").unwrap();
        std::fs::write(at("good.py"), "1").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", at("link.py")).unwrap();
        std::os::unix::fs::symlink("good.py", at("inner.py")).unwrap();
        let locate = |path: &str, entry: &str| {
            locate(&Job {
                code: clone.path().into(),
                path: path.into(),
                entry: entry.into(),
                ..Job::default()
            })
        };
        for (path, entry, says) in [
            ("", "missing.py", "does not exist"),
            ("", "folder.py", "not a file"),
            ("", "empty.py", "zero bytes"),
            ("", "link.py", "out of the repository"),
            ("", "../../../etc/passwd", "out of the repository"),
            ("..", "good.py", "out of the repository"),
            ("nowhere", "good.py", "does not exist"),
        ] {
            let error = locate(path, entry).unwrap_err();
            assert_eq!(error.kind, Kind::Job);
            assert!(error.message.contains(says), "{entry}: {error}");
        }
        assert!(locate("", "good.py").is_ok() && locate("", "inner.py").is_ok());
        assert_eq!(locate("", "").unwrap().1, None);
    }
}
