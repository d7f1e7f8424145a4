//! Which job is meant: of a file, of a file nearby, or made of flags.

use std::path::{Path, PathBuf};

use mayfly_configs::{
    AdHoc, Job, JobName, Problem, Warning, ad_hoc, engine_files, parse_job_with, parse_with, read_text,
    take_shared, text_of,
};

use super::failure::Failure;
use crate::shared::{Kept, SharedJobs};
use crate::source::PathFrom;
use crate::source::near::hint;

/// Files looked at while searching.
const FILES_MAX: usize = 200;

/// A job and where it was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// The checked job.
    pub(crate) job: Job,
    /// What its folders are relative to.
    pub(crate) base: PathBuf,
    /// Where `code.path` begins.
    pub(crate) path_from: PathFrom,
    /// What holds it; `None` for one made of flags.
    pub(crate) holder: Option<String>,
    /// What to know about it.
    pub(crate) warnings: Vec<Warning>,
}

/// A variable of this process, for `${NAME}`.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A job made of flags.
///
/// # Errors
/// A flag is wrong.
pub(crate) fn of_flags(flags: &AdHoc, cwd: &Path) -> Result<Found, Failure> {
    let job = ad_hoc(flags, &variable)?;
    let path_from = if flags.path.is_some() {
        PathFrom::Top
    } else {
        PathFrom::Folder
    };
    Ok(Found {
        job,
        base: cwd.to_owned(),
        path_from,
        holder: None,
        warnings: Vec::new(),
    })
}

/// A job of a file; `named` is what the user wrote after `launch`: `[FILE] [JOB]`.
///
/// # Errors
/// There is no such file or job, or it is wrong.
pub(crate) fn of_file(named: &[String], sets: &[(String, String)], cwd: &Path) -> Result<Found, Failure> {
    match named {
        [file, job] => load(&cwd.join(file), Some(job), sets),
        [file] if looks_like_file(file, cwd) => load(&cwd.join(file), None, sets),
        [job] => load(&search(job, cwd)?, Some(job), sets),
        _ => load(&only(cwd)?, None, sets),
    }
}

fn looks_like_file(named: &str, cwd: &Path) -> bool {
    named.contains('/') || named.ends_with(".yml") || named.ends_with(".yaml") || cwd.join(named).is_file()
}

fn load(file: &Path, job: Option<&str>, sets: &[(String, String)]) -> Result<Found, Failure> {
    let shown = shorten(file);
    let text = read_text(file)?;
    let base = file.parent().unwrap_or(Path::new(".")).to_owned();
    let engines = engine_files(&base)?;
    let chosen = parse_job_with(&shown, &text, &variable, &engines, job, sets)?;
    Ok(Found {
        job: chosen.job,
        base,
        path_from: PathFrom::Top,
        holder: file.file_name().map(|name| name.to_string_lossy().into_owned()),
        warnings: chosen.warnings,
    })
}

/// A job that the team keeps in Consul. Its code is on a server: nothing in it is relative to a folder.
///
/// # Errors
/// There is no such job, what is there is wrong, or Consul cannot be asked.
pub(crate) async fn of_consul(
    all: &SharedJobs,
    named: &[String],
    sets: &[(String, String)],
    cwd: &Path,
) -> Result<Found, Failure> {
    let [name] = named else {
        let names = all.names().await?;
        return Err(Failure::usage(format!(
            "with --from consul say which job, and no file; there are: {}",
            names.join(", ")
        )));
    };
    let name = JobName::new(name.as_str()).map_err(|problem| not_a_job(name, &problem))?;
    let place = all.key(name.as_str());
    let text = text_of(&place, kept(all, &name).await?.bytes)?;
    let chosen = take_shared(&place, name.as_str(), &text, &variable, sets)?;
    Ok(Found {
        job: chosen.job,
        base: cwd.to_owned(),
        path_from: PathFrom::Top,
        holder: Some(format!("Consul at {}", all.address())),
        warnings: chosen.warnings,
    })
}

