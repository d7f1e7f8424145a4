//! The job file: from YAML text to checked jobs, with every error of a file at once.
//!
//! ```text
//! text --tree--> nodes with places --merge--> one block per job --check--> Job
//!        |     |      ^    ^                                        |
//!        |   older   --set '--- defaults.yml (compiled in)          |
//!        '------------------> Errors (file, line, column, help) <---'
//! ```
//!
//! `tree` takes the plain part of YAML only. `older` turns files of the older system into that of ours. `keys` has the
//! tables of keys. `read` has a reader per kind of value, `check` one function per block. `render` writes a block back as
//! text, for `import` and `shared` (jobs that a team keeps in Consul). `settings` are those of `coordinator serve`,
//! `client` those of a person's commands. `names`, `git`, `s3`, `units`, `conf` and `env` hold the rules of single values;
//! they know nothing of files. `iam` renders the policies for AWS. Checks do no I/O: only [`load`] and [`read_text`] do.

mod adhoc;
mod check;
mod client;
mod conf;
mod consul;
mod diag;
mod engine;
mod env;
mod file;
mod git;
mod iam;
mod job;
mod keys;
mod merge;
mod names;
mod older;
mod read;
mod render;
mod s3;
#[cfg(test)]
mod schema_test;
mod sets;
mod settings;
mod shared;
mod text;
mod tree;
mod units;
mod warning;
mod webhook;

pub use adhoc::{AdHoc, ad_hoc};
pub use client::{ClientSettings, parse_client};
pub use consul::ConsulPolicy;
pub use diag::{Diagnostic, Errors, MAX_ERRORS, Problem};
pub use engine::{EngineFiles, compiled_in, compiled_in_text, parse_engine};
pub use env::Lookup;
pub use file::{MAX_FILE_BYTES, engine_files, load, load_client, load_settings, read_text, text_of};
pub use git::{GitUrl, Repo};
pub use iam::{IamError, IamPlace, Policy};
pub use job::{
    Chosen, Code, Collect, Engine, Env, Input, InputFrom, Job, JobFile, Limits, Machine, OnFailure, Secret,
    Spark, Step, Workers,
};
pub use names::{GitRef, InstanceType, JobName, PythonName, RelPath};
pub use older::{Import, import};
pub use s3::S3Prefix;
pub use settings::{
    AwsSettings, ConsulFile, Given, NetworkAt, SETTINGS_DEFAULTS, ServeLimits, Settings, StoreSettings,
    TlsFiles, parse_settings,
};
pub use shared::{MAX_SHARED_BYTES, Shared, shared, shared_alone, take_shared};
pub use units::{Secs, display_cents, display_size};
pub use warning::Warning;
pub use webhook::Webhook;

use check::{Block, Mode};
use diag::Sink;
use merge::merge;
use text::{closest, listed, quote};
use tree::{Entry, Node, Value};

/// The compiled-in defaults, which are the reference of the job file too.
pub const DEFAULTS: &str = include_str!("../defaults.yml");
/// The JSON schema of the job file, for editors.
pub const SCHEMA: &str = include_str!("../job.schema.json");
/// The JSON schema of the settings of `coordinator serve`, for editors.
pub const SETTINGS_SCHEMA: &str = include_str!("../coordinator.schema.json");
/// Jobs in one file.
const MAX_JOBS: usize = 100;
/// The block that all jobs of a file share.
const SHARED: &str = "defaults";

/// Checks a job file. `env` is the environment that `${VAR}` refers to.
///
/// # Errors
/// Everything that is wrong with the file, at most [`MAX_ERRORS`].
pub fn parse(file_name: &str, text: &str, env: &Lookup<'_>) -> Result<JobFile, Errors> {
    parse_with(file_name, text, env, &EngineFiles::default())
}

