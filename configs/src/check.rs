//! From the merged tree of one job to a checked [`Job`]: every block is read even when another one is wrong, so that
//! all errors come at once.

mod code;
mod inputs;
mod maps;
mod results;
mod role;
mod steps;

use std::ops::RangeInclusive;

use mayfly_proto::engine::Definition;

use crate::diag::{Place, Problem, Sink};
use crate::engine::{self, EngineFiles};
use crate::env::Lookup;
use crate::job::{Engine, Job, Limits, Machine, OnFailure, Spark, Workers};
use crate::keys;
use crate::names::{InstanceType, JobName};
use crate::read::{Field, Section, bounded_duration};
use crate::text::quote;
use crate::tree::Entry;
use crate::units::{self, Secs};
use crate::webhook;

const DAY: u64 = 86_400;
/// Hard cap of a run's life.
const DEADLINE: RangeInclusive<u64> = 60..=7 * DAY;
/// Agents look at their processes every two seconds: in less time they see nothing.
const STALL: RangeInclusive<u64> = 5..=7 * DAY;
const FORM: RangeInclusive<u64> = 10..=DAY;
const HOLD: RangeInclusive<u64> = 60..=DAY;
const COUNT: RangeInclusive<u32> = 1..=10_000;
const CORES: RangeInclusive<u32> = 1..=1_024;
const MEMORY: RangeInclusive<u64> = (256 << 20)..=(24 << 40);
/// From what an image takes to what a gp3 volume can have.
const DISK: RangeInclusive<u64> = (8 << 30)..=(16 << 40);
const RETRIES: RangeInclusive<u32> = 0..=5;
/// US cents: one cent to a million dollars.
const COST: RangeInclusive<u64> = 1..=100_000_000;
const MAX_INSTANCES: usize = 20;

/// How a job is checked.
#[derive(Clone, Copy)]
pub(crate) struct Mode<'e> {
    /// The launcher's environment; none: `${VAR}` is left as it is.
    pub(crate) lookup: Option<&'e Lookup<'e>>,
    /// These are the shared defaults alone: what only a whole job can get wrong is not looked at.
    pub(crate) partial: bool,
    /// Engines beside the job file.
    pub(crate) engines: &'e EngineFiles,
}

/// A job as it comes out of the merge.
pub(crate) struct Block<'n> {
    pub(crate) name: &'n str,
    pub(crate) place: Place,
    pub(crate) entries: &'n [Entry],
}

/// Checks one job.
pub(crate) fn job(sink: &mut Sink, mode: Mode<'_>, block: &Block<'_>) -> Option<Job> {
    let name = job_name(sink, mode, block);
    let top = Section::open(sink, &keys::JOB, block.name, "", block.entries);
    let engine = top
        .need(sink, "engine")
        .and_then(|field| engine::named(sink, mode.engines, &field));
    let code = top.sub(sink, "code").and_then(|section| {
        let code = code::code(sink, mode, block.place, &section, engine.as_ref())?;
        Some((section, code))
    });
    let env = top
        .need(sink, "env")
        .and_then(|field| maps::env(sink, mode, &field));
    let secrets = top
        .need(sink, "secrets")
        .and_then(|field| maps::secrets(sink, &field, env.as_ref()));
    let inputs = top
        .need(sink, "inputs")
        .and_then(|field| inputs::inputs(sink, &field));
    let results = results::results(sink, &top);
    let master = top
        .sub(sink, "master")
        .and_then(|section| Some((role::alike(sink, &section), machine(sink, &section)?, section)));
    let workers = top
        .sub(sink, "workers")
        .and_then(|section| workers(sink, mode, &section, engine.as_ref()));
    let master = role::master(sink, mode, master, workers.as_ref());
    let spark = top.sub(sink, "spark").and_then(|section| spark(sink, &section));
    let code = code.filter(|(section, code)| {
        spark
            .as_ref()
            .is_none_or(|spark| mode.partial || code::python_fits(sink, section, code, spark))
    });
    let limits = top
        .sub(sink, "limits")
        .and_then(|section| limits(sink, mode, &section));
    let on_failure = top
        .need(sink, "on_failure")
        .and_then(|field| field.with(sink, on_failure));
    let tags = top.need(sink, "tags").and_then(|field| maps::tags(sink, &field));
    let notify = top
        .need(sink, "notify")
        .and_then(|field| webhook::read(sink, &field));
    let (alike, master) = master?;
    let (results, collect) = results?;
    Some(Job {
        name: name?,
        engine: Engine::new(engine?),
        code: code?.1,
        env: env?,
        secrets: secrets?,
        inputs: inputs?,
        results,
        collect,
        master,
        alike,
        workers: workers?,
        spark: spark?,
        limits: limits?,
        on_failure: on_failure?,
        tags: tags?,
        notify: notify?,
    })
}