/// What Consul has under a job's name.
///
/// # Errors
/// Nothing, or Consul cannot be asked.
pub(crate) async fn kept(all: &SharedJobs, name: &JobName) -> Result<Kept, Failure> {
    if let Some(kept) = all.get(name).await? {
        return Ok(kept);
    }
    let names = all.names().await?;
    Err(Failure::usage(format!(
        "there is no job {:?} in Consul at {}{}",
        name.as_str(),
        all.address(),
        hint(name.as_str(), &names)
    )))
}

/// A name that no job can have.
#[must_use]
pub(crate) fn not_a_job(place: &str, problem: &Problem) -> Failure {
    let help = problem.help.as_deref().unwrap_or_default();
    Failure::usage(format!("{place}: {}; write {help}", problem.message))
}

/// A path as a person would write it.
fn shorten(file: &Path) -> String {
    let cwd = std::env::current_dir().unwrap_or_default();
    file.strip_prefix(&cwd).unwrap_or(file).display().to_string()
}

/// The nearest file that has a job of this name.
fn search(job: &str, cwd: &Path) -> Result<PathBuf, Failure> {
    let files = nearby(cwd);
    for (_, level) in &files {
        let having: Vec<&Candidate> = level
            .iter()
            .filter(|c| c.names.iter().any(|n| n == job))
            .collect();
        match having.as_slice() {
            [] => {}
            [one] => return Ok(one.file.clone()),
            [one, two, ..] => {
                let (one, two) = (shorten(&one.file), shorten(&two.file));
                return Err(Failure::usage(format!(
                    "both {one} and {two} have a job {job:?}: name the file too"
                )));
            }
        }
    }
    let all: Vec<String> = files
        .iter()
        .flat_map(|(_, l)| l)
        .flat_map(|c| c.names.clone())
        .collect();
    let shown: String = job.chars().take(60).collect();
    if all.is_empty() {
        return Err(no_file(&format!("there is no job {shown:?}")));
    }
    Err(Failure::usage(format!(
        "there is no job {shown:?} in configs/jobs/*.yml or *.yml{}",
        hint(job, &all)
    )))
}

/// The only file with jobs nearby.
fn only(cwd: &Path) -> Result<PathBuf, Failure> {
    let files = nearby(cwd);
    let all: Vec<&Candidate> = files.iter().flat_map(|(_, level)| level).collect();
    match all.as_slice() {
        [] => Err(no_file("there is no job file")),
        [one] => Ok(one.file.clone()),
        several => {
            let names: Vec<&str> = several
                .iter()
                .flat_map(|c| c.names.iter().map(String::as_str))
                .collect();
            Err(Failure::usage(format!("say which job: {}", names.join(", "))))
        }
    }
}

fn no_file(what: &str) -> Failure {
    Failure::usage(format!(
        "{what}: looked for configs/jobs/*.yml and *.yml here and above; name a file, or use --entry for a job without one"
    ))
}

struct Candidate {
    file: PathBuf,
    names: Vec<String>,
}

/// Files with jobs, by folder from here up to the top of the repository.
fn nearby(cwd: &Path) -> Vec<(PathBuf, Vec<Candidate>)> {
    let top = cwd
        .ancestors()
        .find(|folder| folder.join(".git").exists())
        .unwrap_or(cwd);
    let mut left = FILES_MAX;
    let mut levels = Vec::new();
    for folder in cwd.ancestors().take_while(|folder| folder.starts_with(top)) {
        let mut files = yaml_files(&folder.join("configs/jobs"));
        files.extend(yaml_files(folder));
        files.truncate(left);
        left -= files.len();
        levels.push((
            folder.to_owned(),
            files.into_iter().filter_map(candidate).collect(),
        ));
    }
    levels
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let is_yaml =
        |path: &PathBuf| path.extension().is_some_and(|e| e == "yml" || e == "yaml") && path.is_file();
    let mut files: Vec<PathBuf> = entries
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(is_yaml)
        .collect();
    files.sort();
    files
}