/// The same, with engines beside the file.
///
/// # Errors
/// As [`parse`].
pub fn parse_with(
    file_name: &str,
    text: &str,
    env: &Lookup<'_>,
    engines: &EngineFiles,
) -> Result<JobFile, Errors> {
    let mut sink = Sink::default();
    let base = builtin(&mut sink);
    let jobs = open(&mut sink, file_name, text)?.and_then(|root| {
        let root = older::modernise(&mut sink, &base, root)?;
        let file = Blocks::find(&mut sink, &base, &root, engines)?;
        let mode = Mode {
            lookup: Some(env),
            partial: false,
            engines,
        };
        let jobs: Vec<Option<Job>> = file
            .jobs
            .iter()
            .map(|entry| file.check(&mut sink, mode, entry, &[]))
            .collect();
        jobs.into_iter().collect()
    });
    finish(sink, jobs).map(|(jobs, warnings)| JobFile { jobs, warnings })
}

/// Checks a job file and takes one job of it, with `sets` (`--set key=value`) laid over that job before the checks. Without a
/// name the file must hold just one job. The whole file must be right, but `${VAR}` is looked up for that job alone.
///
/// # Errors
/// Everything that is wrong with the file and the sets, at most [`MAX_ERRORS`]; or the names of the jobs that are there.
pub fn parse_job(
    file_name: &str,
    text: &str,
    env: &Lookup<'_>,
    job: Option<&str>,
    sets: &[(String, String)],
) -> Result<Chosen, Errors> {
    parse_job_with(file_name, text, env, &EngineFiles::default(), job, sets)
}

/// The same, with engines beside the file.
///
/// # Errors
/// As [`parse_job`].
pub fn parse_job_with(
    file_name: &str,
    text: &str,
    env: &Lookup<'_>,
    engines: &EngineFiles,
    job: Option<&str>,
    sets: &[(String, String)],
) -> Result<Chosen, Errors> {
    let mut sink = Sink::default();
    let base = builtin(&mut sink);
    let root = open(&mut sink, file_name, text)?;
    let Some(root) = root.and_then(|root| older::modernise(&mut sink, &base, root)) else {
        return alone(sink, None);
    };
    let Some(file) = Blocks::find(&mut sink, &base, &root, engines) else {
        return alone(sink, None);
    };
    let names: Vec<&str> = file.jobs.iter().map(|entry| entry.key.as_str()).collect();
    let chosen = pick(&names, job).map_err(|problem| Errors::of_file(file_name, problem))?;
    let sets: Vec<Vec<Entry>> = sets
        .iter()
        .filter_map(|(key, value)| sets::set(&mut sink, key, value))
        .collect();
    let mut found = None;
    for entry in &file.jobs {
        if entry.key == chosen {
            let mode = Mode {
                lookup: Some(env),
                partial: false,
                engines,
            };
            found = file.check(&mut sink, mode, entry, &sets);
        } else {
            let mode = Mode {
                lookup: None,
                partial: false,
                engines,
            };
            file.check(&mut sink, mode, entry, &[]);
        }
    }
    alone(sink, found)
}

/// One job with what there is to know about it alone.
fn alone(sink: Sink, job: Option<Job>) -> Result<Chosen, Errors> {
    let (job, mut warnings) = finish(sink, job)?;
    warnings.retain(|warning| warning.job == job.name.as_str());
    Ok(Chosen { job, warnings })
}

/// The blocks of one file.
struct Blocks<'n> {
    /// The compiled-in defaults with those of the file over them.
    base: Vec<Entry>,
    jobs: Vec<&'n Entry>,
}

impl<'n> Blocks<'n> {
    /// Finds the jobs and checks the shared defaults by themselves.
    fn find(sink: &mut Sink, builtin: &[Entry], root: &'n Node, engines: &EngineFiles) -> Option<Self> {
        let Value::Map(entries) = &root.value else {
            let problem = Problem::new(format!("the file holds {}, not jobs", root.value.kind()));
            sink.report(
                root.place,
                "",
                problem.help("write a block per job: its name, then its keys"),
            );
            return None;
        };
        let jobs: Vec<&Entry> = entries.iter().filter(|entry| entry.key != SHARED).collect();
        if jobs.is_empty() || jobs.len() > MAX_JOBS {
            let problem = Problem::new(format!("the file holds {} jobs", jobs.len()));
            sink.report(
                root.place,
                "",
                problem.help(format!("a file holds 1 to {MAX_JOBS}")),
            );
            return None;
        }
        let mut base = builtin.to_vec();
        for entry in entries.iter().filter(|entry| entry.key == SHARED) {
            base = merge(&base, block_of(sink, entry)?);
            let mode = Mode {
                lookup: None,
                partial: true,
                engines,
            };
            check::job(
                sink,
                mode,
                &Block {
                    name: SHARED,
                    place: entry.place,
                    entries: &base,
                },
            );
        }
        Some(Self { base, jobs })
    }