fn job_name(sink: &mut Sink, mode: Mode<'_>, block: &Block<'_>) -> Option<JobName> {
    if mode.partial {
        return None;
    }
    JobName::new(block.name)
        .map_err(|problem| sink.report(block.place, block.name, problem))
        .ok()
}

/// Outer none: wrong; inner none: not there.
pub(crate) fn optional<'n, T>(
    field: Option<Field<'n>>,
    read: impl FnOnce(Field<'n>) -> Option<T>,
) -> Option<Option<T>> {
    match field {
        None => Some(None),
        Some(field) => read(field).map(Some),
    }
}

fn machine(sink: &mut Sink, section: &Section<'_>) -> Option<Machine> {
    let cores = section
        .need(sink, "cores")
        .and_then(|field| field.int(sink, CORES));
    let memory = section
        .need(sink, "memory")
        .and_then(|field| field.size(sink, MEMORY));
    let instance = section
        .need(sink, "instance")
        .and_then(|field| instances(sink, &field));
    let spot = section
        .need(sink, "spot")
        .and_then(|field| field.with(sink, yes_or_no));
    let disk = section
        .need(sink, "disk")
        .and_then(|field| field.size(sink, DISK));
    Some(Machine {
        cores: cores?,
        memory_bytes: memory?,
        instance: instance?,
        spot: spot?,
        disk_bytes: disk?,
    })
}

pub(crate) fn yes_or_no(text: &str) -> Result<bool, Problem> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(
            Problem::new(format!("is {}, which is neither yes nor no", quote(text)))
                .help("write true or false"),
        ),
    }
}

fn instances(sink: &mut Sink, field: &Field<'_>) -> Option<Vec<InstanceType>> {
    let items = field.items(sink, true)?;
    if items.is_empty() || items.len() > MAX_INSTANCES {
        let problem = Problem::new(format!("has {} instance types", items.len()));
        field.report(sink, problem.help(format!("name 1 to {MAX_INSTANCES}")));
        return None;
    }
    let checked: Vec<Option<InstanceType>> = items
        .iter()
        .map(|item| item.with(sink, |text| InstanceType::new(text)))
        .collect();
    checked.into_iter().collect()
}

fn workers(
    sink: &mut Sink,
    mode: Mode<'_>,
    section: &Section<'_>,
    engine: Option<&Definition>,
) -> Option<Workers> {
    let machine = machine(sink, section);
    if let Some(engine) = engine.filter(|engine| !engine.workers && !mode.partial) {
        return no_workers(sink, section, engine, machine?);
    }
    let count = section
        .need(sink, "count")
        .and_then(|field| field.int(sink, COUNT));
    let min = optional(section.get("min"), |field| field.int(sink, COUNT));
    let on_demand = section
        .need(sink, "on_demand")
        .and_then(|field| field.int(sink, 0..=*COUNT.end()));
    let (machine, count, min, on_demand) = (machine?, count?, min?, on_demand?);
    if let (Some(min), Some(field)) = (min, section.get("min"))
        && min > count
        && !mode.partial
    {
        let problem = Problem::new(format!("is {min}, more than `workers.count`, which is {count}"));
        field.report(sink, problem.help(format!("it must be 1 to {count}")));
        return None;
    }
    Some(Workers {
        count,
        min: min.unwrap_or(count),
        on_demand,
        machine,
    })
}

