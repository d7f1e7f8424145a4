//! Jobs that a team shares, each as a text of its own: a job file of that one job, complete without the file that it came
//! from. What is read back is as untrusted as any file.

use crate::check::Mode;
use crate::diag::{Errors, Place, Problem, Sink};
use crate::engine::EngineFiles;
use crate::env::Lookup;
use crate::git::Repo;
use crate::job::{Chosen, Job};
use crate::merge::merge;
use crate::names::JobName;
use crate::older;
use crate::render;
use crate::text::quote;
use crate::tree::{Entry, Node, Value, at};
use crate::{Blocks, SHARED, block_of, builtin, finish, open, parse_job};

/// Longest text of one job, in bytes: what a key of Consul holds.
pub const MAX_SHARED_BYTES: usize = 512 * 1024;

/// A job to share.
#[derive(Clone, Debug, PartialEq)]
pub struct Shared {
    /// Its name.
    pub name: JobName,
    /// A job file of this job alone: the same text for the same content, whatever the layout of the file.
    pub text: String,
    /// The job, with `${VAR}` as it is written.
    pub job: Job,
}

/// The jobs of a file, as texts to share. `${VAR}` stays as it is: the machine that launches replaces it.
///
/// # Errors
/// Everything that is wrong with the file, and jobs whose code only this machine has.
pub fn shared(file_name: &str, text: &str) -> Result<Vec<Shared>, Errors> {
    let mut sink = Sink::default();
    let base = builtin(&mut sink);
    let root = open(&mut sink, file_name, text)?;
    let jobs = root.and_then(|root| {
        let root = older::modernise(&mut sink, &base, root)?;
        let file = Blocks::find(&mut sink, &base, &root, &EngineFiles::default())?;
        let own = own_defaults(&root);
        let jobs: Vec<Option<Shared>> = file
            .jobs
            .iter()
            .map(|entry| one(&mut sink, &file, own, entry))
            .collect();
        jobs.into_iter().collect()
    });
    finish(sink, jobs).map(|(jobs, _)| jobs)
}

/// The one job in a text that was shared under its name. `place` says where the text was.
///
/// # Errors
/// Everything that is wrong with the text; or it holds another job, or several.
pub fn shared_alone(place: &str, name: &str, text: &str) -> Result<Shared, Errors> {
    let mut there = shared(place, text)?;
    match (there.pop(), there.is_empty()) {
        (Some(one), true) if one.name.as_str() == name => Ok(one),
        _ => {
            let problem = Problem::new(format!("this is not the job {} alone", quote(name)));
            let help =
                format!("it must hold the block of that name and nothing else: `{name}:`, then its keys");
            Err(Errors::of_file(place, problem.help(help)))
        }
    }
}

/// The same, to be launched: with `sets` over it and `${VAR}` replaced.
///
/// # Errors
/// As [`shared_alone`], and everything that is wrong with the sets.
pub fn take_shared(
    place: &str,
    name: &str,
    text: &str,
    env: &Lookup<'_>,
    sets: &[(String, String)],
) -> Result<Chosen, Errors> {
    shared_alone(place, name, text)?;
    parse_job(place, text, env, Some(name), sets)
}

/// What the jobs of a file share, without the compiled-in defaults.
fn own_defaults(root: &Node) -> &[Entry] {
    let Value::Map(entries) = &root.value else {
        return &[];
    };
    match at(entries, &[SHARED]).map(|node| &node.value) {
        Some(Value::Map(own)) => own,
        Some(Value::Null | Value::Scalar { .. } | Value::List(_)) | None => &[],
    }
}

fn one(sink: &mut Sink, file: &Blocks<'_>, own: &[Entry], entry: &Entry) -> Option<Shared> {
    let mode = Mode {
        lookup: None,
        partial: false,
        engines: &EngineFiles::default(),
    };
    let job = file.check(sink, mode, entry, &[])?;
    let entries = merge(own, block_of(sink, entry)?);
    if matches!(job.code.repo, Repo::Folder(_)) {
        let place = at(&entries, &["code", "repo"]).map_or(entry.place, |node| node.place);
        refuse(
            sink,
            place,
            &job,
            "`code.repo` is a folder of this machine, which the others of the team do not have",
            "name the repository by its URL: `code: {repo: https://host/path.git}`",
        );
    }
    let text = render::job(&entry.key, &entries);
    if text.len() > MAX_SHARED_BYTES {
        refuse(
            sink,
            entry.place,
            &job,
            "the job is larger than 512 KiB",
            "put data into the repository or the store",
        );
    }
    Some(Shared {
        name: job.name.clone(),
        text,
        job,
    })
}

fn refuse(sink: &mut Sink, place: Place, job: &Job, why: &str, help: &str) {
    sink.report(place, job.name.as_str(), Problem::new(why).help(help));
}