    fn check(&self, sink: &mut Sink, mode: Mode<'_>, entry: &Entry, sets: &[Vec<Entry>]) -> Option<Job> {
        let mut entries = merge(&self.base, block_of(sink, entry)?);
        for set in sets {
            entries = merge(&entries, set);
        }
        check::job(
            sink,
            mode,
            &Block {
                name: &entry.key,
                place: entry.place,
                entries: &entries,
            },
        )
    }
}

/// The keys of a job or of the defaults.
fn block_of<'n>(sink: &mut Sink, entry: &'n Entry) -> Option<&'n [Entry]> {
    let known = keys::JOB.of("").contains(&entry.key.as_str());
    if known {
        let problem = Problem::new(format!("{} is a key of a job, not a job", quote(&entry.key)));
        sink.report(
            entry.place,
            &entry.key,
            problem.help("put it under the job's name, indented"),
        );
        return None;
    }
    if let Value::Map(entries) = &entry.node.value {
        return Some(entries);
    }
    let problem = Problem::new(format!("{} holds {}", quote(&entry.key), entry.node.value.kind()));
    let help = "a job is a block of keys, such as `code: {entry: main.py}`, indented under its name";
    sink.report(entry.place, &entry.key, problem.help(help));
    None
}

/// Chooses a job by name, or the only one.
fn pick<'k>(names: &[&'k str], wanted: Option<&str>) -> Result<&'k str, Problem> {
    match (wanted, names) {
        (None, [only]) => Ok(only),
        (None, _) => Err(Problem::new(format!("the file holds {} jobs", names.len()))
            .help(format!("say which one: {}", listed(names)))),
        (Some(wanted), _) => names.iter().copied().find(|name| *name == wanted).ok_or_else(|| {
            let help = match closest(wanted, names.iter().copied()) {
                Some(one) => format!("did you mean `{one}`?"),
                None => format!("it holds {}", listed(names)),
            };
            Problem::new(format!("the file holds no job {}", quote(wanted))).help(help)
        }),
    }
}

/// Parses a file's text; it becomes the sink's next source. The inner result is none when the sink knows why.
fn open(sink: &mut Sink, file_name: &str, text: &str) -> Result<Option<Node>, Errors> {
    if text.len() > MAX_FILE_BYTES {
        return Err(Errors::of_file(file_name, file::too_large()));
    }
    let source = sink.add_source(file_name, text);
    let root = tree::parse(sink, source, text, 0).filter(|root| root.value != Value::Null);
    if root.is_none() && sink.count() == 0 {
        let problem = Problem::new("the file is empty");
        return Err(Errors::of_file(
            file_name,
            problem.help("write a block per job: its name, then its keys"),
        ));
    }
    Ok(root)
}

/// The compiled-in defaults as source 0.
fn builtin(sink: &mut Sink) -> Vec<Entry> {
    let source = sink.add_source("the compiled-in defaults.yml", DEFAULTS);
    let entries = tree::parse(sink, source, DEFAULTS, 0).map(|root| root.value);
    let Some(Value::Map(entries)) = entries else {
        return Vec::new();
    };
    let shared = entries
        .into_iter()
        .find(|entry| entry.key == SHARED)
        .map(|entry| entry.node.value);
    if let Some(Value::Map(entries)) = shared {
        entries
    } else {
        Vec::new()
    }
}

/// The result with the warnings, or everything that is wrong.
fn finish<T>(sink: Sink, result: Option<T>) -> Result<(T, Vec<Warning>), Errors> {
    match result {
        Some(result) if sink.count() == 0 => Ok((result, sink.warnings)),
        Some(_) | None => Err(sink.into_errors()),
    }
}