/// Of an engine that is one machine.
fn no_workers(
    sink: &mut Sink,
    section: &Section<'_>,
    engine: &Definition,
    machine: Machine,
) -> Option<Workers> {
    for field in ["count", "min"]
        .into_iter()
        .filter_map(|key| section.get(key))
        .filter(Field::is_given)
    {
        let given = field.int(sink, 0..=*COUNT.end())?;
        if given > 0 {
            let problem = Problem::new(format!(
                "is {given}, and the engine `{}` is one machine",
                engine.name
            ));
            field.report(
                sink,
                problem.help("remove it; `master` says how large the machine is"),
            );
            return None;
        }
    }
    Some(Workers {
        count: 0,
        min: 0,
        on_demand: 0,
        machine,
    })
}

fn spark(sink: &mut Sink, section: &Section<'_>) -> Option<Spark> {
    let version = section
        .need(sink, "version")
        .and_then(|field| field.with(sink, spark_version));
    let conf = section
        .need(sink, "conf")
        .and_then(|field| maps::conf(sink, &field));
    Some(Spark {
        version: version?,
        conf: conf?,
    })
}

pub(crate) fn spark_version(text: &str) -> Result<String, Problem> {
    let parts: Vec<&str> = text.split('.').collect();
    let plain = |part: &&str| part.len() <= 3 && units::whole(part).is_ok();
    let known = matches!(parts[..], ["4", _, _] | ["3", "5", _]);
    if known && parts.iter().all(plain) {
        return Ok(text.to_owned());
    }
    Err(Problem::new(format!(
        "is {}, which is not a release of Spark 3.5 or 4",
        quote(text)
    ))
    .help("write all three numbers, such as 4.0.5"))
}

fn limits(sink: &mut Sink, mode: Mode<'_>, section: &Section<'_>) -> Option<Limits> {
    let deadline = section
        .need(sink, "deadline")
        .and_then(|field| field.duration(sink, DEADLINE));
    let stall = section
        .need(sink, "stall")
        .and_then(|field| field.with(sink, stall));
    let form = section
        .need(sink, "form")
        .and_then(|field| field.duration(sink, FORM));
    let cost = section
        .need(sink, "cost")
        .and_then(|field| field.with(sink, cost));
    let retries = section
        .need(sink, "retries")
        .and_then(|field| field.int(sink, RETRIES));
    let (deadline, form): (Secs, Secs) = (deadline?, form?);
    if form >= deadline && !mode.partial {
        let problem = Problem::new(format!(
            "is {form}, not less than `limits.deadline`, which is {deadline}"
        ));
        let problem = problem.help("the deadline must leave time for the job itself");
        section.need(sink, "form")?.report(sink, problem);
        return None;
    }
    Some(Limits {
        deadline,
        stall: stall?,
        form,
        cost_cents: cost?,
        retries: retries?,
    })
}

fn stall(text: &str) -> Result<Option<Secs>, Problem> {
    if text == "none" {
        return Ok(None);
    }
    bounded_duration(text, &STALL).map(Some).map_err(|mut problem| {
        let help = problem.help.take().unwrap_or_default();
        problem.help(format!("{help}, or `none`"))
    })
}

fn cost(text: &str) -> Result<u64, Problem> {
    let cents = units::dollars(text)?;
    if COST.contains(&cents) {
        return Ok(cents);
    }
    let (low, high) = (
        units::display_cents(*COST.start()),
        units::display_cents(*COST.end()),
    );
    Err(
        Problem::new(format!("is {}, which is out of bounds", quote(text)))
            .help(format!("it must be {low} to {high}")),
    )
}

fn on_failure(text: &str) -> Result<OnFailure, Problem> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match (word, rest.trim()) {
        ("release", "") => Ok(OnFailure::Release),
        ("hold", "") => Err(Problem::new("is `hold` without a duration").help("say how long: `hold 30m`")),
        ("hold", time) => bounded_duration(time, &HOLD).map(|secs| OnFailure::Hold { secs }),
        _ => Err(Problem::new(format!("is {}", quote(text))).help("write `release` or `hold 30m`")),
    }
}
