//! The only I/O: reading a file, with a cap.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::client::{ClientSettings, parse_client};
use crate::diag::{Errors, Place, Problem, Sink};
use crate::engine::EngineFiles;
use crate::job::JobFile;
use crate::settings::{Given, Settings, parse_settings};
use crate::text::name_char;

/// Largest file, in bytes.
pub const MAX_FILE_BYTES: usize = 1 << 20;

/// Engines in one folder.
const MAX_ENGINES: usize = 100;

/// Reads and checks a job file, with the environment of this process for `${VAR}`.
///
/// # Errors
/// The file cannot be read, or everything that is wrong with it.
pub fn load(path: &Path) -> Result<JobFile, Errors> {
    let text = read_text(path)?;
    let engines = engine_files(path.parent().unwrap_or(Path::new(".")))?;
    crate::parse_with(
        &path.to_string_lossy(),
        &text,
        &|name| std::env::var(name).ok(),
        &engines,
    )
}

/// Reads the engines of a folder: `engines/NAME.yml`. None where there is no such folder.
///
/// # Errors
/// One of them cannot be read.
pub fn engine_files(beside: &Path) -> Result<EngineFiles, Errors> {
    let folder = beside.join("engines");
    let mut files = EngineFiles::default();
    for entry in std::fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .take(MAX_ENGINES)
    {
        let path = entry.path();
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if path.extension().is_some_and(|end| end == "yml") && path.is_file() {
            files.insert(name, path.to_string_lossy(), read_text(&path)?);
        }
    }
    Ok(files)
}

/// Reads and checks the settings of `coordinator serve`; `given` lies over the file.
///
/// # Errors
/// The file cannot be read, or everything that is wrong.
pub fn load_settings(path: Option<&Path>, given: &[Given]) -> Result<Settings, Errors> {
    let Some(path) = path else {
        return parse_settings(None, given);
    };
    parse_settings(Some((path, &read_text(path)?)), given)
}

/// Reads and checks the settings of a person's commands.
///
/// # Errors
/// The file cannot be read, or everything that is wrong with it.
pub fn load_client(path: &Path) -> Result<ClientSettings, Errors> {
    parse_client(path, &read_text(path)?)
}

/// Reads the text of a job file, for [`crate::parse_job`].
///
/// # Errors
/// It is not there, not a file, larger than [`MAX_FILE_BYTES`], or not UTF-8.
pub fn read_text(path: &Path) -> Result<String, Errors> {
    let name = path.to_string_lossy();
    let bytes = read_bytes(path).map_err(|problem| Errors::of_file(&name, problem))?;
    text_of(&name, bytes)
}

/// Bytes as the text of a configuration; `name` says where they are from.
///
/// # Errors
/// They are more than [`MAX_FILE_BYTES`], or not UTF-8, or hold a NUL.
pub fn text_of(name: &str, bytes: Vec<u8>) -> Result<String, Errors> {
    if bytes.len() > MAX_FILE_BYTES {
        return Err(Errors::of_file(name, too_large()));
    }
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        let problem = Problem::new(format!("the file holds {} at byte {at}", name_char('\0')));
        return Err(Errors::of_file(name, problem.help("it must be plain text")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes());
        let mut sink = Sink::default();
        let source = sink.add_source(name, &text);
        let end = at + char::REPLACEMENT_CHARACTER.len_utf8();
        let problem = Problem::new("the file is not UTF-8 text").help("save it as UTF-8");
        let place = Place {
            source,
            start: at,
            end,
        };
        sink.report(place, "", problem);
        sink.into_errors()
    })
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, Problem> {
    let failed = |error: io::Error| Problem::new(format!("the file cannot be read: {error}"));
    // A pipe or a device could block for ever.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(Problem::new("this is not a file").help("name a file, such as configs/jobs/flights.yml"));
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_FILE_BYTES)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    File::open(path)
        .map_err(failed)?
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(bytes)
}

pub(crate) fn too_large() -> Problem {
    Problem::new("the file is larger than 1 MiB").help("it must hold configuration, not data")
}
