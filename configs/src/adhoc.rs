//! A job without a file: the flags of the command line become a block of their own, so that every rule and every
//! message is that of the job file.

use crate::check::{self, Block, Mode};
use crate::diag::{Errors, Place, Sink};
use crate::engine::EngineFiles;
use crate::env::Lookup;
use crate::job::Job;
use crate::merge::merge;
use crate::sets;
use crate::tree::Entry;

/// What a user gives instead of a job file. What is none has the default of the job file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdHoc {
    /// `--name`; without it, the name of the program's file.
    pub name: Option<String>,
    /// `--repo`.
    pub repo: Option<String>,
    /// `--ref`.
    pub git_ref: Option<String>,
    /// `--path`.
    pub path: Option<String>,
    /// `--entry`.
    pub entry: String,
    /// `--class`.
    pub class: Option<String>,
    /// Arguments of the program.
    pub args: Vec<String>,
    /// `--requirements`.
    pub requirements: Option<String>,
    /// `--workers`.
    pub workers: Option<u32>,
    /// `--engine`.
    pub engine: Option<String>,
    /// Engines beside the working folder.
    pub engines: EngineFiles,
    /// `--set key=value`, which lie over everything else.
    pub sets: Vec<(String, String)>,
}

/// Makes a checked job out of flags.
///
/// # Errors
/// Everything that is wrong, each with its flag as the file.
pub fn ad_hoc(flags: &AdHoc, env: &Lookup<'_>) -> Result<Job, Errors> {
    let mut sink = Sink::default();
    let mut entries = crate::builtin(&mut sink);
    for block in flag_blocks(&mut sink, flags) {
        entries = merge(&entries, &block);
    }
    for (key, value) in &flags.sets {
        let block = sets::set(&mut sink, key, value).unwrap_or_default();
        entries = merge(&entries, &block);
    }
    let name = flags.name.clone().unwrap_or_else(|| name_from(&flags.entry));
    let flag = if flags.name.is_some() { "--name" } else { "--entry" };
    let source = sink.add_source(flag, &name);
    let place = Place {
        source,
        start: 0,
        end: name.len(),
    };
    let mode = Mode {
        lookup: Some(env),
        partial: false,
        engines: &flags.engines,
    };
    let job = check::job(
        &mut sink,
        mode,
        &Block {
            name: &name,
            place,
            entries: &entries,
        },
    );
    crate::finish(sink, job).map(|(job, _)| job)
}

/// One block per flag that is given.
fn flag_blocks(sink: &mut Sink, flags: &AdHoc) -> Vec<Vec<Entry>> {
    let entry = Some(flags.entry.clone());
    let workers = flags.workers.map(|count| count.to_string());
    let singles: [(&str, [&str; 2], &Option<String>); 7] = [
        ("--repo", ["code", "repo"], &flags.repo),
        ("--ref", ["code", "ref"], &flags.git_ref),
        ("--path", ["code", "path"], &flags.path),
        ("--entry", ["code", "entry"], &entry),
        ("--class", ["code", "class"], &flags.class),
        ("--requirements", ["code", "requirements"], &flags.requirements),
        ("--workers", ["workers", "count"], &workers),
    ];
    let mut blocks: Vec<Vec<Entry>> = singles
        .into_iter()
        .filter_map(|(flag, path, text)| sets::flag(sink, flag, &path, text.as_slice(), false))
        .collect();
    let engine = flags.engine.as_slice();
    blocks.extend(sets::flag(sink, "--engine", &["engine"], engine, false));
    blocks.extend(sets::flag(
        sink,
        "the arguments",
        &["code", "args"],
        &flags.args,
        true,
    ));
    blocks
}

/// A job name out of a program's file name: `jobs/Log_Reg.py` is `log-reg`. Always a valid one.
fn name_from(entry: &str) -> String {
    let file = entry.rsplit('/').next().unwrap_or_default();
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let mut name = String::new();
    for c in stem.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_lowercase() || (c.is_ascii_digit() && !name.is_empty()) {
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
        if name.len() == 40 {
            break;
        }
    }
    let name = name.trim_end_matches('-');
    if name.is_empty() || name == "defaults" {
        "job".to_owned()
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{JobName, Repo};
    use proptest::prelude::*;

    fn flags(entry: &str) -> AdHoc {
        AdHoc {
            entry: entry.to_owned(),
            ..AdHoc::default()
        }
    }

    #[test]
    fn a_job_from_flags_has_the_defaults_of_the_file() {
        let given = AdHoc {
            repo: Some("https://example.org/a.git".to_owned()),
            workers: Some(5),
            args: vec!["--x".to_owned(), "a: b".to_owned()],
            sets: vec![("workers.min".to_owned(), "3".to_owned())],
            ..flags("jobs/Log_Reg2.py")
        };
        let job = ad_hoc(&given, &|_| None).unwrap();
        assert_eq!(job.name.as_str(), "log-reg2");
        assert_eq!((job.workers.count, job.workers.min), (5, 3));
        assert_eq!(job.code.args, ["--x", "a: b"]);
        assert!(matches!(job.code.repo, Repo::Url(_)));
        assert_eq!(job.limits.deadline.0, 3_600);
    }

    #[test]
    fn errors_name_the_flag() {
        let given = AdHoc {
            repo: Some("ext::sh -c x".to_owned()),
            git_ref: Some("--upload-pack=x".to_owned()),
            workers: Some(0),
            name: Some("../../x".to_owned()),
            ..flags("/etc/passwd")
        };
        let errors = ad_hoc(&given, &|_| None).unwrap_err();
        let files: Vec<&str> = errors.list().iter().map(|one| one.file.as_str()).collect();
        assert_eq!(
            files,
            ["--repo", "--ref", "--entry", "--workers", "--name"],
            "{errors}"
        );
    }

    proptest! {
        #[test]
        fn a_name_is_always_found(entry in "\\PC{0,60}") {
            prop_assert!(JobName::new(name_from(&entry)).is_ok());
        }
    }
}