/// The names of a file's jobs. A file that is no job file has none; one with a mistake in it still names its jobs, so
/// that the mistake is told when one of them is launched.
fn candidate(file: PathBuf) -> Option<Candidate> {
    let text = read_text(&file).ok()?;
    let any = |_: &str| Some(String::new());
    let engines = engine_files(file.parent()?).unwrap_or_default();
    let names: Vec<String> = match parse_with(&file.to_string_lossy(), &text, &any, &engines) {
        Ok(parsed) => parsed.jobs.iter().map(|job| job.name.to_string()).collect(),
        Err(_) if text.contains("entry:") || text.contains("exec_path:") => top_keys(&text),
        Err(_) => return None,
    };
    Some(Candidate { file, names })
}

fn top_keys(text: &str) -> Vec<String> {
    let key = |line: &str| {
        let (name, _) = line.split_once(':')?;
        let plain = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        (plain && name != "defaults").then(|| name.to_owned())
    };
    text.lines().filter_map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("configs/jobs")).unwrap();
        std::fs::create_dir_all(dir.path().join("deep/er")).unwrap();
        std::fs::create_dir(dir.path().join(".git")).unwrap();
        let job = |name: &str| format!("{name}:\n  code: {{entry: main.py}}\n");
        std::fs::write(dir.path().join("configs/jobs/iris.yml"), job("iris")).unwrap();
        std::fs::write(dir.path().join("flights.yml"), job("flights")).unwrap();
        std::fs::write(dir.path().join("compose.yml"), "services:\n  web: {image: x}\n").unwrap();
        dir
    }

    #[test]
    fn jobs_are_found_from_below_and_by_file() {
        let dir = folder();
        let deep = dir.path().join("deep/er");
        let named = |n: &[&str]| n.iter().map(|&s| s.to_owned()).collect::<Vec<_>>();
        let found = of_file(&named(&["iris"]), &[], &deep).unwrap();
        assert_eq!(found.job.name.as_str(), "iris");
        assert_eq!(found.base, dir.path().join("configs/jobs"));
        assert_eq!(
            of_file(&named(&["flights.yml"]), &[], dir.path())
                .unwrap()
                .job
                .name
                .as_str(),
            "flights"
        );
        assert_eq!(
            of_file(&named(&["flights.yml", "flights"]), &[], dir.path())
                .unwrap()
                .job
                .name
                .as_str(),
            "flights"
        );
    }

    #[test]
    fn what_is_missing_or_ambiguous_is_said() {
        let dir = folder();
        let fail = |n: &[&str]| {
            let named: Vec<String> = n.iter().map(|&s| s.to_owned()).collect();
            of_file(&named, &[], dir.path()).unwrap_err().message
        };
        assert!(
            fail(&["irsi"]).contains("did you mean \"iris\"?"),
            "{}",
            fail(&["irsi"])
        );
        assert!(
            fail(&[]).contains("say which job: iris, flights"),
            "{}",
            fail(&[])
        );
        assert!(fail(&["flights.yml", "x"]).contains("holds no job"));
        assert!(fail(&["none.yml"]).contains("none.yml"));
        std::fs::copy(dir.path().join("flights.yml"), dir.path().join("second.yml")).unwrap();
        assert!(fail(&["flights"]).contains("second.yml"));
    }

    #[test]
    fn a_file_with_a_mistake_tells_it() {
        let dir = folder();
        std::fs::write(
            dir.path().join("bad.yml"),
            "bad:\n  code: {entry: main.py}\n  worker: {count: 2}\n",
        )
        .unwrap();
        let message = of_file(&["bad".to_owned()], &[], dir.path()).unwrap_err().message;
        assert!(
            message.contains("worker") && message.contains("bad.yml"),
            "{message}"
        );
    }
}
