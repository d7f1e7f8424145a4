//! The Python modules beside a job's entry, in one file for the executors: what the driver can import, they can too.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use rawzip::ZipArchiveWriter;

/// Names that are looked at, below the folder of the entry.
const LOOKED_AT_MAX: usize = 20_000;
/// Bytes of all modules. A repository of a million lines of Python has half of it.
const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Why executors have only the entry.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// A limit.
    #[error("there is more than {0} beside the entry")]
    TooMuch(&'static str),
    /// The system.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file's format.
    #[error(transparent)]
    Zip(#[from] rawzip::Error),
}

/// Packs every `.py` at or below the folder of the entry into a file at `to`; `false` where the entry is the only one.
pub(super) fn pack(entry: &Path, to: &Path) -> Result<bool, Error> {
    let root = entry.parent().unwrap_or(entry);
    let modules = below(root)?;
    if modules.iter().all(|module| module == entry) {
        return Ok(false);
    }
    let mut zip = ZipArchiveWriter::new(BufWriter::new(File::create(to)?));
    for module in modules {
        if let Some(name) = module.strip_prefix(root).ok().and_then(Path::to_str) {
            // Neither compressed, which takes longer than it saves here, nor with a time: the same modules are the same bytes.
            let (mut entry, config) = zip.new_file(name).start()?;
            let mut data = config.wrap(&mut entry);
            data.write_all(&fs::read(&module)?)?;
            let (_, sizes) = data.finish()?;
            entry.finish(sizes)?;
        }
    }
    zip.finish()?.flush()?;
    Ok(true)
}

/// In order. Links are not followed; nothing hidden is looked at.
fn below(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let (mut found, mut looked_at, mut bytes) = (Vec::new(), 0, 0);
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            looked_at += 1;
            if looked_at > LOOKED_AT_MAX {
                return Err(Error::TooMuch("20,000 files"));
            }
            let (kind, path) = (entry.file_type()?, entry.path());
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && path.extension().is_some_and(|end| end == "py") {
                bytes += entry.metadata()?.len();
                if bytes > BYTES_MAX {
                    return Err(Error::TooMuch("64 MiB of Python"));
                }
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(zip: &Path) -> Vec<String> {
        let bytes = fs::read(zip).unwrap();
        let zip = rawzip::ZipArchive::from_slice(&bytes).unwrap();
        let names = zip.entries().map(|entry| {
            let entry = entry.unwrap();
            String::from_utf8(entry.file_path().as_ref().to_vec()).unwrap()
        });
        names.collect()
    }

    #[test]
    fn what_the_driver_can_import_is_packed_and_nothing_else() {
        let scratch = tempfile::tempdir().unwrap();
        let (code, zip) = (scratch.path().join("code"), scratch.path().join("modules.zip"));
        let entry = code.join("job.py");
        fs::create_dir_all(code.join("shapes")).unwrap();
        fs::create_dir_all(code.join(".git")).unwrap();
        fs::write(&entry, "1").unwrap();
        fs::write(code.join("data.csv"), "1").unwrap();
        assert!(!pack(&entry, &zip).unwrap(), "an entry alone");
        for name in ["shapes/__init__.py", "shapes/round.py", "s3.py", ".git/hook.py"] {
            fs::write(code.join(name), "1").unwrap();
        }
        std::os::unix::fs::symlink("/etc", code.join("etc")).unwrap();
        std::os::unix::fs::symlink("s3.py", code.join("link.py")).unwrap();
        assert!(pack(&entry, &zip).unwrap());
        assert_eq!(
            names(&zip),
            ["job.py", "s3.py", "shapes/__init__.py", "shapes/round.py"]
        );
        let once = fs::read(&zip).unwrap();
        pack(&entry, &zip).unwrap();
        assert!(fs::read(&zip).unwrap() == once, "not the same bytes");
    }

    #[test]
    fn what_is_too_much_is_not_packed() {
        let scratch = tempfile::tempdir().unwrap();
        let entry = scratch.path().join("job.py");
        fs::write(&entry, "1").unwrap();
        let large = File::create(scratch.path().join("large.py")).unwrap();
        large.set_len(BYTES_MAX).unwrap();
        let error = pack(&entry, &scratch.path().join("modules.zip")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is more than 64 MiB of Python beside the entry"
        );
    }
}
